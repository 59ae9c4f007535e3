//! The node's lease: the beat by which the controllers know that it lives.

use super::{Node, REACH, status};
use serde_json::{Value, json};
use tinyplane_wire::client::ClientError;

const NAMESPACE: &str = "kube-node-lease";
/// How long a beat counts.
const LEASE_SECONDS: u64 = 40;
/// How often it beats.
const RENEW_SECONDS: u64 = 10;

/// Renews the lease, as long as the node runs.
pub(super) async fn renew(node: &Node, uid: &str) {
    let (mut held, mut failures) = (None, 0);
    loop {
        match beat(node, uid, held.take()).await {
            Ok(lease) => {
                held = Some(lease);
                failures = 0;
                node.clock.sleep(status::jittered(RENEW_SECONDS)).await;
            }
            Err(error) => {
                failures += 1;
                tracing::debug!(node = node.name(), failures, error = %tinyplane_wire::process::told(&error), "the lease was not renewed");
                node.clock.sleep(REACH.after(failures)).await;
            }
        }
    }
}

/// One beat on the lease that was written last, or on the one that the server has.
async fn beat(node: &Node, uid: &str, held: Option<Value>) -> Result<Value, ClientError> {
    let leases = crate::resources::leases();
    let found = match held {
        Some(lease) => Some(lease),
        None => match node.client.get(&leases, Some(NAMESPACE), node.name()).await {
            Ok(lease) => Some(lease),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        },
    };
    let Some(mut lease) = found else {
        return node.client.create(&leases, Some(NAMESPACE), &object(node, uid)).await;
    };
    let spec = object(node, uid)["spec"].take();
    lease["spec"] = spec;
    lease["metadata"]["ownerReferences"] = owners(node, uid);
    node.client.update(&leases, None, &lease).await
}

fn object(node: &Node, uid: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": node.name(), "namespace": NAMESPACE, "ownerReferences": owners(node, uid)},
        "spec": {
            "holderIdentity": node.name(), "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": node.clock.timestamp_micro(),
        },
    })
}

fn owners(node: &Node, uid: &str) -> Value {
    json!([{"apiVersion": "v1", "kind": "Node", "name": node.name(), "uid": uid}])
}
