//! `LimitRanger`: the defaults and the bounds that a namespace's `LimitRange`s set for containers, pods and claims.

use super::pod_resources::{self, Amounts, amounts};
use super::{Plugin, forbidden, is, is_new, items};
use crate::registry::admit::{Operation, Question};
use crate::schema::quantity::Quantity;
use async_trait::async_trait;
use serde_json::{Value, json};
use tinyplane_wire::meta::{Meta, map_mut, metadata_mut};
use tinyplane_wire::status;

/// Where a pod tells which defaults it got.
const NOTE: &str = "kubernetes.io/limit-ranger";

pub(super) struct LimitRanger;

#[async_trait]
impl Plugin for LimitRanger {
    fn name(&self) -> &'static str {
        "LimitRanger"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        let resized =
            question.operation == Operation::Update && question.subresource == "resize" && is(question, "", "pods");
        let claimed = matches!(question.operation, Operation::Create | Operation::Update)
            && question.subresource.is_empty()
            && is(question, "", "persistentvolumeclaims");
        (resized || claimed || is_new(question, "", "pods"))
            && !question.old.is_some_and(|old| Meta::of(old).is_deleting())
    }

    async fn mutate(&self, question: &Question<'_>, object: &mut Value) -> status::Result<()> {
        if is_new(question, "", "pods") {
            for range in question.registry.find_all("", "limitranges", question.namespace)? {
                give_defaults(object, &range);
            }
        }
        Ok(())
    }

    async fn validate(&self, question: &Question<'_>, object: &Value) -> status::Result<()> {
        for range in question.registry.find_all("", "limitranges", question.namespace)? {
            let mut wrong = if is(question, "", "pods") { of_pod(object, &range) } else { of_claim(object, &range) };
            let mut seen = std::collections::BTreeSet::new();
            wrong.retain(|why| seen.insert(why.clone()));
            match wrong.as_slice() {
                [] => {}
                [one] => return Err(forbidden(question, one)),
                many => return Err(forbidden(question, &format!("[{}]", many.join(", ")))),
            }
        }
        Ok(())
    }
}

/// The limits of a range that are of this type.
fn limits<'a>(range: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    items(&range["spec"]["limits"]).filter(move |limit| limit["type"] == kind)
}

fn give_defaults(pod: &mut Value, range: &Value) {
    let (mut requests, mut ceilings) = (serde_json::Map::new(), serde_json::Map::new());
    for limit in limits(range, "Container") {
        requests.extend(limit["defaultRequest"].as_object().cloned().unwrap_or_default());
        ceilings.extend(limit["default"].as_object().cloned().unwrap_or_default());
    }
    let mut told = Vec::new();
    for (field, kind) in [("containers", "container"), ("initContainers", "init container")] {
        for container in pod["spec"].get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            for (part, word, defaults) in [("requests", "request", &requests), ("limits", "limit", &ceilings)] {
                let set = fill(container, part, defaults);
                if !set.is_empty() {
                    told.push(format!("{} {word} for {kind} {name}", set.join(", ")));
                }
            }
        }
    }
    if !told.is_empty() {
        let notes = metadata_mut(pod).entry("annotations").or_insert_with(|| json!({}));
        map_mut(notes).insert(NOTE.into(), format!("LimitRanger plugin set: {}", told.join("; ")).into());
    }
}

/// Sets what a container does not say, and tells the names in order.
fn fill(container: &mut Value, part: &str, defaults: &serde_json::Map<String, Value>) -> Vec<String> {
    let missing = |container: &Value, name: &str| container["resources"][part][name].is_null();
    let mut set: Vec<String> = defaults.keys().filter(|name| missing(container, name)).cloned().collect();
    set.sort_unstable();
    if !set.is_empty() {
        let resources = map_mut(map_mut(container).entry("resources").or_insert_with(|| json!({})));
        let list = map_mut(resources.entry(part).or_insert_with(|| json!({})));
        for name in &set {
            list.insert(name.clone(), defaults[name].clone());
        }
    }
    set
}

fn of_pod(pod: &Value, range: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for limit in items(&range["spec"]["limits"]) {
        let kind = limit["type"].as_str().unwrap_or_default();
        match kind {
            "Container" => {
                let spec = &pod["spec"];
                for container in items(&spec["containers"]).chain(items(&spec["initContainers"])) {
                    let resources = &container["resources"];
                    wrong.extend(bounds(kind, limit, &amounts(&resources["requests"]), &amounts(&resources["limits"])));
                }
            }
            "Pod" => {
                let (requests, ceilings) = (pod_resources::of(pod, "requests"), pod_resources::of(pod, "limits"));
                wrong.extend(bounds(kind, limit, &requests, &ceilings));
            }
            _ => {}
        }
    }
    wrong
}

