//! The class of a pod's service: how much of what it may use is set aside for it.

use super::field::list;
use crate::schema::quantity::Quantity;
use serde_json::Value;

/// Billionths of processors and of bytes, where any are said.
type Amounts = [Option<i128>; 2];

/// The quality of service that a pod's requests and limits amount to.
#[must_use]
pub(crate) fn of(spec: &Value) -> &'static str {
    let containers = || list(&spec["containers"]).iter().chain(list(&spec["initContainers"]));
    let amounts = |resources: &Value, which: &str| -> Amounts {
        let read = |name: &str| Quantity::parse(resources[which][name].as_str()?).ok().map(Quantity::nanos);
        ["cpu", "memory"].map(|name| read(name).filter(|amount| *amount > 0))
    };
    let (mut requests, mut limits) = (Amounts::default(), Amounts::default());
    let mut all_limited = true;
    let of_pod = [&spec["resources"]].into_iter().filter(|resources| resources.is_object());
    let of_containers = containers().map(|container| &container["resources"]);
    let sources: Vec<&Value> = match spec["resources"].is_object() {
        true => of_pod.collect(),
        false => of_containers.collect(),
    };
    for resources in sources {
        add(&mut requests, amounts(resources, "requests"));
        let own = amounts(resources, "limits");
        all_limited &= own.iter().all(Option::is_some);
        add(&mut limits, own);
    }
    match () {
        () if [requests, limits].as_flattened().iter().all(Option::is_none) => "BestEffort",
        () if all_limited && requests == limits => "Guaranteed",
        () => "Burstable",
    }
}

fn add(sums: &mut Amounts, amounts: Amounts) {
    for (sum, amount) in sums.iter_mut().zip(amounts) {
        *sum = [*sum, amount].into_iter().flatten().reduce(i128::saturating_add);
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
