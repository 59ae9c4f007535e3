//! One connection: HTTP/1.1 with upgrades or HTTP/2, whichever the client speaks.

use super::cork::corked;
use super::lent::lend;
use crate::authn::Peer;
use crate::chain::Chain;
use crate::request;
use crate::respond;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::net::FirstCall;
use tinyplane_wire::process::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite};

/// Calls that one HTTP/2 connection may have under way. Go's clients share one connection for all their watches.
const STREAMS_MAX: u32 = 1_000;
/// What a client may send on one stream before it is read, in bytes.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// What a client may send on one connection before it is read, in bytes.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// Most bytes of a call's headers.
const HEADER_BYTES_MAX: u32 = 1024 * 1024;
/// How long a client may take to make its first call, and over HTTP/1.1 to send the headers of each.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(32);
/// How often a silent HTTP/2 connection is asked whether it lives, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// How connections are served. Cheap to clone.
#[derive(Clone)]
pub(super) struct Protocol(Arc<auto::Builder<TokioExecutor>>);

impl Protocol {
    pub(super) fn new() -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_TIMEOUT);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEADER_BYTES_MAX)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        Self(Arc::new(builder))
    }

    /// Serves one connection to its end. Told to shut down, it finishes the calls under way and takes no more.
    pub(super) async fn serve<S>(&self, stream: S, peer: Peer, chain: Arc<Chain>, shutdown: Shutdown)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let address = peer.address;
        let first_call = FirstCall::default();
        let calls = first_call.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            calls.came();
            let unasked = request::unasked(&request);
            let (chain, peer) = (Arc::clone(&chain), peer.clone());
            // Boxed: the task of a watch then holds its stream alone, and not the place of all that led to it.
            let answer = Box::pin(async move {
                if let Some(answer) = unasked {
                    return respond::unasked(answer);
                }
                let (request, lent) = lend(request);
                let answer = chain.answer(request, peer).await;
                lent.read_to_end().await;
                answer
            });
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let (stream, cork) = corked(stream);
        let mut connection = pin!(self.0.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = poll_fn(|context| cork.poll(context, |context| connection.as_mut().poll(context))) => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                poll_fn(|context| cork.poll(context, |context| connection.as_mut().poll(context))).await
            }
            () = first_call.is_late(HEADERS_TIMEOUT) => return tracing::debug!(peer = %address, "a connection was never used"),
        };
        cork.emptied().await;
        if let Err(error) = ended {
            tracing::debug!(peer = %address, %error, "a connection ended early");
        }
    }
}
