//! Tokens on request: `serviceaccounts/token`.

use super::{AUTHENTICATION, invalid};
use crate::authn::Live;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::clock::{Clock, format_seconds};
use tinyplane_wire::identity::token::{Bound, Claims, Private, Signer};
use tinyplane_wire::meta::Meta;
use tinyplane_wire::status::{self, Cause, Status};

/// The shortest life that may be asked for, in seconds.
const EXPIRATION_SECONDS_MIN: i64 = 600;
/// The longest, in seconds.
const EXPIRATION_SECONDS_MAX: i64 = 1 << 32;
/// What kubelets ask for pods' own tokens, in seconds. Such a token counts for longer, for programs that never read it
/// anew, and is said to be due for renewal after this time.
const RENEWED_SECONDS: i64 = 3_607;
/// How long such a token counts, in seconds: a year.
const EXTENDED_SECONDS: i64 = 365 * 24 * 3_600;

/// Issues tokens of service accounts.
pub struct TokenIssuer {
    /// Signs them.
    pub signer: Signer,
    /// `iss` of the tokens.
    pub issuer: String,
    /// For whom tokens are if nothing is asked for: the API server's own audiences.
    pub audiences: Vec<String>,
    /// The accounts, and what tokens are bound to.
    pub live: Arc<dyn Live>,
    /// The member's time.
    pub clock: Clock,
}

impl TokenIssuer {
    /// How long a token counts if nothing is asked for, in seconds.
    pub const EXPIRATION_SECONDS: i64 = 3_600;

    /// Answers a `TokenRequest` for an account: the body with its status.
    ///
    /// # Errors
    /// A 404 when the account or the object to bind to is not there, a 409 when that is another one than was meant, a
    /// 400 or 422 for what can't be issued; all in upstream's words.
    pub fn create(&self, namespace: &str, name: &str, mut body: Value) -> status::Result<Value> {
        let said = Meta::of(&body).name();
        if !said.is_empty() && said != name {
            let message = format!("Invalid value: {said:?}: must match the service account name if specified");
            let cause = Cause { reason: "FieldValueInvalid".into(), message, field: "metadata.name".into() };
            return Err(Status::invalid(AUTHENTICATION, "TokenRequest", name, vec![cause]));
        }
        let account = self.find("serviceaccounts", namespace, name)?;
        let (meant, uid) = (Meta::of(&body).uid(), Meta::of(&account).uid());
        if !meant.is_empty() && meant != uid {
            let why =
                format!("the UID in the token request ({meant}) does not match the UID of the service account ({uid})");
            return Err(Status::conflict(AUTHENTICATION, "TokenRequest", name, &why));
        }
        let seconds = body["spec"]["expirationSeconds"].as_i64().unwrap_or(Self::EXPIRATION_SECONDS);
        let wrong = |detail: &str| {
            Err(invalid(AUTHENTICATION, "TokenRequest", "spec.expirationSeconds", &json!(seconds), detail))
        };
        if seconds < EXPIRATION_SECONDS_MIN {
            return wrong("may not specify a duration less than 10 minutes");
        }
        if seconds > EXPIRATION_SECONDS_MAX {
            return wrong("may not specify a duration larger than 2^32 seconds");
        }
        let audiences: Vec<String> = match body["spec"]["audiences"].as_array().filter(|asked| !asked.is_empty()) {
            Some(asked) => asked.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            None => self.audiences.clone(),
        };
        let mut private = Private {
            namespace: namespace.to_owned(),
            serviceaccount: bound(&account),
            pod: None,
            node: None,
            secret: None,
            warnafter: None,
        };
        self.bind(&mut private, &body["spec"]["boundObjectRef"])?;
        let now = self.clock.now();
        let now_seconds = self.clock.unix_seconds();
        let is_pods_own = private.pod.is_some() && seconds == RENEWED_SECONDS && audiences == self.audiences;
        let lives = if is_pods_own { EXTENDED_SECONDS } else { seconds };
        private.warnafter = is_pods_own.then_some(now_seconds + seconds);
        let claims = Claims {
            aud: audiences.clone(),
            exp: now_seconds + lives,
            iat: now_seconds,
            iss: self.issuer.clone(),
            jti: uuid::Uuid::new_v4().to_string(),
            kubernetes: private,
            nbf: now_seconds,
            sub: format!("system:serviceaccount:{namespace}:{name}"),
        };
        let token = self.signer.sign(&claims).map_err(Status::internal)?;
        let expires = now + Duration::from_secs(seconds.unsigned_abs());
        body["spec"]["audiences"] = json!(audiences);
        body["spec"]["expirationSeconds"] = json!(seconds);
        if body["spec"].get("boundObjectRef").is_none() {
            body["spec"]["boundObjectRef"] = Value::Null;
        }
        body["metadata"]["name"] = name.into();
        body["metadata"]["namespace"] = namespace.into();
        body["metadata"]["uid"] = uid.into();
        body["metadata"]["creationTimestamp"] = format_seconds(now).into();
        body["status"] = json!({"token": token, "expirationTimestamp": format_seconds(expires)});
        Ok(body)
    }

    /// Binds a token to the object that the request names.
    fn bind(&self, private: &mut Private, reference: &Value) -> status::Result<()> {
        if reference.is_null() {
            return Ok(());
        }
        let text = |field: &str| reference[field].as_str().unwrap_or_default();
        let (version, kind, name) = (text("apiVersion"), text("kind"), text("name"));
        // Upstream takes any version of the core group, and what it can't read for that.
        let is_core = version.matches('/').count() != 1;
        let (resource, namespace) = match kind {
            "Pod" if is_core => ("pods", private.namespace.clone()),
            "Secret" if is_core => ("secrets", private.namespace.clone()),
            "Node" if is_core => ("nodes", String::new()),
            _ => {
                let what = tinyplane_wire::gvr::Gvk::parse(version, kind);
                return Err(Status::bad_request(format!("cannot bind token to object of type {what}")));
            }
        };
        let object = self.find(resource, &namespace, name)?;
        let asked = text("uid");
        if !asked.is_empty() && asked != Meta::of(&object).uid() {
            let why = format!(
                "the UID in the bound object reference ({asked}) does not match the UID in record. The object might \
                 have been deleted and then recreated"
            );
            return Err(Status::conflict("", kind, name, &why));
        }
        match resource {
            "pods" => {
                let account = &private.serviceaccount.name;
                if object["spec"]["serviceAccountName"].as_str() != Some(account) {
                    return Err(Status::bad_request(format!(
                        "cannot bind token for serviceaccount {account:?} to pod running with different \
                         serviceaccount name."
                    )));
                }
                let node = object["spec"]["nodeName"].as_str().filter(|node| !node.is_empty());
                private.node = node.map(|node| match self.live.object("nodes", "", node) {
                    Some(object) => bound(&object),
                    None => Bound { name: node.to_owned(), uid: String::new() },
                });
                private.pod = Some(bound(&object));
            }
            "secrets" => private.secret = Some(bound(&object)),
            _ => private.node = Some(bound(&object)),
        }
        Ok(())
    }

    fn find(&self, resource: &str, namespace: &str, name: &str) -> status::Result<Arc<Value>> {
        self.live.object(resource, namespace, name).ok_or_else(|| Status::not_found("", resource, name))
    }
}

fn bound(object: &Value) -> Bound {
    let meta = Meta::of(object);
    Bound { name: meta.name().to_owned(), uid: meta.uid().to_owned() }
}
