//! The issuer of service account tokens, told to those who verify them elsewhere: OIDC discovery and keys.

use crate::respond;
use axum::body::Body;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CONFIGURATION: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/openid/v1/jwks";
/// Upstream's order of fields.
const CONFIGURATION_ORDER: [&str; 5] = [
    "issuer",
    "jwks_uri",
    "response_types_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
];
const KEY_ORDER: [&str; 9] = ["use", "kty", "kid", "crv", "alg", "x", "y", "n", "e"];
/// The paths that answer.
pub(super) const PATHS: [&str; 2] = [CONFIGURATION, KEYS];

/// Who issues, and by which keys.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// `iss` of the tokens.
    pub name: String,
    /// Where the server is, such as `https://127.9.0.1:6443`.
    pub server: String,
    /// The public keys as JSON Web Keys.
    pub keys: Vec<Value>,
}

impl Issuer {
    pub(super) fn serve(&self, path: &str) -> Option<Response<Body>> {
        let (content_type, body) = match path.trim_end_matches('/') {
            CONFIGURATION => {
                let signatures: BTreeSet<&str> = self.keys.iter().filter_map(|key| key["alg"].as_str()).collect();
                let configuration = json!({
                    "issuer": self.name,
                    "jwks_uri": format!("{}{KEYS}", self.server),
                    "response_types_supported": ["id_token"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": signatures,
                });
                (respond::JSON, in_order(&configuration, &CONFIGURATION_ORDER))
            }
            KEYS => {
                let keys: Vec<String> = self.keys.iter().map(|key| in_order(key, &KEY_ORDER)).collect();
                (HeaderValue::from_static("application/jwk-set+json"), format!("{{\"keys\":[{}]}}", keys.join(",")))
            }
            _ => return None,
        };
        let mut response = respond::bytes_of(StatusCode::OK, content_type, body);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
        Some(response)
    }
}

/// The fields of an object that are there, in this order.
fn in_order(object: &Value, order: &[&str]) -> String {
    let field = |name: &&str| Some(format!("\"{name}\":{}", object.get(*name)?));
    format!("{{{}}}", order.iter().filter_map(field).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_and_their_signatures_are_told_in_upstreams_order() {
        let keys = vec![json!({"alg": "RS256", "kid": "k", "kty": "RSA", "n": "n", "e": "e", "use": "sig"})];
        let issuer = Issuer { name: "https://i".into(), server: "https://s".into(), keys };
        let body = async |path: &str| {
            let body = issuer.serve(path).unwrap().into_body();
            String::from_utf8(axum::body::to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap()
        };
        assert_eq!(body(KEYS).await, r#"{"keys":[{"use":"sig","kty":"RSA","kid":"k","alg":"RS256","n":"n","e":"e"}]}"#);
        assert!(
            body(CONFIGURATION).await.starts_with(r#"{"issuer":"https://i","jwks_uri":"https://s/openid/v1/jwks","#)
        );
        assert!(body(CONFIGURATION).await.ends_with(r#""id_token_signing_alg_values_supported":["RS256"]}"#));
    }
}
