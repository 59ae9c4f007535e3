//! A member's certificate, key and authority, from their files.

use std::path::{Path, PathBuf};
use tinyplane_wire::identity::tls::KeyPairPem;
use tinyplane_wire::process::MemberError;

/// Where a member's certificate and key are, and the authority that its peers' certificates have to be of (all PEM).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority of the peers.
    pub authority: PathBuf,
}

impl TlsFiles {
    pub(crate) fn pair(&self) -> Result<KeyPairPem, MemberError> {
        Ok(KeyPairPem { certificate: read(&self.certificate)?, key: read(&self.key)? })
    }

    pub(crate) fn authority(&self) -> Result<String, MemberError> {
        read(&self.authority)
    }

    pub(crate) fn unusable(&self, source: tinyplane_wire::identity::tls::TlsError) -> MemberError {
        let (certificate, key, authority) = (&self.certificate, &self.key, &self.authority);
        let files = format!("{}, {} and {}", certificate.display(), key.display(), authority.display());
        MemberError::because(format!("TLS can't be set up from {files}"), source)
    }
}

fn read(path: &Path) -> Result<String, MemberError> {
    std::fs::read_to_string(path)
        .map_err(|source| MemberError::because(format!("{} can't be read", path.display()), source))
}
