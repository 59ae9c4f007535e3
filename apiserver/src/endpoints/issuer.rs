//! The issuer of service account tokens, told to those who verify them elsewhere: OIDC discovery and keys.

use crate::codec::accept::{self, Media};
use crate::respond;
use axum::body::Body;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tinyplane_wire::status;

const CONFIGURATION: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/openid/v1/jwks";
/// The type of the keys.
const KEY_SET: &str = "application/jwk-set+json";
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
    /// The answer to a path of the issuer's; `None` for any other.
    ///
    /// # Errors
    /// A 406 for types that a path does not have.
    pub(super) fn serve(&self, path: &str, headers: &HeaderMap) -> status::Result<Option<Response<Body>>> {
        let (content_type, body) = match path.trim_end_matches('/') {
            CONFIGURATION => {
                accept::demand_type(headers, Media::Json.name())?;
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
                accept::demand_type(headers, KEY_SET)?;
                let keys: Vec<String> = self.keys.iter().map(|key| in_order(key, &KEY_ORDER)).collect();
                (HeaderValue::from_static(KEY_SET), format!("{{\"keys\":[{}]}}", keys.join(",")))
            }
            _ => return Ok(None),
        };
        let mut response = respond::bytes_of(StatusCode::OK, content_type, body);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
        Ok(Some(response))
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
    use http::header::ACCEPT;

    #[tokio::test]
    async fn keys_and_their_signatures_are_told_in_upstreams_order() {
        let keys = vec![json!({"alg": "RS256", "kid": "k", "kty": "RSA", "n": "n", "e": "e", "use": "sig"})];
        let issuer = Issuer { name: "https://i".into(), server: "https://s".into(), keys };
        let body = async |path: &str| {
            let body = issuer.serve(path, &HeaderMap::new()).unwrap().unwrap().into_body();
            String::from_utf8(axum::body::to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap()
        };
        assert_eq!(body(KEYS).await, r#"{"keys":[{"use":"sig","kty":"RSA","kid":"k","alg":"RS256","n":"n","e":"e"}]}"#);
        assert!(
            body(CONFIGURATION).await.starts_with(r#"{"issuer":"https://i","jwks_uri":"https://s/openid/v1/jwks","#)
        );
        assert!(body(CONFIGURATION).await.ends_with(r#""id_token_signing_alg_values_supported":["RS256"]}"#));
        for (path, accept, code) in [
            (KEYS, "*/*", 200),
            (KEYS, "text/plain, application/jwk-set+json;q=0.1", 200),
            (KEYS, "application/json", 406),
            (CONFIGURATION, "application/json", 200),
            (CONFIGURATION, KEY_SET, 406),
            ("/openid/v1", KEY_SET, 404),
        ] {
            let accepts = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            let found = match issuer.serve(path, &accepts) {
                Ok(found) => found.map_or(404, |response| response.status().as_u16()),
                Err(status) => status.code,
            };
            assert_eq!(found, code, "{path} as {accept}");
        }
    }
}
