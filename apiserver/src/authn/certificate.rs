//! Client certificates: judged per request, so that a wrong or expired one gets a 401 and not a TLS alert.

use super::{Caller, GROUP_AUTHENTICATED, Peer, Presented};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tinyplane_wire::identity::subject::Subject;
use tinyplane_wire::identity::tls::{TlsError, judge_client, root_store};
use tinyplane_wire::process::told;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::UnixTime;

/// How long the verdict on a connection's chain holds. It never outlives the certificate.
const VERDICT_TTL: Duration = Duration::from_secs(10);

/// The key of [`Caller::extra`] that tells one credential from another.
pub(super) const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// Judges client certificates by the authorities of `--client-ca-file`.
#[derive(Debug)]
pub struct Certificates {
    roots: Arc<RootCertStore>,
}

/// What was found out about a chain.
#[derive(Debug)]
pub(super) struct Verdict {
    from: SystemTime,
    until: SystemTime,
    outcome: Outcome,
}

/// A user; nobody, where the certificate names none; or why the certificate is no good.
type Outcome = Result<Option<Arc<Caller>>, String>;

impl Certificates {
    /// Trusts these authorities, PEM.
    ///
    /// # Errors
    /// When the text can't be read or holds no certificate.
    pub fn new(authorities_pem: &str) -> Result<Self, TlsError> {
        Ok(Self { roots: Arc::new(root_store(authorities_pem, "the client authority")?) })
    }

    /// The user that the peer's certificate names; `None` without a certificate or a name in it.
    pub(super) fn judge(&self, peer: &Peer, now: SystemTime) -> Outcome {
        let Some(presented) = &peer.presented else { return Ok(None) };
        if let Some(verdict) = &*presented.verdict.load()
            && (verdict.from..verdict.until).contains(&now)
        {
            return verdict.outcome.clone();
        }
        let (outcome, not_after) = self.examine(presented, now);
        let until = (now + VERDICT_TTL).min(not_after);
        presented.verdict.store(Some(Arc::new(Verdict { from: now, until, outcome: outcome.clone() })));
        outcome
    }

    fn examine(&self, presented: &Presented, now: SystemTime) -> (Outcome, SystemTime) {
        let never = now;
        let unix = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
        if let Err(error) = judge_client(&self.roots, &presented.chain, unix) {
            return (Err(told(&error)), never);
        }
        let Some(subject) = presented.chain.first().and_then(Subject::of) else { return (Ok(None), never) };
        let mut caller = Caller::new(&subject.common_name, subject.organizations.iter().map(String::as_str));
        if !caller.is_in(GROUP_AUTHENTICATED) {
            caller.groups.push(GROUP_AUTHENTICATED.into());
        }
        caller.extra.insert(CREDENTIAL_ID.into(), vec![format!("X509SHA256={}", subject.fingerprint)]);
        (Ok(Some(Arc::new(caller))), subject.not_after)
    }
}
