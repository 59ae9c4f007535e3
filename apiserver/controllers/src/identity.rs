//! Who each loop is: an account of `kube-system`, whose token is fetched when the loop first speaks, and kept fresh.

use http::Method;
use serde_json::{Value, json};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tinyplane_wire::client::{Bearer, Client, ClientError};
use tinyplane_wire::clock::{self, Clock};

/// Where the accounts are.
const NAMESPACE: &str = "kube-system";
/// For how long a token is asked.
const TOKEN_SECONDS: u64 = 3_600;
/// Part of a token's life after which another is fetched.
const RENEW_AFTER: f64 = 0.8;

/// Gives each loop its client.
pub(crate) struct Identities {
    /// Known as the program itself: may make accounts, and tokens for them.
    registrar: Client,
    /// What the loops' clients share; `None` where they all act as the program itself.
    nobody: Option<Client>,
    clock: Clock,
}

impl Identities {
    pub(crate) fn new(registrar: Client, nobody: Option<Client>, clock: Clock) -> Self {
        Self { registrar, nobody, clock }
    }

    /// A client that acts as an account.
    pub(crate) fn client(&self, account: &'static str) -> Client {
        let Some(nobody) = &self.nobody else { return self.registrar.clone() };
        nobody.bearing(Arc::new(Account {
            name: account,
            registrar: self.registrar.clone(),
            clock: self.clock.clone(),
            held: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }))
    }
}

#[derive(Debug)]
struct Account {
    name: &'static str,
    registrar: Client,
    clock: Clock,
    held: Mutex<Option<Held>>,
    /// Held while a token is fetched, so that one is fetched for all who wait.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Held {
    token: String,
    renew: SystemTime,
    expires: SystemTime,
}

impl Bearer for Account {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, ClientError>> + Send + '_>> {
        Box::pin(async {
            if let Some(held) = self.held().filter(|held| self.clock.now() < held.renew) {
                return Ok(held.token);
            }
            let _one = self.fetching.lock().await;
            let held = self.held();
            if let Some(held) = held.clone().filter(|held| self.clock.now() < held.renew) {
                return Ok(held.token);
            }
            match self.fetch().await {
                Ok(fresh) => {
                    let token = fresh.token.clone();
                    *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh);
                    Ok(token)
                }
                Err(error) => match held.filter(|held| self.clock.now() < held.expires) {
                    Some(old) => {
                        tracing::debug!(account = self.name, %error, "no fresh token; the old one serves on");
                        Ok(old.token)
                    }
                    None => Err(error),
                },
            }
        })
    }

    fn refused(&self, token: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|held| held.token == token) {
            *held = None;
        }
    }
}

impl Account {
    fn held(&self) -> Option<Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for a token; makes the account first where it is not there.
    async fn fetch(&self) -> Result<Held, ClientError> {
        let asked = self.clock.now();
        let answer = match self.request().await {
            Err(error) if error.is_not_found() => {
                self.make().await?;
                self.request().await?
            }
            answer => answer?,
        };
        let status = &answer["status"];
        let life = Duration::from_secs(TOKEN_SECONDS);
        let expires = status["expirationTimestamp"].as_str().and_then(clock::parse).unwrap_or(asked + life);
        let renew = asked + expires.duration_since(asked).unwrap_or_default().mul_f64(RENEW_AFTER);
        Ok(Held { token: status["token"].as_str().unwrap_or_default().to_owned(), renew, expires })
    }

    async fn request(&self) -> Result<Value, ClientError> {
        let path = format!("{}/token", crate::kinds::service_accounts().object(Some(NAMESPACE), self.name));
        let ask = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": [], "expirationSeconds": TOKEN_SECONDS},
        });
        self.registrar.request(Method::POST, &path, Some(&ask)).await
    }

    async fn make(&self) -> Result<(), ClientError> {
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": self.name, "namespace": NAMESPACE},
        });
        match self.registrar.create(&crate::kinds::service_accounts(), Some(NAMESPACE), &account).await {
            Err(error) if !error.is_already_exists() => Err(error),
            _ => Ok(()),
        }
    }
}
