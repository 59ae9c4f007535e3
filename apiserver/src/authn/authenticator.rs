//! Finds out who calls: by certificate, else by token, else nobody in particular.

use super::{Caller, Certificates, GROUP_AUTHENTICATED, Peer, ServiceAccounts, StaticTokens};
use crate::request::Call;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::status::{self, Status};

/// What is told whom a token is not read of.
const EXTRA_SPACE: &str =
    "the provided Authorization header contains extra space before the bearer token, and is ignored";
/// The subprotocol in which a browser sends a token, since it can't set headers on a WebSocket.
const WEBSOCKET_TOKEN: &str = "base64url.bearer.authorization.k8s.io.";

/// All ways in which a caller can be known, in upstream's order.
#[derive(Default)]
pub struct Authenticator {
    /// By client certificate (`--client-ca-file`).
    pub certificates: Option<Certificates>,
    /// By token from a file (`--token-auth-file`).
    pub static_tokens: Option<StaticTokens>,
    /// By service account token (`--service-account-key-file`).
    pub service_accounts: Option<ServiceAccounts>,
    /// Whether somebody without any credential is let in as `system:anonymous` (`--anonymous-auth`).
    pub anonymous: bool,
    /// The member's time.
    pub clock: Clock,
}

/// What a token turned out to be: the answer of a TokenReview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Who it stands for.
    pub caller: Arc<Caller>,
    /// The audiences asked for that it is for.
    pub audiences: Vec<String>,
}

impl Authenticator {
    /// Whether a peer's certificate, where it presented one, names a user here.
    #[must_use]
    pub fn believes(&self, peer: &Peer) -> bool {
        let judged = self.certificates.as_ref().map(|certificates| certificates.judge(peer, self.clock.now()));
        matches!(judged, Some(Ok(Some(_))))
    }

    /// Who makes a call. A bad certificate is no obstacle to a good token, nor the other way round.
    ///
    /// # Errors
    /// A 401 for a credential that is no good, and for none at all where anonymous callers are not let in.
    pub fn caller(&self, call: &Call) -> status::Result<Arc<Caller>> {
        let mut wrong = None;
        match self.certificates.as_ref().map(|certificates| certificates.judge(&call.peer, self.clock.now())) {
            Some(Ok(Some(caller))) => return Ok(caller),
            Some(Err(reason)) => wrong = Some(reason),
            Some(Ok(None)) | None => {}
        }
        if has_extra_space(&call.headers) {
            call.warnings.add(EXTRA_SPACE.to_owned());
        }
        if let Some(token) = bearer(&call.headers) {
            if let Some(caller) = self.listed(&token) {
                return Ok(caller);
            }
            match self.review(&token, &[]) {
                Ok(review) => return Ok(review.caller),
                Err(reason) => wrong = Some(reason),
            }
        }
        match wrong {
            Some(reason) => {
                tracing::info!(audit_id = %call.ticket, peer = %call.peer.address, reason, "a credential was refused");
                Err(Status::unauthorized())
            }
            None if self.anonymous => Ok(Arc::new(Caller::anonymous())),
            None => Err(Status::unauthorized()),
        }
    }

    /// Who a token from the file stands for. It counts for the API server itself, whatever that calls itself.
    fn listed(&self, token: &str) -> Option<Arc<Caller>> {
        self.static_tokens.as_ref()?.get(token)
    }

    /// Who a token stands for, if it is for one of these audiences; without any, for those of the API server.
    ///
    /// # Errors
    /// Why it is no good.
    pub fn review(&self, token: &str, audiences: &[String]) -> Result<Review, String> {
        if let Some(caller) = self.listed(token) {
            let own = self.service_accounts.as_ref().map(ServiceAccounts::audiences).unwrap_or_default();
            let counts = |audience: &&String| audiences.is_empty() || audiences.contains(*audience);
            let meant: Vec<String> = own.iter().filter(counts).cloned().collect();
            return if meant.is_empty() && !audiences.is_empty() {
                Err("invalid bearer token".into())
            } else {
                Ok(Review { caller, audiences: meant })
            };
        }
        let accounts = self.service_accounts.as_ref().filter(|accounts| accounts.is_ours(token));
        let accounts = accounts.ok_or("invalid bearer token")?;
        let asked = if audiences.is_empty() { accounts.audiences() } else { audiences };
        let verified = accounts.verify(token, asked, self.clock.unix_seconds());
        // Upstream asks two verifiers, the first of which is for the tokens of old.
        let (caller, audiences) = verified.map_err(|why| format!("[invalid bearer token, {why}]"))?;
        debug_assert!(caller.is_in(GROUP_AUTHENTICATED), "a good token makes its bearer authenticated");
        Ok(Review { caller: Arc::new(caller), audiences })
    }
}

/// The bearer token of a request: of its `Authorization`, or of a WebSocket's subprotocols.
fn bearer(headers: &HeaderMap) -> Option<String> {
    // What is no text is a bad token, and not none.
    if let Some(value) = headers.get(AUTHORIZATION).map(|value| String::from_utf8_lossy(value.as_bytes())) {
        let mut words = value.trim().split(' ');
        let is_bearer = words.next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"));
        return words.next().filter(|token| is_bearer && !token.is_empty()).map(str::to_owned);
    }
    let encoded = subprotocols(headers).find_map(|name| name.strip_prefix(WEBSOCKET_TOKEN).map(str::to_owned))?;
    let token = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    String::from_utf8(token).ok().filter(|token| !token.is_empty())
}

/// Whether a token stands behind more than one space, where nobody looks for it.
fn has_extra_space(headers: &HeaderMap) -> bool {
    let value = headers.get(AUTHORIZATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let words: Vec<&str> = value.as_deref().unwrap_or_default().trim().splitn(3, ' ').collect();
    matches!(words[..], [scheme, "", _] if scheme.eq_ignore_ascii_case("bearer"))
}

fn subprotocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Takes the credentials out of a request's headers once they have done their work, so that nothing that is carried
/// on to a node or a Service holds them.
pub fn strip_credentials(headers: &mut HeaderMap) {
    headers.remove(AUTHORIZATION);
    let impersonation: Vec<_> =
        headers.keys().filter(|name| name.as_str().starts_with("impersonate-")).cloned().collect();
    for name in impersonation {
        headers.remove(name);
    }
    if subprotocols(headers).any(|name| name.starts_with(WEBSOCKET_TOKEN)) {
        let kept: Vec<&str> = subprotocols(headers).filter(|name| !name.starts_with(WEBSOCKET_TOKEN)).collect();
        let kept = HeaderValue::from_str(&kept.join(", ")).ok().filter(|value| !value.is_empty());
        match kept {
            Some(kept) => drop(headers.insert(SEC_WEBSOCKET_PROTOCOL, kept)),
            None => drop(headers.remove(SEC_WEBSOCKET_PROTOCOL)),
        }
    }
}
