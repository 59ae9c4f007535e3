//! Agents that prove themselves by a service account's token: the API server is asked whose it is.

use super::AgentTokens;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::json;
use std::time::Duration;
use tinyplane_wire::client::{Client, ClientError};

/// How long the API server may take to say whose a token is.
const REVIEW_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest token that is asked about.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Why an agent is not let in. The texts reach the agent.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    /// Not exactly one `Authorization: Bearer …`.
    #[error("exactly one bearer token is needed")]
    Missing,
    /// The API server did not say.
    #[error("the token could not be reviewed")]
    Unreviewed(#[source] ClientError),
    /// The API server took too long.
    #[error("the token was not reviewed in time")]
    Late,
    /// The token is nobody's, or not for this audience.
    #[error("the token is not valid here")]
    Invalid,
    /// It is somebody else's.
    #[error("{0} is no agent of this server")]
    Stranger(String),
}

/// Judges tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    client: Client,
    audience: String,
    user: String,
}

impl Tokens {
    pub(super) fn new(client: Client, wanted: &AgentTokens) -> Self {
        let user = format!("system:serviceaccount:{}:{}", wanted.namespace, wanted.service_account);
        Self { client, audience: wanted.audience.clone(), user }
    }

    /// Lets an agent in by the headers of its call.
    pub(super) async fn admit(&self, headers: &HeaderMap) -> Result<(), TokenError> {
        let token = bearer(headers).ok_or(TokenError::Missing)?;
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [self.audience]},
        });
        let path = "/apis/authentication.k8s.io/v1/tokenreviews";
        let asked = self.client.request(Method::POST, path, Some(&review));
        let told = tokio::time::timeout(REVIEW_TIMEOUT, asked).await.map_err(|_| TokenError::Late)?;
        let status = told.map_err(TokenError::Unreviewed)?["status"].take();
        let for_us = |audiences: &Vec<serde_json::Value>| audiences.iter().any(|one| *one == self.audience);
        if status["authenticated"] != true || !status["audiences"].as_array().is_some_and(for_us) {
            return Err(TokenError::Invalid);
        }
        let user = status["user"]["username"].as_str().unwrap_or_default();
        if user == self.user { Ok(()) } else { Err(TokenError::Stranger(user.to_owned())) }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let token = HeaderValue::to_str(value).ok()?.strip_prefix("Bearer ")?;
    (!token.is_empty() && token.len() <= TOKEN_BYTES_MAX).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_bearer_token_is_taken() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), None);
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        assert_eq!(bearer(&headers), None);
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer abc"));
        assert_eq!(bearer(&headers), Some("abc"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer abc"));
        assert_eq!(bearer(&headers), None);
    }
}
