//! Service account tokens of one pod: asked of the API server, bound to the pod, and asked anew in time.

use super::field::Downward;
use super::spec::TokenProjection;
use http::Method;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, SystemTime};
use tinyplane_wire::client::Client;
use tinyplane_wire::clock::{Clock, parse};
use tinyplane_wire::meta::Meta;
use tokio::sync::Mutex;

/// Lifetime of a token unless the pod says otherwise.
const EXPIRATION_SECONDS: u64 = 3600;
/// A token is renewed after this share of its life, or after a day.
const RENEW_SHARE: f64 = 0.8;
const RENEW_SECONDS_MAX: u64 = 86_400;

#[derive(Debug)]
struct Held {
    token: String,
    renew_at: SystemTime,
}

/// The tokens of one pod, by audience and lifetime.
#[derive(Debug)]
pub(crate) struct Tokens {
    client: Option<Client>,
    clock: Clock,
    held: Mutex<HashMap<(String, u64), Held>>,
}

impl Tokens {
    pub(crate) fn new(client: Client, clock: Clock) -> Self {
        Self { client: Some(client), clock, held: Mutex::default() }
    }

    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { client: None, clock: Clock::system(), held: Mutex::default() }
    }

    /// When the first of the tokens is to be renewed.
    pub(crate) async fn renew_at(&self) -> Option<SystemTime> {
        self.held.lock().await.values().map(|held| held.renew_at).min()
    }

    /// A token that is good for a while.
    pub(crate) async fn get(&self, wanted: &TokenProjection, pod: &Downward<'_>) -> Result<String, String> {
        let Some(client) = &self.client else { return Err("there is no API server".into()) };
        let seconds = wanted.expiration_seconds.unwrap_or(EXPIRATION_SECONDS);
        let key = (wanted.audience.clone(), seconds);
        let mut all = self.held.lock().await;
        if let Some(held) = all.get(&key).filter(|held| self.clock.now() < held.renew_at) {
            return Ok(held.token.clone());
        }
        let meta = Meta::of(pod.pod);
        let account = match pod.spec.service_account_name.as_str() {
            "" => "default",
            name => name,
        };
        let mut spec = json!({
            "expirationSeconds": seconds,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": meta.name(), "uid": meta.uid()},
        });
        if !wanted.audience.is_empty() {
            spec["audiences"] = json!([wanted.audience]);
        }
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
        let accounts = crate::resources::service_accounts();
        let path = format!("{}/token", accounts.object(Some(meta.namespace()), account));
        let answer = client
            .request(Method::POST, &path, Some(&request))
            .await
            .map_err(|error| format!("failed to fetch token: {error}"))?;
        let held = self.read(&answer, seconds).ok_or("failed to fetch token: the answer holds none")?;
        let token = held.token.clone();
        all.insert(key, held);
        Ok(token)
    }

    fn read(&self, answer: &Value, seconds: u64) -> Option<Held> {
        let now = self.clock.now();
        let expires = answer["status"]["expirationTimestamp"].as_str().and_then(parse);
        let life = expires.and_then(|at| at.duration_since(now).ok()).unwrap_or(Duration::from_secs(seconds));
        let wait = life.mul_f64(RENEW_SHARE).min(Duration::from_secs(RENEW_SECONDS_MAX));
        let jitter = Duration::from_secs_f64(rand::random::<f64>() * 10.0).min(life / 10);
        Some(Held { token: answer["status"]["token"].as_str()?.to_owned(), renew_at: now + wait - jitter })
    }
}
