//! Frontends that speak gRPC: a stream is a dial, and then the connection that came of it.

use super::super::backends::DialError;
use super::super::hops::Hops;
use super::super::{State, port};
use super::reticent::{Answering, Reticent, Tongue};
use crate::carry::{Counts, Leg, Moved, packets, pump_timed};
use crate::keepalive;
use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tinyplane_konnectivity_client::grpc;
use tinyplane_konnectivity_client::packet::{CloseResponse, DialRequest, DialResponse, Packet};
use tinyplane_konnectivity_client::stream::{PacketReader, PacketWriter, StreamError};
use tinyplane_wire::turn::Turn;
use tokio::io::{AsyncRead, AsyncWrite};

/// How long what HTTP/2 has to say may wait for the answer to a dial.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// Serves one frontend's connection.
pub(super) async fn connection(state: &Arc<State>, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
    let beside = usize::try_from(state.numbers.frontend_streams.get()).unwrap_or_default();
    let (stream, tongue) = Reticent::new(stream);
    let Some(mut connection) = port::http2(stream, "frontend", beside).await else { return };
    let (pings, turn) = (connection.ping_pong(), Turn::default());
    let mut silent = std::pin::pin!(keepalive::until_silent(pings, state.config.frontend_keepalive, &state.clock));
    loop {
        let accepting = poll_fn(|cx| {
            turn.poll(cx, |cx| match connection.poll_accept(cx) {
                // Whoever does not call at once may wait for our settings.
                Poll::Pending if !tongue.was_called() && tongue.loosen() => connection.poll_accept(cx),
                accepted => accepted,
            })
        });
        let accepted = tokio::select! {
            accepted = accepting => accepted,
            () = &mut silent => return tracing::info!("a frontend does not answer any more"),
        };
        match accepted {
            Some(Ok((request, respond))) => {
                tongue.is_called();
                called(state, request, respond, Answering(tongue.clone()));
            }
            Some(Err(error)) => return tracing::debug!(%error, "a frontend's connection broke"),
            None => return,
        }
    }
}

fn called(state: &Arc<State>, request: Request<RecvStream>, mut respond: SendResponse<Bytes>, answering: Answering) {
    if request.uri().path() != grpc::PROXY_PATH {
        let told = format!("unknown service or method {}", request.uri().path());
        return drop(respond.send_response(grpc::refusal(grpc::Code::Unimplemented, &told), true));
    }
    let half_close = !state.config.plain && request.headers().contains_key(grpc::HALF_CLOSE);
    let mut response = grpc::response();
    if half_close {
        response.headers_mut().insert(grpc::HALF_CLOSE, grpc::YES);
    }
    match respond.send_response(response, false) {
        Ok(to) => {
            let shared = Arc::clone(state);
            let (from, to) = (PacketReader::new(request.into_body()), PacketWriter::new(to));
            state.tasks.spawn(async move { serve(&shared, from, to, half_close, answering).await });
        }
        Err(error) => tracing::debug!(%error, "a frontend left at once"),
    }
}

