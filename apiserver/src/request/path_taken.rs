//! The `Tinyplane-Path` header: a caller who sends one, with whatever value, is told by which path the answer came.

use crate::authn::Peer;
use http::{HeaderMap, HeaderName};
use std::sync::{Arc, OnceLock};

/// Asks, and answers.
pub const TINYPLANE_PATH: HeaderName = HeaderName::from_static("tinyplane-path");

/// The path that an answer came by. Clones share it; nothing is kept where nobody asks.
#[derive(Clone, Debug, Default)]
pub struct PathTaken(Option<Arc<Asked>>);

#[derive(Debug)]
struct Asked {
    /// The caller's own path, where no other connection is made for the answer.
    own: String,
    other: OnceLock<String>,
}

impl PathTaken {
    /// For a request with these headers, from this peer.
    #[must_use]
    pub fn asked(headers: &HeaderMap, peer: &Peer) -> Self {
        let asked = || {
            let certificate = peer.certificate_name().unwrap_or_else(|| "none".into());
            let own = format!("1;tls={};certificate={certificate}", peer.tls_version);
            Arc::new(Asked { own, other: OnceLock::new() })
        };
        Self(headers.contains_key(TINYPLANE_PATH).then(asked))
    }

    /// Notes the first connection that was made for the answer, or tried.
    pub fn tell(&self, path: impl FnOnce() -> String) {
        if let Some(asked) = &self.0 {
            asked.other.get_or_init(path);
        }
    }

    /// What the caller is told; `None` where it does not ask.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let asked = self.0.as_ref()?;
        Some(asked.other.get().unwrap_or(&asked.own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_told_the_first_path_and_nobody_else_is() {
        let peer = Peer::nobody();
        let silent = PathTaken::asked(&HeaderMap::new(), &peer);
        silent.tell(|| unreachable!("nobody asks"));
        assert_eq!(silent.text(), None);
        let asked = PathTaken::asked(&HeaderMap::from_iter([(TINYPLANE_PATH, "?".parse().unwrap())]), &peer);
        assert_eq!(asked.text(), Some("1;tls=;certificate=none"));
        asked.clone().tell(|| "2;direct".into());
        asked.tell(|| "3;direct".into());
        assert_eq!(asked.text(), Some("2;direct"));
    }
}
