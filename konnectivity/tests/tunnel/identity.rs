//! Who the tunnel's ends are to each other: certificates and tokens, and what becomes of them while it runs.

use crate::api::{STRANGERS_TOKEN, TOKEN};
use crate::rig::*;
use std::time::Duration;
use tinyplane_wire::clock::Clock;

#[tokio::test]
async fn certificates_are_read_again_and_no_connection_is_dropped() {
    for setup in [GRPC_TCP, CONNECT_TCP, GRPC_TCP_TOKEN, CONNECT_TCP_TOKEN] {
        let (rig, server, agent, dial) = Rig::all(setup).await;
        let mut kept = open(&*dial, echo()).await;
        converse(&mut kept, "before").await;
        // Another authority altogether, and what it issues.
        rig.renew();
        let told = refused(&*dial, echo()).await.to_string();
        assert!(told.contains("certificate") || told.contains("alert"), "{told}");
        converse(&mut open(&*rig.dial(), echo()).await, "a frontend of the new authority").await;
        converse(&mut kept, "after").await;
        // An agent that connects now shows the new certificate; the one that is there goes on with its session.
        let second = rig.agent("agent-2").await;
        server.shows("server_ready_backend_connections", 2).await;
        agent.shows("agent_open_server_connections", 1).await;
        drop(kept);
        // The agent that has run all along comes back with the new certificate too.
        second.stop().await;
        server.stop().await;
        agent.shows("agent_open_server_connections", 0).await;
        let server = rig.server().await;
        server.shows("server_ready_backend_connections", 1).await;
        converse(&mut open(&*rig.dial(), echo()).await, "back").await;
    }
}

#[tokio::test]
async fn an_agent_shows_the_token_of_the_moment() {
    for setup in [GRPC_TOKEN, GRPC_TCP_TOKEN, CONNECT_TOKEN, CONNECT_TCP_TOKEN] {
        tokens_change(setup).await;
    }
}

async fn tokens_change(setup: Setup) {
    let rig = Rig::new(setup);
    let server = rig.server().await;
    std::fs::write(rig.path("token"), "an expired one").unwrap();
    let agent = rig.start_agent(rig.agent_config("agent-1")).await;
    let mut config = rig.agent_config("stranger");
    std::fs::write(rig.path("strangers-token"), STRANGERS_TOKEN).unwrap();
    config.token_file = Some(rig.path("strangers-token"));
    let stranger = rig.start_agent(config).await;
    assert_eq!(agent.get("/readyz").await.0, 503);
    std::fs::write(rig.path("token"), TOKEN).unwrap();
    agent.shows("agent_open_server_connections", 1).await;
    server.shows("server_ready_backend_connections", 1).await;
    // A session outlives its token; the next connect does not.
    std::fs::write(rig.path("token"), "").unwrap();
    converse(&mut open(&*rig.dial(), echo()).await, "still").await;
    server.stop().await;
    let server = rig.server().await;
    agent.shows("agent_open_server_connections", 0).await;
    std::fs::write(rig.path("token"), TOKEN).unwrap();
    server.shows("server_ready_backend_connections", 1).await;
    assert_eq!(stranger.get("/readyz").await.0, 503);
}

#[tokio::test]
async fn a_token_that_is_not_meant_for_the_server_lets_nobody_in() {
    let rig = Rig::new(GRPC_TOKEN);
    let server = rig.server_with(|config| config.agent_tokens.as_mut().unwrap().service_account = "other".into()).await;
    let agent = rig.start_agent(rig.agent_config("agent-1")).await;
    let mut config = rig.agent_config("tokenless");
    config.token_file = None;
    let tokenless = rig.start_agent(config).await;
    // Both have been told no by the time that they have tried some times.
    for agent in [&agent, &tokenless] {
        for _ in 0..20 {
            assert_eq!(agent.get("/readyz").await.0, 503);
        }
    }
    server.shows("server_ready_backend_connections", 0).await;
}

#[tokio::test]
async fn an_agent_may_offer_protocols_of_its_own() {
    let rig = Rig::new(GRPC);
    let server = rig.server().await;
    let mut config = rig.agent_config("agent-1");
    config.alpn = vec!["knp".into(), "other".into()];
    let _agent = rig.start_agent(config).await;
    server.shows("server_ready_backend_connections", 1).await;
    converse(&mut open(&*rig.dial(), echo()).await, "over h2 all the same").await;
}

