//! What a client's handshakes told, where the library that makes them keeps its connections to itself.

use super::subject;
use crate::ledger::Tls;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use std::sync::{Arc, Mutex, PoisonError};

/// The last handshake of a client's connections, all of which lead to one server.
#[derive(Debug, Default)]
pub struct Shaken(Mutex<Tls>);

impl Shaken {
    /// TLS of the last connection.
    #[must_use]
    pub fn told(&self) -> Tls {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut Tls)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Verifies as another does, and notes what came of it.
#[derive(Debug)]
pub(super) struct Noting {
    pub(super) inner: Arc<dyn ServerCertVerifier>,
    /// Whether the inner one asks who issued the certificate at all.
    pub(super) verifies: bool,
    pub(super) shaken: Arc<Shaken>,
}

impl Noting {
    fn version(&self, version: &str) {
        self.shaken.note(|tls| version.clone_into(&mut tls.version));
    }
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.inner.verify_server_cert(leaf, rest, name, ocsp, now)?;
        let authority = if self.verifies { subject::issuer_of(leaf) } else { None };
        self.shaken.note(|tls| tls.verified = authority);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.version("1.2");
        self.inner.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.version("1.3");
        self.inner.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
