//! Keys of SSH in files: the API server's own, which is made where it is missing.

use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, Error, PrivateKey, decode_secret_key};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Largest file of a key, or of hosts' keys, that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What PKCS #8 calls RSA.
const RSA: &str = "1.2.840.113549.1.1.1";

/// Why a key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file can't be read or written.
    #[error("{path:?} can't be read or written")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is larger than any such file is.
    #[error("{0:?} is over {FILE_BYTES_MAX} bytes")]
    TooLarge(PathBuf),
    /// A file holds a key of a kind that is not taken, such as RSA.
    #[error("{path:?} holds a key of the kind {kind}: Ed25519 and ECDSA keys are taken, and no others")]
    Kind {
        /// Which file.
        path: PathBuf,
        /// Its kind.
        kind: String,
    },
    /// A file holds no key that is understood.
    #[error("{path:?} holds no Ed25519 or ECDSA key without a passphrase")]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A key can't be written down.
    #[error("a key can't be made")]
    Made(#[source] russh::keys::ssh_key::Error),
}

/// A key, as the lines that its files hold.
#[derive(Clone)]
pub struct KeyText {
    /// In OpenSSH's form.
    pub private: String,
    /// A line as `authorized_keys` has them.
    pub public: String,
}

impl std::fmt::Debug for KeyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyText").field("public", &self.public).finish_non_exhaustive()
    }
}

impl KeyText {
    /// A new Ed25519 key. (Upstream made RSA keys of 2,048 bits.)
    ///
    /// # Errors
    /// When it can't be written down, which does not happen.
    pub fn generate(comment: &str) -> Result<Self, KeyError> {
        let mut key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(KeyError::Made)?;
        key.set_comment(comment);
        let private = key.to_openssh(LineEnding::LF).map_err(KeyError::Made)?.to_string();
        let public = key.public_key().to_openssh().map_err(KeyError::Made)?;
        Ok(Self { private, public: format!("{public}\n") })
    }
}

/// Reads a private key.
///
/// # Errors
/// When the file can't be read, or holds no key that is understood.
pub fn load(path: &Path) -> Result<PrivateKey, KeyError> {
    let other = |kind: &str| KeyError::Kind { path: path.to_owned(), kind: kind.to_owned() };
    let key = decode_secret_key(&read(path)?, None).map_err(|error| match &error {
        Error::UnsupportedKeyType { key_type_string, .. } => other(key_type_string),
        Error::UnknownAlgorithm(identifier) if identifier.to_string() == RSA => other("RSA"),
        _ => KeyError::Unusable { path: path.to_owned(), source: error.into() },
    })?;
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => Ok(key),
        kind => Err(other(kind.as_str())),
    }
}

/// The file of the public key that belongs to a private one.
#[must_use]
pub fn public_file(private: &Path) -> PathBuf {
    let mut name = private.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// Makes the key where it is missing, as upstream did: the public half is written last, and stands for both.
///
/// # Errors
/// When a file can't be written, or the key that is there can't be used.
pub(super) fn ensure(private: &Path) -> Result<(), KeyError> {
    let public = public_file(private);
    if public.exists() {
        return load(private).map(drop);
    }
    let made = KeyText::generate("tinyplane")?;
    write(private, &made.private)?;
    write(&public, &made.public)?;
    tracing::info!(key = %private.display(), "made a key for the SSH tunnels");
    Ok(())
}

/// Reads a file of keys.
pub(super) fn read(path: &Path) -> Result<String, KeyError> {
    let failed = |source| KeyError::File { path: path.to_owned(), source };
    if fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(KeyError::TooLarge(path.to_owned()));
    }
    fs::read_to_string(path).map_err(failed)
}

/// Writes a file for its owner alone, in one step: nobody ever reads half a key.
fn write(path: &Path, text: &str) -> Result<(), KeyError> {
    let failed = |source| KeyError::File { path: path.to_owned(), source };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let beside = PathBuf::from(beside);
    // What a start that was killed left behind is nobody's.
    drop(fs::remove_file(&beside));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::PublicKey;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_missing_key_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("id");
        ensure(&file).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        ensure(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        let public = fs::read_to_string(public_file(&file)).unwrap();
        assert!(public.starts_with("ssh-ed25519 "), "{public}");
        for path in [&file, &public_file(&file)] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // Only half of it was made: it is made anew.
        fs::remove_file(public_file(&file)).unwrap();
        ensure(&file).unwrap();
        assert_ne!(fs::read_to_string(&file).unwrap(), text);
        let again = PublicKey::from_openssh(&fs::read_to_string(public_file(&file)).unwrap()).unwrap();
        assert_eq!(load(&file).unwrap().public_key().key_data(), again.key_data());
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("id");
        assert!(matches!(load(&file), Err(KeyError::File { .. })));
        for nonsense in ["", "-----BEGIN OPENSSH PRIVATE KEY-----\n"] {
            fs::write(&file, nonsense).unwrap();
            assert!(load(&file).unwrap_err().to_string().contains("no Ed25519 or ECDSA key"), "{nonsense}");
        }
        fs::write(&file, vec![b'a'; usize::try_from(FILE_BYTES_MAX).unwrap() + 1]).unwrap();
        assert!(matches!(load(&file), Err(KeyError::TooLarge(_))));
        fs::write(public_file(&file), "").unwrap();
        assert!(ensure(&file).is_err());
    }

    #[test]
    fn a_key_of_rsa_is_refused_with_the_kinds_that_are_taken() {
        use russh::keys::ssh_key::Mpint;
        use russh::keys::ssh_key::private::{RsaKeypair, RsaPrivateKey};
        use russh::keys::ssh_key::public::RsaPublicKey;
        // In OpenSSH's form, whose numbers are those of no key; and the beginnings of the two others.
        let number = || Mpint::from_positive_bytes(&[0x7f; 128]);
        let public = RsaPublicKey::new(Mpint::from_positive_bytes(&[3]), number()).unwrap();
        let private = RsaPrivateKey::new(number(), number(), number(), number()).unwrap();
        let key = PrivateKey::from(RsaKeypair::new(public, private).unwrap());
        let openssh = key.to_openssh(LineEnding::LF).unwrap().to_string();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("id");
        for text in [
            openssh.as_str(),
            "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\nMBYCAQAwDQYJKoZIhvcNAQEBBQAEAjAA\n-----END PRIVATE KEY-----\n",
        ] {
            fs::write(&file, text).unwrap();
            let told = load(&file).unwrap_err().to_string();
            assert!(told.to_lowercase().contains("rsa"), "{told}");
            assert!(told.ends_with("Ed25519 and ECDSA keys are taken, and no others"), "{told}");
        }
    }
}
