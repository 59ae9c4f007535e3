//! Service account tokens: signed by us, and good for as long as the objects live that they are bound to.

use super::certificate::CREDENTIAL_ID;
use super::{Caller, GROUP_ALL_SERVICE_ACCOUNTS, GROUP_AUTHENTICATED};
use crate::schema::go;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use tinyplane_wire::clock;
use tinyplane_wire::identity::token::{Bound, Claims, TokenError, Verifier};
use tinyplane_wire::meta::Meta;

/// What is told of a token whose object is gone.
const INVALIDATED: &str = "service account token has been invalidated";
/// Verified signatures that are remembered. When there are more, all are forgotten.
const SIGNATURES_MAX: usize = 4_096;
/// How long a token still counts after the object it is bound to was marked for deletion, in seconds.
const DELETION_LEEWAY_SECONDS: u64 = 60;

/// The objects of the core group as they are now.
pub trait Live: Send + Sync + 'static {
    /// An object by its resource's plural, its namespace (empty for none) and its name.
    fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>>;
}

/// Verifies service account tokens.
pub struct ServiceAccounts {
    verifiers: Vec<Verifier>,
    audiences: Vec<String>,
    live: Arc<dyn Live>,
    signatures: RwLock<HashMap<String, Arc<Claims>>>,
}

impl ServiceAccounts {
    /// Verifies by these keys, for the API server's own audiences, against these objects.
    #[must_use]
    pub fn new(verifiers: Vec<Verifier>, audiences: Vec<String>, live: Arc<dyn Live>) -> Self {
        Self { verifiers, audiences, live, signatures: RwLock::default() }
    }

    /// The audiences that the API server itself answers to.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// True for a token that claims to be of our issuer.
    pub(super) fn is_ours(&self, token: &str) -> bool {
        self.verifiers.iter().any(|verifier| verifier.claims_issuer(token))
    }

    /// The account that a token stands for, and the audiences of these that it is for.
    pub(super) fn verify(
        &self,
        token: &str,
        audiences: &[String],
        now_seconds: i64,
    ) -> Result<(Caller, Vec<String>), String> {
        let claims = self.claims(token, now_seconds)?;
        let matching: Vec<String> = audiences.iter().filter(|a| claims.aud.contains(a)).cloned().collect();
        if matching.is_empty() {
            let quoted = |words: &[String]| words.iter().map(|word| go::quote(word)).collect::<Vec<_>>().join(" ");
            let (own, wanted) = (quoted(&claims.aud), quoted(audiences));
            return Err(format!("token audiences [{own}] is invalid for the target audiences [{wanted}]"));
        }
        self.check_objects(&claims, now_seconds)?;
        Ok((caller(&claims), matching))
    }

    /// The claims of a token whose signature, issuer and times are good, whoever it is for.
    fn claims(&self, token: &str, now_seconds: i64) -> Result<Arc<Claims>, String> {
        let known = self.signatures.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned();
        if let Some(claims) = known {
            return match now_seconds {
                now if now < claims.nbf => Err(TokenError::Early.to_string()),
                now if now < claims.exp => Ok(claims),
                _ => Err(TokenError::Expired.to_string()),
            };
        }
        let mut failed = "there is no key to verify it by".to_owned();
        for verifier in &self.verifiers {
            match verifier.verify(token, None, now_seconds) {
                Ok(claims) => {
                    let claims = Arc::new(claims);
                    let mut known = self.signatures.write().unwrap_or_else(PoisonError::into_inner);
                    if known.len() >= SIGNATURES_MAX {
                        known.clear();
                    }
                    known.insert(token.to_owned(), Arc::clone(&claims));
                    return Ok(claims);
                }
                // The key that fits has the last word.
                Err(error @ (TokenError::Expired | TokenError::Early)) => return Err(error.to_string()),
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                    failed = format!("{error}{}", cause.unwrap_or_default());
                }
            }
        }
        Err(failed)
    }

    /// The account and whatever the token is bound to must still be there, and be the same.
    fn check_objects(&self, claims: &Claims, now_seconds: i64) -> Result<(), String> {
        let private = &claims.kubernetes;
        let namespace = private.namespace.as_str();
        let bound = [
            ("serviceaccounts", namespace, Some(&private.serviceaccount)),
            ("secrets", namespace, private.secret.as_ref()),
            ("pods", namespace, private.pod.as_ref()),
            // The node of a bound pod is told, not checked: the pod's life ends with it.
            ("nodes", "", private.node.as_ref().filter(|_| private.pod.is_none())),
        ];
        for (resource, namespace, bound) in bound {
            if let Some(bound) = bound {
                self.check(resource, namespace, bound, now_seconds)?;
            }
        }
        Ok(())
    }

    fn check(&self, resource: &str, namespace: &str, bound: &Bound, now_seconds: i64) -> Result<(), String> {
        let is_account = resource == "serviceaccounts";
        let object = self.live.object(resource, namespace, &bound.name).ok_or_else(|| {
            if is_account { format!("{resource} {:?} not found", bound.name) } else { INVALIDATED.to_owned() }
        })?;
        let meta = Meta::of(&object);
        if meta.uid() != bound.uid {
            let (own, claimed) = (meta.uid(), &bound.uid);
            return Err(match resource {
                "secrets" => format!("secret UID ({own}) does not match service account secret ref claim ({claimed})"),
                "pods" => format!("pod UID ({own}) does not match service account pod ref claim ({claimed})"),
                "nodes" => format!("node UID ({own}) does not match service account node ref claim ({claimed})"),
                _ => format!("service account UID ({own}) does not match claim ({claimed})"),
            });
        }
        let deleted = object["metadata"]["deletionTimestamp"].as_str().and_then(clock::parse);
        let deleted = deleted.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).map(|at| at.as_secs());
        let now = u64::try_from(now_seconds).unwrap_or_default();
        if deleted.is_some_and(|at| at + DELETION_LEEWAY_SECONDS < now) {
            return Err(match is_account {
                true => format!("service account {namespace}/{} has been deleted", bound.name),
                false => INVALIDATED.to_owned(),
            });
        }
        Ok(())
    }
}

fn caller(claims: &Claims) -> Caller {
    let private = &claims.kubernetes;
    let own = format!("{GROUP_ALL_SERVICE_ACCOUNTS}:{}", private.namespace);
    let mut caller = Caller::new(&claims.sub, [GROUP_ALL_SERVICE_ACCOUNTS, &own, GROUP_AUTHENTICATED]);
    caller.uid = private.serviceaccount.uid.as_str().into();
    let mut tell = |key: &str, value: String| caller.extra.insert(key.to_owned(), vec![value]);
    if !claims.jti.is_empty() {
        tell(CREDENTIAL_ID, format!("JTI={}", claims.jti));
    }
    for (kind, bound) in [("pod", &private.pod), ("node", &private.node)] {
        if let Some(bound) = bound {
            tell(&format!("authentication.kubernetes.io/{kind}-name"), bound.name.clone());
            if !bound.uid.is_empty() {
                tell(&format!("authentication.kubernetes.io/{kind}-uid"), bound.uid.clone());
            }
        }
    }
    caller
}
