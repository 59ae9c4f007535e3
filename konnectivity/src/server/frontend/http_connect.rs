//! Frontends that speak HTTP/1.1 CONNECT: after the 200 the connection is the endpoint's.

use super::super::State;
use super::super::backends::DialError;
use super::super::hops::Hops;
use crate::carry::{Leg, Moved, Split, pump_timed, socket};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tinyplane_konnectivity_client::{grpc, join_host_port};

/// How long a request's head may take.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that was asked for and made: where to, the leg to it, and what the ledger knows of it.
type Dialled = (String, Leg, Hops);

/// Serves one frontend's connection.
pub(super) async fn connection<S: Split>(state: &Arc<State>, stream: S) {
    let _counted = state.numbers.http_connections.hold();
    let dialled: Mutex<Option<(Dialled, hyper::upgrade::OnUpgrade)>> = Mutex::new(None);
    let service = service_fn(|mut request: Request<Incoming>| {
        let dialled = &dialled;
        async move {
            if request.method() != Method::CONNECT {
                return Ok::<_, Infallible>(answer(StatusCode::METHOD_NOT_ALLOWED, "this proxy only supports CONNECT"));
            }
            let address = address_of(&request);
            let number = number_of(&request);
            let asks = number.is_some();
            let mut hops = Hops::begin(state, number, &address);
            Ok(match state.backends.dial(&address, state, &mut hops).await {
                Ok(leg) => {
                    let upgrade = hyper::upgrade::on(&mut request);
                    let agent = hops.agent().filter(|_| asks);
                    *dialled.lock().unwrap_or_else(PoisonError::into_inner) = Some(((address, leg, hops), upgrade));
                    made(agent)
                }
                Err(error) => {
                    tracing::info!(address, %error, "a dial failed");
                    refusal(&error)
                }
            })
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).with_upgrades().await {
        tracing::debug!(%error, "a frontend's connection broke");
    }
    let made = dialled.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(((address, mut back, hops), upgrade)) = made else { return };
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            state.numbers.failures.send_rsp.add();
            return tracing::debug!(%error, "a frontend left before it was answered");
        }
    };
    let Ok(parts) = upgraded.downcast::<TokioIo<S>>() else { return };
    let mut front = socket(parts.io.into_inner(), parts.read_buf, state.buffers.clone());
    let numbers = &state.numbers;
    let (carried, began) = ((numbers.established.hold(), state.tasks.carry()), Instant::now());
    let moved = Moved::default();
    let end = pump_timed(&mut front, &mut back, Some(&numbers.frontend_writes), &moved).await;
    hops.ended(&moved);
    numbers.connections.observe(began.elapsed());
    tracing::debug!(address, ?end, "a connection ended");
    drop((front, carried));
    back.settle().await;
}

fn address_of(request: &Request<Incoming>) -> String {
    let uri = request.uri();
    match (uri.host(), uri.port_u16()) {
        (Some(host), Some(port)) => join_host_port(host.trim_start_matches('[').trim_end_matches(']'), port),
        _ => uri.to_string(),
    }
}

/// What our frontends call the dial.
fn number_of(request: &Request<Incoming>) -> Option<String> {
    Some(request.headers().get(grpc::DIAL_ID)?.to_str().ok()?.to_owned())
}

/// The answer to a dial that was made; a frontend of ours is told who carries it.
fn made(agent: Option<String>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    if let Some(Ok(agent)) = agent.map(HeaderValue::try_from) {
        response.headers_mut().insert(grpc::AGENT_ID, agent);
    }
    response
}

/// What a failed dial is in HTTP.
fn refusal(error: &DialError) -> Response<Full<Bytes>> {
    let told = error.to_string();
    match error {
        DialError::NoAgent => answer(StatusCode::INTERNAL_SERVER_ERROR, "currently no tunnels available"),
        DialError::TimedOut => answer(StatusCode::GATEWAY_TIMEOUT, &told),
        DialError::AgentLost => answer(StatusCode::BAD_GATEWAY, &told),
        DialError::Refused(_) if told.contains("deadline exceeded") || told.contains("timeout") => {
            answer(StatusCode::GATEWAY_TIMEOUT, &told)
        }
        DialError::Refused(_) if told.contains("too many open files") => answer(StatusCode::SERVICE_UNAVAILABLE, &told),
        DialError::Refused(_) => answer(StatusCode::BAD_GATEWAY, &told),
    }
}

fn answer(code: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
