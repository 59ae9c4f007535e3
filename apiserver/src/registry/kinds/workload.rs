//! Deployments and replica sets.

use super::template::{CONTAINERS, IMAGES, SELECTOR, containers};
use crate::registry::behaviour::{AGE, Behaviour, Column, NAME, column, count};
use crate::registry::cells::{age, name, number, selector};
use crate::registry::warnings;
use serde_json::{Value, json};

const DESIRED: Column = count("Desired", "How many pods there should be.");
const CURRENT: Column = count("Current", "How many pods there are.");
const READY: Column = count("Ready", "How many pods are ready.");
const READY_OF: Column = column("Ready", "How many pods are ready, of how many there should be.");

pub(super) static DEPLOYMENT: Behaviour = Behaviour {
    blank: no_replicas,
    counted_metadata: &["annotations"],
    status_resets: &[&["metadata", "labels"]],
    warnings: warnings::replicated,
    columns: &[
        NAME,
        READY_OF,
        column("Up-to-date", "How many pods are of the newest template."),
        column("Available", "How many pods have been ready for long enough."),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: |object, now| {
        let status = &object["status"];
        let [containers, images] = containers(&object["spec"]["template"]);
        vec![
            name(object),
            ready_of(object),
            json!(number(&status["updatedReplicas"])),
            json!(number(&status["availableReplicas"])),
            age(object, now),
            containers,
            images,
            selector(&object["spec"]["selector"]),
        ]
    },
    ..Behaviour::WITH_STATUS
};

pub(super) static REPLICA_SET: Behaviour = Behaviour {
    blank: no_replicas,
    cells: |object, now| {
        let [containers, images] = containers(&object["spec"]["template"]);
        let [desired, current, ready] = three(object);
        let selector = selector(&object["spec"]["selector"]);
        vec![name(object), desired, current, ready, age(object, now), containers, images, selector]
    },
    warnings: warnings::replicated,
    columns: &[NAME, DESIRED, CURRENT, READY, AGE, CONTAINERS, IMAGES, SELECTOR],
    ..Behaviour::WITH_STATUS
};

fn ready_of(object: &Value) -> Value {
    json!(format!("{}/{}", number(&object["status"]["readyReplicas"]), number(&object["spec"]["replicas"])))
}

fn three(object: &Value) -> [Value; 3] {
    let (spec, status) = (&object["spec"], &object["status"]);
    [&spec["replicas"], &status["replicas"], &status["readyReplicas"]].map(|value| json!(number(value)))
}

/// Of replicas that nobody has counted upstream's type without versions says that there are none.
pub(super) fn no_replicas(object: &mut Value) {
    object["spec"]["replicas"] = 0.into();
}
