//! What an object counts for in a quota, and of which objects a quota speaks.

use crate::pods::has_ended;
use crate::quantity::{Notation, thousandths, told};
use crate::scheduler::pod_amounts;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use tinyplane_wire::meta::Meta;

/// Between a storage class and what is counted of it.
const OF_CLASS: &str = ".storageclass.storage.k8s.io/";
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// A resource whose objects count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Source {
    pub(super) group: String,
    pub(super) resource: String,
}

/// Which objects count for what a quota limits under this name. Events never count.
pub(super) fn source(limited: &str) -> Option<Source> {
    let core = |resource: &str| Some(Source { group: String::new(), resource: resource.into() });
    if let Some(counted) = limited.strip_prefix("count/") {
        let (resource, group) = counted.split_once('.').unwrap_or((counted, ""));
        if resource == "events" && matches!(group, "" | "events.k8s.io") {
            return None;
        }
        return Some(Source { group: group.into(), resource: resource.into() });
    }
    match limited {
        "configmaps" | "secrets" | "replicationcontrollers" | "resourcequotas" => core(limited),
        "services" | "services.nodeports" | "services.loadbalancers" => core("services"),
        "persistentvolumeclaims" | "requests.storage" => core("persistentvolumeclaims"),
        of_class if of_class.contains(OF_CLASS) => core("persistentvolumeclaims"),
        _ => core("pods"),
    }
}

/// Sums under the names that a quota limits.
pub(super) struct Sums(BTreeMap<String, (i128, Option<Notation>)>);

impl Sums {
    pub(super) fn new(names: impl Iterator<Item = String>) -> Self {
        Self(names.map(|name| (name, (0, None))).collect())
    }

    /// Counts an object, if the quota speaks of it.
    pub(super) fn add(&mut self, of: &Source, quota: &Value, object: &Value) {
        if !is_meant(of, quota, object) {
            return;
        }
        let Source { group, resource } = of;
        let count = if group.is_empty() { format!("count/{resource}") } else { format!("count/{resource}.{group}") };
        self.add_one(&count);
        match (group.as_str(), resource.as_str()) {
            ("", "pods") if has_ended(object) => {}
            ("", "pods") => self.add_pod(object),
            ("", "services") => self.add_service(object),
            ("", "persistentvolumeclaims") => self.add_claim(object),
            ("", resource) => self.add_one(resource),
            _ => {}
        }
    }

    fn add_one(&mut self, name: &str) {
        self.add_amount(name, 1_000, None);
    }

    fn add_amount(&mut self, name: &str, amount: i128, notation: Option<Notation>) {
        if let Some((sum, known)) = self.0.get_mut(name) {
            *sum += amount;
            *known = known.or(notation.filter(|_| amount != 0));
        }
    }

    fn add_pod(&mut self, pod: &Value) {
        self.add_one("pods");
        for field in ["requests", "limits"] {
            for (name, amount) in pod_amounts(pod, field) {
                let notation = Some(notation_of(pod, field, &name));
                self.add_amount(&format!("{field}.{name}"), amount, notation);
                let bare = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage");
                if field == "requests" && (bare || name.starts_with("hugepages-")) {
                    self.add_amount(&name, amount, notation);
                }
            }
        }
    }

    fn add_service(&mut self, service: &Value) {
        let spec = &service["spec"];
        let ports = || spec["ports"].as_array().into_iter().flatten();
        self.add_one("services");
        let node_ports = match spec["type"].as_str() {
            Some("NodePort") => ports().count(),
            Some("LoadBalancer") if spec["allocateLoadBalancerNodePorts"] == false => {
                ports().filter(|port| port["nodePort"].as_i64().is_some_and(|port| port != 0)).count()
            }
            Some("LoadBalancer") => ports().count(),
            _ => 0,
        };
        (0..node_ports).for_each(|_| self.add_one("services.nodeports"));
        if spec["type"] == "LoadBalancer" {
            self.add_one("services.loadbalancers");
        }
    }

