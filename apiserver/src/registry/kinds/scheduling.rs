//! What pods say about how they are scheduled and run by name: priority classes, runtime classes.

use crate::registry::behaviour::{AGE, Behaviour, Column, Generation, NAME, column, count};
use crate::registry::cells::{age, name, number};
use serde_json::json;

/// `PriorityClass`es.
pub(super) static PRIORITY_CLASS: Behaviour = Behaviour {
    generation: Generation::Everything,
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
    unconditional_update: false,
    columns: &[NAME, column("Handler", "The runtime's name on the node."), AGE],
    cells: |object, now| vec![name(object), json!(object["handler"].as_str().unwrap_or_default()), age(object, now)],
    ..Behaviour::PLAIN
};
