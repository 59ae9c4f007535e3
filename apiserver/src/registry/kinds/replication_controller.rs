//! `ReplicationController`s.

use super::template::{CONTAINERS, IMAGES, SELECTOR, containers};
use crate::registry::behaviour::{AGE, Behaviour, FieldLabel, Grammar, NAME, count};
use crate::registry::cells::{age, label_map, name, number};
use crate::registry::warnings;
use serde_json::json;
use smol_str::format_smolstr;

/// `ReplicationController`s.
pub(super) static REPLICATION_CONTROLLER: Behaviour = Behaviour {
    name: Grammar::LongName,
    orphans: true,
    warnings: warnings::replication_controller,
    fields: &[FieldLabel::Computed("status.replicas", |object| {
        format_smolstr!("{}", number(&object["status"]["replicas"]))
    })],
    columns: &[
        NAME,
        count("Desired", "How many pods there should be."),
        count("Current", "How many pods there are."),
        count("Ready", "How many pods are ready."),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let [names, images] = containers(&spec["template"]);
        vec![
            name(object),
            json!(number(&spec["replicas"])),
            json!(number(&status["replicas"])),
            json!(number(&status["readyReplicas"])),
            age(object, now),
            names,
            images,
            label_map(&spec["selector"]),
        ]
    },
    ..Behaviour::WITH_STATUS
};
