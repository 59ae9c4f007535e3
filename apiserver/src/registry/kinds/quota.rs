//! `ResourceQuota`s.

use crate::registry::behaviour::{AGE, Behaviour, Generation, NAME, column};
use crate::registry::cells::{age, name, quantity};
use crate::registry::warnings;
use serde_json::{Value, json};

/// `ResourceQuota`s.
pub(super) static RESOURCE_QUOTA: Behaviour = Behaviour {
    warnings: warnings::quota,
    returns_deleted: true,
    generation: Generation::None,
    columns: &[
        NAME,
        column("Request", "What is used of what may be asked for."),
        column("Limit", "What is used of what may be a limit."),
        AGE,
    ],
    cells: |object, now| {
        let [requests, limits] = usage(&object["status"]);
        vec![name(object), json!(requests), json!(limits), age(object, now)]
    },
    ..Behaviour::WITH_STATUS
};

/// `pods: 1/10, …`, first what is no limit, then the limits.
fn usage(status: &Value) -> [String; 2] {
    let mut resources: Vec<(&String, &Value)> = status["hard"].as_object().into_iter().flatten().collect();
    resources.sort_unstable_by_key(|(resource, _)| *resource);
    let (limits, requests): (Vec<_>, Vec<_>) =
        resources.into_iter().partition(|(resource, _)| resource.starts_with("limits."));
    [requests, limits].map(|part| {
        let told = part
            .into_iter()
            .map(|(resource, hard)| format!("{resource}: {}/{}", quantity(&status["used"][resource]), quantity(hard)));
        told.collect::<Vec<_>>().join(", ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_told_in_the_order_of_names() {
        let status = json!({
            "hard": {"pods": "10", "limits.cpu": "2000m", "cpu": "4"},
            "used": {"pods": "1", "limits.cpu": "500m"},
        });
        assert_eq!(usage(&status), ["cpu: 0/4, pods: 1/10", "limits.cpu: 500m/2"]);
    }
}
