//! The issuer of service account tokens, told to those who verify them elsewhere: OIDC discovery and keys.

use crate::respond;
use axum::body::Body;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

const CONFIGURATION: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/openid/v1/jwks";
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
                let configuration = json!({
                    "issuer": self.name,
                    "jwks_uri": format!("{}{KEYS}", self.server),
                    "response_types_supported": ["id_token"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["ES256"],
                });
                (respond::JSON, configuration)
            }
            KEYS => (HeaderValue::from_static("application/jwk-set+json"), json!({"keys": self.keys})),
            _ => return None,
        };
        let mut response = respond::bytes_of(StatusCode::OK, content_type, body.to_string());
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
        Some(response)
    }
}
