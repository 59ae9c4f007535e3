//! What upstream runs beside the API server: the scheduler and the control loops, each at a port of the same machine. They are
//! asked how they are when somebody wants to know, and directly, whichever way leads into the cluster.

use crate::streaming::send;
use axum::body::{Body, to_bytes};
use http::{Request, StatusCode};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::identity::tls::{self, Trust};
use tinyplane_wire::net::TcpDial;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// Where upstream's control loops answer.
pub const MANAGER_PORT: u16 = 10_257;
/// Where upstream's scheduler answers.
pub const SCHEDULER_PORT: u16 = 10_259;
const ASK_TIMEOUT: Duration = Duration::from_secs(20);
/// Of an answer no more is told.
const SAID_BYTES_MAX: usize = 10 * 1_024;

/// The way to them.
#[derive(Clone, Debug)]
pub struct Components {
    /// How they are reached.
    pub dial: TcpDial,
    /// Name and port of each.
    pub ports: [(&'static str, u16); 2],
}

/// How one of them is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Whether it answers and says that it is well.
    pub is_healthy: bool,
    /// What it says, or why it can't be asked, in Go's words.
    pub said: String,
}

impl Components {
    /// At upstream's ports.
    #[must_use]
    pub const fn over(dial: TcpDial) -> Self {
        Self { dial, ports: [("controller-manager", MANAGER_PORT), ("scheduler", SCHEDULER_PORT)] }
    }

    /// Asks one. Whoever answers is believed, as upstream does it.
    pub async fn ask(&self, port: u16) -> Found {
        let well = |is_healthy, said| Found { is_healthy, said };
        let failed = |why: &str| well(false, format!("Get \"https://127.0.0.1:{port}/healthz\": {why}"));
        match tokio::time::timeout(ASK_TIMEOUT, self.get(port)).await {
            Ok(Ok((code, said))) if (200..400).contains(&code.as_u16()) => well(true, said),
            Ok(Ok((code, _))) => well(false, format!("HTTP probe failed with statuscode: {}", code.as_u16())),
            Ok(Err(why)) => failed(&why.to_string()),
            Err(_) => failed("context deadline exceeded (Client.Timeout exceeded while awaiting headers)"),
        }
    }

    async fn get(&self, port: u16) -> Result<(StatusCode, String), Box<dyn std::error::Error + Send + Sync>> {
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = self.dial.connect(to).await?;
        let config = tls::client(&Trust::Anybody, None, &tls::ALPN_HTTP1)?;
        let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let request = Request::get("/healthz").header(http::header::HOST, to.to_string()).body(Body::empty())?;
        let (head, body) = send(Box::new(stream), request).await?.into_parts();
        let said = to_bytes(Body::new(body), SAID_BYTES_MAX).await?;
        Ok((head.status, String::from_utf8_lossy(&said).into_owned()))
    }
}
