//! `HorizontalPodAutoscaler`s, as `autoscaling/v2` has them.

use crate::registry::behaviour::{AGE, Behaviour, Generation, NAME, column};
use crate::registry::cells::{self, age, items, name, number};
use crate::schema::default;
use serde_json::{Value, json};

/// How many metrics a cell shows.
const METRICS_SHOWN_MAX: usize = 2;

/// `HorizontalPodAutoscaler`s.
pub(super) static HORIZONTAL_POD_AUTOSCALER: Behaviour = Behaviour {
    generation: Generation::None,
    columns: &[
        NAME,
        column("Reference", "What is scaled."),
        column("Targets", "The metrics: what they are, and what they should be."),
        column("MinPods", "Fewest replicas."),
        column("MaxPods", "Most replicas."),
        column("Replicas", "Replicas as last seen."),
        AGE,
    ],
    cells: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let target = |field: &str| spec["scaleTargetRef"][field].as_str().unwrap_or_default();
        vec![
            name(object),
            json!(format!("{}/{}", target("kind"), target("name"))),
            json!(metrics(&spec["metrics"], &status["currentMetrics"])),
            json!(spec["minReplicas"].as_i64().map_or_else(|| "<unset>".to_owned(), |least| least.to_string())),
            json!(number(&spec["maxReplicas"])),
            json!(number(&status["currentReplicas"])),
            age(object, now),
        ]
    },
    // Rules out of an annotation have not been completed.
    read_back: default::scaling_behavior,
    ..Behaviour::WITH_STATUS
};

fn metrics(specs: &Value, statuses: &Value) -> String {
    let all: Vec<String> = items(specs).enumerate().map(|(at, spec)| metric(spec, &statuses[at])).collect();
    match all.len() {
        0 => "<none>".to_owned(),
        count if count > METRICS_SHOWN_MAX => {
            format!("{} + {} more...", all[..METRICS_SHOWN_MAX].join(", "), count - METRICS_SHOWN_MAX)
        }
        _ => all.join(", "),
    }
}

/// `current/target`, with what the kind of metric adds.
fn metric(spec: &Value, status: &Value) -> String {
    let (source, resource) = match spec["type"].as_str() {
        Some("External") => ("external", false),
        Some("Pods") => ("pods", false),
        Some("Object") => ("object", false),
        Some("Resource") => ("resource", true),
        Some("ContainerResource") => ("containerResource", true),
        _ => return "<unknown type>".to_owned(),
    };
    let (target, current) = (&spec[source]["target"], &status[source]["current"]);
    let known = status[source].is_object();
    let amount = |field: &str| if known { quantity(&current[field]) } else { "<unknown>".to_owned() };
    if resource {
        let name = spec[source]["name"].as_str().unwrap_or_default();
        if !target["averageValue"].is_null() {
            return format!("{name}: {}/{}", amount("averageValue"), quantity(&target["averageValue"]));
        }
        let percent = |value: &Value, missing: &str| {
            value.as_i64().map_or_else(|| missing.to_owned(), |percent| format!("{percent}%"))
        };
        let (is, should) = (&current["averageUtilization"], &target["averageUtilization"]);
        return format!("{name}: {}/{}", percent(is, "<unknown>"), percent(should, "<auto>"));
    }
    if source == "pods" {
        return format!("{}/{}", amount("averageValue"), quantity(&target["averageValue"]));
    }
    if target["averageValue"].is_null() {
        return format!("{}/{}", amount("value"), quantity(&target["value"]));
    }
    let is = if current["averageValue"].is_null() { "<unknown>".to_owned() } else { amount("averageValue") };
    format!("{is}/{} (avg)", quantity(&target["averageValue"]))
}

/// An amount in canonical form, as Go writes a pointer to it.
fn quantity(value: &Value) -> String {
    if value.is_null() { "<nil>".to_owned() } else { cells::quantity(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_show_what_is_and_what_should_be() {
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}});
        let queue = json!({"type": "External", "external": {"target": {"averageValue": "30"}}});
        let pods = json!({"type": "Pods", "pods": {"target": {"averageValue": "1000m"}}});
        let status = json!([{"type": "Resource", "resource": {"current": {"averageUtilization": 7}}}]);
        assert_eq!(metrics(&json!([cpu, queue]), &status), "cpu: 7%/80%, <unknown>/30 (avg)");
        assert_eq!(metrics(&json!([pods, cpu, queue]), &json!(null)), "<unknown>/1, cpu: <unknown>/80% + 1 more...");
        assert_eq!(metrics(&json!(null), &status), "<none>");
    }
}
