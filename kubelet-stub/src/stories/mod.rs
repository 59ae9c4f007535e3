//! Whole kubelets against a tiny API: pods that come, live and go.

mod api;

use crate::{Config, NodeConfig, start};
use api::Api;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::pki::{Authority, Leaf};
use tinyplane_wire::net::{ClusterNet, TcpDial};
use tinyplane_wire::process::{Running, Shutdown};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Story {
    api: Arc<Api>,
    config: Config,
    shutdown: Shutdown,
    running: Running,
    _folder: tempfile::TempDir,
}

type Key = (String, String, String);

fn key(resource: &str, namespace: &str, name: &str) -> Key {
    (resource.into(), namespace.into(), name.into())
}

impl Story {
    /// One node in a block of addresses of its own.
    async fn start(block: u8) -> Self {
        let api = Api::start(&format!("127.88.{block}.1:0"));
        let folder = tempfile::tempdir().unwrap();
        let address: IpAddr = format!("127.88.{block}.10").parse().unwrap();
        let clock = Clock::system();
        let authority = Authority::create("test", clock.now()).unwrap();
        let issued = authority.issue(&Leaf::server("node", &["node"], &[address]), clock.now()).unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let kubeconfig = json!({
            "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": format!("http://{}", api.address), "insecure-skip-tls-verify": true}}],
            "users": [{"name": "u", "user": {}}],
        });
        let node: NodeConfig = serde_json::from_value(json!({
            "name": "node", "address": address, "podRange": format!("127.89.{block}.0/24"),
            "kubeconfig": file("kubeconfig", &kubeconfig.to_string()),
            "tlsCertFile": file("tls.crt", &issued.certificate_pem), "tlsPrivateKeyFile": file("tls.key", &issued.key_pem),
        }))
        .unwrap();
        let net: ClusterNet = json!({
            "nodes": format!("127.88.{block}.0/24"), "pods": format!("127.89.{block}.0/24"),
            "services": format!("127.90.{block}.0/24"),
        })
        .to_string()
        .parse()
        .unwrap();
        let shutdown = Shutdown::new();
        let config = Config::new(vec![node], net);
        let running = start(config.clone(), clock, shutdown.clone()).await.unwrap();
        Self { api, config, shutdown, running, _folder: folder }
    }

    fn create(&self, resource: &str, name: &str, object: Value) {
        let mut object = object;
        if object["metadata"].is_null() {
            object["metadata"] = json!({});
        }
        self.api.put(&key(resource, "d", name), object);
    }

    fn pod(&self, name: &str, spec: Value) {
        let mut spec = spec;
        spec["nodeName"] = json!("node");
        self.create("pods", name, json!({"apiVersion": "v1", "kind": "Pod", "spec": spec}));
    }

    async fn status(&self, pod: &str, wish: impl Fn(&Value) -> bool) -> Value {
        let found = self.api.until(&key("pods", "d", pod), |pod| pod.is_some_and(|pod| wish(&pod["status"]))).await;
        found.unwrap()["status"].clone()
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.running.task.await.unwrap().unwrap();
    }
}

fn is_ready(status: &Value) -> bool {
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.any(|c| c["type"] == "Ready" && c["status"] == "True")
}

#[tokio::test]
async fn a_node_registers_ready_and_holds_its_lease() {
    let story = Story::start(1).await;
    let node =
        story.api.until(&key("nodes", "", "node"), |node| node.is_some_and(|n| is_ready(&n["status"]))).await.unwrap();
    let port = story.running.addresses["kubelet/node"].port();
    assert_eq!(node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"], port);
    assert_eq!(node["spec"]["podCIDR"], "127.89.1.0/24");
    let lease = story.api.until(&key("leases", "kube-node-lease", "node"), |lease| lease.is_some()).await.unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "node");
    assert_eq!(lease["metadata"]["ownerReferences"][0]["uid"], node["metadata"]["uid"]);
    // Marked by the controllers while it was silent: it speaks up at once.
    let mut marked = node;
    for condition in marked["status"]["conditions"].as_array_mut().unwrap() {
        condition["status"] = json!("Unknown");
    }
    story.api.put(&key("nodes", "", "node"), marked);
    story.api.until(&key("nodes", "", "node"), |node| node.is_some_and(|n| is_ready(&n["status"]))).await;
    story.end().await;
}

