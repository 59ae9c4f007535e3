//! `PodDisruptionBudget`s.

use crate::registry::behaviour::{AGE, Behaviour, Grammar, Judged, NAME, column, count};
use crate::registry::cells::{age, name, number};
use serde_json::{Value, json};

/// `PodDisruptionBudget`s.
pub(super) static POD_DISRUPTION_BUDGET: Behaviour = Behaviour {
    name: Grammar::PathSegment,
    metadata_judged: Judged::Last,
    unconditional_update: false,
    columns: &[
        NAME,
        column("Min Available", "How many pods have to stay available."),
        column("Max Unavailable", "How many pods may be unavailable."),
        count("Allowed Disruptions", "How many pods may be disrupted right now."),
        AGE,
    ],
    cells: |object, now| {
        let share = |value: &Value| match value {
            Value::Null => json!("N/A"),
            Value::String(text) => json!(text),
            other => json!(other.to_string()),
        };
        vec![
            name(object),
            share(&object["spec"]["minAvailable"]),
            share(&object["spec"]["maxUnavailable"]),
            json!(number(&object["status"]["disruptionsAllowed"])),
            age(object, now),
        ]
    },
    ..Behaviour::WITH_STATUS
};
