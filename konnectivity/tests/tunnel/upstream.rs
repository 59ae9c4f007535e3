//! Upstream's own agent, server and client against ours: where their programs were built (`./test` does it where Go is).

use crate::api::AUDIENCE;
use crate::rig::*;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tinyplane_konnectivity::server::Mode;
use tinyplane_wire::net::{Dial, Sources, bind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Where upstream's programs are, or nothing, which is said loudly.
#[expect(clippy::print_stderr, reason = "what is passed over is told loudly")]
fn programs() -> Option<PathBuf> {
    let folder = std::env::var_os("TINYPLANE_UPSTREAM_KONNECTIVITY").map(PathBuf::from);
    let found = folder.filter(|folder| folder.join("proxy-agent").is_file());
    if found.is_none() {
        eprintln!("PASSED OVER: upstream's programs are not in TINYPLANE_UPSTREAM_KONNECTIVITY");
    }
    found
}

/// A port that upstream takes: it wants none of the upper ones, nor 0.
fn port(rig: &Rig) -> SocketAddr {
    loop {
        let at = bind(SocketAddr::new(rig.here(), 0), Sources::any()).unwrap().address;
        if at.port() <= 49151 {
            return at;
        }
    }
}

fn run(program: &Path, arguments: &[String]) -> Child {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().unwrap()
}

/// Their agent, connected to the rig's server.
fn their_agent(programs: &Path, rig: &Rig, id: &str) -> Child {
    let (server, health, admin) = (rig.agents_at(), port(rig), port(rig));
    let file = |name: &str| rig.path(name).display().to_string();
    let mut arguments = vec![
        format!("--proxy-server-host={}", server.ip()),
        format!("--proxy-server-port={}", server.port()),
        format!("--ca-cert={}", file("ca.crt")),
        format!("--agent-id={id}"),
        format!("--health-server-host={}", health.ip()),
        format!("--health-server-port={}", health.port()),
        format!("--admin-bind-address={}", admin.ip()),
        format!("--admin-server-port={}", admin.port()),
    ];
    if rig.setup.token {
        arguments.push(format!("--service-account-token-path={}", file("token")));
    } else {
        arguments.push(format!("--agent-cert={}", file("agent.crt")));
        arguments.push(format!("--agent-key={}", file("agent.key")));
    }
    run(&programs.join("proxy-agent"), &arguments)
}

/// Everything that a connection is for.
async fn all_is_carried(dial: &dyn Dial) {
    const BYTES: usize = 4 * 1024 * 1024;
    let to = echo();
    converse(&mut open(dial, to).await, "hello").await;
    let streams = (0..5).map(|seed| async move {
        let (mut read, mut write) = tokio::io::split(open(dial, to).await);
        let sent = pattern(BYTES, seed);
        let mut heard = vec![0; BYTES];
        let send = async {
            write.write_all(&sent).await.unwrap();
            write.flush().await.unwrap();
        };
        let ((), outcome) = tokio::join!(send, read.read_exact(&mut heard));
        outcome.unwrap();
        assert!(sent == heard, "stream {seed} brought other bytes back");
    });
    within(futures_util::future::join_all(streams)).await;
    // What comes before a close arrives.
    let sent = pattern(1_000_000, 7);
    let expected = sent.clone();
    let speaking = endpoint(move |mut stream: TcpStream| {
        let sent = sent.clone();
        async move {
            // Upstream's http-connect server lets what an endpoint says at once overtake its own 200.
            stream.read_exact(&mut [0]).await.unwrap();
            stream.write_all(&sent).await.unwrap();
        }
    });
    let mut heard = Vec::new();
    let mut stream = open(dial, speaking).await;
    stream.write_all(b"?").await.unwrap();
    stream.flush().await.unwrap();
    within(stream.read_to_end(&mut heard)).await.unwrap();
    assert!(heard == expected, "{} of {} bytes arrived", heard.len(), expected.len());
    let closed = closed();
    let told = refused(dial, closed).await.to_string();
    assert!(told.contains("connection refused"), "{told}");
}

#[tokio::test]
async fn their_agent_serves_our_server() {
    let Some(programs) = programs() else { return };
    for setup in [GRPC, CONNECT, GRPC_TOKEN, CONNECT_TCP] {
        let rig = Rig::new(setup);
        let server = rig.server().await;
        let agent = their_agent(&programs, &rig, "theirs");
        server.shows("server_ready_backend_connections", 1).await;
        all_is_carried(&*rig.dial()).await;
        server.shows("server_established_connections", 0).await;
        server.shows("server_pending_backend_dials", 0).await;
        server.shows("server_dial_failure_count{reason=\"error_response\"}", 1).await;
        // It comes back when the server does, and drains when it is told to.
        server.stop().await;
        let server = rig.server().await;
        server.shows("server_ready_backend_connections", 1).await;
        let ours = rig.agent("ours").await;
        server.shows("server_ready_backend_connections", 2).await;
        let pid = agent.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        let drains = "server_stream_packets_total{packet_type=\"DRAIN\",segment=\"from_agent\"}";
        // It says so behind the next packet that it hears.
        eventually("it drains", async || {
            converse(&mut open(&*rig.dial(), echo()).await, "tick").await;
            server.number(drains).await == 1
        })
        .await;
        ours.shows("agent_open_endpoint_connections", 0).await;
        let mut streams = Vec::new();
        for _ in 0..5 {
            streams.push(open(&*rig.dial(), echo()).await);
        }
        ours.shows("agent_open_endpoint_connections", 5).await;
    }
}

/// Their server, for agents by certificate or by token, as the rig is set up.
fn their_server(programs: &Path, rig: &Rig, agents: SocketAddr) -> Child {
    let (health, admin) = (port(rig), port(rig));
    let file = |name: &str| rig.path(name).display().to_string();
    let mode = if rig.setup.mode == Mode::Grpc { "grpc" } else { "http-connect" };
    let mut arguments = vec![
        format!("--mode={mode}"),
        format!("--uds-name={}", file("k.sock")),
        "--server-port=0".into(),
        format!("--agent-bind-address={}", agents.ip()),
        format!("--agent-port={}", agents.port()),
        format!("--health-bind-address={}", health.ip()),
        format!("--health-port={}", health.port()),
        format!("--admin-bind-address={}", admin.ip()),
        format!("--admin-port={}", admin.port()),
        format!("--cluster-cert={}", file("server.crt")),
        format!("--cluster-key={}", file("server.key")),
    ];
    if rig.setup.token {
        arguments.push("--agent-namespace=kube-system".into());
        arguments.push("--agent-service-account=konnectivity-agent".into());
        arguments.push(format!("--authentication-audience={AUDIENCE}"));
        arguments.push(format!("--kubeconfig={}", file("kubeconfig")));
        arguments.push("--kube-api-content-type=application/json".into());
    } else {
        arguments.push(format!("--cluster-ca-cert={}", file("ca.crt")));
    }
    run(&programs.join("proxy-server"), &arguments)
}

#[tokio::test]
async fn our_agent_serves_their_server() {
    let Some(programs) = programs() else { return };
    for setup in [GRPC, GRPC_TOKEN, CONNECT, CONNECT_TOKEN, REUSABLE] {
        let rig = Rig::new(setup);
        let agents = port(&rig);
        let _server = their_server(&programs, &rig, agents);
        rig.agents_connect_to(agents);
        let agent = rig.agent("ours").await;
        all_is_carried(&*rig.dial()).await;
        agent.shows("agent_open_endpoint_connections", 0).await;
        agent.shows("agent_endpoint_dial_failure_total{reason=\"unknown\"}", 1).await;
    }
}

#[tokio::test]
async fn their_library_reaches_through_ours() {
    let Some(programs) = programs() else { return };
    let library = programs.join("library");
    for setup in [GRPC, PLAIN, GRPC_TOKEN, GRPC_TCP, GRPC_TCP_TOKEN] {
        for kind in ["single", "reusable"] {
            let (rig, server, agent, dial) = Rig::all(setup).await;
            let target =
                rig.frontend_at().map_or_else(|| format!("unix:{}", rig.path("k.sock").display()), |at| at.to_string());
            let mut arguments = vec![kind.to_owned(), target, echo().to_string(), closed().to_string()];
            if setup.tcp {
                arguments.extend(["ca.crt", "frontend.crt", "frontend.key"].map(|f| rig.path(f).display().to_string()));
            }
            let ended = Command::new(&library).args(&arguments).kill_on_drop(true).output();
            let ended = within(ended).await.unwrap();
            let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
            assert!(ended.status.success() && said.contains("ok"), "{setup:?}, {kind}: {said}");
            rig.is_at_rest(dial, &[&server, &agent]).await;
        }
    }
}

#[tokio::test]
async fn their_client_reaches_through_ours() {
    let Some(programs) = programs() else { return };
    for (setup, mode) in [(GRPC, "grpc"), (CONNECT, "http-connect")] {
        let (rig, server, _agent, _dial) = Rig::all(setup).await;
        let to = endpoint(async |mut stream: TcpStream| {
            let mut asked = vec![0; 4096];
            let count = stream.read(&mut asked).await.unwrap();
            assert!(asked[..count].starts_with(b"GET /success"));
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes").await.unwrap();
        });
        let arguments = [
            format!("--mode={mode}"),
            "--proxy-port=0".into(),
            format!("--proxy-uds={}", rig.path("k.sock").display()),
            "--proxy-host=".into(),
            "--request-proto=http".into(),
            format!("--request-host={}", to.ip()),
            format!("--request-port={}", to.port()),
            "--request-path=success".into(),
        ];
        let ended = Command::new(programs.join("proxy-test-client")).args(&arguments).kill_on_drop(true).output();
        let ended = within(ended).await.unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "{mode}: {said}");
        server.shows("server_established_connections", 0).await;
    }
}
