//! TLS settings for both ends. The provider is passed explicitly; nothing is installed for the process.

use super::serving::ServingFiles;
use super::shaken::{Noting, Shaken};
use super::subject;
use crate::ledger::Tls;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{WantsServerCert, WebPkiClientVerifier};
use rustls::{
    ClientConfig, CommonState, ConfigBuilder, DigitallySignedStruct, DistinguishedName, ProtocolVersion, RootCertStore,
    ServerConfig, SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion,
};
use std::sync::Arc;

/// `ALPN` for HTTP/2 and HTTP/1.1, the preferred one first.
pub const ALPN_HTTP: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// `ALPN` for HTTP/1.1 alone, as upgrades need it.
pub const ALPN_HTTP1: [&[u8]; 1] = [b"http/1.1"];
/// `ALPN` for HTTP/2 alone, as gRPC needs it.
pub const ALPN_HTTP2: [&[u8]; 1] = [b"h2"];

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM text without what it should hold.
    #[error("{what} can't be read as PEM")]
    Pem {
        /// Which text.
        what: &'static str,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A PEM text that holds no certificate at all.
    #[error("{0} holds no certificate")]
    Empty(&'static str),
    /// rustls refuses the certificate, the key, or their pair.
    #[error("the certificate or key can't be used")]
    Rustls(#[from] rustls::Error),
    /// The roots can't serve to verify anybody.
    #[error("the authority can't be used")]
    Roots(#[from] rustls::server::VerifierBuilderError),
}

/// Suites with this bulk cipher are liked best, as by Go's crypto/tls: ten rounds a block where 256 bits take fourteen.
const LIKED_BEST: &str = "AES_128_GCM";

/// The one provider.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    let is_other = |suite: &SupportedCipherSuite| !suite_name(suite).contains(LIKED_BEST);
    provider.cipher_suites.sort_by_cached_key(|suite| (suite.tls13().is_none(), is_other(suite)));
    Arc::new(provider)
}

/// A certificate chain and its key, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPairPem {
    /// The chain, leaf first.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl std::fmt::Debug for KeyPairPem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyPairPem")
    }
}

/// What a server asks of its clients.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// Nothing.
    None,
    /// A certificate, if there is one. Possession is proved; who issued it is judged later, per request, so that a
    /// wrong or expired one gets a 401 as upstream gives it and not a TLS alert.
    Offered,
    /// A certificate of these authorities (PEM), or no connection.
    Required(String),
}

/// Whom a client believes.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Servers with a certificate of these authorities (PEM), valid for the name that is dialled.
    Roots(String),
    /// The same, of authorities that were read already: those of the system, say.
    Store(Arc<RootCertStore>),
    /// Anybody. As insecure as it sounds; some of Kubernetes' paths are so by default.
    Anybody,
}

/// What a server takes of TLS, where that is less than everything that is safe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsLimits {
    /// TLS 1.3 alone.
    pub tls13_only: bool,
    /// Suites of TLS 1.2 by their IANA names; none are all. Those of TLS 1.3 are always taken.
    pub cipher_suites: Vec<String>,
}

impl TlsLimits {
    /// True for the name of a suite that is known here.
    #[must_use]
    pub fn knows(suite: &str) -> bool {
        provider().cipher_suites.iter().any(|known| suite_name(known) == suite)
    }

    fn provider(&self) -> Arc<CryptoProvider> {
        if self.cipher_suites.is_empty() {
            return provider();
        }
        let mut limited = CryptoProvider::clone(&provider());
        limited.cipher_suites.retain(|suite| {
            suite.tls13().is_some() || self.cipher_suites.iter().any(|name| *name == suite_name(suite))
        });
        Arc::new(limited)
    }

    fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        static NEW: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
        if self.tls13_only { NEW } else { rustls::DEFAULT_VERSIONS }
    }
}

/// The IANA name of a suite: rustls names those of TLS 1.3 in its own way.
fn suite_name(suite: &SupportedCipherSuite) -> String {
    suite.suite().as_str().unwrap_or_default().replace("TLS13_", "TLS_")
}

/// Settings of a server.
///
/// # Errors
/// When a PEM text can't be read or a key doesn't fit.
pub fn server(pair: &KeyPairPem, clients: &ClientAuth, alpn: &[&[u8]]) -> Result<ServerConfig, TlsError> {
    server_within(pair, clients, alpn, &TlsLimits::default())
}

