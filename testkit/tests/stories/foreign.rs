//! Beside listeners of somebody else on every address, in a network namespace of the story's own.

use crate::foreground::up;
use crate::scene::Kubectl;
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;
use tinyplane_wire::net::{Bound, Sources, bind};

/// Says to one of the tests below that it has the namespace that it needs.
const INSIDE: &str = "TINYPLANE_TEST_INSIDE_NAMESPACE";
/// The ports that somebody else listens on: those of all members, and one of a container.
const TAKEN: [u16; 11] = [6443, 8080, 8090, 8091, 8092, 8093, 8094, 8095, 10250, 10257, 10259];
/// The port of the container.
const CONTAINER: u16 = 8080;

/// Runs a test of this file in a network namespace of its own, where this user may have one.
#[expect(clippy::print_stderr, reason = "what is passed over is told loudly")]
fn in_a_namespace(test: &str) {
    let id = Command::new("id").arg("-u").output().expect("id can be run").stdout;
    let new = if id == b"0\n" { "-n" } else { "-rn" };
    let inside = |script: &str| {
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("unshare");
        command.args([new, "--", "sh", "-c", script]).env("PATH", path);
        command
    };
    if !inside("ip link set lo up").output().is_ok_and(|tried| tried.status.success()) {
        return eprintln!(
            "PASSED OVER: {test}: this user gets no network namespace (unshare {new}, ip link set lo up)"
        );
    }
    let output = inside("ip link set lo up && exec \"$STORIES\" --exact \"$TEST\" --nocapture")
        .env("STORIES", std::env::current_exe().expect("this test finds itself"))
        .env("TEST", format!("foreign::{test}"))
        .env(INSIDE, "yes")
        .output()
        .expect("unshare can be run");
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Takes ports on all addresses, and never accepts: whoever dials them waits in vain.
fn take(ports: &[u16]) -> Vec<Bound> {
    let take = |port: &u16| bind(SocketAddr::from(([0, 0, 0, 0], *port)), Sources::any()).expect("it can be bound");
    ports.iter().map(take).collect()
}

#[test]
fn a_cluster_starts_beside_wildcard_listeners_on_all_its_ports() {
    in_a_namespace("beside_wildcard_listeners");
}

#[test]
fn a_cluster_starts_while_wildcard_listeners_come_and_go() {
    in_a_namespace("while_wildcard_listeners_come_and_go");
}

#[tokio::test]
async fn beside_wildcard_listeners() {
    if !is_inside() {
        return;
    }
    let taken = take(&TAKEN);
    assert!(taken.iter().zip(TAKEN).all(|(bound, port)| bound.address.port() == port), "the namespace is not new");
    let cluster = up(&["--nodes", "1"]);
    let kubectl = Kubectl::with(&cluster.kubeconfig());
    for member in cluster.said["members"].as_array().expect("members") {
        for (what, at) in member["addresses"].as_object().expect("addresses") {
            let at: SocketAddr = at.as_str().and_then(|at| at.parse().ok()).expect("an address");
            assert!(!TAKEN.contains(&at.port()), "{what} is told to be at {at}, where somebody else listens");
        }
    }
    let https = &cluster.member("apiserver")["addresses"]["https"];
    assert_eq!(cluster.said["server"], format!("https://{}", https.as_str().expect("an address")));
    let node: Value = serde_json::from_str(&kubectl.run("get node node-1 -o json")).expect("JSON");
    let kubelet: SocketAddr =
        cluster.member("kubelet")["addresses"]["kubelet/node-1"].as_str().and_then(|at| at.parse().ok()).expect("it");
    assert_eq!(node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"], kubelet.port());
    let components = kubectl.run("get componentstatuses --no-headers");
    assert!(components.lines().all(|line| line.contains(" Healthy ")), "{components}");
    container_port_is_taken(&kubectl);
    cluster.end();
}

fn container_port_is_taken(kubectl: &Kubectl) {
    kubectl.run(&format!("run web --image=agnhost --port={CONTAINER} -- netexec --http-port={CONTAINER}"));
    kubectl.run("wait pod/web --for=condition=Ready --timeout=60s");
    assert_eq!(kubectl.run("exec web -- echo hello"), "hello\n");
    kubectl.until("logs web", |text| text.contains(&format!("Started HTTP server on port {CONTAINER}")));
    let events =
        kubectl.until("get events --field-selector reason=PortAlias,type=Warning", |text| text.contains("pod/web"));
    assert!(events.contains(&format!("Port {CONTAINER} can't be bound")), "{events}");
    let pod: Value = serde_json::from_str(&kubectl.run("get pod web -o json")).expect("JSON");
    let alias = &pod["metadata"]["annotations"][format!("tinyplane.dev/port-alias.{CONTAINER}")];
    let alias = alias.as_str().unwrap_or_else(|| panic!("no alias is told: {}", pod["metadata"]));
    assert!(events.contains(&format!("served on port {alias}")), "{events}");
    let page = |path: &str| kubectl.run_with(&["get", "--raw", path]);
    assert!(page(&format!("/api/v1/namespaces/default/pods/web:{alias}/proxy/hostname")).contains("web"));
    // Within the pod the port is what it says, and a Service leads to where it is.
    assert!(kubectl.run(&format!("exec web -- wget -qO- http://127.0.0.1:{CONTAINER}/hostname")).contains("web"));
    kubectl.run(&format!("expose pod web --port=9000 --target-port={CONTAINER}"));
    kubectl.until("get endpoints web", |text| text.contains(&format!(":{alias}")));
    assert!(page("/api/v1/namespaces/default/services/web:9000/proxy/hostname").contains("web"));
    // Others dial the port that is meant, of the pod and of a Service, and meet those and not the stranger.
    kubectl.run(&format!("expose pod web --name=same --port={CONTAINER} --target-port={CONTAINER}"));
    kubectl.until("get endpoints same", |text| text.contains(&format!(":{alias}")));
    kubectl.run("run peer --image=busybox --command -- sleep 3600");
    kubectl.run("wait pod/peer --for=condition=Ready --timeout=60s");
    let pod_ip = pod["status"]["podIP"].as_str().expect("an address");
    for host in [pod_ip, "same"] {
        let asked = format!("exec peer -- wget -T 10 -qO- http://{host}:{CONTAINER}/hostname");
        assert!(kubectl.until(&asked, |text| !text.is_empty()).contains("web"), "{host}");
    }
}

/// Starts in a row, each of which meets the listeners at other moments.
const STARTS: usize = 3;
/// Longest that a listener stays.
const STAY_MILLIS_MAX: u64 = 60;

#[tokio::test]
async fn while_wildcard_listeners_come_and_go() {
    if !is_inside() {
        return;
    }
    let (ended, until_ended) = mpsc::channel::<()>();
    let runtime = tokio::runtime::Handle::current();
    let comes_and_goes = std::thread::spawn(move || {
        let _within = runtime.enter();
        for turn in 0_u64.. {
            // Those whom all others look for, then the rest, and nobody for a while.
            let listeners = take(match turn % 3 {
                0 => &TAKEN[..4],
                1 => &TAKEN[4..],
                _ => &[],
            });
            let stay = Duration::from_millis(turn * 7 % STAY_MILLIS_MAX);
            if until_ended.recv_timeout(stay) != Err(mpsc::RecvTimeoutError::Timeout) {
                return;
            }
            drop(listeners);
        }
    });
    for _ in 0..STARTS {
        let cluster = up(&["--nodes", "1"]);
        let kubectl = Kubectl::with(&cluster.kubeconfig());
        kubectl.until("get --raw /api/v1/nodes/node-1/proxy/healthz", |text| text == "ok");
        cluster.end();
    }
    drop(ended);
    comes_and_goes.join().expect("the listeners go");
}
