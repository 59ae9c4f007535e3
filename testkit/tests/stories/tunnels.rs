//! Several Konnectivity servers and agents: all are found, all carry, and each stands in for another. And what they ask
//! of the API server: whose a token is, and how many servers there are.

use crate::rest::Rest;
use crate::scene::{Kubectl, PATIENCE, wishes};
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tinyplane::{Cluster, Egress, Member, Mode};
use tinyplane_konnectivity::{Overflow, PairFiles, TlsFiles, agent, server};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::tls::TlsLimits;
use tinyplane_wire::net::{ClusterNet, TcpDial};
use tinyplane_wire::process::{Running, Shutdown};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Dials in a row, of which each server has its share.
const DIALS: usize = 12;

/// A number of a member's metrics; none that it does not show, or while it does not answer.
async fn number(cluster: &Cluster, member: Member, name: &str) -> Option<i64> {
    let view = cluster.members().into_iter().find(|view| view.member == member)?;
    let page = page(*view.addresses.get("health")?).await.ok()?;
    let name = format!("konnectivity_network_proxy_{name} ");
    page.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
}

async fn page(at: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpDial::from(None).connect(at).await?;
    stream.write_all(format!("GET /metrics HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Waits until a member's number is what it should be.
async fn shows(cluster: &Cluster, member: Member, name: &str, wanted: i64) {
    let wait = async {
        while number(cluster, member, name).await != Some(wanted) {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(PATIENCE, wait).await.is_err() {
        panic!("{member} shows {:?} for {name}, not {wanted}", number(cluster, member, name).await);
    }
}

/// Requests that each need a connection to a node.
fn all_work(kubectl: &Kubectl, when: &str) {
    for dial in 0..DIALS {
        let told = kubectl.run("exec web -- echo hello");
        assert_eq!(told, "hello\n", "{when}, dial {dial}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_servers_and_two_agents_stand_in_for_each_other() {
    for mode in [Mode::Grpc, Mode::HttpConnect] {
        let wished = wishes().egress(Egress::Konnectivity(mode)).konnectivity_servers(3).agents(2);
        let cluster = wished.start().await.unwrap_or_else(|e| panic!("{mode:?}: {}", e.told()));
        let kubectl = Kubectl::of(&cluster);
        let (servers, agents) = ([1, 2, 3].map(Member::KonnectivityServer), [1, 2].map(Member::KonnectivityAgent));
        for agent in agents {
            shows(&cluster, agent, "agent_open_server_connections", 3).await;
            shows(&cluster, agent, "agent_known_server_count", 3).await;
        }
        for server in servers {
            shows(&cluster, server, "server_ready_backend_connections", 2).await;
        }
        kubectl.run("run web --image=nginx");
        kubectl.run("wait pod/web --for=condition=Ready --timeout=60s");
        all_work(&kubectl, "with all of them");
        let rest = Rest::of(&cluster).await.of_the_tunnel();
        for server in servers {
            let count = number(&cluster, server, "server_dial_duration_seconds_count").await;
            assert!(count.is_some_and(|count| count > 0), "{mode:?}: {server} carried nothing");
        }
        // A server dies: nobody notices. Its place is taken again when it comes back.
        cluster.kill(servers[0]).await.expect("it can be killed");
        all_work(&kubectl, "without the first server");
        for agent in agents {
            shows(&cluster, agent, "agent_open_server_connections", 2).await;
        }
        // All but one of everything.
        cluster.kill(servers[1]).await.expect("it can be killed");
        cluster.kill(agents[0]).await.expect("it can be killed");
        shows(&cluster, servers[2], "server_ready_backend_connections", 1).await;
        all_work(&kubectl, "with one server and one agent");
        for member in [servers[0], servers[1], agents[0]] {
            cluster.restart(member).await.expect("it comes back");
        }
        for server in servers {
            shows(&cluster, server, "server_ready_backend_connections", 2).await;
        }
        all_work(&kubectl, "with all of them again");
        rest.returns(&cluster).await;
        cluster.stop().await;
    }
}

/// For whom agents' tokens are meant.
const AUDIENCE: &str = "system:konnectivity-server";

/// A token of the agents' service account.
async fn token(cluster: &Cluster, audience: &str) -> String {
    let path = "/api/v1/namespaces/kube-system/serviceaccounts/konnectivity-agent/token";
    let wanted = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [audience], "expirationSeconds": 3600},
    });
    let given = cluster.admin().client().request(http::Method::POST, path, Some(&wanted)).await.expect("a token");
    given["status"]["token"].as_str().expect("a token").to_owned()
}

/// A server beside the cluster's own members, on an address of its block.
async fn server_of(cluster: &Cluster, at: IpAddr, socket: &Path, shutdown: &Shutdown) -> Running {
    let pki = cluster.data_dir().join("pki");
    let pair = PairFiles { certificate: pki.join("konnectivity-server.crt"), key: pki.join("konnectivity-server.key") };
    let any = SocketAddr::new(at, 0);
    let config = server::Config {
        mode: server::Mode::Grpc,
        frontend: server::Frontend::Unix { path: socket.to_owned(), delete_existing: true },
        agents: any,
        agent_tls: TlsFiles { pair: Some(pair), authority: None },
        agent_tokens: Some(server::AgentTokens {
            namespace: "kube-system".into(),
            service_account: "konnectivity-agent".into(),
            audience: AUDIENCE.into(),
        }),
        tls_limits: TlsLimits { tls13_only: true, cipher_suites: Vec::new() },
        strategies: vec![server::Strategy::Default],
        leases: Some(server::Leases {
            namespace: "kube-system".into(),
            labels: [("k8s-app".to_owned(), "konnectivity-server".to_owned())].into(),
        }),
        kubeconfig: Some(cluster.kubeconfig("admin")),
        source: Some(at),
        health: any,
        admin: any,
        server_id: "beside".into(),
        server_count: 1,
        keepalive: PATIENCE,
        frontend_keepalive: PATIENCE,
        backend_dial_timeout: None,
        graceful_shutdown: Duration::ZERO,
        overflow: Overflow::CloseSlow,
        plain: false,
        ledger_file: None,
    };
    server::start(config, Clock::system(), shutdown.clone()).await.expect("the server starts")
}

fn agent_of(cluster: &Cluster, server: SocketAddr, at: IpAddr, token: &Path) -> agent::Config {
    let any = SocketAddr::new(at, 0);
    agent::Config {
        server_host: server.ip().to_string(),
        server_port: server.port(),
        tls: TlsFiles { pair: None, authority: Some(cluster.data_dir().join("pki/ca.crt")) },
        token_file: Some(token.to_owned()),
        alpn: Vec::new(),
        agent_id: "beside".into(),
        agent_identifiers: String::new(),
        sync_interval: Duration::from_millis(50),
        sync_interval_cap: Duration::from_millis(200),
        sync_forever: false,
        leases: Some(agent::Leases {
            kubeconfig: cluster.kubeconfig("admin"),
            namespace: "kube-system".into(),
            selector: "k8s-app=konnectivity-server".into(),
        }),
        count_source: agent::CountSource::Single,
        keepalive: PATIENCE,
        health: any,
        admin: any,
        source: Some(at),
        cluster_net: ClusterNet::default(),
        overflow: Overflow::CloseSlow,
        plain: false,
        ledger_file: None,
    }
}

/// Waits for a line of a member's metrics.
async fn says(at: SocketAddr, line: &str) {
    let line = format!("konnectivity_network_proxy_{line}");
    let wait = async {
        while !page(at).await.is_ok_and(|page| page.lines().any(|have| have == line)) {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{at} never says {line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_known_by_their_tokens_and_servers_counted_by_their_leases() {
    let wished = wishes().nodes(1).egress(Egress::Konnectivity(Mode::Grpc)).controllers(false);
    let cluster = wished.start().await.unwrap_or_else(|e| panic!("{}", e.told()));
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "konnectivity-agent", "namespace": "kube-system"},
    });
    cluster.admin().create(account).await.expect("an account");
    let folder = tempfile::tempdir().expect("a folder");
    let (file, shutdown) = (folder.path().join("token"), Shutdown::new());
    // The certificate is good for the first server's address, and this one has a port of its own there.
    let at: IpAddr = cluster.plan().address(Member::KonnectivityServer(1)).into();
    let server = server_of(&cluster, at, &folder.path().join("k.sock"), &shutdown).await;
    std::fs::write(&file, token(&cluster, "somebody-else").await).expect("the token is written");
    let source = cluster.plan().address(Member::KonnectivityAgent(1)).into();
    let config = agent_of(&cluster, server.addresses["agent"], source, &file);
    let agent = agent::start(config, Clock::system(), shutdown.clone()).await.expect("the agent starts");
    says(agent.addresses["health"], "agent_known_server_count 1").await;
    let lease = "lease/konnectivity-proxy-server-beside -n kube-system";
    let kubectl = Kubectl::of(&cluster);
    kubectl.until(&format!("get {lease} -o jsonpath={{.spec.holderIdentity}}"), |text| text == "beside");
    says(server.addresses["health"], "server_ready_backend_connections 0").await;
    // A token that is meant for the server is taken at the next try.
    std::fs::write(&file, token(&cluster, AUDIENCE).await).expect("the token is written");
    says(agent.addresses["health"], "agent_open_server_connections 1").await;
    says(server.addresses["health"], "server_ready_backend_connections 1").await;
    shutdown.cancel();
    for running in [server, agent] {
        running.task.await.expect("it ends").expect("it ends in order");
    }
    assert!(kubectl.fails(&format!("get {lease}")).contains("NotFound"));
    cluster.stop().await;
}