/// As [`server`], within limits.
///
/// # Errors
/// As [`server`], and when nothing of TLS is left within the limits.
pub fn server_within(
    pair: &KeyPairPem,
    clients: &ClientAuth,
    alpn: &[&[u8]],
    limits: &TlsLimits,
) -> Result<ServerConfig, TlsError> {
    let builder = server_builder(clients, limits)?;
    Ok(with_alpn(builder.with_single_cert(chain(&pair.certificate)?, key(&pair.key)?)?, alpn))
}

/// Settings of a server whose certificate is read again when its files change.
///
/// # Errors
/// When the client authority can't be read.
pub fn server_of(files: Arc<ServingFiles>, clients: &ClientAuth, alpn: &[&[u8]]) -> Result<ServerConfig, TlsError> {
    Ok(with_alpn(server_builder(clients, &TlsLimits::default())?.with_cert_resolver(files), alpn))
}

fn server_builder(
    clients: &ClientAuth,
    limits: &TlsLimits,
) -> Result<ConfigBuilder<ServerConfig, WantsServerCert>, TlsError> {
    let provider = limits.provider();
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(limits.versions())?;
    Ok(match clients {
        ClientAuth::None => builder.with_no_client_auth(),
        ClientAuth::Offered => builder.with_client_cert_verifier(Arc::new(Possession::new(&provider))),
        ClientAuth::Required(roots) => {
            let roots = Arc::new(root_store(roots, "the client authority")?);
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder_with_provider(roots, provider).build()?)
        }
    })
}

fn with_alpn(mut config: ServerConfig, alpn: &[&[u8]]) -> ServerConfig {
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    config
}

/// Settings of a client. No session is resumed, as by Go's clients: each connection verifies the certificate that the
/// server has at that moment.
///
/// # Errors
/// When a PEM text can't be read or a key doesn't fit.
pub fn client(trust: &Trust, pair: Option<&KeyPairPem>, alpn: &[&[u8]]) -> Result<ClientConfig, TlsError> {
    client_by(verifier(trust)?, pair, alpn)
}

/// As [`client`], and notes what its handshakes told.
///
/// # Errors
/// As [`client`].
pub fn client_noting(
    trust: &Trust,
    pair: Option<&KeyPairPem>,
    alpn: &[&[u8]],
    shaken: &Arc<Shaken>,
) -> Result<ClientConfig, TlsError> {
    let verifies = !matches!(trust, Trust::Anybody);
    let noting = Noting { inner: verifier(trust)?, verifies, shaken: Arc::clone(shaken) };
    client_by(Arc::new(noting), pair, alpn)
}

fn verifier(trust: &Trust) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let provider = provider();
    Ok(match trust {
        Trust::Roots(pem) => {
            let roots = Arc::new(root_store(pem, "the authority")?);
            WebPkiServerVerifier::builder_with_provider(roots, provider).build()?
        }
        Trust::Store(roots) => WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), provider).build()?,
        Trust::Anybody => Arc::new(Anybody(provider.signature_verification_algorithms)),
    })
}

fn client_by(
    verifier: Arc<dyn ServerCertVerifier>,
    pair: Option<&KeyPairPem>,
    alpn: &[&[u8]],
) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match pair {
        Some(pair) => builder.with_client_auth_cert(chain(&pair.certificate)?, key(&pair.key)?)?,
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    Ok(config)
}

/// What a ledger says of a connection's TLS: the version, and the authority of the peer's certificate where that was
/// verified.
#[must_use]
pub fn told(connection: &CommonState, verified: bool) -> Tls {
    let leaf = connection.peer_certificates().and_then(|chain| chain.first()).filter(|_| verified);
    Tls { version: version_word(connection.protocol_version()).into(), verified: leaf.and_then(subject::issuer_of) }
}

/// A version's number, as ledgers have it.
#[must_use]
pub fn version_word(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        Some(ProtocolVersion::TLSv1_2) => "1.2",
        _ => "unknown",
    }
}

/// Whom a PEM text's first certificate names, where it names somebody.
#[must_use]
pub fn named_by(pem: &str) -> Option<String> {
    let chain = chain(pem).ok()?;
    Some(subject::Subject::of(chain.first()?)?.common_name)
}

