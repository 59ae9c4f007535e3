//! Keys of a node's SSH server: its own, and those of clients that are let in.

use russh::keys::{Algorithm, Error, HashAlg, PrivateKey, PublicKey, decode_secret_key};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tinyplane_wire::ledger::HostKey;

/// Largest file of keys that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What PKCS #8 calls RSA.
const RSA: &str = "1.2.840.113549.1.1.1";

/// Why the key of a host can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SshKeyError {
    /// The file can't be read.
    #[error("{0:?} can't be read")]
    Read(PathBuf, #[source] io::Error),
    /// It holds a key of a kind that is not taken, such as RSA.
    #[error("{0:?} holds a key of the kind {1}: Ed25519 and ECDSA keys are taken, and no others")]
    Kind(PathBuf, String),
    /// It holds no key that is understood.
    #[error("{0:?} holds no Ed25519 or ECDSA key without a passphrase")]
    Unusable(PathBuf, #[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Reads a host's private key.
pub(super) fn load(path: &Path) -> Result<PrivateKey, SshKeyError> {
    let text = read(path).map_err(|error| SshKeyError::Read(path.to_owned(), error))?;
    let other = |kind: &str| SshKeyError::Kind(path.to_owned(), kind.to_owned());
    let key = decode_secret_key(&text, None).map_err(|error| match &error {
        Error::UnsupportedKeyType { key_type_string, .. } => other(key_type_string),
        Error::UnknownAlgorithm(identifier) if identifier.to_string() == RSA => other("RSA"),
        _ => SshKeyError::Unusable(path.to_owned(), error.into()),
    })?;
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => Ok(key),
        kind => Err(other(kind.as_str())),
    }
}

/// Those who are let in: a file of OpenSSH's, a key a line. Options before a key are not understood, and neither is
/// such a line.
#[derive(Debug)]
pub(super) struct Authorized {
    file: PathBuf,
}

impl Authorized {
    pub(super) fn in_file(file: &Path) -> Self {
        Self { file: file.to_owned() }
    }

    /// True when a key stands in the file, as it is now.
    pub(super) fn admits(&self, key: &PublicKey) -> bool {
        let text = match read(&self.file) {
            Ok(text) => text,
            Err(error) => {
                tracing::warn!(file = %self.file.display(), %error, "the authorized keys can't be read: nobody is let in");
                return false;
            }
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Vec<_> = lines.filter_map(|line| PublicKey::from_openssh(line).ok()).collect();
        let admitted = keys.iter().any(|one| one.key_data() == key.key_data());
        if !admitted && keys.iter().any(|one| one.algorithm().is_rsa()) {
            tracing::warn!(file = %self.file.display(), "RSA keys are authorized in vain: Ed25519 and ECDSA keys are taken, and no others");
        }
        admitted
    }
}

/// What ledgers are told of a host's own key.
pub(super) fn host_key(key: &PrivateKey) -> HostKey {
    HostKey { fingerprint: key.public_key().fingerprint(HashAlg::Sha256).to_string(), verified: None }
}

fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is over {FILE_BYTES_MAX} bytes")));
    }
    fs::read_to_string(path)
}
