//! One request over a connection that was dialled for it.

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tinyplane_wire::net::Stream;

/// A connection to where a request goes.
pub type Backend = Box<dyn Stream>;

/// Sends a request and gives the head of its answer; the body follows as it comes. Dropping the answer's body, or this
/// future, closes the connection.
///
/// # Errors
/// When the connection breaks, or what answers is no HTTP.
pub async fn send(backend: Backend, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(backend)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection into the cluster broke");
        }
    });
    sender.send_request(request).await
}