/// What breaks the bounds of one limit.
fn bounds(kind: &str, limit: &Value, requests: &Amounts, ceilings: &Amounts) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, least) in amounts(&limit["min"]) {
        let (request, ceiling) = (requests.get(&name), ceilings.get(&name));
        let told = format!("minimum {name} usage per {kind} is {least}");
        match (request, ceiling) {
            (None, _) => wrong.push(format!("{told}.  No request is specified")),
            (Some(request), _) if *request < least => wrong.push(format!("{told}, but request is {request}")),
            (_, Some(ceiling)) if *ceiling < least => wrong.push(format!("{told}, but limit is {ceiling}")),
            _ => {}
        }
    }
    for (name, most) in amounts(&limit["max"]) {
        let (request, ceiling) = (requests.get(&name), ceilings.get(&name));
        let told = format!("maximum {name} usage per {kind} is {most}");
        match (request, ceiling) {
            (_, None) => wrong.push(format!("{told}.  No limit is specified")),
            (_, Some(ceiling)) if *ceiling > most => wrong.push(format!("{told}, but limit is {ceiling}")),
            (Some(request), _) if *request > most => wrong.push(format!("{told}, but request is {request}")),
            _ => {}
        }
    }
    for (name, most) in amounts(&limit["maxLimitRequestRatio"]) {
        let told = format!("{name} max limit to request ratio per {kind} is {most}");
        let set = |list: &Amounts| list.get(&name).copied().filter(|amount| *amount != Quantity::of(0));
        match (set(requests), set(ceilings)) {
            (None, _) => wrong.push(format!("{told}, but no request is specified or request is 0")),
            (_, None) => wrong.push(format!("{told}, but no limit is specified or limit is 0")),
            (Some(request), Some(ceiling)) => {
                let ratio = ratio(ceiling, request);
                if ratio > ratio_of(most) {
                    wrong.push(format!("{told}, but provided ratio is {ratio:.6}"));
                }
            }
        }
    }
    wrong
}

#[expect(clippy::cast_precision_loss, reason = "a ratio is compared as upstream compares it: in floating point")]
fn ratio(ceiling: Quantity, request: Quantity) -> f64 {
    ceiling.nanos() as f64 / request.nanos() as f64
}

fn ratio_of(amount: Quantity) -> f64 {
    ratio(amount, Quantity::of(1))
}

fn of_claim(claim: &Value, range: &Value) -> Vec<String> {
    let requests = amounts(&claim["spec"]["resources"]["requests"]);
    let mut wrong = Vec::new();
    for limit in limits(range, "PersistentVolumeClaim") {
        let kind = "PersistentVolumeClaim";
        for (word, list, beyond) in
            [("minimum", "min", std::cmp::Ordering::Less), ("maximum", "max", std::cmp::Ordering::Greater)]
        {
            for (name, bound) in amounts(&limit[list]) {
                let told = format!("{word} {name} usage per {kind} is {bound}");
                match requests.get(&name) {
                    None => wrong.push(format!("{told}.  No request is specified")),
                    Some(request) if request.cmp(&bound) == beyond => {
                        wrong.push(format!("{told}, but request is {request}"));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_given_and_told() {
        let range = json!({"spec": {"limits": [{
            "type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"},
        }]}});
        let mut pod = json!({"spec": {
            "containers": [{"name": "a", "resources": {"limits": {"cpu": "2"}}}], "initContainers": [{"name": "i"}],
        }});
        give_defaults(&mut pod, &range);
        assert_eq!(
            pod["metadata"]["annotations"][NOTE],
            "LimitRanger plugin set: cpu request for container a; memory limit for container a; cpu request for init container i; cpu, memory limit for init container i"
        );
        assert_eq!(pod["spec"]["containers"][0]["resources"]["limits"], json!({"cpu": "2", "memory": "1Gi"}));
    }

    #[test]
    fn what_is_out_of_bounds_is_told_in_upstreams_words() {
        let range = json!({"spec": {"limits": [
            {"type": "Container", "min": {"cpu": "100m"}, "max": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "2"}},
            {"type": "Pod", "max": {"memory": "1Gi"}},
        ]}});
        let pod = |requests: Value, limits: Value| {
            let resources = json!({"requests": requests, "limits": limits});
            of_pod(&json!({"spec": {"containers": [{"name": "a", "resources": resources}]}}), &range)
        };
        assert_eq!(
            pod(json!({"cpu": "50m"}), json!({"cpu": "2", "memory": "2Gi"})),
            [
                "minimum cpu usage per Container is 100m, but request is 50m",
                "maximum cpu usage per Container is 1, but limit is 2",
                "cpu max limit to request ratio per Container is 2, but provided ratio is 40.000000",
                "maximum memory usage per Pod is 1Gi, but limit is 2Gi",
            ]
        );
        let missing = pod(json!({}), json!({}));
        assert_eq!(missing[0], "minimum cpu usage per Container is 100m.  No request is specified");
        assert_eq!(missing[1], "maximum cpu usage per Container is 1.  No limit is specified");
        assert!(pod(json!({"cpu": "500m"}), json!({"cpu": "1", "memory": "1Gi"})).is_empty());
    }
}
