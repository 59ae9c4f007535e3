//! `ComponentStatus`es, which nobody writes: the server asks its components when it is asked.

use crate::registry::behaviour::{Behaviour, NAME, column};
use crate::registry::cells::{items, name};
use serde_json::{Value, json};

/// `ComponentStatus`es.
pub(super) static COMPONENT_STATUS: Behaviour = Behaviour {
    is_found_out: true,
    deprecation: Some("v1 ComponentStatus is deprecated in v1.19+"),
    columns: &[
        NAME,
        column("Status", "Whether the component is healthy."),
        column("Message", "What it says."),
        column("Error", "What is wrong with it."),
    ],
    cells: |object, _| {
        let found = items(&object["conditions"]).find(|one| one["type"] == "Healthy");
        let condition = found.unwrap_or(&Value::Null);
        let status = match condition["status"].as_str() {
            None => "Unknown",
            Some("True") => "Healthy",
            Some(_) => "Unhealthy",
        };
        let text = |field: &str| json!(condition[field].as_str().unwrap_or_default());
        vec![name(object), json!(status), text("message"), text("error")]
    },
    ..Behaviour::PLAIN
};
