//! Several Konnectivity servers and agents: all are found, all carry, and each stands in for another.

use crate::scene::{Kubectl, PATIENCE, wishes};
use std::net::SocketAddr;
use tinyplane::{Cluster, Egress, Member, Mode};
use tinyplane_wire::net::TcpDial;
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
        for server in servers {
            shows(&cluster, server, "server_established_connections", 0).await;
            shows(&cluster, server, "server_pending_backend_dials", 0).await;
        }
        for agent in agents {
            shows(&cluster, agent, "agent_open_endpoint_connections", 0).await;
        }
        cluster.stop().await;
    }
}
