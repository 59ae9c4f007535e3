//! Registering: the Node object as it is created, or the one that is there made ours again.

use super::{Node, REACH, status};
use serde_json::{Map, Value, json};
use tinyplane_wire::client::{ClientError, Patch};
use tinyplane_wire::meta::Meta;

/// Where SSH servers listen.
const SSH_PORT: u16 = 22;
/// Annotation that tells where a node's SSH server listens instead, as that of pods does of theirs.
const SSH_PORT_ALIAS: &str = "tinyplane.dev/port-alias.22";

/// Registers until it succeeds, and gives the node's uid.
pub(super) async fn register(node: &Node) -> String {
    let mut failures = 0;
    loop {
        match try_register(node).await {
            Ok(uid) => return uid,
            Err(error) => {
                failures += 1;
                tracing::debug!(node = node.name(), failures, error = %tinyplane_wire::process::told(&error), "could not register yet");
                node.clock.sleep(REACH.after(failures)).await;
            }
        }
    }
}

async fn try_register(node: &Node) -> Result<String, ClientError> {
    let nodes = crate::resources::nodes();
    let there = match node.client.create(&nodes, None, &object(node)).await {
        Ok(created) => created,
        Err(error) if error.is_already_exists() => {
            // Labels of ours that others took away come back; what others set stays.
            let patch = json!({"metadata": {"labels": labels(node), "annotations": {SSH_PORT_ALIAS: ssh_alias(node)}}});
            node.client.patch(&nodes, None, node.name(), None, (Patch::Merge, &patch)).await?
        }
        Err(error) => return Err(error),
    };
    if !status::is_ours(node, &there) {
        status::send(node, &there).await?;
    }
    Ok(Meta::of(&there).uid().to_owned())
}

fn object(node: &Node) -> Value {
    let mut annotations = json!({"volumes.kubernetes.io/controller-managed-attach-detach": "true"});
    if let Some(port) = ssh_alias(node) {
        annotations[SSH_PORT_ALIAS] = json!(port);
    }
    let mut spec = json!({"podCIDR": node.config.pod_range, "podCIDRs": [node.config.pod_range]});
    if !node.config.taints.is_empty() {
        spec["taints"] = json!(node.config.taints);
    }
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": node.name(),
            "labels": labels(node),
            "annotations": annotations,
        },
        "spec": spec,
        "status": status::current(node, &Value::Null),
    })
}

/// The port of the node's SSH server, where it is not the one that everybody expects.
fn ssh_alias(node: &Node) -> Option<String> {
    node.ssh_port.filter(|port| *port != SSH_PORT).map(|port| port.to_string())
}

fn labels(node: &Node) -> Map<String, Value> {
    let mut labels = Map::new();
    for (key, value) in &node.config.labels {
        labels.insert(key.clone(), json!(value));
    }
    for (key, value) in [
        ("kubernetes.io/hostname", node.name()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", status::architecture()),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", status::architecture()),
    ] {
        labels.insert(key.into(), json!(value));
    }
    labels
}
