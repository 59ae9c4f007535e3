//! Flow schemas and priority levels.

use crate::registry::behaviour::{AGE, Behaviour, NAME, column};
use crate::registry::cells::{age, items, name, number};
use serde_json::{Value, json};

/// `FlowSchema`s.
pub(super) static FLOW_SCHEMA: Behaviour = Behaviour {
    status_resets: &[&["metadata"]],
    columns: &[
        NAME,
        column("PriorityLevel", "The priority level of its requests."),
        column("MatchingPrecedence", "Schemas with lower numbers are asked first."),
        column("DistinguisherMethod", "What tells one flow from another."),
        AGE,
        column("MissingPL", "Whether its priority level is missing."),
    ],
    cells: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let method = &spec["distinguisherMethod"];
        let dangling = items(&status["conditions"]).find(|one| one["type"] == "Dangling");
        vec![
            name(object),
            json!(spec["priorityLevelConfiguration"]["name"].as_str().unwrap_or_default()),
            json!(number(&spec["matchingPrecedence"])),
            json!(if method.is_null() { "<none>" } else { method["type"].as_str().unwrap_or_default() }),
            age(object, now),
            json!(dangling.and_then(|one| one["status"].as_str()).unwrap_or("?")),
        ]
    },
    // Those that are asked first come first.
    rank: Some(|object| number(&object["spec"]["matchingPrecedence"])),
    ..Behaviour::WITH_STATUS
};

/// `PriorityLevelConfiguration`s.
pub(super) static PRIORITY_LEVEL_CONFIGURATION: Behaviour = Behaviour {
    status_resets: &[&["metadata"]],
    columns: &[
        NAME,
        column("Type", "Whether it is limited at all."),
        column("NominalConcurrencyShares", "Its share of the server's seats."),
        column("Queues", "How many queues it has."),
        column("HandSize", "How many queues a flow may use."),
        column("QueueLengthLimit", "How many requests may wait in a queue."),
        AGE,
    ],
    cells: |object, now| {
        let limited = &object["spec"]["limited"];
        let queuing = &limited["limitResponse"]["queuing"];
        let of = |whole: &Value, field: &str| match whole {
            Value::Null => json!("<none>"),
            whole => json!(number(&whole[field])),
        };
        vec![
            name(object),
            json!(object["spec"]["type"].as_str().unwrap_or_default()),
            of(limited, "nominalConcurrencyShares"),
            of(queuing, "queues"),
            of(queuing, "handSize"),
            of(queuing, "queueLengthLimit"),
            age(object, now),
        ]
    },
    ..Behaviour::WITH_STATUS
};
