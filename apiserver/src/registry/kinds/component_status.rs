//! `ComponentStatus`es: that of the store, without which nothing could be told. Upstream asks the scheduler and the control
//! loops at ports of its own machine, where those of this cluster do not listen: of them nothing is said.

use crate::registry::behaviour::{Behaviour, NAME, column};
use crate::registry::cells::{items, name};
use serde_json::{Value, json};

/// `ComponentStatus`es.
pub(super) static COMPONENT_STATUS: Behaviour = Behaviour {
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
