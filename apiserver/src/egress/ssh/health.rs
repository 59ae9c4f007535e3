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

/// Watches over a tunnel for as long as this is polled. The first look comes in the second half of the first period at random: so
/// those at many tunnels are spread, and none is at one that was opened just now.
pub(super) async fn watch(tunnel: &Arc<Tunnel>, means: &Means, nodes: &Nodes) {
    means.clock.sleep(PERIOD.mul_f64(f64::midpoint(1.0, rand::random()))).await;
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tinyplane_wire::clock::Clock;
    use tinyplane_wire::identity::pki::{Authority, Leaf};
    use tinyplane_wire::identity::tls::{self, ClientAuth, KeyPairPem};
    use tinyplane_wire::net::{Sources, bind};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsAcceptor;

    /// What a kubelet stands for: it answers everybody that it does not know them.
    pub(crate) fn kubelet(at: &str) -> (SocketAddr, AbortOnDropHandle<()>) {
        let now = Clock::system().now();
        let authority = Authority::create("test", now).unwrap();
        let issued = authority.issue(&Leaf::server("node", &["node"], &[]), now).unwrap();
        let pair = KeyPairPem { certificate: issued.certificate_pem, key: issued.key_pem };
        let acceptor = TlsAcceptor::from(Arc::new(tls::server(&pair, &ClientAuth::None, &tls::ALPN_HTTP1).unwrap()));
        let bound = bind(at.parse().unwrap(), Sources::any()).unwrap();
        let serving = tokio::spawn(async move {
            loop {
                let stream = bound.listener.accept().await.stream;
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                drop(stream.read(&mut [0; 1024]).await);
                drop(stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await);
            }
        });
        (bound.address, AbortOnDropHandle::new(serving))
    }

    pub(crate) async fn is_well(tunnel: &Arc<Tunnel>, nodes: &Nodes) -> Result<(), String> {
        look(tunnel, nodes).await.map_err(|ill| ill.to_string())
    }
}
