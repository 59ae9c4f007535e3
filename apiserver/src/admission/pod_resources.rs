//! What a pod asks for in all: requests and limits over its containers, init containers and overhead.

use super::items;
use crate::schema::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeMap;
use tinyplane_wire::meta::pairs;

/// Amounts by the names of their resources.
pub(super) type Amounts = BTreeMap<String, Quantity>;

/// A list of resources as amounts. What is no quantity is left out; validation tells of it.
pub(super) fn amounts(list: &Value) -> Amounts {
    pairs(list).filter_map(|(name, text)| Some((name.to_owned(), Quantity::parse(text).ok()?))).collect()
}

/// Adds amounts to amounts.
pub(super) fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = to.get(name).map_or(*amount, |there| there.plus(*amount));
        to.insert(name.clone(), sum);
    }
}

fn at_least(to: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let there = to.entry(name.clone()).or_insert(*amount);
        *there = (*there).max(*amount);
    }
}

/// What a pod requests, or is limited to: `field` is `requests` or `limits`.
///
/// Its containers run together, init containers one after the other before them, and those of these that restart
/// run beside everything that comes later. What the pod says of itself as a whole goes before what its containers say.
pub(super) fn of(pod: &Value, field: &str) -> Amounts {
    let spec = &pod["spec"];
    let of_container = |container: &Value| amounts(&container["resources"][field]);
    let mut sum = Amounts::new();
    items(&spec["containers"]).for_each(|container| add(&mut sum, &of_container(container)));
    let (mut beside, mut peak) = (Amounts::new(), Amounts::new());
    for container in items(&spec["initContainers"]) {
        let mut now = of_container(container);
        if container["restartPolicy"] == "Always" {
            add(&mut sum, &now);
            add(&mut beside, &now);
            now.clone_from(&beside);
        } else {
            add(&mut now, &beside);
        }
        at_least(&mut peak, &now);
    }
    at_least(&mut sum, &peak);
    sum.extend(amounts(&spec["resources"][field]));
    let overhead = amounts(&spec["overhead"]);
    match field {
        "requests" => add(&mut sum, &overhead),
        // What has no limit has none with overhead either.
        _ => sum.iter_mut().for_each(|(name, sum)| {
            if let Some(more) = overhead.get(name) {
                *sum = sum.plus(*more);
            }
        }),
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_asks_for_what_runs_at_the_same_time() {
        let wants = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
        let mut sidecar = wants("100m");
        sidecar["restartPolicy"] = json!("Always");
        let pod = json!({"spec": {
            "initContainers": [wants("1"), sidecar, wants("300m")],
            "containers": [wants("200m"), wants("250m")],
            "overhead": {"cpu": "10m"},
        }});
        assert_eq!(of(&pod, "requests")["cpu"].to_string(), "1010m");
        assert!(of(&pod, "limits").is_empty());
    }
}
