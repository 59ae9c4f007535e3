//! A node's kubelet: where it is, whom it has to be, and who we are to it.

use super::travel::{Errand, Got, Journey, Travel, shaken};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tinyplane_konnectivity_client::join_host_port;
use tinyplane_wire::identity::stamp::{Stamp, stamp};
use tinyplane_wire::identity::tls::{self, KeyPairPem, TlsError, Trust};
use tinyplane_wire::ledger::Ledger;
use tinyplane_wire::net::{Dial, Stream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// The port of a kubelet that tells no other in `status.daemonEndpoints`.
pub const KUBELET_PORT: u16 = 10250;

/// How long a kubelet may take to prove who it is, as Go's transports have it.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How kubelets are reached.
#[derive(Clone, Debug, Default)]
pub struct NodeConfig {
    /// Our certificate for kubelets (`--kubelet-client-certificate`); read anew when the file changes.
    pub certificate_file: Option<PathBuf>,
    /// Its key (`--kubelet-client-key`).
    pub key_file: Option<PathBuf>,
    /// Whom a kubelet's certificate has to be from (`--kubelet-certificate-authority`). Without it nothing is verified,
    /// as upstream's default is.
    pub authority_file: Option<PathBuf>,
    /// Which of a node's addresses is taken, the first type that it has (`--kubelet-preferred-address-types`). Empty:
    /// [`Self::ADDRESS_TYPES`].
    pub preferred_address_types: Vec<String>,
}

impl NodeConfig {
    /// The order that kubeadm sets: addresses before names, which nobody resolves here. (Upstream's own default begins
    /// with `Hostname`.)
    pub const ADDRESS_TYPES: [&str; 3] = ["InternalIP", "ExternalIP", "Hostname"];
}

/// Where a node's kubelet listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Address or name, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Target {
    /// `host:port`, with brackets where they are needed.
    #[must_use]
    pub fn authority(&self) -> String {
        join_host_port(&self.host, self.port)
    }
}

/// Why a node can't be reached. The texts are upstream's, and reach the user.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The node has no address of a preferred type.
    #[error("no preferred addresses found; known addresses: [{0}]")]
    NoAddress(String),
    /// Our own certificate, or the authority, can't be read.
    #[error("the certificates for kubelets can't be used: {0}")]
    Certificates(TlsError),
    /// One of their files can't be read.
    #[error("open {path}: {why}")]
    File {
        /// Which.
        path: String,
        /// Why.
        why: io::Error,
    },
    /// Nothing answers there, or the tunnel does not lead there. The cause says it all.
    #[error("{0}")]
    Dial(io::Error),
    /// The kubelet's certificate is not believed, or it speaks no TLS.
    #[error("{}", super::verdict::told(.0))]
    Tls(io::Error),
}

/// Connects to kubelets, and to what else lies on nodes.
#[derive(Debug)]
pub struct Nodes {
    config: NodeConfig,
    travel: Travel,
    loaded: Mutex<Option<Loaded>>,
}

/// TLS settings, and the state of the files that they were made of.
#[derive(Clone, Debug)]
struct Loaded {
    stamps: Vec<Stamp>,
    verifying: Arc<ClientConfig>,
    trusting: Arc<ClientConfig>,
    /// Whom our certificate names.
    certificate: Option<String>,
}

/// What a handshake needs.
struct Shake {
    config: Arc<ClientConfig>,
    /// Whether it asks who issued the other's certificate.
    verifies: bool,
    /// Whom our certificate names.
    certificate: Option<String>,
    limit: Duration,
}

impl Nodes {
    /// Reaches kubelets over `dial`.
    #[must_use]
    pub fn new(config: NodeConfig, dial: Arc<dyn Dial>) -> Self {
        let travel = Travel { dial, egress: "direct", ledger: None };
        Self { config, travel, loaded: Mutex::default() }
    }

