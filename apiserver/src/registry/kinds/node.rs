//! Nodes: kubelets create them with their status.

use crate::registry::behaviour::{AGE, Behaviour, Column, FieldLabel, Generation, NAME, column, wide};
use crate::registry::cells::{age, items, joined, name};
use crate::registry::warnings;
use serde_json::{Value, json};
use std::time::SystemTime;
use tinyplane_wire::meta::Meta;

const COLUMNS: &[Column] = &[
    NAME,
    column("Status", "Whether the node is ready, and whether new pods may go there."),
    column("Roles", "What the node is for."),
    AGE,
    column("Version", "The version of the node's kubelet."),
    wide("Internal-IP", "The node's address inside of the cluster."),
    wide("External-IP", "The node's address outside of the cluster."),
    wide("OS-Image", "What the node's operating system says it is."),
    wide("Kernel-Version", "The version of the node's kernel."),
    wide("Container-Runtime", "What runs the containers, and its version."),
];

pub(super) static NODE: Behaviour = Behaviour {
    warnings: warnings::node,
    fields: &[FieldLabel::Computed("spec.unschedulable", |node| {
        if node["spec"]["unschedulable"] == true { "true".into() } else { "false".into() }
    })],
    generation: Generation::None,
    created_with_status: true,
    columns: COLUMNS,
    cells,
    ..Behaviour::WITH_STATUS
};

fn cells(node: &Value, now: SystemTime) -> Vec<Value> {
    let info = &node["status"]["nodeInfo"];
    let or_unknown = |value: &Value| match value.as_str() {
        None | Some("") => json!("<unknown>"),
        Some(text) => json!(text),
    };
    let address = |kind: &str| {
        let found = items(&node["status"]["addresses"]).find(|address| address["type"] == kind);
        found.map_or_else(|| json!("<none>"), |address| address["address"].clone())
    };
    vec![
        name(node),
        json!(condition(node)),
        roles(node),
        age(node, now),
        info["kubeletVersion"].as_str().unwrap_or_default().into(),
        address("InternalIP"),
        address("ExternalIP"),
        or_unknown(&info["osImage"]),
        or_unknown(&info["kernelVersion"]),
        or_unknown(&info["containerRuntimeVersion"]),
    ]
}

fn condition(node: &Value) -> String {
    let ready = items(&node["status"]["conditions"]).find(|condition| condition["type"] == "Ready");
    let mut words = vec![match ready {
        Some(ready) if ready["status"] == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }];
    if node["spec"]["unschedulable"] == true {
        words.push("SchedulingDisabled");
    }
    words.join(",")
}

fn roles(node: &Value) -> Value {
    let mut roles: Vec<&str> = Meta::of(node)
        .labels()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) if !role.is_empty() => Some(role),
            _ if key == "kubernetes.io/role" && !value.is_empty() => Some(value),
            _ => None,
        })
        .collect();
    roles.sort_unstable();
    roles.dedup();
    joined(roles)
}
