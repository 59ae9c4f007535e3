//! A serving certificate in files, which is read again when they change: connections that are open stay as they are.

use super::stamp::{Stamp, stamp};
use super::tls::{KeyPairPem, TlsError, chain, key, provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Why a serving certificate can't be had from its files.
#[derive(Debug, thiserror::Error)]
pub enum ServingError {
    /// A file can't be read.
    #[error("{path} can't be read")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The files hold no certificate with its key.
    #[error("{certificate} and {key} can't be served")]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why.
        #[source]
        source: TlsError,
    },
}

/// A certificate and its key, as their files have them at the moment of a handshake.
#[derive(Debug)]
pub struct ServingFiles {
    certificate: PathBuf,
    key: PathBuf,
    current: Mutex<Current>,
}

/// What was read last, and the state of the files at that time.
#[derive(Debug)]
struct Current {
    stamps: [Stamp; 2],
    certified: Arc<CertifiedKey>,
}

impl ServingFiles {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// When they can't be read, or hold no certificate with its key.
    pub fn open(certificate: &Path, key: &Path) -> Result<Arc<Self>, ServingError> {
        // The stamps are taken first: what is written while we read is read again.
        let stamps = [stamp(certificate), stamp(key)];
        let certified = read(certificate, key)?;
        let current = Mutex::new(Current { stamps, certified });
        Ok(Arc::new(Self { certificate: certificate.to_owned(), key: key.to_owned(), current }))
    }

    /// The certificate of the moment. A pair that can't be used (half of it written, say) leaves the last one that
    /// could, and is looked at again when a file changes once more.
    fn current(&self) -> Arc<CertifiedKey> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = [stamp(&self.certificate), stamp(&self.key)];
        if current.stamps != stamps {
            current.stamps = stamps;
            match read(&self.certificate, &self.key) {
                Ok(certified) => {
                    tracing::info!(file = %self.certificate.display(), "serving a new certificate");
                    current.certified = certified;
                }
                Err(error) => {
                    let error = crate::process::told(&error);
                    tracing::warn!(error, "the changed certificate can't be served; the old one stays");
                }
            }
        }
        Arc::clone(&current.certified)
    }
}

impl ResolvesServerCert for ServingFiles {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, ServingError> {
    let text = |path: &Path| {
        std::fs::read_to_string(path).map_err(|source| ServingError::Read { path: path.to_owned(), source })
    };
    let pair = KeyPairPem { certificate: text(certificate)?, key: text(key)? };
    certified(&pair).map(Arc::new).map_err(|source| ServingError::Unusable {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })
}

fn certified(pair: &KeyPairPem) -> Result<CertifiedKey, TlsError> {
    Ok(CertifiedKey::from_der(chain(&pair.certificate)?, key(&pair.key)?, &provider())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::identity::pki::{Authority, Leaf};

    /// Writes a new pair, and gives its certificate.
    fn issue(authority: &Authority, certificate: &Path, key: &Path) -> String {
        let issued = authority.issue(&Leaf::server("api", &["api"], &[]), Clock::system().now()).unwrap();
        std::fs::write(certificate, &issued.certificate_pem).unwrap();
        std::fs::write(key, &issued.key_pem).unwrap();
        issued.certificate_pem
    }

    #[test]
    fn a_changed_pair_is_served_and_one_that_is_half_written_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("a.crt"), folder.path().join("a.key"));
        assert!(matches!(ServingFiles::open(&certificate, &key), Err(ServingError::Read { .. })));
        let authority = Authority::create("ca", Clock::system().now()).unwrap();
        let first = issue(&authority, &certificate, &key);
        let files = ServingFiles::open(&certificate, &key).unwrap();
        assert_eq!(files.current().cert, chain(&first).unwrap());
        std::fs::write(&certificate, "-----BEGIN CERTIF").unwrap();
        assert_eq!(files.current().cert, chain(&first).unwrap());
        // A certificate whose key has not been written yet does not fit the old one.
        let second = issue(&authority, &certificate, &folder.path().join("other.key"));
        assert_eq!(files.current().cert, chain(&first).unwrap());
        std::fs::rename(folder.path().join("other.key"), &key).unwrap();
        assert_eq!(files.current().cert, chain(&second).unwrap());
        std::fs::remove_file(&key).unwrap();
        assert_eq!(files.current().cert, chain(&second).unwrap());
    }
}