    /// Calls the way by its name, and writes down who goes it where a ledger is kept.
    #[must_use]
    pub fn recording(mut self, egress: &'static str, ledger: Option<Ledger>) -> Self {
        (self.travel.egress, self.travel.ledger) = (egress, ledger);
        self
    }

    /// Where the kubelet of a node (`v1.Node`) listens.
    ///
    /// # Errors
    /// When it has no address of a preferred type.
    pub fn target(&self, node: &Value) -> Result<Target, NodeError> {
        let addresses = node["status"]["addresses"].as_array().map(Vec::as_slice).unwrap_or_default();
        let of_type = |kind: &str| addresses.iter().find(|a| a["type"] == kind).and_then(|a| a["address"].as_str());
        let preferred = &self.config.preferred_address_types;
        let host = if preferred.is_empty() {
            NodeConfig::ADDRESS_TYPES.iter().find_map(|kind| of_type(kind))
        } else {
            preferred.iter().find_map(|kind| of_type(kind))
        };
        let port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_u64();
        let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0).unwrap_or(KUBELET_PORT);
        match host {
            Some(host) => Ok(Target { host: host.to_owned(), port }),
            None => Err(NodeError::NoAddress(
                addresses.iter().filter_map(|a| a["type"].as_str()).collect::<Vec<_>>().join(" "),
            )),
        }
    }

    /// Connects to a kubelet, with TLS from end to end. `insecurely`: whoever answers is believed.
    ///
    /// # Errors
    /// When it can't be reached or is not believed.
    pub async fn connect(
        &self,
        errand: &Errand<'_>,
        target: &Target,
        insecurely: bool,
    ) -> Result<Box<dyn Stream>, NodeError> {
        let loaded = self.load()?;
        let verifies = !insecurely && self.config.authority_file.is_some();
        let config = if insecurely { loaded.trusting } else { loaded.verifying };
        let journey = self.travel.set_out(errand, &target.host, target.port).await.map_err(NodeError::Dial)?;
        let tls = Shake { config, verifies, certificate: loaded.certificate, limit: HANDSHAKE_TIMEOUT };
        self.shake_hands(errand, target, journey, tls).await.map_err(NodeError::Tls)
    }

    /// Connects to a kubelet by a way of the caller's, for no request: nothing is written down of it.
    ///
    /// # Errors
    /// When it can't be reached or is not believed.
    pub(super) async fn connect_over(
        &self,
        way: &dyn Dial,
        target: &Target,
        insecurely: bool,
    ) -> Result<Box<dyn Stream>, NodeError> {
        let loaded = self.load()?;
        let config = if insecurely { loaded.trusting } else { loaded.verifying };
        let stream = way.dial(&target.host, target.port).await.map_err(NodeError::Dial)?;
        let name = ServerName::try_from(target.host.clone()).map_err(|e| NodeError::Tls(io::Error::other(e)))?;
        let handshake = TlsConnector::from(config).connect(name, stream);
        let shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await;
        let late = || io::Error::new(io::ErrorKind::TimedOut, "net/http: TLS handshake timeout");
        Ok(Box::new(shaken.map_err(|_| NodeError::Tls(late()))?.map_err(NodeError::Tls)?))
    }

    /// Connects to something else than a kubelet: plainly, or with TLS with whoever answers, as upstream's proxies do it.
    ///
    /// # Errors
    /// When it can't be reached, or speaks no TLS.
    pub async fn connect_to_other(
        &self,
        errand: &Errand<'_>,
        target: &Target,
        tls: bool,
    ) -> Result<Box<dyn Stream>, NodeError> {
        let journey = self.travel.set_out(errand, &target.host, target.port).await.map_err(NodeError::Dial)?;
        if !tls {
            let (way, stream) = journey.parts();
            self.travel.tell(errand, &way, Got::Plain);
            return Ok(Box::new(stream));
        }
        let config = tls::client(&Trust::Anybody, None, &tls::ALPN_HTTP1).map_err(NodeError::Certificates)?;
        let tls = Shake { config: Arc::new(config), verifies: false, certificate: None, limit: Duration::MAX };
        self.shake_hands(errand, target, journey, tls).await.map_err(NodeError::Tls)
    }

    async fn shake_hands(
        &self,
        errand: &Errand<'_>,
        target: &Target,
        journey: Journey,
        tls: Shake,
    ) -> io::Result<Box<dyn Stream>> {
        let (way, stream) = journey.parts();
        let name = ServerName::try_from(target.host.clone()).map_err(io::Error::other)?;
        let handshake = TlsConnector::from(tls.config).connect(name, stream).into_fallible();
        let failed = || self.travel.tell(errand, &way, Got::NoTls);
        match tokio::time::timeout(tls.limit, handshake).await {
            Ok(Ok(mut stream)) => {
                let (carrier, connection) = stream.get_mut();
                shaken(carrier, Ok((tls::told(connection, tls.verifies), tls.certificate)));
                self.travel.tell(errand, &way, if tls.verifies { Got::Verified } else { Got::Unverified });
                Ok(Box::new(stream))
            }
            Ok(Err((error, mut carrier))) => {
                shaken(&mut carrier, Err(&error));
                failed();
                Err(error)
            }
            Err(_) => {
                failed();
                Err(io::Error::new(io::ErrorKind::TimedOut, "net/http: TLS handshake timeout"))
            }
        }
    }

    /// The settings, made anew when a file has changed.
    fn load(&self) -> Result<Loaded, NodeError> {
        let files = [&self.config.certificate_file, &self.config.key_file, &self.config.authority_file];
        let stamps: Vec<_> = files.iter().map(|file| file.as_deref().and_then(stamp)).collect();
        let mut loaded = self.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = loaded.as_ref().filter(|known| known.stamps == stamps) {
            return Ok(known.clone());
        }
        let pair = match (&self.config.certificate_file, &self.config.key_file) {
            (Some(certificate), Some(key)) => Some(KeyPairPem { certificate: read(certificate)?, key: read(key)? }),
            _ => None,
        };
        let trust = match &self.config.authority_file {
            Some(file) => Trust::Roots(read(file)?),
            None => Trust::Anybody,
        };
        let make = |trust: &Trust| tls::client(trust, pair.as_ref(), &tls::ALPN_HTTP1).map_err(NodeError::Certificates);
        let made = Loaded {
            stamps,
            verifying: Arc::new(make(&trust)?),
            trusting: Arc::new(make(&Trust::Anybody)?),
            certificate: pair.as_ref().and_then(|pair| tls::named_by(&pair.certificate)),
        };
        *loaded = Some(made.clone());
        Ok(made)
    }
}

