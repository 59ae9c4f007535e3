//! The class of a pod's service: how much of what it may use is set aside for it.

use super::field::list;
use crate::schema::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeMap;

/// The quality of service that a pod's requests and limits amount to.
#[must_use]
pub(crate) fn of(spec: &Value) -> &'static str {
    let containers = || list(&spec["containers"]).iter().chain(list(&spec["initContainers"]));
    let amounts = |resources: &Value, which: &str| -> BTreeMap<String, i128> {
        let all = resources[which].as_object().into_iter().flatten();
        all.filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory"))
            .filter_map(|(name, amount)| Some((name.clone(), Quantity::parse(amount.as_str()?).ok()?.nanos())))
            .filter(|(_, amount)| *amount > 0)
            .collect()
    };
    let (mut requests, mut limits) = (BTreeMap::<String, i128>::new(), BTreeMap::<String, i128>::new());
    let mut all_limited = true;
    let of_pod = [&spec["resources"]].into_iter().filter(|resources| resources.is_object());
    let of_containers = containers().map(|container| &container["resources"]);
    let sources: Vec<&Value> = match spec["resources"].is_object() {
        true => of_pod.collect(),
        false => of_containers.collect(),
    };
    for resources in sources {
        for (name, amount) in amounts(resources, "requests") {
            *requests.entry(name).or_default() += amount;
        }
        let own = amounts(resources, "limits");
        all_limited &= own.len() == 2;
        for (name, amount) in own {
            *limits.entry(name).or_default() += amount;
        }
    }
    match () {
        () if requests.is_empty() && limits.is_empty() => "BestEffort",
        () if all_limited && requests == limits => "Guaranteed",
        () => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_quality_follows_requests_and_limits() {
        let class = |resources: Value| of(&json!({"containers": [{"resources": resources}]}));
        assert_eq!(class(json!({})), "BestEffort");
        let both = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(class(json!({"requests": both, "limits": both})), "Guaranteed");
        assert_eq!(class(json!({"requests": {"cpu": "1"}})), "Burstable");
        assert_eq!(class(json!({"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": both})), "Burstable");
    }
}
