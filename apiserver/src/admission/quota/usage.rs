//! What an object counts for: itself, and for pods, claims and Services what they ask for.

use super::super::pod_resources::{self, Amounts, amounts};
use super::super::{always, is, items};
use crate::registry::admit::{Operation, Question};
use crate::schema::quantity::Quantity;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tinyplane_wire::meta::Meta;

/// Kinds that are counted under their own name too.
const BY_NAME: [&str; 8] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "resourceclaims",
];
/// Resources that every container must specify where a quota limits them.
const DEMANDED: [&str; 6] = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];
/// Between a storage class and what is counted of it.
const OF_CLASS: &str = ".storageclass.storage.k8s.io/";

/// Whether a question is about something that may change what is used.
pub(super) fn is_counted(question: &Question<'_>) -> bool {
    let plural = question.resource.plural.as_str();
    // Events never count, and reviews are never stored.
    if plural == "events" || !question.resource.namespaced {
        return false;
    }
    let core = question.resource.stored.group.is_empty();
    match (question.operation, question.subresource) {
        (Operation::Create, "") => true,
        (Operation::Update, "") => core && matches!(plural, "services" | "persistentvolumeclaims"),
        (Operation::Update, "resize") => core && plural == "pods",
        _ => false,
    }
}

/// The name under which every object of the question's resource is counted.
fn count_name(question: &Question<'_>) -> String {
    let group = &question.resource.stored.group;
    let plural = &question.resource.plural;
    if group.is_empty() { format!("count/{plural}") } else { format!("count/{plural}.{group}") }
}

/// Whether objects of the question's resource count in what a quota limits under this name.
pub(super) fn counts(question: &Question<'_>, limited: &str) -> bool {
    if limited == count_name(question) {
        return true;
    }
    if !question.resource.stored.group.is_empty() {
        return false;
    }
    match question.resource.plural.as_str() {
        "pods" => is_of_pods(limited),
        "persistentvolumeclaims" => {
            matches!(limited, "persistentvolumeclaims" | "requests.storage")
                || limited.ends_with(&format!("{OF_CLASS}requests.storage"))
                || limited.ends_with(&format!("{OF_CLASS}persistentvolumeclaims"))
        }
        "services" => matches!(limited, "services" | "services.nodeports" | "services.loadbalancers"),
        plural => limited == plural && BY_NAME.contains(&plural),
    }
}

fn is_of_pods(limited: &str) -> bool {
    let bare = limited.strip_prefix("requests.").or_else(|| limited.strip_prefix("limits.")).unwrap_or(limited);
    matches!(bare, "cpu" | "memory" | "ephemeral-storage")
        || limited == "pods"
        || bare.starts_with("hugepages-")
        || limited.strip_prefix("requests.").is_some_and(always::is_extended)
}

/// What an object of the question's resource counts for.
pub(super) fn of(question: &Question<'_>, object: &Value) -> Amounts {
    let mut used = Amounts::from([(count_name(question), Quantity::of(1))]);
    if !question.resource.stored.group.is_empty() {
        return used;
    }
    let plural = question.resource.plural.as_str();
    match plural {
        "pods" if has_ended(object) => {}
        "pods" => {
            used.insert("pods".into(), Quantity::of(1));
            let (requests, limits) = (pod_resources::of(object, "requests"), pod_resources::of(object, "limits"));
            used.extend(computed(&requests, &limits));
        }
        "persistentvolumeclaims" => used.extend(of_claim(object)),
        "services" => used.extend(of_service(object)),
        plural if BY_NAME.contains(&plural) => drop(used.insert(plural.into(), Quantity::of(1))),
        _ => {}
    }
    used
}

/// A pod that will run no more holds nothing but its place among the objects.
fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Requests and limits under the names that quotas use.
fn computed(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut used = Amounts::new();
    for (name, amount) in requests {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-") {
            used.insert(name.clone(), *amount);
            used.insert(format!("requests.{name}"), *amount);
        } else if always::is_extended(name) {
            used.insert(format!("requests.{name}"), *amount);
        }
    }
    for (name, amount) in limits {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            used.insert(format!("limits.{name}"), *amount);
        }
    }
    used
}

fn of_claim(claim: &Value) -> Amounts {
    let class = Meta::of(claim)
        .annotation("volume.beta.kubernetes.io/storage-class")
        .or(claim["spec"]["storageClassName"].as_str())
        .filter(|class| !class.is_empty());
    let mut used = Amounts::from([("persistentvolumeclaims".to_owned(), Quantity::of(1))]);
    if let Some(class) = class {
        used.insert(format!("{class}{OF_CLASS}persistentvolumeclaims"), Quantity::of(1));
    }
    if let Some(size) = amounts(&claim["spec"]["resources"]["requests"]).remove("storage") {
        // A volume that was granted more counts with what it was granted.
        let granted = amounts(&claim["status"]["allocatedResources"]).remove("storage").unwrap_or(size);
        let size = size.max(granted);
        used.insert("requests.storage".into(), size);
        if let Some(class) = class {
            used.insert(format!("{class}{OF_CLASS}requests.storage"), size);
        }
    }
    used
}

fn of_service(service: &Value) -> Amounts {
    let spec = &service["spec"];
    let ports = items(&spec["ports"]);
    let (node_ports, balancers) = match spec["type"].as_str() {
        Some("NodePort") => (ports.count(), 0),
        Some("LoadBalancer") if spec["allocateLoadBalancerNodePorts"] == false => {
            (ports.filter(|port| port["nodePort"].as_i64().is_some_and(|port| port != 0)).count(), 1)
        }
        Some("LoadBalancer") => (ports.count(), 1),
        _ => (0, 0),
    };
    let number = |count: usize| Quantity::of(i64::try_from(count).unwrap_or(i64::MAX));
    Amounts::from([
        ("services".to_owned(), Quantity::of(1)),
        ("services.nodeports".to_owned(), number(node_ports)),
        ("services.loadbalancers".to_owned(), number(balancers)),
    ])
}

/// What the containers of a pod must specify and do not, as upstream tells it; `None` where nothing is missing.
pub(super) fn unspecified(question: &Question<'_>, pod: &Value, limited: &[&String]) -> Option<String> {
    if !is(question, "", "pods") {
        return None;
    }
    let demanded: BTreeSet<&str> =
        limited.iter().map(|name| name.as_str()).filter(|name| DEMANDED.contains(name)).collect();
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for container in items(&pod["spec"]["containers"]).chain(items(&pod["spec"]["initContainers"])) {
        let resources = &container["resources"];
        let said = computed(&amounts(&resources["requests"]), &amounts(&resources["limits"]));
        for name in demanded.iter().filter(|name| !said.contains_key(**name)) {
            missing.entry(name).or_default().insert(container["name"].as_str().unwrap_or_default());
        }
    }
    let told = missing.into_iter().map(|(name, containers)| {
        let containers: Vec<&str> = containers.into_iter().collect();
        format!("{name} for: {}", containers.join(","))
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join("; "))
}
