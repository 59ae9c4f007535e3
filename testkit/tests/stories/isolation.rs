//! Nothing of the control plane reaches an isolated node but through the tunnel, as both ends see it.

use crate::scene::{Kubectl, end, wishes};
use http::Method;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tinyplane::{Cluster, Egress, Entry, Member, Mode, Outcome, View};
use tinyplane_wire::client::Client;
use tinyplane_wire::net::TcpDial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Longest wait for one answer.
const ANSWER_SECONDS_MAX: u64 = 20;
/// The members on the far side of the tunnel.
const CONTROL_PLANE: [Member; 3] = [Member::Apiserver, Member::Controllers, Member::KonnectivityServer(1)];

/// What listens where the nodes are.
struct Zone {
    kubelet: SocketAddr,
    pod: SocketAddr,
    service: SocketAddr,
}

impl Zone {
    /// A pod with a port, and a Service before it.
    async fn of(cluster: &Cluster, kubectl: &Kubectl) -> Self {
        kubectl.run("run web --image=nginx --port=80");
        kubectl.run("expose pod web --port=8080 --target-port=80");
        kubectl.run("wait pod/web --for=condition=Ready --timeout=60s");
        kubectl.until("get endpoints web", |text| text.contains(":80") || text.contains(":20080"));
        let address = async |what: &str, at: &str| -> IpAddr {
            let object = cluster.admin().get(what).await.expect("it is there");
            object.pointer(at).and_then(|ip| ip.as_str()?.parse().ok()).expect("it has an address")
        };
        let kubelet = cluster.members().into_iter().find(|view| view.member == Member::Kubelet).expect("a kubelet");
        Self {
            kubelet: kubelet.addresses["kubelet/node-1"],
            pod: SocketAddr::new(address("pod/web", "/status/podIP").await, 80),
            service: SocketAddr::new(address("svc/web", "/spec/clusterIP").await, 8080),
        }
    }

    fn listeners(&self) -> [(&'static str, SocketAddr); 3] {
        [("kubelet", self.kubelet), ("pod", self.pod), ("Service", self.service)]
    }

    /// Asks one of the listeners from an address, and gives the answer.
    async fn ask(&self, cluster: &Cluster, what: &str, source: IpAddr) -> io::Result<String> {
        let asked = async {
            match what {
                "kubelet" => healthz(cluster, self.kubelet, source).await,
                "pod" => page(cluster, self.pod, source).await,
                _ => page(cluster, self.service, source).await,
            }
        };
        tokio::time::timeout(Duration::from_secs(ANSWER_SECONDS_MAX), asked).await?
    }
}

/// A page over HTTP, or how it could not be had.
async fn page(cluster: &Cluster, at: SocketAddr, source: IpAddr) -> io::Result<String> {
    let dial = TcpDial::from(Some(source)).in_cluster(cluster.plan().division().cluster_net());
    let mut stream = dial.connect(at).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    if answer.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}

/// The kubelet's `/healthz` over TLS, as the administrator.
async fn healthz(cluster: &Cluster, at: SocketAddr, source: IpAddr) -> io::Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("kubeconfig");
    let text = std::fs::read_to_string(cluster.kubeconfig("admin"))?;
    std::fs::write(&file, text.replace(&cluster.server(), &format!("https://{at}")))?;
    let client = Client::from_kubeconfig(&file, Some(source), "story").map_err(io::Error::other)?;
    let request = client.connection().request(Method::GET, "/healthz").map_err(io::Error::other)?;
    let answer = request.send().await.map_err(io::Error::other)?;
    answer.text().await.map_err(io::Error::other)
}

/// What a person does with a node, all of which has to reach it.
fn works(kubectl: &Kubectl) {
    assert_eq!(kubectl.run("exec web -- echo hello"), "hello\n");
    kubectl.run("logs web");
    let got = |path: &str| kubectl.run_with(&["get", "--raw", path]);
    assert!(got("/api/v1/nodes/node-1/proxy/healthz").contains("ok"));
    assert!(got("/api/v1/namespaces/default/pods/web:80/proxy/").contains("nginx"));
    assert!(got("/api/v1/namespaces/default/services/web:8080/proxy/").contains("nginx"));
}

/// Who came to a node, a pod or a Service, as its end saw it.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) peer: SocketAddr,
    pub(crate) listener: SocketAddr,
    pub(crate) outcome: Outcome,
}

