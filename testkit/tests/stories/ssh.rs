//! SSH tunnels: that nothing else reaches a node, that they come back, and that real OpenSSH is at home on either side.

use crate::isolation::{Came, came};
use crate::openssh::{self, Sshd, client};
use crate::scene::{Kubectl, PATIENCE, end, wishes};
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::time::Instant;
use tinyplane::{Cluster, Egress, Member, Outcome, Storage};
use tinyplane_wire::net::TcpDial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a person does with a node, all of which has to reach it.
pub(crate) fn works(kubectl: &Kubectl, node: &str) {
    assert_eq!(kubectl.run("exec web -- echo hello"), "hello\n");
    kubectl.run("logs web");
    let got = |path: &str| kubectl.run_with(&["get", "--raw", path]);
    assert!(got(&format!("/api/v1/nodes/{node}/proxy/healthz")).contains("ok"));
    assert!(got("/api/v1/namespaces/default/pods/web:80/proxy/").contains("nginx"));
}

fn web(kubectl: &Kubectl) {
    kubectl.run("run web --image=nginx --port=80");
    kubectl.run("wait pod/web --for=condition=Ready --timeout=60s");
}

/// Where a member listens.
fn listener(cluster: &Cluster, name: &str) -> SocketAddr {
    let kubelet = cluster.members().into_iter().find(|view| view.member == Member::Kubelet).expect("a kubelet");
    kubelet.addresses[name]
}

