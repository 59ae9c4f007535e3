//! A man in the middle: ends TLS with a certificate of an authority that nobody knows, and dials on with TLS.

use super::end::End;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::pki::{Authority, Leaf, PkiError};
use tinyplane_wire::identity::tls::{self, ClientAuth, KeyPairPem, TlsError, Trust};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector};

/// Longest wait for either handshake.
const HANDSHAKE_SECONDS_MAX: u64 = 30;

/// Why there is no man in the middle.
#[derive(Debug, thiserror::Error)]
pub enum MiddleError {
    /// No authority.
    #[error("his authority can't be made")]
    Pki(#[from] PkiError),
    /// His client certificate can't be read.
    #[error("{0} can't be read")]
    File(PathBuf, #[source] io::Error),
    /// His client certificate can't be used.
    #[error("his client certificate can't be used")]
    Tls(#[from] TlsError),
}

/// Who steps in.
pub(crate) struct Middle {
    authority: Authority,
    pair: Option<KeyPairPem>,
}

impl fmt::Debug for Middle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Middle").field("presents", &self.pair.is_some()).finish_non_exhaustive()
    }
}

impl Middle {
    /// With an authority of his own, and with a client certificate and its key or without.
    pub(crate) fn with(pair: Option<&(PathBuf, PathBuf)>) -> Result<Self, MiddleError> {
        let read = |path: &PathBuf| std::fs::read_to_string(path).map_err(|e| MiddleError::File(path.clone(), e));
        let pair = match pair {
            Some((certificate, key)) => Some(KeyPairPem { certificate: read(certificate)?, key: read(key)? }),
            None => None,
        };
        tls::client(&Trust::Anybody, pair.as_ref(), &[])?;
        Ok(Self { authority: Authority::create("somebody in the middle", Clock::system().now())?, pair })
    }

    /// Steps between two ends. `host` is who was dialled, for a client that does not say it.
    pub(super) async fn step_in(
        &self,
        client: Box<dyn End>,
        server: Box<dyn End>,
        host: &str,
    ) -> io::Result<[Box<dyn End>; 2]> {
        let both = self.shake_hands(client, server, host);
        tokio::time::timeout(Duration::from_secs(HANDSHAKE_SECONDS_MAX), both).await?
    }

    async fn shake_hands(
        &self,
        client: Box<dyn End>,
        server: Box<dyn End>,
        host: &str,
    ) -> io::Result<[Box<dyn End>; 2]> {
        let begun = LazyConfigAcceptor::new(Acceptor::default(), client).await?;
        let hello = begun.client_hello();
        let name = hello.server_name().unwrap_or(host).to_owned();
        let wished: Vec<Vec<u8>> = hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
        let wished: Vec<&[u8]> = wished.iter().map(Vec::as_slice).collect();
        let config = tls::client(&Trust::Anybody, self.pair.as_ref(), &wished).map_err(io::Error::other)?;
        let asked = ServerName::try_from(name.clone()).map_err(io::Error::other)?;
        let server = TlsConnector::from(Arc::new(config)).connect(asked, server).await?;
        // Both sides speak what the true end has chosen.
        let spoken: Vec<&[u8]> = server.get_ref().1.alpn_protocol().into_iter().collect();
        let addresses: Vec<IpAddr> = [name.parse(), host.parse()].into_iter().flatten().collect();
        let names: Vec<&str> = [name.as_str()].into_iter().filter(|name| name.parse::<IpAddr>().is_err()).collect();
        let leaf = Leaf::server("somebody in the middle", &names, &addresses);
        let issued = self.authority.issue(&leaf, Clock::system().now()).map_err(io::Error::other)?;
        let pair = KeyPairPem { certificate: issued.certificate_pem, key: issued.key_pem };
        let config = tls::server(&pair, &ClientAuth::Offered, &spoken).map_err(io::Error::other)?;
        let client = begun.into_stream(Arc::new(config)).await?;
        Ok([Box::new(client), Box::new(server)])
    }
}
