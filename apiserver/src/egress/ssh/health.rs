//! Whether a tunnel leads to its kubelet: asked each minute, and a tunnel that does not is opened anew.

use super::Means;
use super::tunnel::{Condition, Through, Tunnel};
use crate::egress::{NodeError, Nodes};
use axum::body::Body;
use http::Request;
use http::header::HOST;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// How often each tunnel is tried.
const PERIOD: Duration = Duration::from_secs(60);
/// How long the kubelet may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a tunnel is not well.
#[derive(Debug, thiserror::Error)]
enum Ill {
    #[error("{0}")]
    Node(#[from] NodeError),
    #[error("the kubelet's answer broke off: {0}")]
    Answer(#[from] hyper::Error),
    #[error("the question can't be put: {0}")]
    Question(#[from] http::Error),
    #[error("the kubelet does not answer")]
    Late,
}

/// Watches over a tunnel for as long as this is polled. The first look comes within the first period at random, so that
/// those at many tunnels are spread.
pub(super) async fn watch(tunnel: &Arc<Tunnel>, means: &Means, nodes: &Nodes) {
    means.clock.sleep(PERIOD.mul_f64(rand::random())).await;
    loop {
        if tunnel.condition() == Condition::Open
            && let Err(ill) = look(tunnel, nodes).await
        {
            tracing::warn!(node = tunnel.place.host, error = %ill, "an SSH tunnel is ill, and opened anew");
            tunnel.sever();
        }
        means.clock.sleep(PERIOD).await;
    }
}

/// Any answer will do: the kubelet need not let us in.
async fn look(tunnel: &Arc<Tunnel>, nodes: &Nodes) -> Result<(), Ill> {
    let ask = async {
        let kubelet = &tunnel.place.kubelet;
        let stream = nodes.connect_over(&Through(Arc::clone(tunnel)), kubelet, true).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let question = Request::get("/healthz").header(HOST, kubelet.authority()).body(Body::empty())?;
        sender.send_request(question).await?;
        Ok(())
    };
    tokio::time::timeout(ANSWER_TIMEOUT, ask).await.unwrap_or(Err(Ill::Late))
}
