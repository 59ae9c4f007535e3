//! `/portForward`: connections into a pod.

use super::endpoints::{Endpoints, PodPath};
use super::query::Query;
use super::reply::{self, Reply, failure};
use crate::runtime::{Runtime, SandboxId};
use axum::body::Body;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use tinyplane_wire::streaming::handshake::{self, Purpose, Spoken};
use tinyplane_wire::streaming::portforward::{self, Forward};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

/// What one direction of one connection keeps on its way.
const COPY_BYTES: usize = 32 * 1024;

impl Endpoints {
    /// `/portForward/NAMESPACE/POD`: answers 101 and serves the connections in a task.
    pub(super) fn port_forward(&self, at: &PodPath<'_>, query: &Query, request: Request<Incoming>) -> Reply {
        let pod = self.pods.pod(at.namespace, at.pod);
        let pod = pod.ok_or_else(|| failure(StatusCode::NOT_FOUND, "pod does not exist"))?;
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        let sandbox = at.uid.is_none_or(|wanted| wanted == uid).then(|| self.pods.sandbox(uid)).flatten();
        let sandbox = sandbox.ok_or_else(|| {
            let told = format!("pod not found (\"{}_{}\")", at.pod, at.namespace);
            failure(StatusCode::INTERNAL_SERVER_ERROR, told)
        })?;
        let (spoken, response) = match handshake::accept(request.headers(), Purpose::PortForward) {
            Ok(accepted) => accepted,
            Err(refusal) => return Ok(reply::refused(&refusal)),
        };
        let ports = match spoken {
            Spoken::Channels(_) => portforward::parse_ports(query.all("port")),
            Spoken::Spdy(_) | Spoken::Tunnel => Ok(Vec::new()),
        };
        let ports = ports.map_err(|told| failure(StatusCode::BAD_REQUEST, told))?;
        let (runtime, shutdown) = (Arc::clone(&self.runtime), self.shutdown.clone());
        tokio::spawn(async move {
            let served = async {
                let upgraded = hyper::upgrade::on(request).await.map_err(io::Error::other)?;
                serve(runtime, sandbox, upgraded, spoken, &ports).await
            };
            tokio::select! {
                outcome = served => if let Err(error) = outcome {
                    tracing::debug!(%error, "a port-forward's client was lost");
                },
                () = shutdown.cancelled() => {}
            }
        });
        Ok(response.map(|()| Body::empty()))
    }
}

/// Serves connections until the client is gone; then all of them end with it.
async fn serve(
    runtime: Arc<dyn Runtime>,
    sandbox: SandboxId,
    upgraded: Upgraded,
    spoken: Spoken,
    ports: &[u16],
) -> io::Result<()> {
    let mut forwards = portforward::accept(TokioIo::new(upgraded), spoken, ports).await?;
    let closed = forwards.closed.clone();
    let mut running = JoinSet::new();
    let all = async {
        loop {
            tokio::select! {
                next = forwards.next() => match next {
                    Some(next) => drop(running.spawn(forward(Arc::clone(&runtime), sandbox.clone(), next))),
                    None => break,
                },
                Some(_) = running.join_next() => {}
            }
        }
        while running.join_next().await.is_some() {}
    };
    tokio::select! {
        () = all => {}
        () = closed.cancelled() => {}
    }
    Ok(())
}

async fn forward(runtime: Arc<dyn Runtime>, sandbox: SandboxId, forward: Forward) {
    let Forward { port, mut data, mut error } = forward;
    let outcome = match runtime.dial(&sandbox, port).await {
        Ok(mut pod) => tokio::io::copy_bidirectional_with_sizes(&mut data, &mut pod, COPY_BYTES, COPY_BYTES)
            .await
            .map(|_| ())
            .map_err(|broken| broken.to_string()),
        Err(refused) => Err(format!("failed to connect to localhost:{port} inside the pod: {refused}")),
    };
    let told = match outcome {
        Ok(()) => error.shutdown().await,
        Err(why) => tell(&mut error, &format!("error forwarding port {port} to pod {sandbox}, uid : {why}")).await,
    };
    if let Err(error) = told {
        tracing::debug!(%error, port, "the client of a forwarded connection was gone at its end");
    }
}

async fn tell(error: &mut tinyplane_wire::streaming::Output, text: &str) -> io::Result<()> {
    error.write_all(text.as_bytes()).await?;
    error.shutdown().await
}
