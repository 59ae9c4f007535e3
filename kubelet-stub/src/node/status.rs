//! A node's status: what it is and has, that it is well, and when that is told.

use super::{Node, REACH};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::client::{ClientError, Patch, Selection, reflect};
use tinyplane_wire::meta::Meta;
use tokio::sync::Notify;

/// A status without news is told this often.
const REPORT_SECONDS: u64 = 300;

/// Type, status, reason and message of each condition of a node that is well.
const CONDITIONS: [(&str, &str, &str, &str); 4] = [
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
];

/// Tells the status every five minutes, and at once when somebody else changed it (a node that was silent is marked
/// Unknown by the controllers).
pub(super) async fn report(node: &Arc<Node>) {
    let query = format!("fieldSelector=metadata.name%3D{}", node.name());
    let selection = Selection { gvr: crate::resources::nodes(), namespace: None, query };
    let cache = reflect(&node.client, selection, node.tasks.shutdown());
    let changed = Arc::new(Notify::new());
    let notify = Arc::clone(&changed);
    cache.on_change(move |_| notify.notify_one());
    let mut failures = 0;
    let mut due = tokio::time::Instant::now() + jittered(REPORT_SECONDS);
    loop {
        let wait_until = if failures == 0 { due } else { tokio::time::Instant::now() + REACH.after(failures) };
        tokio::select! {
            () = changed.notified() => {}
            () = tokio::time::sleep_until(wait_until) => {}
        }
        let Some(seen) = cache.get(node.name()) else { continue };
        if is_ours(node, &seen) && failures == 0 && tokio::time::Instant::now() < due {
            continue;
        }
        match send(node, &seen).await {
            Ok(()) => {
                failures = 0;
                due = tokio::time::Instant::now() + jittered(REPORT_SECONDS);
            }
            Err(error) => {
                failures += 1;
                tracing::debug!(node = node.name(), failures, error = %tinyplane_wire::process::told(&error), "could not tell the status");
            }
        }
    }
}

/// A beat with up to a twentieth of jitter, so that a thousand nodes do not beat at once.
pub(super) fn jittered(seconds: u64) -> Duration {
    Duration::from_secs(seconds).mul_f64(1.0 + rand::random::<f64>() / 20.0)
}

/// Sends the status; conditions of others stay as they are.
pub(super) async fn send(node: &Node, seen: &Value) -> Result<(), ClientError> {
    let patch = json!({"metadata": {"uid": Meta::of(seen).uid()}, "status": current(node, seen)});
    let nodes = crate::resources::nodes();
    node.client.patch(&nodes, None, node.name(), Some("status"), (Patch::Strategic, &patch)).await.map(drop)
}

/// True when the API server's copy says what this node would say, times aside.
pub(super) fn is_ours(node: &Node, seen: &Value) -> bool {
    let (told, ours) = (&seen["status"], current(node, seen));
    let same = ["capacity", "allocatable", "addresses", "daemonEndpoints", "nodeInfo"]
        .iter()
        .all(|field| told[*field] == ours[*field]);
    same && CONDITIONS
        .iter()
        .all(|(kind, status, ..)| condition(seen, kind).is_some_and(|c| c["status"].as_str() == Some(status)))
}

fn condition<'a>(node: &'a Value, kind: &str) -> Option<&'a Value> {
    node["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == kind)
}

/// The status at this moment. A condition that did not change keeps the time of its last transition.
pub(super) fn current(node: &Node, seen: &Value) -> Value {
    let now = node.clock.timestamp();
    let conditions: Vec<Value> = CONDITIONS
        .iter()
        .map(|(kind, status, reason, message)| {
            let before = condition(seen, kind).filter(|c| c["status"].as_str() == Some(status));
            let since = before.and_then(|c| c["lastTransitionTime"].as_str()).unwrap_or(&now);
            json!({
                "type": kind, "status": status, "reason": reason, "message": message,
                "lastHeartbeatTime": now, "lastTransitionTime": since,
            })
        })
        .collect();
    let resources = json!({
        "cpu": crate::CAPACITY_CPU, "memory": crate::CAPACITY_MEMORY, "pods": crate::CAPACITY_PODS,
        "ephemeral-storage": crate::CAPACITY_STORAGE, "hugepages-1Gi": "0", "hugepages-2Mi": "0",
    });
    // One machine in all respects: its ids are derived from its name, so that they outlive a restart.
    let machine = uuid_like(node.name());
    json!({
        "capacity": resources, "allocatable": resources,
        "addresses": [
            {"type": "InternalIP", "address": node.address()},
            {"type": "Hostname", "address": node.name()},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": node.kubelet_port}},
        "nodeInfo": {
            "machineID": machine.replace('-', ""), "systemUUID": machine, "bootID": machine,
            "kernelVersion": crate::KERNEL_VERSION,
            "osImage": format!("Tinyplane {}", env!("CARGO_PKG_VERSION")),
            "containerRuntimeVersion": format!("tinyplane://{}", env!("CARGO_PKG_VERSION")),
            "kubeletVersion": crate::KUBELET_VERSION, "kubeProxyVersion": "",
            "operatingSystem": "linux", "architecture": architecture(),
        },
        "conditions": conditions,
    })
}

/// The architecture in Go's words.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn uuid_like(name: &str) -> String {
    let mut bytes = [0_u8; 16];
    for (place, half) in bytes.chunks_mut(8).enumerate() {
        let seed = 0xcbf2_9ce4_8422_2325_u64 ^ (place as u64);
        let hash = name.bytes().fold(seed, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        half.copy_from_slice(&hash.to_be_bytes());
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}
