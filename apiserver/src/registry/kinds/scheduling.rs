//! What pods say about how they are scheduled and run by name: priority classes, runtime classes.

use crate::registry::behaviour::{AGE, Behaviour, Column, Generation, NAME, column, count};
use crate::registry::cells::{age, name, number};
use crate::registry::warnings;
use serde_json::json;

/// The classes of what a cluster can't do without.
const SYSTEM: [&str; 2] = ["system-node-critical", "system-cluster-critical"];

/// `PriorityClass`es.
pub(super) static PRIORITY_CLASS: Behaviour = Behaviour {
    stays: |class| {
        let is_system = class["metadata"]["name"].as_str().is_some_and(|name| SYSTEM.contains(&name));
        is_system.then_some("this is a system priority class and cannot be deleted")
    },
    generation: Generation::First,
    columns: &[
        NAME,
        count("Value", "The priority of pods of this class."),
        Column { kind: "boolean", ..column("Global-Default", "Whether pods without a class belong to it.") },
        AGE,
        column("PreemptionPolicy", "Whether its pods drive out others."),
    ],
    cells: |object, now| {
        vec![
            name(object),
            json!(number(&object["value"])),
            json!(object["globalDefault"].as_bool().unwrap_or_default()),
            age(object, now),
            json!(object["preemptionPolicy"].as_str().unwrap_or_default()),
        ]
    },
    ..Behaviour::PLAIN
};

/// `RuntimeClass`es.
pub(super) static RUNTIME_CLASS: Behaviour = Behaviour {
    warnings: warnings::runtime_class,
    unconditional_update: false,
    create_on_update: true,
    columns: &[NAME, column("Handler", "The runtime's name on the node."), AGE],
    cells: |object, now| vec![name(object), json!(object["handler"].as_str().unwrap_or_default()), age(object, now)],
    ..Behaviour::PLAIN
};
