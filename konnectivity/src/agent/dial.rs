//! One dial: to the endpoint that the server asked for, and then the connection that came of it.

use super::State;
use super::hops::Hops;
use super::session::{Common, PendingDial};
use crate::carry::{Counts, Leg, Moved, opened, pump, socket};
use bytes::Bytes;
use h2::client::SendRequest;
use http::HeaderValue;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tinyplane_konnectivity_client::grpc;
use tinyplane_konnectivity_client::packet::{DialRequest, DialResponse, Packet};

/// Serves a dial from its request to the end of its connection.
pub(super) async fn serve(state: &State, common: &Arc<Common>, request: DialRequest, pending: PendingDial) {
    let DialRequest { address, random, .. } = request;
    let (given_up, began) = (pending.given_up.clone(), Instant::now());
    let mut hops = Hops::begin(state, random, &address);
    let dialled = tokio::select! {
        dialled = endpoint(state, &address) => dialled,
        () = given_up.cancelled() => return tracing::debug!(address, "a dial was given up"),
    };
    let mut back = match dialled {
        Ok((leg, from)) => {
            state.numbers.dials.observe(began.elapsed());
            hops.goes_on(from, &address);
            leg
        }
        Err(error) => {
            hops.failed(&error);
            let timed_out = error.kind() == io::ErrorKind::TimedOut;
            let failures = if timed_out { &state.numbers.dial_timeouts } else { &state.numbers.dial_failures };
            failures.add();
            tracing::debug!(address, %error, "a dial failed");
            let answer = DialResponse::refused(random, error.to_string());
            // Nobody is left to be told when the session has ended.
            return drop(common.outbox.send(Packet::DialResponse(answer)).await);
        }
    };
    let counted = state.numbers.endpoints.hold();
    let tunnelled = match &common.lanes {
        Some(lanes) => tokio::select! {
            opened = open_lane(state, lanes.clone(), random) => opened.ok(),
            () = given_up.cancelled() => None,
        },
        None => open_shared(common, random).await,
    };
    drop(pending);
    let Some(mut front) = tunnelled else { return tracing::debug!(address, "a dial was given up") };
    hops.answered(front.connection());
    let moved = Moved::default();
    let end = pump(&mut front, &mut back, &moved).await;
    hops.ended(&moved);
    tracing::debug!(address, ?end, "a connection ended");
    drop((back, counted));
    front.settle().await;
}

/// Connects to an endpoint, and tells where from.
async fn endpoint(state: &State, address: &str) -> io::Result<(Leg, Option<SocketAddr>)> {
    let stream = match address.parse::<SocketAddr>() {
        Ok(at) => state.endpoints.connect(at).await?,
        Err(_) => {
            let (host, port) = split_host_port(address)?;
            state.endpoints.connect_to(host, port).await?
        }
    };
    let from = stream.local_addr().ok();
    Ok((socket(stream, Bytes::new(), state.buffers.clone()), from))
}

fn split_host_port(address: &str) -> io::Result<(&str, u16)> {
    let wrong = |what| io::Error::new(io::ErrorKind::InvalidInput, format!("dial tcp: address {address}: {what}"));
    let (host, port) = address.rsplit_once(':').ok_or_else(|| wrong("missing port in address"))?;
    let port = port.parse().map_err(|_| wrong("invalid port"))?;
    Ok((host.trim_start_matches('[').trim_end_matches(']'), port))
}

/// Answers the dial with a stream of its own.
async fn open_lane(state: &State, lanes: SendRequest<Bytes>, random: i64) -> Result<Leg, h2::Error> {
    let mut lanes = lanes.ready().await?;
    let mut request = grpc::request("https", "konnectivity", grpc::LANE_PATH)
        .expect("a request whose parts are constants can be built");
    request.headers_mut().insert(grpc::DIAL_ID, HeaderValue::from(random));
    let (response, to) = lanes.send_request(request, false)?;
    let counts = Counts { heard: state.numbers.to_agent.clone(), said: state.numbers.from_agent.clone() };
    Ok(opened(to, response, counts))
}

/// Answers the dial in the stream that all connections share.
async fn open_shared(common: &Arc<Common>, random: i64) -> Option<Leg> {
    let connect_id = common.next_connect_id();
    let leg = common.shared.open(connect_id)?;
    let answer = DialResponse::made(random, connect_id);
    common.outbox.send(Packet::DialResponse(answer)).await.ok()?;
    Some(leg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_as_go_splits_them() {
        assert_eq!(split_host_port("example.org:80").unwrap(), ("example.org", 80));
        assert_eq!(split_host_port("[::1]:443").unwrap(), ("::1", 443));
        assert!(split_host_port("example.org").unwrap_err().to_string().contains("missing port"));
        assert!(split_host_port("example.org:http").is_err());
    }
}
