//! Services: what an update may leave out, and what a change of type takes away.

use crate::registry::behaviour::{
    AGE, Behaviour, Column, FieldLabel, Generation, Grammar, NAME, Part, Scene, column, wide,
};
use crate::registry::cells::{age, items, joined, label_map, name};
use crate::registry::warnings;
use crate::validation::same;
use serde_json::{Value, json};
use smol_str::SmolStr;
use std::collections::{HashMap, HashSet};
use std::time::SystemTime;
use tinyplane_wire::meta::map_mut;

const COLUMNS: &[Column] = &[
    NAME,
    column("Type", "How the service can be reached."),
    column("Cluster-IP", "The address inside of the cluster."),
    column("External-IP", "The addresses outside of the cluster."),
    column("Port(s)", "The ports, with their node ports."),
    AGE,
    wide("Selector", "The labels of the pods behind it."),
];

pub(super) static SERVICE: Behaviour = Behaviour {
    warnings: warnings::service,
    name: Grammar::Label,
    fields: &[FieldLabel::Path("spec.clusterIP"), FieldLabel::Path("spec.type")],
    generation: Generation::None,
    create_on_update: true,
    returns_deleted: true,
    prepare,
    columns: COLUMNS,
    cells,
    ..Behaviour::WITH_STATUS
};

fn is_external(service: &Value) -> bool {
    service["spec"]["type"] == "ExternalName"
}

fn wants_node_ports(service: &Value) -> bool {
    match service["spec"]["type"].as_str() {
        Some("NodePort") => true,
        Some("LoadBalancer") => service["spec"]["allocateLoadBalancerNodePorts"] != false,
        _ => false,
    }
}

fn prepare(service: &mut Value, old: Option<&Value>, scene: &Scene<'_>) {
    if scene.part != Part::Main {
        return;
    }
    // Upstream keeps it, and shows it to nobody.
    if is_external(service)
        && ["Cluster", "Local"].iter().any(|known| service["spec"]["internalTrafficPolicy"] == *known)
    {
        map_mut(&mut service["spec"]).remove("internalTrafficPolicy");
    }
    match old {
        Some(old) => {
            keep_allocated(service, old);
            follow_address(service, old);
            drop_of_old_type(service, old);
        }
        None if !is_empty(&service["spec"]["clusterIP"]) && !has_any(&service["spec"]["clusterIPs"]) => {
            service["spec"]["clusterIPs"] = json!([service["spec"]["clusterIP"]]);
        }
        None => {}
    }
}

fn is_empty(address: &Value) -> bool {
    address.as_str().unwrap_or_default().is_empty()
}

fn has_any(list: &Value) -> bool {
    list.as_array().is_some_and(|items| !items.is_empty())
}

/// A client that knows the one address only, and changes it, means the list of them as well.
fn follow_address(service: &mut Value, old: &Value) {
    let (now, before) = (service["spec"]["clusterIP"].clone(), &old["spec"]["clusterIP"]);
    let same = is_empty(&now) == is_empty(before) && (is_empty(&now) || now == *before);
    let all = |service: &Value| service["spec"]["clusterIPs"].as_array().cloned().unwrap_or_default();
    if same && all(service).is_empty() && !all(old).is_empty() {
        service["spec"]["clusterIPs"] = old["spec"]["clusterIPs"].clone();
    } else if !same && all(service) == all(old) {
        if is_empty(&now) {
            map_mut(&mut service["spec"]).remove("clusterIPs");
        } else {
            service["spec"]["clusterIPs"] = json!([now]);
        }
    }
}

/// An update that leaves out what was allocated keeps it.
fn keep_allocated(service: &mut Value, old: &Value) {
    if !is_external(service) && !is_external(old) {
        let (had, spec) = (&old["spec"], &mut service["spec"]);
        if is_empty(&spec["clusterIP"]) && !is_empty(&had["clusterIP"]) {
            spec["clusterIP"] = had["clusterIP"].clone();
        }
        if !has_any(&spec["clusterIPs"]) && has_any(&had["clusterIPs"]) {
            spec["clusterIPs"] = had["clusterIPs"].clone();
        }
    }
    if wants_node_ports(service) && wants_node_ports(old) {
        // Ports are known by their names; a port on nodes that stays with one of them goes to no other.
        let number = |port: &Value| port["nodePort"].as_i64().unwrap_or_default();
        let used: HashSet<i64> = items(&service["spec"]["ports"]).map(number).collect();
        let name = |port: &Value| SmolStr::new(port["name"].as_str().unwrap_or_default());
        let known: HashMap<SmolStr, i64> =
            items(&old["spec"]["ports"]).map(|port| (name(port), number(port))).collect();
        for port in service.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten() {
            if number(port) == 0
                && let Some(known) = known.get(&name(port)).filter(|known| **known != 0 && !used.contains(known))
            {
                port["nodePort"] = json!(known);
            }
        }
    }
    if is_checked(service) && is_checked(old) {
        let health = &old["spec"]["healthCheckNodePort"];
        if service["spec"]["healthCheckNodePort"].as_i64().unwrap_or_default() == 0 && !health.is_null() {
            service["spec"]["healthCheckNodePort"] = health.clone();
        }
    }
}

