//! What the rooms behind the door cost a request, without sockets and disks: `cargo bench -p tinyplane-apiserver --bench
//! requests`. Prints processor time, asserts nothing. An argument picks one row, a number how many requests it makes.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::unwrap_used, reason = "a bench stops where it fails")]

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::Arc;
use tinyplane_apiserver::admission::{Choice, Means, Plugins};
use tinyplane_apiserver::audit::Ticket;
use tinyplane_apiserver::authn::{Authenticator, Caller, GROUP_MASTERS, Peer};
use tinyplane_apiserver::authz::{Authorizers, permit};
use tinyplane_apiserver::chain::Serve;
use tinyplane_apiserver::egress::{ComponentAddresses, Components, NodeConfig, Nodes, direct};
use tinyplane_apiserver::handlers::Handlers;
use tinyplane_apiserver::handlers::connect::ConnectContext;
use tinyplane_apiserver::registry::bootstrap::Own;
use tinyplane_apiserver::registry::{Registry, Settings, builtin_catalog};
use tinyplane_apiserver::request::Call;
use tinyplane_apiserver::reviews::Reviews;
use tinyplane_apiserver::store::limits::Limits;
use tinyplane_apiserver::store::memory::MemoryStore;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::net::{ClusterNet, Dial, TcpDial};
use tinyplane_wire::process::Shutdown;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const COUNT: usize = 4_000;
const PODS: &str = "/api/v1/namespaces/default/pods";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Handlers on a store in memory, and one caller who may do everything.
struct Desk {
    handlers: Handlers,
    authorizer: Arc<Authorizers>,
    caller: Arc<Caller>,
}

impl Desk {
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::new(Limits::default(), Clock::system()));
        let settings = Settings { service_range: "10.0.0.0/24".parse().unwrap(), node_ports: 30_000..=30_003 };
        let registry = Arc::new(Registry::new(store, builtin_catalog(), Clock::system(), settings));
        registry.bootstrap(&Own { endpoint: "10.9.9.9:6443".parse().unwrap() }).await.unwrap();
        let (net, shutdown) = (ClusterNet::default(), Shutdown::new());
        let dial: Arc<dyn Dial> = Arc::new(direct::dial(None, &net));
        let authorizer: Arc<Authorizers> = Arc::new(Authorizers { node: None, rbac: None, always_allow: true });
        let means = Means {
            cluster_net: net.clone(),
            authorizer: authorizer.clone(),
            choice: Choice::default(),
            metrics: Arc::default(),
        };
        let handlers = Handlers {
            registry: registry.clone(),
            admission: Arc::new(Plugins::new(means)),
            connect: ConnectContext {
                lookup: registry,
                nodes: Arc::new(Nodes::new(NodeConfig::default(), dial)),
                cluster_net: net,
                shutdown: shutdown.clone(),
            },
            components: Components::at(ComponentAddresses::default(), TcpDial::from(None)),
            reviews: Reviews { authenticator: Arc::new(Authenticator::default()), authorizer: authorizer.clone() },
            tokens: None,
            metrics: Arc::default(),
            shutdown,
        };
        let desk = Self { handlers, authorizer, caller: Arc::new(Caller::new("admin", [GROUP_MASTERS])) };
        let account = json!({"metadata": {"name": "default"}}).to_string();
        desk.ask("POST", "/api/v1/namespaces/default/serviceaccounts", "application/json", account).await;
        desk
    }

    async fn ask(&self, method: &str, uri: &str, kind: &str, body: String) -> usize {
        let request = Request::builder().method(method).uri(uri).header("content-type", kind);
        let request = request.header("accept", "application/json").header("user-agent", "bench/1.0");
        let request = request.body(Body::from(body)).unwrap();
        let call = Call::parse(&request, Peer::nobody(), Ticket::new(None)).unwrap();
        let call = permit(call, self.caller.clone(), self.authorizer.clone()).unwrap();
        let answer = self.handlers.serve(call, request).await.unwrap();
        answer.into_body().collect().await.unwrap().to_bytes().len()
    }

    /// Makes `count` requests, and tells what they cost.
    async fn measure(&self, what: &str, count: usize, mut request: impl FnMut(usize) -> [String; 4]) {
        let requests: Vec<_> = (0..count).map(&mut request).collect();
        let (before, mut bytes) = (processor_nanos(), 0);
        for [method, uri, kind, body] in requests {
            bytes += self.ask(&method, &uri, &kind, body).await;
        }
        let micros = (processor_nanos() - before) as f64 / 1_000.0 / count as f64;
        println!("{what}: {micros:.1} µs, {} bytes answered", bytes / count);
    }
}