/// All who came so far.
pub(crate) fn came(cluster: &Cluster) -> Vec<Came> {
    let came = |entry: &Entry| {
        let observed = entry.member == "kubelet" && entry.view == View::Observed;
        let (peer, listener) = (entry.from?, entry.listener()?);
        observed.then_some(Came { peer, listener, outcome: entry.outcome })
    };
    let entries = cluster.ledger().and_then(|ledger| ledger.entries()).expect("the ledger is there");
    entries.iter().filter_map(came).collect()
}

fn describe(hops: &[&Came]) -> String {
    hops.iter().map(|hop| format!("\n{:?} {} -> {}", hop.outcome, hop.peer, hop.listener)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_konnectivity_nothing_else_reaches_a_node() {
    for mode in [Mode::Grpc, Mode::HttpConnect] {
        let cluster = wishes().nodes(1).egress(Egress::Konnectivity(mode)).ledger(true).start().await;
        let cluster = cluster.unwrap_or_else(|e| panic!("{mode:?}: {}", e.told()));
        let kubectl = Kubectl::of(&cluster);
        let zone = Zone::of(&cluster, &kubectl).await;
        works(&kubectl);

        // All of that came by the agent: nobody else from outside of the zone has as much as tried.
        let net = cluster.plan().division().cluster_net();
        let hops = came(&cluster);
        let strange: Vec<&Came> = hops.iter().filter(|hop| !net.excepts(hop.peer.ip())).collect();
        assert!(strange.is_empty(), "{mode:?}: from outside of the zone:{}", describe(&strange));
        let agent: IpAddr = cluster.plan().address(Member::KonnectivityAgent(1)).into();
        for (what, at) in [("kubelet", zone.kubelet), ("pod", zone.pod)] {
            let by_agent = hops.iter().any(|hop| hop.peer.ip() == agent && hop.listener.ip() == at.ip());
            assert!(by_agent, "{mode:?}: the agent brought nothing to the {what}");
        }

        // One end: the members of the control plane are closed out, and the agent is not.
        for member in CONTROL_PLANE {
            let source = cluster.plan().address(member).into();
            for (what, _) in zone.listeners() {
                let answer = zone.ask(&cluster, what, source).await;
                assert!(answer.is_err(), "{mode:?}: the {what} answered the address of {member}: {answer:?}");
            }
        }
        for (what, _) in zone.listeners() {
            let answer = zone.ask(&cluster, what, agent).await.unwrap_or_else(|e| panic!("{mode:?}: {what}: {e}"));
            assert!(answer.contains("ok") || answer.contains("nginx"), "{mode:?}: the {what} said {answer}");
        }

        // The other end: each of those dials was seen, those from outside refused, and none of them let in.
        let hops = came(&cluster);
        let seen = |from: IpAddr, at: SocketAddr, outcome| {
            hops.iter().any(|hop| hop.peer.ip() == from && hop.listener.ip() == at.ip() && hop.outcome == outcome)
        };
        for (what, at) in zone.listeners() {
            for member in CONTROL_PLANE {
                let source = cluster.plan().address(member).into();
                assert!(seen(source, at, Outcome::Refused), "{mode:?}: the {what} did not see {member}");
            }
            assert!(seen(agent, at, Outcome::Accepted), "{mode:?}: the {what} did not see the agent");
        }
        let accepted: Vec<&Came> =
            hops.iter().filter(|hop| hop.outcome == Outcome::Accepted && !net.excepts(hop.peer.ip())).collect();
        assert!(accepted.is_empty(), "{mode:?}: let in from outside of the zone:{}", describe(&accepted));
        works(&kubectl);
        end(cluster).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_tunnel_the_control_plane_dials_nodes_itself() {
    let cluster = wishes().nodes(1).egress(Egress::Direct).ledger(true).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    let zone = Zone::of(&cluster, &kubectl).await;
    let apiserver: IpAddr = cluster.plan().address(Member::Apiserver).into();
    works(&kubectl);
    let hops = came(&cluster);
    for (what, at) in [("kubelet", zone.kubelet), ("pod", zone.pod)] {
        let by_server = hops.iter().any(|hop| hop.peer.ip() == apiserver && hop.listener.ip() == at.ip());
        assert!(by_server, "the API server brought nothing to the {what}");
    }
    assert!(hops.iter().all(|hop| hop.outcome == Outcome::Accepted));
    for (what, _) in zone.listeners() {
        let answer = zone.ask(&cluster, what, apiserver).await.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(answer.contains("ok") || answer.contains("nginx"), "the {what} said {answer}");
    }
    end(cluster).await;
}