#[tokio::test]
async fn a_pod_serves_through_its_service_and_goes_when_it_is_deleted() {
    let story = Story::start(2).await;
    let probe = json!({"httpGet": {"path": "/", "port": "http"}});
    let container = json!({"name": "web", "image": "nginx", "ports": [{"name": "http", "containerPort": 80}], "readinessProbe": probe});
    story.pod("web", json!({"containers": [container], "terminationGracePeriodSeconds": 5}));
    let status = story.status("web", is_ready).await;
    assert_eq!(status["phase"], "Running");
    let ip = status["podIP"].as_str().unwrap().to_owned();
    assert!(ip.starts_with("127.89.2."), "{ip}");
    let reasons: Vec<Value> = story
        .api
        .history(&key("pods", "d", "web"))
        .iter()
        .map(|s| s["containerStatuses"][0]["state"]["waiting"]["reason"].clone())
        .collect();
    assert!(reasons.contains(&json!("ContainerCreating")), "{reasons:?}");

    story.create("services", "web", json!({"spec": {"clusterIP": "127.90.2.7", "ports": [{"port": 8080}]}}));
    let slice = json!({
        "metadata": {"labels": {"kubernetes.io/service-name": "web"}},
        "ports": [{"port": 80}], "endpoints": [{"addresses": [ip], "conditions": {"ready": true}}],
    });
    story.create("endpointslices", "web-1", slice);
    let answer = ask("127.90.2.7:8080").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let mut pod = story.api.get(&key("pods", "d", "web")).unwrap();
    pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(5);
    story.api.put(&key("pods", "d", "web"), pod);
    story.api.until(&key("pods", "d", "web"), |pod| pod.is_none()).await;
    let last = story.api.history(&key("pods", "d", "web")).pop().unwrap();
    assert!(last["containerStatuses"][0]["state"]["terminated"].is_object(), "{last:#}");
    for expected in ["Pulled", "Created", "Started", "Killing"] {
        story.api.until_told("web", |reason, _| reason == expected).await;
    }
    story.end().await;
}

