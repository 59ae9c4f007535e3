//! The API client: how every member talks to the API server, over its one secure port like anyone else.

mod bearer;
mod claims;
mod connection;
mod error;
mod queue;
mod reflector;
mod watch;

pub use bearer::Bearer;
pub use connection::Connection;
pub use error::ClientError;
pub use queue::{Backoff, WorkQueue};
pub use reflector::{Cache, Change, Selection, reflect};
pub use watch::WatchStream;

use crate::gvr::Gvr;
use crate::ledger::Ledger;
use http::Method;
use serde_json::Value;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for the answer to a request that is no watch.
const REQUEST_SECONDS_MAX: u64 = 60;

/// A client of the API. Cheap to clone; connections are shared, and read their credentials anew when a file changes.
#[derive(Clone, Debug)]
pub struct Client {
    connection: Arc<Connection>,
    bearer: Option<Arc<dyn Bearer>>,
}

/// How a patch is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patch {
    /// RFC 6902.
    Json,
    /// RFC 7396.
    Merge,
    /// Kubernetes' own, by merge keys.
    Strategic,
    /// Server-side apply.
    Apply,
}

impl Patch {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Apply => "application/apply-patch+yaml",
        }
    }
}

impl Client {
    /// A client by a kubeconfig file, dialling from `source`.
    ///
    /// # Errors
    /// When the kubeconfig can't be read or its certificates can't be used.
    pub fn from_kubeconfig(path: &Path, source: Option<IpAddr>, user_agent: &str) -> Result<Self, ClientError> {
        Ok(Self { connection: Arc::new(Connection::open(path, source, user_agent, true)?), bearer: None })
    }

    /// A client to the same server that shows no credentials: what clients with tokens of their own share.
    ///
    /// # Errors
    /// As [`Client::from_kubeconfig`].
    pub fn nobody(path: &Path, source: Option<IpAddr>, user_agent: &str) -> Result<Self, ClientError> {
        Ok(Self { connection: Arc::new(Connection::open(path, source, user_agent, false)?), bearer: None })
    }

    /// Writes down from now on which connections it makes, where a ledger is kept.
    #[must_use]
    pub fn recording(self, ledger: Option<&Ledger>) -> Self {
        if let Some(ledger) = ledger {
            self.connection.recording(ledger.clone());
        }
        self
    }

    /// A client on the same connection, each of whose requests bears the token of the moment.
    #[must_use]
    pub fn bearing(&self, bearer: Arc<dyn Bearer>) -> Self {
        Self { connection: Arc::clone(&self.connection), bearer: Some(bearer) }
    }

    /// What carries the requests, for paths and bodies of one's own.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// One request with a JSON body, and its JSON answer.
    ///
    /// # Errors
    /// When the server can't be reached, or answers with a failure.
    pub async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ClientError> {
        self.send(method, path, "application/json", body).await
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: Option<&Value>) -> Result<Value, ClientError> {
        let mut request = self.connection.request(method, path)?.timeout(Duration::from_secs(REQUEST_SECONDS_MAX));
        if let Some(body) = body {
            request = request.header(http::header::CONTENT_TYPE, kind).body(serde_json::to_vec(body)?);
        }
        error::body_of(self.dispatch(request).await?).await
    }

    async fn dispatch(&self, mut request: reqwest::RequestBuilder) -> Result<reqwest::Response, ClientError> {
        let Some(bearer) = &self.bearer else {
            return self.answer(request).await;
        };
        let token = bearer.token().await?;
        request = request.bearer_auth(&token);
        let answer = self.answer(request).await?;
        if answer.status() == http::StatusCode::UNAUTHORIZED {
            bearer.refused(&token);
        }
        Ok(answer)
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, ClientError> {
        let answer = request.send().await.inspect_err(|error| self.connection.failed(error))?;
        self.connection.answered(&answer);
        Ok(answer)
    }

    /// Reads an object.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn get(&self, gvr: &Gvr, namespace: Option<&str>, name: &str) -> Result<Value, ClientError> {
        self.request(Method::GET, &gvr.object(namespace, name), None).await
    }

    /// Lists a collection; `query` is as it stands behind the question mark.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn list(&self, gvr: &Gvr, namespace: Option<&str>, query: &str) -> Result<Value, ClientError> {
        self.request(Method::GET, &with_query(gvr.collection(namespace), query), None).await
    }

    /// Creates an object.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn create(&self, gvr: &Gvr, namespace: Option<&str>, object: &Value) -> Result<Value, ClientError> {
        self.request(Method::POST, &gvr.collection(namespace), Some(object)).await
    }

    /// Replaces an object, or its subresource (`status`, `scale` …).
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn update(&self, gvr: &Gvr, subresource: Option<&str>, object: &Value) -> Result<Value, ClientError> {
        let meta = crate::meta::Meta::of(object);
        let namespace = Some(meta.namespace()).filter(|n| !n.is_empty());
        let path = with_subresource(gvr.object(namespace, meta.name()), subresource);
        self.request(Method::PUT, &path, Some(object)).await
    }

    /// Patches an object, or its subresource.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn patch(
        &self,
        gvr: &Gvr,
        namespace: Option<&str>,
        name: &str,
        subresource: Option<&str>,
        (kind, patch): (Patch, &Value),
    ) -> Result<Value, ClientError> {
        let path = with_subresource(gvr.object(namespace, name), subresource);
        self.send(Method::PATCH, &path, kind.content_type(), Some(patch)).await
    }

    /// Deletes an object; `options` is a `DeleteOptions`, or null.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn delete(
        &self,
        gvr: &Gvr,
        namespace: Option<&str>,
        name: &str,
        options: &Value,
    ) -> Result<Value, ClientError> {
        let body = Some(options).filter(|o| !o.is_null());
        self.request(Method::DELETE, &gvr.object(namespace, name), body).await
    }

    /// Watches a collection; `query` needs no `watch=1`.
    ///
    /// # Errors
    /// As [`Client::request`]; later failures come as frames or as the end of the stream.
    pub async fn watch(&self, gvr: &Gvr, namespace: Option<&str>, query: &str) -> Result<WatchStream, ClientError> {
        let path = with_query(with_query(gvr.collection(namespace), "watch=1"), query);
        let answer = self.dispatch(self.connection.request(Method::GET, &path)?).await?;
        Ok(WatchStream::new(error::success(answer).await?))
    }
}

fn with_query(path: String, query: &str) -> String {
    match (query, path.contains('?')) {
        ("", _) => path,
        (query, true) => format!("{path}&{query}"),
        (query, false) => format!("{path}?{query}"),
    }
}

fn with_subresource(mut path: String, subresource: Option<&str>) -> String {
    if let Some(subresource) = subresource {
        path.push('/');
        path.push_str(subresource);
    }
    path
}