/// Processor time of all threads so far.
fn processor_nanos() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("schedstat")).ok();
    let first = |told: String| told.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok());
    threads.filter_map(|thread| of(thread.unwrap())).filter_map(first).sum()
}

fn pod(name: &str) -> Value {
    let probe = |path: &str| {
        json!({
            "httpGet": {"path": path, "port": "http", "scheme": "HTTP"}, "initialDelaySeconds": 5, "periodSeconds": 10,
            "timeoutSeconds": 2, "successThreshold": 1, "failureThreshold": 3,
        })
    };
    let lasting =
        |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"app": "bench", "app.kubernetes.io/name": "web", "pod-template-hash": "6d4cf56db6"},
            "annotations": {"prometheus.io/scrape": "true", "checksum/config": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"},
        },
        "spec": {
            "containers": [{
                "name": "web", "image": "registry.example/shop/web:1.42.0", "imagePullPolicy": "IfNotPresent",
                "args": ["--listen=:8080", "--metrics=:9090", "--log-level=info"],
                "ports": [
                    {"name": "http", "containerPort": 8080, "protocol": "TCP"},
                    {"name": "metrics", "containerPort": 9090, "protocol": "TCP"},
                ],
                "env": [
                    {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "DATABASE_HOST", "value": "postgres.shop.svc.cluster.local"},
                    {"name": "CACHE_HOST", "value": "redis.shop.svc.cluster.local"},
                ],
                "resources": {
                    "requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"},
                },
                "livenessProbe": probe("/healthz"), "readinessProbe": probe("/readyz"),
                "volumeMounts": [
                    {"name": "config", "mountPath": "/etc/web", "readOnly": true}, {"name": "tmp", "mountPath": "/tmp"},
                ],
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
                },
            }],
            "volumes": [{"name": "config", "configMap": {"name": "web-config"}}, {"name": "tmp", "emptyDir": {}}],
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532},
            "tolerations": [lasting("node.kubernetes.io/not-ready"), lasting("node.kubernetes.io/unreachable")],
        },
    })
}

fn config_map(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": "bench"}},
        "data": {"payload": "x".repeat(900)},
    })
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let count = arguments.iter().find_map(|word| word.parse().ok()).unwrap_or(COUNT);
    let row = arguments.into_iter().find(|word| word.parse::<usize>().is_err());
    let wants = |name: &str| row.as_ref().is_none_or(|row| row == name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let desk = Desk::new().await;
        let text = |parts: [&str; 4]| parts.map(str::to_owned);
        let create = |path: &str, object: Value| text(["POST", path, "application/json", &object.to_string()]);
        desk.measure("create-map", count, |at| create(MAPS, config_map(&format!("map-{at}")))).await;
        desk.measure("create-pod", count, |at| create(PODS, pod(&format!("pod-{at}")))).await;
        if wants("get-pod") {
            desk.measure("get-pod", count, |at| text(["GET", &format!("{PODS}/pod-{at}"), "", ""])).await;
        }
        if wants("patch-pod") {
            desk.measure("patch-pod", count, |at| {
                let patch = json!({"metadata": {"labels": {"patched": format!("v{at}")}}}).to_string();
                let path = format!("{PODS}/pod-{}", at % 200.min(count));
                text(["PATCH", &path, "application/strategic-merge-patch+json", &patch])
            })
            .await;
        }
        if wants("apply-map") {
            desk.measure("apply-map", count, |at| {
                let name = format!("map-{}", at % 200.min(count));
                let config = json!({
                    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"applied": "yes"}},
                    "data": {"applied": format!("v{at}")},
                });
                let path = format!("{MAPS}/{name}?fieldManager=bench&force=true");
                text(["PATCH", &path, "application/apply-patch+yaml", &config.to_string()])
            })
            .await;
        }
    });
}
