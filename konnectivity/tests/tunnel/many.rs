//! Several servers behind one address, several agents, and who is chosen.

use crate::api::Api;
use crate::rig::*;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tinyplane_konnectivity::agent;
use tinyplane_konnectivity::server::{Leases, Mode, Strategy};
use tinyplane_konnectivity_client::{GrpcDial, HttpConnectDial, Route};
use tinyplane_wire::net::{Dial, TcpDial, UnixDial};
use tokio::net::TcpStream;

/// One address for servers that come and go.
struct Front {
    at: SocketAddr,
    servers: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Front {
    fn new() -> Self {
        let servers: Arc<Mutex<Vec<SocketAddr>>> = Arc::default();
        let (shared, turn) = (Arc::clone(&servers), Arc::new(AtomicUsize::new(0)));
        let at = endpoint(move |mut stream: TcpStream| {
            let (servers, turn) = (shared.lock().unwrap().clone(), turn.fetch_add(1, Ordering::Relaxed));
            async move {
                // Two in a row lead to the same server, so that agents meet it twice.
                let Some(to) = servers.get(turn / 2 % servers.len().max(1)) else { return };
                let Ok(mut server) = TcpDial::from(None).connect(*to).await else { return };
                drop(tokio::io::copy_bidirectional(&mut stream, &mut server).await);
            }
        });
        Self { at, servers }
    }

    /// Starts a server behind the address.
    async fn server(&self, rig: &Rig, number: u32, count: u32) -> Member {
        let member = rig.another_server(number, count).await;
        self.servers.lock().unwrap().push(member.at("agent"));
        member
    }

    fn without(&self, gone: SocketAddr) {
        self.servers.lock().unwrap().retain(|at| *at != gone);
    }

    fn agent(&self, rig: &Rig, id: &str) -> agent::Config {
        let (server_host, server_port) = (self.at.ip().to_string(), self.at.port());
        agent::Config { server_host, server_port, ..rig.agent_config_at(id, self.at) }
    }
}

fn rig_behind(front: &Front, setup: Setup) -> Rig {
    let rig = Rig::new(setup);
    // What is dialled, and verified, is the address for all of them.
    rig.issue_for("server", front.at.ip());
    rig
}

fn dial_to(rig: &Rig, number: u32) -> Box<dyn Dial> {
    let route = Route::Unix(UnixDial::to(rig.path(&format!("k{number}.sock"))));
    match rig.setup.mode {
        Mode::Grpc => Box::new(GrpcDial::new(route)),
        Mode::HttpConnect => Box::new(HttpConnectDial::new(route)),
    }
}

in_every_setup_of_ours!(the_strategy_and_the_identifiers_choose_the_agent);

#[tokio::test]
async fn agents_find_all_servers_and_follow_as_they_come_and_go() {
    for setup in [GRPC, PLAIN, CONNECT, GRPC_TOKEN, CONNECT_TOKEN] {
        servers_come_and_go(setup).await;
    }
}

async fn servers_come_and_go(setup: Setup) {
    let front = Front::new();
    let rig = rig_behind(&front, setup);
    let mut servers = Vec::new();
    for number in 0..3 {
        servers.push(front.server(&rig, number, 3).await);
    }
    let first = rig.start_agent(front.agent(&rig, "agent-1")).await;
    let second = rig.start_agent(front.agent(&rig, "agent-2")).await;
    for agent in [&first, &second] {
        agent.shows("agent_open_server_connections", 3).await;
        agent.shows("agent_known_server_count", 3).await;
    }
    for (number, server) in (0..).zip(&servers) {
        server.shows("server_ready_backend_connections", 2).await;
        converse(&mut open(&*dial_to(&rig, number), echo()).await, "through each").await;
    }
    let gone = servers.remove(0);
    front.without(gone.at("agent"));
    gone.stop().await;
    first.shows("agent_open_server_connections", 2).await;
    converse(&mut open(&*dial_to(&rig, 1), echo()).await, "the others go on").await;
    let fourth = front.server(&rig, 3, 3).await;
    for agent in [&first, &second] {
        agent.shows("agent_open_server_connections", 3).await;
    }
    fourth.shows("server_ready_backend_connections", 2).await;
    // An agent goes: everything goes through the other.
    first.stop().await;
    fourth.shows("server_ready_backend_connections", 1).await;
    converse(&mut open(&*dial_to(&rig, 3), echo()).await, "through the one that is left").await;
    second.shows("agent_open_server_connections", 3).await;
}

#[tokio::test]
async fn servers_are_counted_by_their_leases() {
    let front = Front::new();
    let rig = rig_behind(&front, GRPC);
    let api = Api::start(&rig.path("kubeconfig"));
    // One that somebody left behind: it does not count, and is taken away.
    let dead = json!({
        "metadata": {"name": "dead", "resourceVersion": "7"},
        "spec": {"renewTime": "2020-01-01T00:00:00.000000Z", "leaseDurationSeconds": 30},
    });
    api.leases.lock().unwrap().insert("dead".into(), dead);
    let mut config = front.agent(&rig, "agent-1");
    config.leases = Some(agent::Leases {
        kubeconfig: rig.path("kubeconfig"),
        namespace: "kube-system".into(),
        selector: "k8s-app=konnectivity-server".into(),
    });
    let agent = rig.start_agent(config).await;
    let leases = Leases {
        namespace: "kube-system".into(),
        labels: [("k8s-app".to_owned(), "konnectivity-server".to_owned())].into(),
    };
    let mut servers = Vec::new();
    for number in 0..2 {
        // Each believes to be alone: what counts are leases.
        let server = rig.another_server_with(number, |config| {
            (config.leases, config.kubeconfig) = (Some(leases.clone()), Some(rig.path("kubeconfig")));
        });
        let server = server.await;
        front.servers.lock().unwrap().push(server.at("agent"));
        servers.push(server);
    }
    agent.shows("agent_known_server_count", 2).await;
    agent.shows("agent_open_server_connections", 2).await;
    eventually("the dead lease is gone", async || !api.leases.lock().unwrap().contains_key("dead")).await;
    let held: Vec<_> = api.leases.lock().unwrap().values().cloned().collect();
    assert_eq!(held.len(), 2);
    assert_eq!(held[0]["metadata"]["name"], "konnectivity-proxy-server-server-0");
    assert_eq!(held[0]["metadata"]["labels"]["k8s-app"], "konnectivity-server");
    assert_eq!(held[0]["spec"]["leaseDurationSeconds"], 30);
    // A server that ends takes its lease with it.
    let gone = servers.remove(0);
    front.without(gone.at("agent"));
    gone.stop().await;
    assert_eq!(api.leases.lock().unwrap().len(), 1);
    agent.shows("agent_known_server_count", 1).await;
    agent.shows("agent_open_server_connections", 1).await;
}

async fn the_strategy_and_the_identifiers_choose_the_agent(setup: Setup) {
    let rig = Rig::new(setup);
    let strategies = vec![Strategy::DestHost, Strategy::DefaultRoute];
    let server = rig.server_with(|config| config.strategies = strategies).await;
    assert_eq!(server.get("/readyz").await.0, 500);
    let dial = rig.complete().await;
    let start = async |id: &str, identifiers: &str| {
        let mut config = rig.agent_config(id);
        config.agent_identifiers = identifiers.into();
        let agent = rig.start_agent(config).await;
        agent.shows("agent_open_server_connections", 1).await;
        agent
    };
    let (to, ranged) = (echo(), endpoint_at(129, async |_| {}));
    let named = start("named", &format!("ipv4={}&host=somewhere", to.ip())).await;
    server.shows("server_ready_backends{proxy_strategy=\"destHost\"}", 2).await;
    let range = start("range", &format!("cidr={}/25", place(128))).await;
    server.shows("server_ready_backends{proxy_strategy=\"destHost\"}", 3).await;
    let plain = start("plain", "").await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(open(&*dial, to).await);
    }
    named.shows("agent_open_endpoint_connections", 5).await;
    // What lies in a range goes to the agent of the range, and what it refuses is refused.
    drop(open(&*dial, ranged).await);
    refused(&*dial, SocketAddr::new(place(200), 1)).await;
    range.shows("agent_endpoint_dial_failure_total{reason=\"unknown\"}", 1).await;
    // Nobody names it, and there is no default route yet.
    let nobodys = SocketAddr::new(place(77), 1);
    let told = refused(&*dial, nobodys).await.to_string();
    assert!(told.contains("No agent available") || told.contains("currently no tunnels available"), "{told}");
    let route = start("route", "default-route=true").await;
    server.shows("server_ready_backends{proxy_strategy=\"defaultRoute\"}", 1).await;
    let told = refused(&*dial, nobodys).await.to_string();
    assert!(told.contains("connection refused"), "{told}");
    route.shows("agent_endpoint_dial_failure_total{reason=\"unknown\"}", 1).await;
    for untouched in [&plain, &named] {
        assert_eq!(untouched.number("agent_endpoint_dial_failure_total{reason=\"unknown\"}").await, 0);
    }
    // The one that is named drains: it is the only one that leads there.
    named.drain.cancel();
    streams.push(open(&*dial, to).await);
    named.shows("agent_open_endpoint_connections", 6).await;
}