#[tokio::test]
async fn the_admin_port_of_an_agent_leads_to_its_metrics() {
    let (_rig, server, agent, _dial) = Rig::all(GRPC).await;
    let (code, head) = agent.head("admin", "/metrics").await;
    let health = agent.at("health");
    assert_eq!(code, 301);
    assert!(head.to_lowercase().contains(&format!("location: //{}:{}/metrics", health.ip(), health.port())), "{head}");
    assert_eq!(server.head("admin", "/metrics").await.0, 200);
    let (_, page) = server.get("/metrics").await;
    for line in [
        "# HELP konnectivity_network_proxy_server_ready_backends Number of konnectivity agent connected to the proxy server",
        "# TYPE konnectivity_network_proxy_server_ready_backends gauge",
        "konnectivity_network_proxy_server_ready_backends{proxy_strategy=\"default\"} 1",
        "konnectivity_network_proxy_server_full_receive_channels{service_method=\"Connect\"} 0",
    ] {
        assert!(page.lines().any(|have| have == line), "{line} is not in {page}");
    }
}

#[tokio::test]
async fn agents_of_another_authority_are_refused() {
    for setup in [GRPC, GRPC_TCP, CONNECT, CONNECT_TCP] {
        let rig = Rig::new(setup);
        let server = rig.server().await;
        let stranger = Rig::new(setup);
        let mut config = rig.agent_config("stranger");
        config.tls = stranger.tls("agent");
        let foreign = rig.start_agent(config).await;
        let mut config = rig.agent_config("half-stranger");
        config.tls.pair = stranger.tls("agent").pair;
        let half = rig.start_agent(config).await;
        let mut config = rig.agent_config("without-any");
        config.tls.pair = None;
        let without = rig.start_agent(config).await;
        // All have been refused by the time that an agent of ours, which came later, is served.
        let _ours = rig.agent("ours").await;
        server.shows("server_ready_backend_connections", 1).await;
        for refused in [&foreign, &half, &without] {
            assert_eq!(refused.get("/readyz").await.0, 503);
        }
    }
}

#[tokio::test]
async fn frontends_of_another_authority_are_refused() {
    for setup in [GRPC_TCP, GRPC_TCP_TOKEN, REUSABLE_TCP_TOKEN, CONNECT_TCP, CONNECT_TCP_TOKEN] {
        let (rig, server, agent, dial) = Rig::all(setup).await;
        // Whom it does not know does not get in, and whom it gets to is not the one that was meant.
        let (own, key) = (rig.path("frontend.crt"), rig.path("frontend.key"));
        let kept = [std::fs::read(&own).unwrap(), std::fs::read(&key).unwrap()];
        let stranger = Rig::new(setup);
        std::fs::copy(stranger.path("frontend.crt"), &own).unwrap();
        std::fs::copy(stranger.path("frontend.key"), &key).unwrap();
        // With tokens it has an API server of its own, which is a task of this test's runtime.
        drop(stranger);
        let unknown = rig.dial();
        std::fs::write(&own, &kept[0]).unwrap();
        std::fs::write(&key, &kept[1]).unwrap();
        let error = refused(&*unknown, echo()).await;
        // In TLS 1.3 a client hears of it in the middle of what it says first: in whatever words, it had no way.
        assert!(tinyplane_konnectivity_client::is_no_way(&error), "{error}");
        converse(&mut open(&*dial, echo()).await, "one that it knows").await;
        drop(unknown);
        rig.is_at_rest(dial, &[&server, &agent]).await;
    }
}

#[tokio::test]
async fn an_agents_certificate_that_has_run_out_is_refused_until_there_is_another() {
    const TWO_YEARS: Duration = Duration::from_secs(2 * 365 * 24 * 3600);
    for setup in [GRPC, CONNECT_TCP] {
        let rig = Rig::new(setup);
        let server = rig.server().await;
        rig.issue_at("agent", rig.here(), Clock::system().now() - TWO_YEARS);
        let agent = rig.start_agent(rig.agent_config("agent-1")).await;
        let told = crate::peers::refused_agent(&rig).await;
        assert!(told.contains("xpired"), "{told}");
        assert_eq!(agent.get("/readyz").await.0, 503);
        // The agent goes on trying, and finds the new one in the same files.
        rig.issue_at("agent", rig.here(), Clock::system().now());
        server.shows("server_ready_backend_connections", 1).await;
        agent.shows("agent_open_server_connections", 1).await;
        converse(&mut open(&*rig.dial(), echo()).await, "with the new one").await;
    }
}
