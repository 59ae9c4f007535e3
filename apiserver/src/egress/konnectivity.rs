//! Through a Konnectivity server: a `Dial` from what the configuration says of it.

use super::balance::Balanced;
use super::config::{ConfigError, Connection, Protocol, Tcp};
use super::counted::Counted;
use crate::metrics::EgressDials;
use std::sync::Arc;
use tinyplane_konnectivity_client::{GrpcDial, HttpConnectDial, Route};
use tinyplane_wire::identity::system;
use tinyplane_wire::identity::tls::{self, KeyPairPem, TlsError, Trust};
use tinyplane_wire::net::{Dial, TcpDial, UnixDial};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The way through a server, for a configuration that was validated. `direct` reaches the server itself; `dials` counts.
pub(super) fn dial(
    name: &str,
    connection: &Connection,
    direct: &TcpDial,
    dials: &Arc<EgressDials>,
) -> Result<Arc<dyn Dial>, ConfigError> {
    let transport = connection.transport.clone().unwrap_or_default();
    let by = if transport.uds.is_some() { "uds" } else { "tcp" };
    let routes = match (transport.uds, transport.tcp) {
        (Some(uds), _) => uds.sockets().map(|socket| Route::Unix(UnixDial::to(socket))).collect(),
        (None, Some(tcp)) => vec![route_by_tcp(name, &tcp, direct)?],
        (None, None) => return Ok(Arc::new(direct.clone())),
    };
    let through = |route| -> Arc<dyn Dial> {
        match connection.proxy_protocol {
            Protocol::Grpc => {
                let dial = GrpcDial::new(route).counted(&dials.tunnels);
                Arc::new(Counted::new(Arc::new(dial), dials, ("grpc", by)))
            }
            Protocol::HttpConnect => {
                Arc::new(Counted::new(Arc::new(HttpConnectDial::new(route)), dials, ("http_connect", by)))
            }
            Protocol::Direct | Protocol::Unknown => Arc::new(direct.clone()),
        }
    };
    let mut ways: Vec<_> = routes.into_iter().map(through).collect();
    Ok(if ways.len() == 1 { ways.remove(0) } else { Arc::new(Balanced::over(ways)) })
}

fn route_by_tcp(name: &str, tcp: &Tcp, direct: &TcpDial) -> Result<Route, ConfigError> {
    let told = format!("service.connection.url: Invalid value: {:?}: it needs a host and a port", tcp.url);
    let invalid = || ConfigError::Invalid(vec![told.clone()]);
    let uri: http::Uri = tcp.url.parse().map_err(|_| invalid())?;
    let host = uri.host().map(|host| host.trim_matches(['[', ']']).to_owned()).ok_or_else(invalid)?;
    let port = uri.port_u16().ok_or_else(invalid)?;
    let config =
        tls_config(tcp, system::authorities).map_err(|source| ConfigError::Certificates(name.to_owned(), source))?;
    let server_name = tcp.tls_config.as_ref().map(|tls| tls.tls_server_name.clone()).filter(|name| !name.is_empty());
    let tls = config.map(|config| (Arc::new(config), server_name));
    Ok(Route::Tcp { dial: direct.clone(), host, port, tls })
}

/// TLS to a server: of the authorities that are named, or else of those that the system has, as Go takes them then.
fn tls_config(
    tcp: &Tcp,
    system: impl FnOnce() -> Result<Arc<RootCertStore>, TlsError>,
) -> Result<Option<ClientConfig>, Box<dyn std::error::Error + Send + Sync>> {
    let Some(files) = &tcp.tls_config else { return Ok(None) };
    let trust = if files.ca_bundle.is_empty() {
        Trust::Store(system()?)
    } else {
        Trust::Roots(std::fs::read_to_string(&files.ca_bundle)?)
    };
    let pair = if files.client_cert.is_empty() {
        None
    } else {
        let certificate = std::fs::read_to_string(&files.client_cert)?;
        Some(KeyPairPem { certificate, key: std::fs::read_to_string(&files.client_key)? })
    };
    Ok(Some(tls::client(&trust, pair.as_ref(), &tls::ALPN_HTTP1)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::config::TlsConfig;
    use tinyplane_wire::clock::Clock;
    use tinyplane_wire::identity::pki::{Authority, Leaf};
    use tinyplane_wire::identity::tls::ClientAuth;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    fn authority() -> Authority {
        Authority::create("an authority", Clock::system().now()).unwrap()
    }

    /// Whether a server with a certificate of `issuer` is believed by the given settings.
    async fn believes(config: ClientConfig, issuer: &Authority) -> bool {
        let issued = issuer.issue(&Leaf::server("k", &["k"], &[]), Clock::system().now()).unwrap();
        let pair = KeyPairPem { certificate: issued.certificate_pem, key: issued.key_pem };
        let server = tls::server(&pair, &ClientAuth::None, &tls::ALPN_HTTP1).unwrap();
        let (near, far) = tokio::io::duplex(64 * 1024);
        let connect = TlsConnector::from(Arc::new(config)).connect("k".try_into().unwrap(), near);
        let (connected, _) = tokio::join!(connect, TlsAcceptor::from(Arc::new(server)).accept(far));
        connected.is_ok()
    }

    #[tokio::test]
    async fn without_a_bundle_the_systems_authorities_are_believed_and_with_one_they_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let (named, systems) = (authority(), authority());
        let bundle = folder.path().join("ca.crt");
        std::fs::write(&bundle, named.certificate_pem()).unwrap();
        let system = || Ok(Arc::new(tls::root_store(systems.certificate_pem(), "the system").unwrap()));
        let with = |ca_bundle: String| {
            let tls_config = Some(TlsConfig { ca_bundle, ..TlsConfig::default() });
            tls_config_of(&Tcp { url: "https://k:1".into(), tls_config }, system)
        };
        let bundle = bundle.display().to_string();
        assert!(believes(with(String::new()), &systems).await);
        assert!(!believes(with(String::new()), &named).await);
        assert!(believes(with(bundle.clone()), &named).await);
        assert!(!believes(with(bundle), &systems).await);
    }

    fn tls_config_of(tcp: &Tcp, system: impl Fn() -> Result<Arc<RootCertStore>, TlsError>) -> ClientConfig {
        tls_config(tcp, system).unwrap().unwrap()
    }
}
