//! The compose sandbox: the same cluster with real addresses, whose two networks meet at its edge alone.

use crate::scene::{Kubectl, PATIENCE, Running};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;
use tinyplane_wire::net::{Sources, bind};

/// The variable by which `./test` says that Docker is at hand, and that these stories are what it is there for.
const DOCKER_IS_HERE: &str = "TINYPLANE_DOCKER";
/// The first numbers of this sandbox's addresses: others than a person's sandbox has.
const NET: &str = "10.113";
/// What its containers and networks are called by.
const PROJECT: &str = "tinyplane-stories";
/// Longest that a request may take that is refused "at once".
const AT_ONCE_SECONDS: u64 = 5;

/// A sandbox, brought up by the script that people use.
struct Sandbox {
    folder: PathBuf,
    environment: Vec<(&'static str, String)>,
    _place: tempfile::TempDir,
}

impl Sandbox {
    fn up() -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("sandbox");
        // A port that is free; nobody else is given it in the moment until Docker takes it.
        let port = bind(([127, 0, 0, 1], 0).into(), Sources::any()).expect("a port").address.port();
        let environment = vec![
            ("TINYPLANE_SANDBOX", folder.display().to_string()),
            ("TINYPLANE_IMAGE", PROJECT.to_owned()),
            ("TINYPLANE_NET", NET.to_owned()),
            ("TINYPLANE_PORT", port.to_string()),
            ("TINYPLANE_KONNECTIVITY_SERVERS", "2".to_owned()),
            ("COMPOSE_PROJECT_NAME", PROJECT.to_owned()),
        ];
        let sandbox = Self { folder, environment, _place: place };
        let told = sandbox.script(&["up"]);
        assert!(told.status.success(), "{}", in_words(&told));
        sandbox
    }

    fn script(&self, words: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sandbox");
        let mut command = Command::new(script);
        command.args(words).envs(self.environment.iter().cloned());
        command.output().expect("the script can be run")
    }

    /// Asks for a connection to an address of the sandbox, out of one of its containers.
    fn dial_from(&self, container: &str, to: &str) -> Output {
        self.script(&["exec", "-T", container, "/tinyplane", "healthcheck", &format!("tcp://{NET}.{to}")])
    }

    /// Speaks to the relays of the edge.
    fn fault(&self, words: &[&str]) -> String {
        let told = self.script(&[&["fault"], words].concat());
        assert!(told.status.success(), "{}", in_words(&told));
        String::from_utf8_lossy(&told.stdout).into_owned()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let told = self.script(&["down"]);
        if !told.status.success() && !std::thread::panicking() {
            panic!("{}", in_words(&told));
        }
    }
}

fn in_words(output: &Output) -> String {
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n{said}{told}", output.status)
}

fn docker(words: &[&str]) -> String {
    let told = Command::new("docker").args(words).output().expect("docker can be run");
    assert!(told.status.success(), "docker {words:?}: {}", in_words(&told));
    String::from_utf8_lossy(&told.stdout).into_owned()
}