async fn serve(state: &State, mut from: PacketReader, mut to: PacketWriter, half_close: bool, answering: Answering) {
    let counted = state.numbers.frontend_streams.hold();
    let numbers = &state.numbers;
    let Some(request) = first_dial(state, &mut from, &mut to, &answering.0).await else { return };
    let mut hops = Hops::begin(state, Some(request.random.to_string()), &request.address);
    let dialled = tokio::select! {
        dialled = state.backends.dial(&request.address, state, &mut hops) => dialled,
        () = left(state, &mut from, request.random) => return tracing::debug!("a frontend left before its dial was answered"),
        never = speaks_at_last(state, &answering.0) => match never {},
    };
    let random = request.random;
    match dialled {
        Ok(mut back) => {
            let connect_id = state.next_connect_id();
            hops.answered(connect_id);
            let agent = hops.agent().filter(|_| half_close).unwrap_or_default();
            let answer = Packet::DialResponse(DialResponse { agent, ..DialResponse::made(random, connect_id) });
            numbers.to_client.count(&answer);
            if to.send(answer).is_err() {
                return numbers.failures.send_rsp.add();
            }
            drop(answering);
            let counts = Counts { heard: numbers.from_client.clone(), said: numbers.to_client.clone() };
            let mut front = packets(from, to, connect_id, half_close, counts);
            let (carried, began) = ((numbers.established.hold(), state.tasks.carry()), Instant::now());
            let moved = Moved::default();
            let end = pump_timed(&mut front, &mut back, Some(&numbers.frontend_writes), &moved).await;
            hops.ended(&moved);
            numbers.connections.observe(began.elapsed());
            tracing::debug!(address = request.address, ?end, "a connection ended");
            drop((carried, counted));
            settle(&mut front, &mut back).await;
        }
        Err(error) => {
            tracing::info!(address = request.address, %error, "a dial failed");
            refuse(state, &mut to, &error, random);
            drop((answering, counted));
            while matches!(from.next().await, Ok(Some(_))) {}
        }
    }
}

async fn settle(front: &mut Leg, back: &mut Leg) {
    tokio::join!(front.settle(), back.settle());
}

/// The dial that a stream begins with. Upstream's clients close what they never dialled, and expect an answer.
async fn first_dial(
    state: &State,
    from: &mut PacketReader,
    to: &mut PacketWriter,
    tongue: &Tongue,
) -> Option<DialRequest> {
    loop {
        let mut next = pin!(counted(state, from));
        let next = poll_fn(|cx| {
            let next = next.as_mut().poll(cx);
            // Whoever does not dial with its call may wait for the head of our answer.
            if next.is_pending() {
                tongue.loosen();
            }
            next
        });
        match next.await {
            Ok(Some(Packet::DialRequest(request))) => return Some(request),
            Ok(Some(Packet::CloseRequest(close))) => {
                let told = "no connection was dialled on this stream".to_owned();
                let closed = CloseResponse { error: told, connect_id: close.connect_id };
                let closed = Packet::CloseResponse(closed);
                state.numbers.to_client.count(&closed);
                // A frontend that does not read what it asks for waits itself.
                to.ready().await.ok()?;
                to.send(closed).ok()?;
            }
            Ok(Some(other)) => tracing::debug!(packet = other.name(), "a packet before the dial"),
            Ok(None) => {
                to.succeed().ok()?;
                return None;
            }
            Err(error) => {
                state.numbers.stream_broke("from_client");
                tracing::debug!(%error, "a frontend broke before its dial");
                return None;
            }
        }
    }
}

/// Lets the connection speak when a dial takes long: pings must go, and settings be heard of.
async fn speaks_at_last(state: &State, tongue: &Tongue) -> Infallible {
    state.clock.sleep(SILENCE_MAX).await;
    tongue.loosen();
    std::future::pending().await
}

/// Waits until the frontend gives up its dial, or is gone.
async fn left(state: &State, from: &mut PacketReader, random: i64) {
    loop {
        match counted(state, from).await {
            Ok(Some(Packet::CloseDial(close))) if close.random == random => return,
            Ok(Some(other)) => tracing::debug!(packet = other.name(), "a packet before the dial was answered"),
            Ok(None) | Err(_) => return,
        }
    }
}

/// The next packet, which is counted.
async fn counted(state: &State, from: &mut PacketReader) -> Result<Option<Packet>, StreamError> {
    let next = from.next().await?;
    if let Some(packet) = &next {
        state.numbers.from_client.count(packet);
    }
    Ok(next)
}

fn refuse(state: &State, to: &mut PacketWriter, error: &DialError, random: i64) {
    let answer = Packet::DialResponse(DialResponse::refused(random, error.to_string()));
    state.numbers.to_client.count(&answer);
    if let Err(error) = to.send(answer).and_then(|()| to.succeed()) {
        tracing::debug!(%error, "a frontend left before its dial was refused");
    }
}