async fn pod_ip(cluster: &Cluster) -> IpAddr {
    let pod = cluster.admin().get("pod/web").await.expect("it is there");
    pod["status"]["podIP"].as_str().and_then(|ip| ip.parse().ok()).expect("it has an address")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_node_behind_ssh_only_its_ssh_port_takes_the_control_plane() {
    let cluster = wishes().nodes(1).egress(Egress::Ssh).ledger(true).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    web(&kubectl);
    works(&kubectl, "node-1");
    let (net, server) = (cluster.plan().division().cluster_net(), cluster.plan().address(Member::Apiserver).into());
    let (ssh, kubelet) = (listener(&cluster, "ssh/node-1"), listener(&cluster, "kubelet/node-1"));
    let strange = |hop: &&Came| !net.excepts(hop.peer.ip());
    let hops = came(&cluster);
    assert!(hops.iter().filter(strange).all(|hop| hop.listener == ssh && hop.peer.ip() == server), "{hops:?}");
    assert!(hops.iter().any(|hop| hop.listener == ssh && hop.outcome == Outcome::Accepted));
    // What the tunnel brings comes from the node itself.
    assert!(hops.iter().any(|hop| hop.listener == kubelet && hop.peer.ip() == kubelet.ip()));
    let pod = SocketAddr::new(pod_ip(&cluster).await, 80);
    let dial = TcpDial::from(Some(server)).in_cluster(net.clone());
    for at in [kubelet, pod] {
        // It may be reset before or after it was there.
        let asked = async {
            let mut stream = dial.connect(at).await?;
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.map(|_| answer)
        };
        let answer = asked.await;
        assert!(answer.as_ref().map_or(true, Vec::is_empty), "{at} answered the control plane: {answer:?}");
    }
    let hops = came(&cluster);
    let let_in = hops.iter().filter(strange).filter(|hop| hop.outcome == Outcome::Accepted);
    assert!(let_in.clone().all(|hop| hop.listener == ssh), "{:?}", let_in.collect::<Vec<_>>());
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_whose_node_died_is_opened_again_and_counted() {
    let cluster = wishes().nodes(1).egress(Egress::Ssh).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    web(&kubectl);
    works(&kubectl, "node-1");
    let number = |name: &str| -> f64 {
        let page = kubectl.run("get --raw /metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} is not among the metrics"))
    };
    assert_eq!(number("ssh_tunnel_open_fail_count"), 0.0);
    let opened = number("ssh_tunnel_open_count");
    assert!(opened >= 1.0);
    assert!(number("apiserver_proxy_tunnel_sync_latency_secs") < 60.0);
    for path in ["/healthz?verbose", "/livez?verbose", "/readyz?verbose"] {
        assert!(kubectl.run_with(&["get", "--raw", path]).contains("[+]SSH Tunnel Check ok"), "{path}");
    }
    cluster.kill(Member::Kubelet).await.expect("it can be killed");
    let began = Instant::now();
    while number("ssh_tunnel_open_fail_count") == 0.0 {
        assert!(began.elapsed() < PATIENCE, "nobody tried to open the tunnel again");
    }
    let told = kubectl.fails("exec web -- echo hello");
    assert!(told.contains("error dialing backend") && told.contains("connection refused"), "{told}");
    cluster.restart(Member::Kubelet).await.expect("it comes back");
    kubectl.until("exec web -- echo hello", |text| text == "hello\n");
    works(&kubectl, "node-1");
    assert!(number("ssh_tunnel_open_count") > opened);
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_cluster_keeps_its_keys_of_ssh() {
    let place = tempfile::tempdir().expect("a folder");
    let wish = || wishes().nodes(1).egress(Egress::Ssh).storage(Storage::Sled).data_dir(place.path());
    let key = || {
        let files = ["apiserver-ssh.key", "apiserver-ssh.key.pub", "ssh-host-node-1.key", "ssh-known-hosts"];
        files.map(|file| std::fs::read(place.path().join("pki").join(file)).expect("the key is there"))
    };
    let first = wish().start().await.expect("it starts");
    let kubectl = Kubectl::of(&first);
    web(&kubectl);
    let keys = key();
    end(first).await;
    let second = wish().start().await.expect("it starts again");
    assert!(key() == keys, "the keys are others than before");
    let kubectl = Kubectl::of(&second);
    kubectl.until("exec web -- echo hello", |text| text == "hello\n");
    end(second).await;
    // Without its key there is no way to its nodes: that is said before anything is started.
    std::fs::write(place.path().join("pki/ssh-host-node-1.key"), "nonsense").expect("it can be written");
    let told = wish().start().await.expect_err("a damaged key is refused").told();
    assert!(told.contains("ssh-host-node-1.key"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_ssh_client_reaches_pods_through_a_node() {
    if openssh::is_missing("ssh") {
        return;
    }
    let cluster = wishes().nodes(1).egress(Egress::Ssh).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    web(&kubectl);
    let (ssh, pod) = (listener(&cluster, "ssh/node-1"), pod_ip(&cluster).await);
    // The port by which the pod is really reached: an ordinary user has no port 80.
    let annotation = "jsonpath={.metadata.annotations.tinyplane\\.dev/port-alias\\.80}";
    let moved = kubectl.run_with(&["get", "pod", "web", "-o", annotation]);
    let port: u16 = if moved.is_empty() { 80 } else { moved.parse().expect("a port") };
    let to = format!("{pod}:{port}");

    let mut through = client(&cluster, ssh).args(["-W", &to, "node"]).stdin(Stdio::piped()).spawn().expect("ssh runs");
    let mut input = through.stdin.take().expect("it has a pipe");
    std::io::Write::write_all(&mut input, b"GET / HTTP/1.0\r\n\r\n").expect("ssh reads");
    let output = through.wait_with_output().expect("it ends");
    drop(input);
    assert!(String::from_utf8_lossy(&output.stdout).contains("nginx"), "{output:?}");

    // An address of the cluster's own block: nobody else listens there.
    let here = SocketAddr::new(cluster.plan().division().control_plane_address(20).into(), 18_080);
    let forwarding = client(&cluster, ssh).args(["-N", "-L", &format!("{here}:{to}"), "node"]).spawn();
    let mut forwarding = forwarding.expect("ssh runs");
    for _ in 0..3 {
        assert!(page(here).await.contains("nginx"));
    }
    forwarding.kill().expect("it can be ended");
    forwarding.wait().expect("it ends");

    let shell = client(&cluster, ssh).args(["node", "uptime"]).output().expect("ssh runs");
    assert_eq!(shell.status.code(), Some(126), "{shell:?}");
    assert!(String::from_utf8_lossy(&shell.stderr).contains("has no shell"), "{shell:?}");
    let mut back = client(&cluster, ssh);
    back.args(["-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:1", "node"]);
    let back = back.output().expect("ssh runs");
    assert!(!back.status.success(), "{back:?}");
    // Another host's key is not taken for the node's.
    std::fs::write(cluster.data_dir().join("pki/ssh-known-hosts"), "").expect("it can be written");
    let stranger = client(&cluster, ssh).args(["node", "uptime"]).output().expect("ssh runs");
    assert!(String::from_utf8_lossy(&stranger.stderr).contains("Host key verification failed"), "{stranger:?}");
    end(cluster).await;
}

/// A page over HTTP, as soon as somebody listens.
async fn page(at: SocketAddr) -> String {
    let began = Instant::now();
    loop {
        let asked = async {
            let mut stream = TcpDial::from(None).connect(at).await?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        match asked.await {
            Ok(answer) => return answer,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{at} does not answer: {error}"),
        }
        tokio::task::yield_now().await;
    }
}

/// A pod of the node that a real sshd stands before.
const REAL: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  nodeName: real
  containers:
  - {name: web, image: nginx, ports: [{containerPort: 80}]}
";

#[tokio::test(flavor = "multi_thread")]
async fn our_api_server_reaches_a_node_through_a_real_sshd() {
    if openssh::is_missing("sshd") {
        return;
    }
    // Its authority, and its addresses; nothing of it is on the way.
    let cluster = wishes().nodes(0).controllers(false).start().await.expect("it starts");
    let sshd = Sshd::start(&cluster).await;
    let apiserver = sshd.apiserver(&cluster);
    let _kubelet = sshd.kubelet(&cluster, &apiserver);
    let kubectl = Kubectl::with(&apiserver.kubeconfig);
    kubectl.until("get node real -o name", |text| text.contains("real"));
    kubectl.run_with(&["annotate", "node", "real", &format!("tinyplane.dev/port-alias.22={}", sshd.address.port())]);
    kubectl.create(REAL);
    kubectl.run("wait pod/web --for=condition=Ready --timeout=60s");
    kubectl.until("exec web -- echo hello", |text| text == "hello\n");
    works(&kubectl, "real");
    let fed = kubectl.feed(&["exec", "-i", "web", "--", "wc", "-c"], &vec![b'x'; 3_000_000]);
    assert_eq!(String::from_utf8_lossy(&fed.stdout).trim(), "3000000", "{}", String::from_utf8_lossy(&fed.stderr));
    let big = kubectl.run_with(&["exec", "web", "--", "sh", "-c", "seq 1 200000"]);
    assert_eq!(big.lines().count(), 200_000);
    assert!(std::fs::read_to_string(sshd.log()).expect("it has a log").contains("Accepted publickey"));
    // Nobody is let in any more, and the connections that were are gone: that is said, and healed when it is.
    let keys = sshd.revoke().await;
    let told = kubectl.fails("exec web -- echo hello");
    assert!(told.contains("unable to authenticate") || told.contains("dialing backend"), "{told}");
    sshd.allow(&keys);
    kubectl.until("exec web -- echo hello", |text| text == "hello\n");
    // RSA is not spoken, and that is said.
    if !openssh::is_missing("ssh-keygen") {
        sshd.shows_rsa().await;
        let told = kubectl.fails("exec web -- echo hello");
        assert!(told.contains("Ed25519 and ECDSA keys of hosts are taken") && told.contains("rsa-sha2"), "{told}");
    }
    drop(kubectl);
    end(cluster).await;
}
