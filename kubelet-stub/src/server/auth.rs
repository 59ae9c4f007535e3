//! Who may ask a kubelet: certificates and tokens for who it is, the API server for what they may.

use super::attributes;
use super::expiring::Expiring;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::client::{Client, ClientError};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::identity::subject::Subject;
use tinyplane_wire::identity::tls::{self, TlsError};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};

/// How long a token's review counts.
const TOKEN_TTL: Duration = Duration::from_secs(2 * 60);
/// How long a permission counts.
const ALLOW_TTL: Duration = Duration::from_secs(5 * 60);
/// How long a refusal counts.
const DENY_TTL: Duration = Duration::from_secs(30);

/// What a known caller may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthorizationMode {
    /// Everything.
    AlwaysAllow,
    /// What the API server says, by a `SubjectAccessReview`.
    #[default]
    Webhook,
}

/// How a kubelet knows its callers.
#[derive(Clone, Debug, Default)]
pub struct AuthConfig {
    /// Authority of client certificates (PEM). Without it no certificate counts.
    pub client_ca: Option<String>,
    /// Bearer tokens are reviewed by the API server.
    pub token_webhook: bool,
    /// What callers may do.
    pub authorization: AuthorizationMode,
}

/// A request that is not served: a code and a plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denied {
    pub(super) code: StatusCode,
    pub(super) text: String,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct User {
    name: String,
    uid: String,
    groups: Vec<String>,
    /// `extra` of a token's review, as JSON text.
    extra: String,
}

/// The filter before every endpoint.
pub(super) struct Auth {
    node: String,
    roots: Option<Arc<RootCertStore>>,
    token_webhook: bool,
    authorization: AuthorizationMode,
    client: Client,
    clock: Clock,
    tokens: Expiring<String, Option<User>>,
    decisions: Expiring<(User, &'static str, &'static str), bool>,
}

impl Auth {
    pub(super) fn new(node: &str, config: &AuthConfig, client: Client, clock: Clock) -> Result<Self, TlsError> {
        let roots = config.client_ca.as_deref().map(|pem| tls::root_store(pem, "the client authority")).transpose()?;
        Ok(Self {
            node: node.into(),
            roots: roots.map(Arc::new),
            token_webhook: config.token_webhook,
            authorization: config.authorization,
            client,
            clock,
            tokens: Expiring::default(),
            decisions: Expiring::default(),
        })
    }

    /// Lets a request pass, or says why not.
    pub(super) async fn permit(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        chain: &[CertificateDer<'_>],
    ) -> Result<(), Denied> {
        let user = match self.by_certificate(chain) {
            Some(user) => user,
            None => self.by_token(headers).await.ok_or_else(unauthorized)?,
        };
        if self.authorization == AuthorizationMode::AlwaysAllow {
            return Ok(());
        }
        let (verb, subresources) = (attributes::verb(method), attributes::subresources(path));
        let about = |what: &str| {
            let asked = format!("user={}, verb={verb}, resource=nodes", user.name);
            format!("{what} ({asked}, subresource(s)=[{}])", subresources.join(" "))
        };
        for subresource in subresources {
            match self.may(&user, verb, subresource).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, node = %self.node, "the API server did not review an access");
                    let text = about("Authorization error");
                    return Err(Denied { code: StatusCode::INTERNAL_SERVER_ERROR, text });
                }
            }
        }
        Err(Denied { code: StatusCode::FORBIDDEN, text: about("Forbidden") })
    }

    /// Whether a client's certificate is of the authority that counts here.
    pub(super) fn believes(&self, chain: &[CertificateDer<'_>]) -> bool {
        let Some(roots) = self.roots.as_ref().filter(|_| !chain.is_empty()) else { return false };
        let now = u64::try_from(self.clock.unix_seconds()).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        match tls::judge_client(roots, chain, now) {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, node = %self.node, "a client certificate is not believed");
                false
            }
        }
    }

    fn by_certificate(&self, chain: &[CertificateDer<'_>]) -> Option<User> {
        let subject = Subject::of(chain.first().filter(|_| self.believes(chain))?)?;
        Some(User { name: subject.common_name, groups: subject.organizations, ..User::default() })
    }

    async fn by_token(&self, headers: &HeaderMap) -> Option<User> {
        let value = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
        let token = value.strip_prefix("Bearer ")?.trim();
        if !self.token_webhook || token.is_empty() {
            return None;
        }
        if let Some(known) = self.tokens.get(token) {
            return known;
        }
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token},
        });
        match self.client.create(&Gvr::new("authentication.k8s.io", "v1", "tokenreviews"), None, &review).await {
            Ok(review) => {
                let user = user_of(&review);
                self.tokens.put(token.to_owned(), user.clone(), TOKEN_TTL);
                user
            }
            Err(error) => {
                tracing::warn!(%error, node = %self.node, "the API server did not review a token");
                None
            }
        }
    }

    async fn may(&self, user: &User, verb: &'static str, subresource: &'static str) -> Result<bool, ClientError> {
        let key = (user.clone(), verb, subresource);
        if let Some(known) = self.decisions.get(&key) {
            return Ok(known);
        }
        let mut spec = json!({
            "user": user.name, "groups": user.groups, "uid": user.uid,
            "resourceAttributes": {
                "verb": verb, "version": "v1", "resource": "nodes", "subresource": subresource, "name": self.node,
            },
        });
        if let Ok(extra) = serde_json::from_str::<Value>(&user.extra) {
            spec["extra"] = extra;
        }
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec});
        let kind = Gvr::new("authorization.k8s.io", "v1", "subjectaccessreviews");
        let review = self.client.create(&kind, None, &review).await?;
        let allowed = review["status"]["allowed"].as_bool().unwrap_or_default();
        self.decisions.put(key, allowed, if allowed { ALLOW_TTL } else { DENY_TTL });
        Ok(allowed)
    }
}

fn user_of(review: &Value) -> Option<User> {
    let status = &review["status"];
    if status["authenticated"] != true {
        return None;
    }
    let user = &status["user"];
    let text = |name: &str| user[name].as_str().unwrap_or_default().to_owned();
    let groups = user["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let extra = user.get("extra").map(Value::to_string).unwrap_or_default();
    Some(User { name: text("username"), uid: text("uid"), groups: groups.collect(), extra })
}

fn unauthorized() -> Denied {
    Denied { code: StatusCode::UNAUTHORIZED, text: "Unauthorized".into() }
}
