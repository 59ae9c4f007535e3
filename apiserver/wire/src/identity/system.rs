//! The authorities that the system trusts, for whoever names none of its own.

use super::tls::TlsError;
use rustls::RootCertStore;
use rustls_native_certs::CertificateResult;
use std::sync::Arc;

/// Reads them from where Go looks too: `SSL_CERT_FILE` and `SSL_CERT_DIR`, else the places of the distributions. To be
/// called as a member starts, for it reads the environment.
///
/// # Errors
/// When the system has none.
pub fn authorities() -> Result<Arc<RootCertStore>, TlsError> {
    store(rustls_native_certs::load_native_certs())
}

/// What is no certificate is passed over, as Go passes it over: systems keep old things.
fn store(found: CertificateResult) -> Result<Arc<RootCertStore>, TlsError> {
    for error in &found.errors {
        tracing::debug!(%error, "some of the system's authorities can't be read");
    }
    let mut roots = RootCertStore::empty();
    let (_, ignored) = roots.add_parsable_certificates(found.certs);
    if ignored > 0 {
        tracing::debug!(ignored, "some of the system's authorities are not understood");
    }
    if roots.is_empty() { Err(TlsError::Empty("the system's store of authorities")) } else { Ok(Arc::new(roots)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::identity::pki::Authority;

    #[test]
    fn a_systems_file_is_read_past_what_is_no_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca-certificates.crt");
        let read = || store(rustls_native_certs::load_certs_from_paths(Some(&file), None));
        assert!(read().unwrap_err().to_string().contains("the system's store of authorities"));
        let authorities = [1, 2].map(|_| Authority::create("one", Clock::system().now()).unwrap());
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let text = [authorities[0].certificate_pem(), nonsense, authorities[1].certificate_pem()].concat();
        std::fs::write(&file, text).unwrap();
        assert_eq!(read().unwrap().len(), 2);
    }
}