/// Whether nodes are asked on a port of their own whether they have endpoints.
fn is_checked(service: &Value) -> bool {
    service["spec"]["type"] == "LoadBalancer" && service["spec"]["externalTrafficPolicy"] == "Local"
}

/// What belongs to the type that the service had and was left as it was.
fn drop_of_old_type(service: &mut Value, old: &Value) {
    let field = |service: &Value, name: &str| service["spec"][name].clone();
    let is_same =
        |service: &Value, names: &[&str]| names.iter().all(|name| same(&field(service, name), &field(old, name)));
    if is_external(service) && !is_external(old) {
        for fields in [&["clusterIP", "clusterIPs"][..], &["ipFamilies"], &["ipFamilyPolicy"]] {
            if is_same(service, fields) {
                let spec = map_mut(&mut service["spec"]);
                fields.iter().for_each(|field| drop(spec.remove(*field)));
            }
        }
    }
    // Of ports of which one is new, all stay, and are refused together.
    if may_have_node_ports(old) && !may_have_node_ports(service) && node_ports(service).is_subset(&node_ports(old)) {
        let ports = service.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
        ports.into_iter().flatten().filter_map(Value::as_object_mut).for_each(|port| drop(port.remove("nodePort")));
    }
    let is = |service: &Value, kind: &str| service["spec"]["type"] == kind;
    let reachable = |service: &Value| {
        is(service, "LoadBalancer")
            || is(service, "NodePort")
            || (is(service, "ClusterIP") && items(&service["spec"]["externalIPs"]).next().is_some())
    };
    let gone = [
        ("externalTrafficPolicy", reachable(old) && !reachable(service)),
        ("healthCheckNodePort", is_checked(old) && !is_checked(service)),
        ("allocateLoadBalancerNodePorts", is(old, "LoadBalancer") && !is(service, "LoadBalancer")),
        ("loadBalancerClass", is(old, "LoadBalancer") && !is(service, "LoadBalancer")),
    ];
    for (field, _) in gone.into_iter().filter(|(_, gone)| *gone) {
        if is_same(service, &[field]) {
            map_mut(&mut service["spec"]).remove(field);
        }
    }
    if !is(service, "LoadBalancer") && service["status"]["loadBalancer"]["ingress"].is_array() {
        service["status"]["loadBalancer"] = json!({});
    }
}

fn may_have_node_ports(service: &Value) -> bool {
    matches!(service["spec"]["type"].as_str(), Some("NodePort" | "LoadBalancer"))
}

fn node_ports(service: &Value) -> HashSet<i64> {
    let all = items(&service["spec"]["ports"]).filter_map(|port| port["nodePort"].as_i64());
    all.filter(|port| *port != 0).collect()
}

fn cells(service: &Value, now: SystemTime) -> Vec<Value> {
    let spec = &service["spec"];
    let cluster = items(&spec["clusterIPs"]).next().map_or(&spec["clusterIP"], |first| first);
    vec![
        name(service),
        spec["type"].clone(),
        match cluster.as_str() {
            None | Some("") => json!("<none>"),
            Some(text) => json!(text),
        },
        external(service),
        ports(spec),
        age(service, now),
        label_map(&spec["selector"]),
    ]
}

fn external(service: &Value) -> Value {
    let spec = &service["spec"];
    let given = items(&spec["externalIPs"]).filter_map(Value::as_str);
    match spec["type"].as_str() {
        Some("ExternalName") => spec["externalName"].clone(),
        Some("LoadBalancer") => {
            let ingress = items(&service["status"]["loadBalancer"]["ingress"]);
            let balanced = ingress.filter_map(|one| one["ip"].as_str().or_else(|| one["hostname"].as_str()));
            match joined(balanced.chain(given)) {
                Value::String(text) if text == "<none>" => json!("<pending>"),
                found => found,
            }
        }
        _ => joined(given),
    }
}

fn ports(spec: &Value) -> Value {
    let one = |port: &Value| {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        match port["nodePort"].as_u64() {
            Some(node) if node > 0 => format!("{}:{node}/{protocol}", port["port"]),
            _ => format!("{}/{protocol}", port["port"]),
        }
    };
    let all: Vec<String> = items(&spec["ports"]).map(one).collect();
    joined(all.iter().map(String::as_str))
}