fn read(path: &Path) -> Result<String, NodeError> {
    std::fs::read_to_string(path).map_err(|why| NodeError::File { path: path.display().to_string(), why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tinyplane_wire::net::TcpDial;

    #[test]
    fn the_first_preferred_address_and_the_told_port_are_taken() {
        let nodes = Nodes::new(NodeConfig::default(), Arc::new(TcpDial::from(None)));
        let node = json!({"status": {
            "addresses": [{"type": "Hostname", "address": "node-1"}, {"type": "InternalIP", "address": "127.9.1.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 40250}},
        }});
        assert_eq!(nodes.target(&node).unwrap().authority(), "127.9.1.1:40250");
        let bare = json!({"status": {"addresses": [{"type": "InternalIP", "address": "::1"}]}});
        assert_eq!(nodes.target(&bare).unwrap().authority(), "[::1]:10250");
        let told = nodes.target(&json!({"status": {}})).unwrap_err().to_string();
        assert_eq!(told, "no preferred addresses found; known addresses: []");
        let config = NodeConfig { preferred_address_types: vec!["Hostname".into()], ..NodeConfig::default() };
        let nodes = Nodes::new(config, Arc::new(TcpDial::from(None)));
        assert_eq!(nodes.target(&node).unwrap().host, "node-1");
    }
}