    fn add_claim(&mut self, claim: &Value) {
        let annotated = Meta::of(claim).annotation(CLASS_ANNOTATION);
        let class = annotated.or(claim["spec"]["storageClassName"].as_str()).filter(|class| !class.is_empty());
        let text = claim["spec"]["resources"]["requests"]["storage"].as_str();
        let granted = claim["status"]["allocatedResources"]["storage"].as_str().and_then(thousandths);
        let size = text.and_then(thousandths).map(|size| size.max(granted.unwrap_or(size)));
        let notation = text.map(Notation::of);
        self.add_one("persistentvolumeclaims");
        if let Some(class) = class {
            self.add_one(&format!("{class}{OF_CLASS}persistentvolumeclaims"));
        }
        if let Some(size) = size {
            self.add_amount("requests.storage", size, notation);
            if let Some(class) = class {
                self.add_amount(&format!("{class}{OF_CLASS}requests.storage"), size, notation);
            }
        }
    }

    /// Whether something is less than what is told as used.
    pub(super) fn is_below(&self, used: &Value) -> bool {
        let told = |name: &str| used[name].as_str().and_then(thousandths);
        self.0.iter().any(|(name, (sum, _))| told(name).is_some_and(|told| *sum < told))
    }

    /// The sums as quantities.
    pub(super) fn told(&self) -> Map<String, Value> {
        let one = |(name, (sum, notation)): (&String, &(i128, Option<Notation>))| {
            (name.clone(), told(*sum, notation.unwrap_or(Notation::Decimal)).into())
        };
        self.0.iter().map(one).collect()
    }
}

/// In which notation the pod's containers first speak of a resource.
fn notation_of(pod: &Value, field: &str, name: &str) -> Notation {
    let lists = ["containers", "initContainers"].into_iter();
    let containers = lists.flat_map(|list| pod["spec"][list].as_array().into_iter().flatten());
    let mut texts = containers.filter_map(|container| container["resources"][field][name].as_str());
    texts.next().map_or(Notation::Decimal, Notation::of)
}

/// Whether all scopes of a quota match an object.
fn is_meant(of: &Source, quota: &Value, object: &Value) -> bool {
    let spec = &quota["spec"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    list(&spec["scopes"]).iter().all(|scope| is_in(of, scope, "Exists", &Value::Null, object))
        && list(&spec["scopeSelector"]["matchExpressions"]).iter().all(|one| {
            is_in(of, &one["scopeName"], one["operator"].as_str().unwrap_or_default(), &one["values"], object)
        })
}

fn is_in(of: &Source, scope: &Value, operator: &str, values: &Value, object: &Value) -> bool {
    let (scope, spec) = (scope.as_str().unwrap_or_default(), &object["spec"]);
    if !of.group.is_empty() {
        return false;
    }
    let terminating = spec["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds >= 0);
    let best_effort = object["status"]["qosClass"] == "BestEffort";
    match (of.resource.as_str(), scope) {
        ("persistentvolumeclaims", "VolumeAttributesClass") => {
            named(spec["volumeAttributesClassName"].as_str(), operator, values)
        }
        ("pods", "Terminating") => terminating,
        ("pods", "NotTerminating") => !terminating,
        ("pods", "BestEffort") => best_effort,
        ("pods", "NotBestEffort") => !best_effort,
        ("pods", "PriorityClass") => named(spec["priorityClassName"].as_str(), operator, values),
        ("pods", "CrossNamespacePodAffinity") => ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
            let rules = &spec["affinity"][kind];
            let list = |field: &str| rules[field].as_array().cloned().unwrap_or_default();
            let preferred = list("preferredDuringSchedulingIgnoredDuringExecution");
            let preferred = preferred.into_iter().map(|one| one["podAffinityTerm"].clone());
            list("requiredDuringSchedulingIgnoredDuringExecution").into_iter().chain(preferred).any(|term| {
                term["namespaces"].as_array().is_some_and(|n| !n.is_empty()) || !term["namespaceSelector"].is_null()
            })
        }),
        _ => false,
    }
}