/// The certificates of a PEM text.
///
/// # Errors
/// When it can't be read or holds none.
pub fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let chain = read.map_err(|source| TlsError::Pem { what: "the certificate", source })?;
    if chain.is_empty() { Err(TlsError::Empty("the certificate")) } else { Ok(chain) }
}

pub(super) fn key(pem: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|source| TlsError::Pem { what: "the private key", source })
}

/// The roots of a PEM text.
///
/// # Errors
/// When it can't be read or holds none.
pub fn root_store(pem: &str, what: &'static str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.map_err(|source| TlsError::Pem { what, source })?)?;
    }
    if roots.is_empty() { Err(TlsError::Empty(what)) } else { Ok(roots) }
}

/// Judges a chain that [`ClientAuth::Offered`] let in: is it of these roots, for clients, and valid at this time?
///
/// # Errors
/// rustls' reason, such as an unknown issuer or an expired certificate.
pub fn judge_client(roots: &Arc<RootCertStore>, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider()).build()?;
    let (leaf, rest) = chain.split_first().ok_or(TlsError::Empty("the client's chain"))?;
    verifier.verify_client_cert(leaf, rest, now)?;
    Ok(())
}

/// What both verifiers below do check: that the peer holds the key of the certificate it shows.
macro_rules! checks_possession {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            leaf: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            rustls::crypto::verify_tls12_signature(message, leaf, signed, &self.0)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            leaf: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            rustls::crypto::verify_tls13_signature(message, leaf, signed, &self.0)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.supported_schemes()
        }
    };
}

/// Takes any client certificate whose key the client holds.
#[derive(Debug)]
struct Possession(WebPkiSupportedAlgorithms);

impl Possession {
    fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

impl ClientCertVerifier for Possession {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    checks_possession!();
}

/// Believes any server that holds the key of the certificate it shows.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    checks_possession!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::identity::pki::{Authority, Leaf};
    use rustls::{CipherSuite, ClientConnection, ServerConnection};
    use std::collections::HashSet;
    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn our_clients_like_short_keys_best_and_servers_do_as_their_clients_like() {
        let (now, at) = (Clock::system().now(), IpAddr::V4(Ipv4Addr::LOCALHOST));
        let authority = Authority::create("ca", now).unwrap();
        let leaf = authority.issue(&Leaf::server("server", &["localhost"], &[at]), now).unwrap();
        let pair = KeyPairPem { certificate: leaf.certificate_pem, key: leaf.key_pem };
        let trust = Trust::Roots(authority.certificate_pem().to_owned());
        let ours = client(&trust, None, &ALPN_HTTP).unwrap();
        let of_rustls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(verifier(&trust).unwrap())
            .with_no_client_auth();
        let liked = [
            (ours, CipherSuite::TLS13_AES_128_GCM_SHA256),
            (of_rustls, rustls::crypto::aws_lc_rs::DEFAULT_CIPHER_SUITES[0].suite()),
        ];
        for (client, suite) in liked {
            let mut client = ClientConnection::new(Arc::new(client), ServerName::IpAddress(at.into())).unwrap();
            let serving = server(&pair, &ClientAuth::None, &ALPN_HTTP).unwrap();
            let mut server = ServerConnection::new(Arc::new(serving)).unwrap();
            while client.is_handshaking() || server.is_handshaking() {
                let mut carried = Vec::new();
                client.write_tls(&mut carried).unwrap();
                server.read_tls(&mut carried.as_slice()).unwrap();
                server.process_new_packets().unwrap();
                carried.clear();
                server.write_tls(&mut carried).unwrap();
                client.read_tls(&mut carried.as_slice()).unwrap();
                client.process_new_packets().unwrap();
            }
            assert_eq!(client.negotiated_cipher_suite().map(|taken| taken.suite()), Some(suite));
        }
    }

    #[test]
    fn no_suite_is_forgotten() {
        let names = |suites: &[SupportedCipherSuite]| suites.iter().map(suite_name).collect::<HashSet<_>>();
        assert_eq!(names(&provider().cipher_suites), names(rustls::crypto::aws_lc_rs::DEFAULT_CIPHER_SUITES));
    }
}
