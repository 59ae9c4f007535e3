//! What a client counts of its dials through gRPC frontends, under the words of upstream's library.

use crate::peers::Peer;
use crate::rig::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_konnectivity_client::Numbers;

/// Every status that a tunnel has, and that none has it any more.
const GONE: [(&str, i64); 4] = [("closing", 0), ("created", 0), ("dialing", 0), ("ok", 0)];

#[tokio::test]
async fn tunnels_and_their_packets_are_counted_to_the_end() {
    for setup in [GRPC, PLAIN, REUSABLE, GRPC_TCP] {
        let (rig, server, agent, dial) = Rig::all(setup).await;
        let numbers = Arc::<Numbers>::default();
        let counted = rig.dial_counted(DEADLINE, &numbers);
        let mut stream = open(&*counted, echo()).await;
        assert_eq!(numbers.connections(), [("created", 0), ("dialing", 0), ("ok", 1)]);
        converse(&mut stream, "hello").await;
        drop(stream);
        eventually("the tunnel was gone", async || numbers.connections() == GONE).await;
        refused(&*counted, closed()).await;
        assert_eq!(numbers.dial_failures(), [("endpoint", 1)]);
        let packets = [
            (("CLOSE_REQ", "from_client"), 1),
            (("CLOSE_RSP", "to_client"), 1),
            (("DATA", "from_client"), 1),
            (("DATA", "to_client"), 1),
            (("DIAL_REQ", "from_client"), 2),
            (("DIAL_RSP", "to_client"), 2),
        ];
        assert_eq!(numbers.packets(), packets);
        // A connection that has a stream of its own between server and agent is counted like one that shares it.
        for segment in ["from_agent", "to_agent"] {
            server
                .shows(&format!("server_stream_packets_total{{packet_type=\"DATA\",segment=\"{segment}\"}}"), 1)
                .await;
            agent.shows(&format!("agent_stream_packets_total{{packet_type=\"DATA\",segment=\"{segment}\"}}"), 1).await;
        }
        assert_eq!((numbers.connections(), numbers.stream_errors()), (GONE.to_vec(), Vec::new()));
        drop(counted);
        rig.is_at_rest(dial, &[&server, &agent]).await;
    }
}

#[tokio::test]
async fn dials_that_nobody_answers_are_counted_by_who_gave_them_up() {
    for setup in [GRPC, REUSABLE] {
        let rig = Rig::new(setup);
        let server = rig.server().await;
        let dial = rig.complete().await;
        let numbers = Arc::<Numbers>::default();
        let nowhere = SocketAddr::new(place(9), 10250);
        let mut agent = Peer::agent(&rig, "silent").await;
        let patient = rig.dial_counted(DEADLINE, &numbers);
        tokio::select! {
            _ = refused(&*patient, nowhere) => panic!("nobody answered"),
            dialled = agent.hears_dial() => drop(dialled),
        }
        assert_eq!(numbers.dial_failures(), [("context", 1)]);
        let hasty = rig.dial_counted(Duration::from_millis(200), &numbers);
        refused(&*hasty, nowhere).await;
        assert_eq!(numbers.dial_failures(), [("context", 1), ("timeout", 1)]);
        // The agent is lost before it answers: the server says so, and that is the endpoint's failure as upstream has it.
        let (_, ()) = tokio::join!(refused(&*patient, nowhere), async {
            server.shows("server_pending_backend_dials", 1).await;
            drop(agent);
        });
        assert_eq!(numbers.dial_failures(), [("context", 1), ("endpoint", 1), ("timeout", 1)]);
        drop((patient, hasty));
        rig.is_at_rest(dial, &[&server]).await;
    }
}

#[tokio::test]
async fn a_server_that_is_lost_is_an_error_of_the_stream_and_one_that_is_not_there_no_failed_dial() {
    let (rig, server, _agent, _dial) = Rig::all(GRPC).await;
    let numbers = Arc::<Numbers>::default();
    let counted = rig.dial_counted(DEADLINE, &numbers);
    let mut stream = open(&*counted, echo()).await;
    converse(&mut stream, "before").await;
    server.stop().await;
    let broken = within(tokio::io::AsyncReadExt::read(&mut stream, &mut [0])).await;
    assert!(broken.is_err(), "{broken:?}");
    let errors = numbers.stream_errors();
    let [((code, "Unknown", "to_client"), 1)] = errors[..] else { panic!("{errors:?}") };
    assert!(["Unavailable", "Canceled"].contains(&code), "{code}");
    refused(&*counted, echo()).await;
    assert_eq!(numbers.dial_failures(), []);
}