/// A name against a selector of names.
fn named(name: Option<&str>, operator: &str, values: &Value) -> bool {
    let name = name.filter(|name| !name.is_empty());
    let listed = || name.is_some_and(|name| values.as_array().into_iter().flatten().any(|value| value == name));
    match operator {
        "Exists" => name.is_some(),
        "DoesNotExist" => name.is_none(),
        "In" => listed(),
        "NotIn" => !listed(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sum(hard: &[&str], quota: &Value, objects: &[Value]) -> Value {
        let mut sums = Sums::new(hard.iter().map(|&name| name.to_owned()));
        for object in objects {
            sums.add(&source(hard[0]).unwrap(), quota, object);
        }
        sums.told().into()
    }

    #[test]
    fn pods_that_run_count_with_what_they_ask_for() {
        let pod = |phase: &str, cpu: &str, memory: &str| {
            json!({
                "spec": {"containers": [{"resources": {
                    "requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory},
                }}]},
                "status": {"phase": phase},
            })
        };
        let pods = [pod("Running", "500m", "64Mi"), pod("Pending", "1", "64Mi"), pod("Failed", "1", "1Gi")];
        let hard = ["pods", "requests.cpu", "memory", "limits.memory", "limits.cpu", "count/pods"];
        assert_eq!(
            sum(&hard, &json!({}), &pods),
            json!({
                "pods": "2", "requests.cpu": "1500m", "memory": "128Mi", "limits.memory": "128Mi", "limits.cpu": "0",
                "count/pods": "3",
            })
        );
    }

    #[test]
    fn custom_resources_count_by_number_and_under_no_scope() {
        let (hard, widget) = (["count/widgets.example.com"], json!({"spec": {"size": 3}}));
        let widgets = [widget.clone(), widget];
        assert_eq!(sum(&hard, &json!({}), &widgets), json!({"count/widgets.example.com": "2"}));
        let scoped = json!({"spec": {"scopes": ["NotTerminating"]}});
        assert_eq!(sum(&hard, &scoped, &widgets), json!({"count/widgets.example.com": "0"}));
    }

    #[test]
    fn a_sum_that_is_less_than_what_is_told_is_noticed() {
        let sums = Sums::new(["pods".to_owned(), "requests.cpu".to_owned()].into_iter());
        assert!(sums.is_below(&json!({"pods": "0", "requests.cpu": "1m"})));
        assert!(!sums.is_below(&json!({"pods": "0"})));
    }

    #[test]
    fn scopes_choose_pods() {
        let quota = json!({"spec": {"scopes": ["Terminating"], "scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]},
        ]}}});
        let pod = |deadline: Value, class: &str| json!({"spec": {"activeDeadlineSeconds": deadline, "priorityClassName": class}});
        let pods = [pod(json!(5), "high"), pod(Value::Null, "high"), pod(json!(5), "low")];
        assert_eq!(sum(&["pods"], &quota, &pods), json!({"pods": "1"}));
    }

    #[test]
    fn names_tell_what_counts() {
        let told = |name: &str| source(name).map(|source| format!("{}/{}", source.group, source.resource)).unwrap();
        assert_eq!(told("count/deployments.apps"), "apps/deployments");
        assert_eq!(told("count/widgets.a.example.com"), "a.example.com/widgets");
        assert_eq!(source("count/events"), None);
        assert_eq!(told("gold.storageclass.storage.k8s.io/requests.storage"), "/persistentvolumeclaims");
        assert_eq!(told("requests.nvidia.com/gpu"), "/pods");
        let service = json!({"spec": {"type": "NodePort", "ports": [{}, {}]}});
        assert_eq!(
            sum(&["services", "services.nodeports"], &json!({}), &[service]),
            json!({"services": "1", "services.nodeports": "2"})
        );
    }
}