/// Asks over HTTP until somebody answers.
async fn ask(address: &str) -> String {
    let dial = TcpDial::from("127.88.2.99".parse().ok());
    let asked = async {
        loop {
            if let Ok(mut stream) = dial.connect(address.parse().unwrap()).await {
                stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await.unwrap();
                let mut answer = Vec::new();
                if stream.read_to_end(&mut answer).await.is_ok() && !answer.is_empty() {
                    return String::from_utf8_lossy(&answer).into_owned();
                }
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), asked).await.expect("nobody answered")
}

#[tokio::test]
async fn a_job_ends_with_its_exit_code_and_a_crash_is_backed_off() {
    let story = Story::start(3).await;
    let run = |script: &str| json!({"name": "c", "image": "busybox", "command": ["sh", "-c", script]});
    story.pod("job", json!({"restartPolicy": "Never", "containers": [run("echo done; exit 3")]}));
    story.pod("crash", json!({"containers": [run("exit 1")]}));
    let status = story.status("job", |status| status["phase"] == "Failed").await;
    let ended = &status["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((&ended["exitCode"], &ended["reason"]), (&json!(3), &json!("Error")));
    let waits = |status: &Value| status["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff";
    let status = story.status("crash", waits).await;
    let container = &status["containerStatuses"][0];
    assert_eq!((&container["restartCount"], &status["phase"]), (&json!(1), &json!("Running")));
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 1);
    let message = container["state"]["waiting"]["message"].as_str().unwrap();
    assert!(message.starts_with("back-off 10s restarting failed container=c pod=crash_d("), "{message}");
    story.end().await;
}

#[tokio::test]
async fn what_a_container_lacks_holds_it_back_until_it_comes() {
    let story = Story::start(4).await;
    let env = json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}]);
    let script = "test \"$A\" = 1 && test -s /run/t/token && exit 7";
    let mounts = json!([{"name": "t", "mountPath": "/run/t"}]);
    let container = json!({
        "name": "c", "image": "busybox", "command": ["sh", "-c", script], "env": env, "volumeMounts": mounts,
    });
    let volume = json!({"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}});
    let init = json!({"name": "first", "image": "busybox", "command": ["true"]});
    story.pod(
        "p",
        json!({
            "restartPolicy": "Never", "containers": [container], "volumes": [volume], "initContainers": [init],
        }),
    );
    let reason =
        |status: &Value| status["containerStatuses"][0]["state"]["waiting"]["reason"] == "CreateContainerConfigError";
    let status = story.status("p", reason).await;
    assert_eq!(status["containerStatuses"][0]["state"]["waiting"]["message"], "configmap \"settings\" not found");
    assert_eq!(status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"], 0);
    story.create("configmaps", "settings", json!({"data": {"a": "1"}}));
    let status = story.status("p", |status| status["phase"] == "Failed").await;
    assert_eq!(status["containerStatuses"][0]["state"]["terminated"]["exitCode"], 7);
    story.end().await;
}

#[tokio::test]
async fn a_changed_config_map_is_seen_in_its_volume_and_a_failing_probe_restarts() {
    let story = Story::start(5).await;
    story.create("configmaps", "settings", json!({"data": {"a": "1"}}));
    let waits = "while [ \"$(cat /c/a)\" != 2 ]; do sleep 0.02; done; exit 9";
    let container = json!({
        "name": "c", "image": "busybox", "command": ["sh", "-c", waits],
        "volumeMounts": [{"name": "v", "mountPath": "/c"}],
    });
    let volume = json!({"name": "v", "configMap": {"name": "settings"}});
    story.pod("sees", json!({"restartPolicy": "Never", "containers": [container], "volumes": [volume]}));
    let probe = json!({"exec": {"command": ["false"]}, "failureThreshold": 1});
    let container = json!({"name": "c", "image": "pause", "livenessProbe": probe});
    story.pod("sick", json!({"terminationGracePeriodSeconds": 1, "containers": [container]}));
    story.status("sees", |status| status["phase"] == "Running").await;
    story.create("configmaps", "settings", json!({"data": {"a": "2"}}));
    let status = story.status("sees", |status| status["phase"] == "Failed").await;
    assert_eq!(status["containerStatuses"][0]["state"]["terminated"]["exitCode"], 9);
    story.status("sick", |status| status["containerStatuses"][0]["restartCount"].as_u64() >= Some(1)).await;
    let unhealthy = |reason: &str, message: &str| reason == "Unhealthy" && message.starts_with("Liveness probe failed");
    story.api.until_told("sick", unhealthy).await;
    let killing = "Container c failed liveness probe, will be restarted";
    story.api.until_told("sick", |_, message| message == killing).await;
    story.end().await;
}

#[tokio::test]
async fn a_kubelet_that_comes_back_restarts_what_it_lost_at_the_same_address() {
    let mut story = Story::start(6).await;
    story.pod("lasting", json!({"containers": [{"name": "c", "image": "pause"}]}));
    let before = story.status("lasting", is_ready).await;
    story.shutdown.cancel();
    (&mut story.running.task).await.unwrap().unwrap();
    story.shutdown = Shutdown::new();
    story.running = start(story.config.clone(), Clock::system(), story.shutdown.clone()).await.unwrap();
    let restarted = |status: &Value| is_ready(status) && status["containerStatuses"][0]["restartCount"] == 1;
    let after = story.status("lasting", restarted).await;
    assert_eq!(after["podIP"], before["podIP"]);
    assert_eq!(after["startTime"], before["startTime"]);
    let last = &after["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!((&last["exitCode"], &last["reason"]), (&json!(255), &json!("Unknown")));
    story.end().await;
}
