//! What runs beside the API server: the scheduler and the control loops, each at a port of the same machine unless told
//! otherwise. They are asked how they are when somebody wants to know, and directly, whichever way leads into the cluster.

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

const ASK_TIMEOUT: Duration = Duration::from_secs(20);
/// Of an answer no more is told.
const SAID_BYTES_MAX: usize = 10 * 1_024;

/// Where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComponentAddresses {
    /// The control loops (`--controller-manager-address`).
    pub controller_manager: SocketAddr,
    /// The scheduler (`--scheduler-address`).
    pub scheduler: SocketAddr,
}

impl Default for ComponentAddresses {
    /// Where upstream looks for them.
    fn default() -> Self {
        let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { controller_manager: here(10_257), scheduler: here(10_259) }
    }
}

/// The way to them.
#[derive(Clone, Debug)]
pub struct Components {
    /// How they are reached.
    pub dial: TcpDial,
    /// Name and address of each.
    pub addresses: [(&'static str, SocketAddr); 2],
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
    /// Under the names that upstream has for them.
    #[must_use]
    pub const fn at(addresses: ComponentAddresses, dial: TcpDial) -> Self {
        let ComponentAddresses { controller_manager, scheduler } = addresses;
        Self { dial, addresses: [("controller-manager", controller_manager), ("scheduler", scheduler)] }
    }

    /// Asks one. Whoever answers is believed, as upstream does it.
    pub async fn ask(&self, at: SocketAddr) -> Found {
        let well = |is_healthy, said| Found { is_healthy, said };
        let failed = |why: &str| well(false, format!("Get \"https://{at}/healthz\": {why}"));
        match tokio::time::timeout(ASK_TIMEOUT, self.get(at)).await {
            Ok(Ok((code, said))) if (200..400).contains(&code.as_u16()) => well(true, said),
            Ok(Ok((code, _))) => well(false, format!("HTTP probe failed with statuscode: {}", code.as_u16())),
            Ok(Err(why)) => failed(&why.to_string()),
            Err(_) => failed("context deadline exceeded (Client.Timeout exceeded while awaiting headers)"),
        }
    }

    async fn get(&self, at: SocketAddr) -> Result<(StatusCode, String), Box<dyn std::error::Error + Send + Sync>> {
        let stream = self.dial.connect(at).await?;
        let config = tls::client(&Trust::Anybody, None, &tls::ALPN_HTTP1)?;
        let name = ServerName::IpAddress(at.ip().into());
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let request = Request::get("/healthz").header(http::header::HOST, at.to_string()).body(Body::empty())?;
        let (head, body) = send(Box::new(stream), request).await?.into_parts();
        let said = to_bytes(Body::new(body), SAID_BYTES_MAX).await?;
        Ok((head.status, String::from_utf8_lossy(&said).into_owned()))
    }
}
