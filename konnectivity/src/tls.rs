//! A member's certificate, key and authority: read from their files, and read again when these change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tinyplane_wire::identity::stamp::{Stamp, stamp};
use tinyplane_wire::identity::tls::{KeyPairPem, TlsError};
use tinyplane_wire::process::MemberError;

/// A certificate chain, leaf first, and its private key (both PEM).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairFiles {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Where a member's certificate is, and the authority that its peers' certificates have to be of (PEM).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// What the member shows. An agent that proves itself by a token needs none.
    pub pair: Option<PairFiles>,
    /// The authority of the peers. A server that knows its agents by their tokens needs none.
    pub authority: Option<PathBuf>,
}

impl TlsFiles {
    /// Both ends show a certificate.
    #[must_use]
    pub fn mutual(certificate: PathBuf, key: PathBuf, authority: PathBuf) -> Self {
        Self { pair: Some(PairFiles { certificate, key }), authority: Some(authority) }
    }

    pub(crate) fn read_pair(&self) -> Result<Option<KeyPairPem>, MemberError> {
        let pair =
            |files: &PairFiles| Ok(KeyPairPem { certificate: read(&files.certificate)?, key: read(&files.key)? });
        self.pair.as_ref().map(pair).transpose()
    }

    pub(crate) fn read_authority(&self) -> Result<Option<String>, MemberError> {
        self.authority.as_deref().map(read).transpose()
    }

    pub(crate) fn unusable(&self, source: TlsError) -> MemberError {
        let names: Vec<_> = self.files().map(|file| file.display().to_string()).collect();
        MemberError::because(format!("TLS can't be set up from {}", names.join(", ")), source)
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        let pair = self.pair.iter().flat_map(|pair| [pair.certificate.as_path(), pair.key.as_path()]);
        pair.chain(self.authority.as_deref())
    }

    fn stamps(&self) -> Vec<Stamp> {
        self.files().map(stamp).collect()
    }
}

fn read(path: &Path) -> Result<String, MemberError> {
    std::fs::read_to_string(path)
        .map_err(|source| MemberError::because(format!("{} can't be read", path.display()), source))
}

/// Settings made from files, and made anew when these change: connections that are open stay as they are.
pub(crate) struct Reloaded<T> {
    files: TlsFiles,
    make: Make<T>,
    current: Mutex<(Vec<Stamp>, Arc<T>)>,
}

type Make<T> = Box<dyn Fn(&TlsFiles) -> Result<T, MemberError> + Send + Sync>;

impl<T> Reloaded<T> {
    /// Reads the files for the first time.
    pub(crate) fn open(
        files: TlsFiles,
        make: impl Fn(&TlsFiles) -> Result<T, MemberError> + Send + Sync + 'static,
    ) -> Result<Self, MemberError> {
        // The stamps are taken first: what is written while we read is read again.
        let stamps = files.stamps();
        let made = Arc::new(make(&files)?);
        Ok(Self { files, make: Box::new(make), current: Mutex::new((stamps, made)) })
    }

    /// The settings of the moment. Files that can't be used (half of them written, say) leave the last ones that could,
    /// and are looked at again when one changes once more.
    pub(crate) fn now(&self) -> Arc<T> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = self.files.stamps();
        if current.0 != stamps {
            current.0 = stamps;
            match (self.make)(&self.files) {
                Ok(made) => {
                    tracing::info!("new certificates are used from now on");
                    current.1 = Arc::new(made);
                }
                Err(error) => {
                    tracing::warn!(error = error.told(), "the changed certificates can't be used; the old ones stay");
                }
            }
        }
        Arc::clone(&current.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_files_are_read_again_and_unusable_ones_leave_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        let files = TlsFiles { pair: None, authority: Some(path.clone()) };
        let make = |files: &TlsFiles| match files.read_authority()? {
            Some(text) if text.starts_with("ok") => Ok(text),
            _ => Err(MemberError::new("half written")),
        };
        assert!(Reloaded::open(files.clone(), make).is_err());
        std::fs::write(&path, "ok 1").unwrap();
        let reloaded = Reloaded::open(files, make).unwrap();
        assert_eq!(*reloaded.now(), "ok 1");
        std::fs::write(&path, "o").unwrap();
        assert_eq!(*reloaded.now(), "ok 1");
        std::fs::write(&path, "ok 23").unwrap();
        assert_eq!(*reloaded.now(), "ok 23");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(*reloaded.now(), "ok 23");
    }
}
