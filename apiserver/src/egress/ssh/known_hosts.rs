//! Whose keys are believed: a file of hosts' keys, as OpenSSH keeps it, read anew for each connection.

use super::key::{KeyError, read};
use russh::keys::known_hosts::known_host_keys_path;
use russh::keys::{PublicKey, parse_public_key_base64};
use std::path::Path;
use tinyplane_wire::process::told;

/// The port that stands for itself in a file of hosts: hosts are known by their address alone.
const PORT: u16 = 22;

/// What a line begins with whose key is not believed any more.
const REVOKED: &str = "@revoked";

/// Why a host's key is not believed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Distrust {
    #[error("can't be looked up: {}", told(.0))]
    Unread(KeyError),
    #[error("can't be looked up: {0}")]
    Unreadable(russh::keys::Error),
    #[error("is revoked")]
    Revoked,
    #[error("is unknown")]
    Unknown,
    #[error("is not the one that is known")]
    Other,
}

/// Believes a host's key where the file has it for this host. One that a line revokes is believed of nobody: whichever hosts that
/// line names, and whatever others say.
pub(super) fn believe(host: &str, key: &PublicKey, file: &Path) -> Result<(), Distrust> {
    let text = read(file).map_err(Distrust::Unread)?;
    if text.lines().any(|line| revokes(line, key)) {
        return Err(Distrust::Revoked);
    }
    let known = known_host_keys_path(host, PORT, file).map_err(Distrust::Unreadable)?;
    if known.is_empty() {
        return Err(Distrust::Unknown);
    }
    let same = known.iter().any(|(_, one)| one.key_data() == key.key_data());
    if same { Ok(()) } else { Err(Distrust::Other) }
}

fn revokes(line: &str, key: &PublicKey) -> bool {
    let mut words = line.split_ascii_whitespace();
    let is = |word: &str| parse_public_key_base64(word).is_ok_and(|one| one.key_data() == key.key_data());
    words.next() == Some(REVOKED) && words.any(is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::key::safe_rng;
    use russh::keys::{Algorithm, PrivateKey};
    use std::fs;

    fn key() -> (PublicKey, String) {
        let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap().public_key().clone();
        let text = key.to_openssh().unwrap();
        (key, text)
    }

    #[test]
    fn a_host_is_known_by_its_own_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known");
        let ((ours, text), (theirs, their_text)) = (key(), key());
        let told = believe("127.1.1.1", &ours, &file).unwrap_err().to_string();
        assert!(told.contains("can't be looked up") && told.contains("known\""), "{told}");
        fs::write(&file, format!("# nodes\n127.1.1.1 {text}\n")).unwrap();
        assert!(believe("127.1.1.1", &ours, &file).is_ok());
        assert!(matches!(believe("127.1.1.1", &theirs, &file), Err(Distrust::Other)));
        assert!(matches!(believe("127.1.1.2", &ours, &file), Err(Distrust::Unknown)));
        // A host that changes its key has both for a while.
        fs::write(&file, format!("127.1.1.1 {their_text}\n127.1.1.1 {text}\n")).unwrap();
        assert!(believe("127.1.1.1", &ours, &file).is_ok() && believe("127.1.1.1", &theirs, &file).is_ok());
    }

    #[test]
    fn a_key_that_is_revoked_is_believed_of_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known");
        let ((ours, text), (theirs, their_text)) = (key(), key());
        for revoked in [format!("@revoked 127.1.1.1 {text}"), format!("@revoked\t*  {text} stolen\r")] {
            for lines in [format!("{revoked}\n127.1.1.1 {text}\n"), format!("127.1.1.1 {text}\n{revoked}\n")] {
                fs::write(&file, format!("{lines}127.1.1.2 {their_text}\n")).unwrap();
                assert!(matches!(believe("127.1.1.1", &ours, &file), Err(Distrust::Revoked)), "{lines}");
                assert!(believe("127.1.1.2", &theirs, &file).is_ok(), "{lines}");
            }
        }
        fs::write(&file, format!("# @revoked * {text}\n127.1.1.1 {text}\n")).unwrap();
        assert!(believe("127.1.1.1", &ours, &file).is_ok());
    }
}
