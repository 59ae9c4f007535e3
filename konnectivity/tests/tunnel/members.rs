//! Servers and agents that come, drain, die and come back.

use crate::peers::Peer;
use crate::rig::*;
use std::net::SocketAddr;
use tinyplane_konnectivity_client::packet::{CloseResponse, Data, Packet};

in_every_setup!(
    an_agents_death_ends_its_connections_at_once,
    the_agent_comes_back_after_the_server_does,
    readiness_follows_the_connection,
    an_agent_that_drains_is_spared_while_there_is_another,
    a_second_connection_of_an_agent_does_not_disturb_the_first,
    a_server_that_ends_gracefully_lets_connections_finish,
);

async fn an_agents_death_ends_its_connections_at_once(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let mut stream = open(&*dial, echo()).await;
    converse(&mut stream, "hello").await;
    agent.stop().await;
    let started = std::time::Instant::now();
    ended(&mut stream).await;
    assert!(started.elapsed().as_secs() < 5, "the end took {:?}", started.elapsed());
    drop(stream);
    server.shows("server_established_connections", 0).await;
    assert_eq!(server.get("/readyz").await.0, 500);
    refused(&*dial, echo()).await;
    let agent = rig.agent("agent-1").await;
    server.shows("server_ready_backend_connections", 1).await;
    converse(&mut open(&*dial, echo()).await, "back").await;
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

async fn the_agent_comes_back_after_the_server_does(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let mut stream = open(&*dial, echo()).await;
    converse(&mut stream, "hello").await;
    server.stop().await;
    ended(&mut stream).await;
    agent.shows("agent_open_server_connections", 0).await;
    agent.shows("agent_open_endpoint_connections", 0).await;
    let failed = "[+]ping ok\n[-]server-connected failed: no servers connected\n";
    assert_eq!(agent.get("/readyz").await, (503, failed.into()));
    let server = rig.server().await;
    server.shows("server_ready_backend_connections", 1).await;
    converse(&mut open(&*dial, echo()).await, "back").await;
    drop(stream);
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

async fn readiness_follows_the_connection(setup: Setup) {
    let rig = Rig::new(setup);
    let server = rig.server().await;
    assert_eq!(server.get("/healthz").await, (200, "ok".into()));
    assert_eq!(server.get("/readyz").await, (500, "no connection to any proxy agent".into()));
    assert_eq!(server.get("/nothing").await.0, 404);
    let agent = rig.agent("agent-1").await;
    assert_eq!(agent.get("/healthz").await, (200, "ok".into()));
    assert_eq!(agent.get("/readyz").await, (200, "ok".into()));
    let passed = "[+]ping ok\n[+]server-connected ok\ncheck passed\n";
    assert_eq!(agent.get("/readyz?verbose").await, (200, passed.into()));
    eventually("the server is ready", async || server.get("/readyz").await.0 == 200).await;
    agent.stop().await;
    eventually("the server is not ready", async || server.get("/readyz").await.0 == 500).await;
    let agent = rig.agent("agent-1").await;
    server.stop().await;
    eventually("the agent is not ready", async || agent.get("/readyz").await.0 == 503).await;
    assert!(agent.get("/readyz").await.1.contains("[-]server-connected"));
    // Nor is one that never had a server, alive as it is.
    let lonely = rig.start_agent(rig.agent_config("agent-2")).await;
    assert_eq!((lonely.get("/healthz").await.0, lonely.get("/readyz").await.0), (200, 503));
}

async fn an_agent_that_drains_is_spared_while_there_is_another(setup: Setup) {
    let (rig, server, first, dial) = Rig::all(setup).await;
    let mut kept = open(&*dial, echo()).await;
    converse(&mut kept, "before").await;
    first.drain.cancel();
    // It is the only one: it still serves.
    converse(&mut open(&*dial, echo()).await, "alone").await;
    let second = rig.agent("second").await;
    server.shows("server_ready_backend_connections", 2).await;
    first.shows("agent_open_endpoint_connections", 1).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(open(&*dial, echo()).await);
    }
    second.shows("agent_open_endpoint_connections", 10).await;
    first.shows("agent_open_endpoint_connections", 1).await;
    converse(&mut kept, "after").await;
    drop((streams, kept));
    second.stop().await;
    rig.is_at_rest(dial, &[&server, &first]).await;
}

async fn a_second_connection_of_an_agent_does_not_disturb_the_first(setup: Setup) {
    let (rig, server, first, dial) = Rig::all(setup).await;
    let mut kept = open(&*dial, echo()).await;
    let second = rig.agent("agent-1").await;
    server.shows("server_grpc_connections{service_method=\"Connect\"}", 2).await;
    converse(&mut kept, "undisturbed").await;
    let more = open(&*dial, echo()).await;
    first.shows("agent_open_endpoint_connections", 2).await;
    second.stop().await;
    server.shows("server_grpc_connections{service_method=\"Connect\"}", 1).await;
    converse(&mut kept, "still").await;
    // And when the first one goes, the other takes over.
    let third = rig.agent("agent-1").await;
    server.shows("server_grpc_connections{service_method=\"Connect\"}", 2).await;
    first.stop().await;
    server.shows("server_grpc_connections{service_method=\"Connect\"}", 1).await;
    converse(&mut open(&*dial, echo()).await, "over").await;
    drop((kept, more));
    rig.is_at_rest(dial, &[&server, &third]).await;
}

async fn a_server_that_ends_gracefully_lets_connections_finish(setup: Setup) {
    let rig = Rig::new(setup);
    let server = rig.server_with(|config| config.graceful_shutdown = DEADLINE).await;
    let agent = rig.agent("agent-1").await;
    let dial = rig.complete().await;
    let mut stream = open(&*dial, echo()).await;
    converse(&mut stream, "before").await;
    let stopped = tokio::spawn(server.stop());
    eventually("new frontends are refused", async || {
        // A connection of its own: what is open already goes on.
        rig.dial().dial("127.0.0.1", 1).await.is_err_and(|e| !e.to_string().contains("127.0.0.1:1"))
    })
    .await;
    converse(&mut stream, "after").await;
    assert!(!stopped.is_finished());
    drop(stream);
    within(stopped).await.unwrap();
    rig.is_at_rest(dial, &[&agent]).await;
}

#[tokio::test]
async fn an_agent_that_reconnects_may_give_the_same_numbers_again() {
    let rig = Rig::new(GRPC);
    let server = rig.server().await;
    let dial = rig.complete().await;
    let somewhere = SocketAddr::new(place(9), 10250).to_string();
    let data =
        |connect_id, text: &'static str| Packet::Data(Data { connect_id, error: String::new(), data: text.into() });
    let mut kept = Vec::new();
    for life in ["first", "second", "third"] {
        let mut agent = Peer::agent(&rig, "upstream").await;
        server.shows("server_ready_backend_connections", 1).await;
        let mut frontend = Peer::frontend(&rig).await;
        let (dialled, ()) = tokio::join!(frontend.dials(&somewhere), agent.takes_dial(1));
        let connect_id = dialled.unwrap();
        agent.say(data(1, life));
        assert_eq!(frontend.hears().await, Some(data(connect_id, life)));
        drop(agent);
        // The connection ends with its agent: nothing of the next life is told to it.
        assert!(matches!(frontend.hears().await, Some(Packet::CloseResponse(closed)) if !closed.error.is_empty()));
        kept.push(frontend);
        server.shows("server_ready_backend_connections", 0).await;
    }
    drop(kept);
    rig.is_at_rest(dial, &[&server]).await;
}

#[tokio::test]
async fn upstreams_agent_is_served_in_its_own_words() {
    use tinyplane_konnectivity_client::packet::{CloseRequest, DialResponse};
    for setup in [GRPC, GRPC_TCP, GRPC_TOKEN, GRPC_TCP_TOKEN] {
        let rig = Rig::new(setup);
        let server = rig.server().await;
        let dial = rig.complete().await;
        let mut agent = Peer::agent(&rig, "upstream").await;
        let mut frontend = Peer::frontend(&rig).await;
        let address = SocketAddr::new(place(9), 10250).to_string();
        let (dialled, ()) = tokio::join!(frontend.dials(&address), agent.takes_dial(3));
        let connect_id = dialled.unwrap();
        frontend.say_bytes(connect_id, "up".into()).await;
        let data =
            |connect_id, data: &'static str| Packet::Data(Data { connect_id, error: String::new(), data: data.into() });
        assert_eq!(agent.hears().await, Some(data(3, "up")));
        // What precedes a close arrives before it, and what belongs to nobody is closed.
        agent.say_bytes(99, "whose?".into()).await;
        assert_eq!(agent.hears().await, Some(Packet::CloseRequest(CloseRequest { connect_id: 99 })));
        agent.say_bytes(3, "down".into()).await;
        agent.say(Packet::CloseResponse(CloseResponse { error: String::new(), connect_id: 3 }));
        assert_eq!(frontend.hears().await, Some(data(connect_id, "down")));
        let closed = Packet::CloseResponse(CloseResponse { error: String::new(), connect_id });
        assert_eq!(frontend.hears().await, Some(closed));
        assert_eq!(frontend.hears().await, None);
        server.shows("server_established_connections", 0).await;
        // A refusal is passed on in the agent's words.
        drop(frontend);
        let mut frontend = Peer::frontend(&rig).await;
        let (dialled, ()) = tokio::join!(frontend.dials(&address), async {
            let random = agent.hears_dial().await.random;
            agent.say(Packet::DialResponse(DialResponse::refused(random, "no way".into())));
        });
        assert_eq!(dialled, Err("no way".into()));
        // A close by the frontend reaches the agent behind the data.
        drop(frontend);
        let mut frontend = Peer::frontend(&rig).await;
        let (dialled, ()) = tokio::join!(frontend.dials(&address), agent.takes_dial(4));
        let connect_id = dialled.unwrap();
        frontend.say_bytes(connect_id, "last words".into()).await;
        frontend.say(Packet::CloseRequest(CloseRequest { connect_id }));
        assert_eq!(agent.hears().await, Some(data(4, "last words")));
        assert_eq!(agent.hears().await, Some(Packet::CloseRequest(CloseRequest { connect_id: 4 })));
        let closed = Packet::CloseResponse(CloseResponse { error: String::new(), connect_id });
        assert_eq!(frontend.hears().await, Some(closed));
        drop((agent, frontend));
        rig.is_at_rest(dial, &[&server]).await;
    }
}