/// All that Docker has of the sandbox.
fn remains() -> String {
    let filter = format!("label=com.docker.compose.project={PROJECT}");
    let listed = |words: &[&str]| docker(&[words, &["--quiet", "--filter", &filter]].concat());
    let image = docker(&["image", "ls", "--quiet", PROJECT]);
    [listed(&["ps", "--all"]), listed(&["network", "ls"]), listed(&["volume", "ls"]), image].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_containers_meets_at_its_edge_alone() {
    if std::env::var_os(DOCKER_IS_HERE).is_none() {
        eprintln!(
            "PASSED OVER: the compose sandbox: {DOCKER_IS_HERE} is not set; ./test sets it where Docker is at hand"
        );
        return;
    }
    let sandbox = Sandbox::up();
    let kubectl = Kubectl::with(&sandbox.folder.join("kubeconfig"));
    kubectl.until("get componentstatuses --no-headers", |told| told.lines().all(|line| line.contains(" Healthy ")));
    pods_meet_across_nodes(&kubectl);
    a_person_works_with_pods(&kubectl);
    the_control_plane_has_no_route_to_a_node(&sandbox);
    the_tunnel_is_cut_and_heals(&sandbox, &kubectl);
    one_server_stands_in_for_another(&kubectl);
    let folder = sandbox.folder.clone();
    assert_ne!(remains(), "", "what is left is looked for by its right name");
    drop(sandbox);
    assert_eq!(remains(), "", "something of the sandbox is left");
    assert!(!folder.exists(), "its folder is left");
}

/// From a pod to a Service, and on to a pod of the other node; each has the address that it tells.
fn pods_meet_across_nodes(kubectl: &Kubectl) {
    for (name, node) in [("web", "node-2"), ("client", "node-1")] {
        let pinned = format!(r#"{{"spec":{{"nodeSelector":{{"kubernetes.io/hostname":"{node}"}}}}}}"#);
        kubectl.run_with(&["run", name, "--image=nginx", "--port=80", &format!("--overrides={pinned}")]);
    }
    kubectl.run("expose pod web --port=8080 --target-port=80");
    kubectl.run("wait pod/web pod/client --for=condition=Ready --timeout=60s");
    let of = |what: &str, path: &str| kubectl.run_with(&["get", what, "-o", &format!("jsonpath={{{path}}}")]);
    assert_eq!(
        (of("pod/web", ".spec.nodeName"), of("pod/client", ".spec.nodeName")),
        ("node-2".into(), "node-1".into())
    );
    let (pod, service) = (of("pod/web", ".status.podIP"), of("service/web", ".spec.clusterIP"));
    assert!(pod.starts_with(&format!("{NET}.194.")), "{pod}");
    for host in [format!("{pod}:80"), format!("{service}:8080"), "web:8080".into()] {
        let page = kubectl.until(&format!("exec client -- curl -sS http://{host}/"), |page| page.contains("nginx"));
        assert!(page.contains("Welcome"), "{host}: {page}");
    }
    // A pod finds the API server behind its Service, which is the edge.
    let version = kubectl.run("exec client -- curl -sS -k https://kubernetes.default.svc/version");
    assert!(version.contains("\"gitVersion\""), "{version}");
    // And who came from where: the client's pod, by the address that it has.
    let seen = kubectl.run("logs web");
    let client = of("pod/client", ".status.podIP");
    assert!(client.starts_with(&format!("{NET}.193.")) && seen.contains(&client), "{client} is not in\n{seen}");
}

/// exec, logs, port-forward and the proxies, from the host.
fn a_person_works_with_pods(kubectl: &Kubectl) {
    for pod in ["web", "client"] {
        assert_eq!(kubectl.run(&format!("exec {pod} -- echo hello")), "hello\n");
        assert!(kubectl.run(&format!("logs {pod}")).contains("GET / HTTP/1.1") || pod == "client");
    }
    let mut forward = Running::of(&mut kubectl.command(&["port-forward", "pod/web", ":80"]));
    let line = forward.sees("Forwarding from");
    let port = line.split(" -> ").next().and_then(|line| line.rsplit(':').next()).expect("a port").to_owned();
    let page =
        Command::new("curl").args(["-sS", &format!("http://127.0.0.1:{port}/")]).output().expect("curl can be run");
    assert!(String::from_utf8_lossy(&page.stdout).contains("nginx"), "{}", in_words(&page));
    for path in ["nodes/node-2/proxy/healthz", "namespaces/default/services/web:8080/proxy/"] {
        kubectl.run_with(&["get", "--raw", &format!("/api/v1/{path}")]);
    }
}

/// The same dial is refused by the network in the API server's container, and made in those that it is open to.
fn the_control_plane_has_no_route_to_a_node(sandbox: &Sandbox) {
    let refused = |container: &str, to: &str| {
        let output = sandbox.dial_from(container, to);
        let told = in_words(&output);
        assert!(!output.status.success() && told.contains("network is unreachable"), "{container} to {to}: {told}");
    };
    let made = |container: &str, to: &str| {
        let output = sandbox.dial_from(container, to);
        assert!(output.status.success(), "{container} to {to}: {}", in_words(&output));
    };
    for node in ["128.1:10250", "128.2:10250"] {
        refused("apiserver", node);
        made("edge", node);
    }
    refused("apiserver", "128.100:6443");
    refused("controllers", "128.1:10250");
    refused("konnectivity-server", "128.1:10250");
    made("konnectivity-server", "0.1:6443");
    refused("node-1", "0.1:6443");
    made("node-1", "128.100:6443");
    made("node-1", "128.2:10250");
}

/// Without the tunnel exec fails at once and says why; the node is not lost, for it speaks to the API server by itself.
fn the_tunnel_is_cut_and_heals(sandbox: &Sandbox, kubectl: &Kubectl) {
    let beat =
        || kubectl.run_with(&["get", "lease", "-n", "kube-node-lease", "node-2", "-o", "jsonpath={.spec.renewTime}"]);
    sandbox.fault(&["inject", "agent-to-konnectivity", "reset"]);
    let (cut, began) = (beat(), Instant::now());
    loop {
        // Whoever asks while the tunnel is being cut may still get through.
        let asked = Instant::now();
        let output = kubectl.output("exec web -- echo hello");
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(asked.elapsed().as_secs() < AT_ONCE_SECONDS, "{told}");
            assert!(told.contains("currently no tunnels available"), "{told}");
            break;
        }
        assert!(began.elapsed() < PATIENCE, "exec goes on without a tunnel");
    }
    // Beats go on, and the node is Ready after them.
    let began = Instant::now();
    while beat() == cut {
        assert!(began.elapsed() < PATIENCE, "node-2 is silent");
    }
    let nodes: Value = serde_json::from_str(&kubectl.run("get nodes -o json")).expect("JSON");
    for node in nodes["items"].as_array().expect("a list") {
        let ready = node["status"]["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == "Ready");
        assert_eq!(ready.map(|ready| &ready["status"]), Some(&Value::from("True")), "{node:#}");
    }
    let healed = sandbox.fault(&["heal"]);
    assert!(healed.contains("agent-to-konnectivity"), "{healed}");
    kubectl.until("exec web -- echo hello again", |said| said == "hello again\n");
}

/// Two servers behind one name: when one ends, whoever dials is led to the other.
fn one_server_stands_in_for_another(kubectl: &Kubectl) {
    let filters = [
        format!("label=com.docker.compose.project={PROJECT}"),
        "label=com.docker.compose.service=konnectivity-server".to_owned(),
    ];
    let servers = docker(&["ps", "--quiet", "--filter", &filters[0], "--filter", &filters[1]]);
    assert_eq!(servers.lines().count(), 2, "{servers}");
    docker(&["stop", "--time", "2", servers.lines().next().expect("a first")]);
    for _ in 0..5 {
        kubectl.run("exec web -- echo hello");
    }
}
