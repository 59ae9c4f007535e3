//! What is no resource: discovery, health, version, OpenAPI, the keys of the token issuer.

mod content;
pub mod health;
pub mod issuer;
mod openapi;
pub mod pages;
pub(crate) mod version;

pub use openapi::Documents;

use crate::authz::Permitted;
use crate::codec::accept::{self, Media};
use crate::discovery::{self, Discovery};
use crate::metrics::{self, Source};
use crate::registry::catalog::Catalog;
use crate::registry::no_such_resource;
use crate::request::{Call, Verb};
use crate::respond;
use arc_swap::ArcSwap;
use axum::body::Body;
use health::Health;
use http::{HeaderName, Response, StatusCode};
use issuer::Issuer;
use pages::Pages;
use serde_json::json;
use std::sync::Arc;
use std::time::SystemTime;
use tinyplane_wire::status::{self, Status};

/// The endpoints, and what they are made of.
pub struct Endpoints {
    /// The rows as of now.
    pub catalog: Arc<ArcSwap<Catalog>>,
    /// What is served.
    pub discovery: Discovery,
    /// How the member is.
    pub health: Health,
    /// Who issues service account tokens, if somebody does.
    pub issuer: Option<Issuer>,
    /// The types, as they were last asked for.
    pub openapi: Documents,
    /// How the server was started.
    pub pages: Pages,
    /// Whose figures `/metrics` tells.
    pub metrics: Vec<Arc<dyn Source>>,
}

impl Endpoints {
    /// Answers a path that is no resource.
    ///
    /// # Errors
    /// A 405 for a method that the path does not have, a 406 for a form that a document does not have.
    pub async fn serve(&self, call: &Permitted<Call>) -> status::Result<Response<Body>> {
        let path = call.path.as_str();
        if let Some(response) = self.health.serve(call) {
            return Ok(response);
        }
        if let Some(response) = self.pages.serve(call, || self.paths())? {
            return Ok(response);
        }
        let of_any_method = matches!(path, "/" | INDEX | METRICS | SERVICE_LEVELS)
            || discovery::is_of_groups(path)
            || path.starts_with("/openapi/");
        // Upstream's routers, of whom all other paths are, take a HEAD for no GET.
        if call.verb != Verb::Get && !of_any_method && self.exists(path) {
            return Err(Status::method_not_allowed());
        }
        match path {
            "/" | INDEX => Ok(respond::json(StatusCode::OK, &json!({"paths": self.paths()}), true)),
            _ if path.trim_end_matches('/') == "/version" => {
                accept::demand_type(&call.headers, Media::Json.name())?;
                Ok(respond::spelled_json(StatusCode::OK, version::spelled(), true))
            }
            // It has a router of its own.
            _ if path.starts_with("/version/") => Err(no_such_resource()),
            METRICS => Ok(self.figures()),
            SERVICE_LEVELS => Ok(self.told(|text| self.health.tell(text))),
            _ if is_api(path) => {
                let catalog = self.catalog.load_full();
                let found = self.discovery.serve(&catalog, call)?;
                if found.is_none() && discovery::is_of_router(&catalog, path) {
                    return Err(no_such_resource());
                }
                Ok(found.unwrap_or_else(respond::page_not_found))
            }
            _ => match path.strip_prefix("/openapi/") {
                Some(rest) => {
                    let found = self.openapi.serve(&self.catalog, rest, call, self.pages.clock.now()).await?;
                    Ok(found.unwrap_or_else(respond::page_not_found))
                }
                None => {
                    let found = self.issuer.as_ref().map(|issuer| issuer.serve(path, &call.headers)).transpose()?;
                    Ok(found.flatten().unwrap_or_else(respond::page_not_found))
                }
            },
        }
    }

    fn figures(&self) -> Response<Body> {
        self.told(|text| self.metrics.iter().for_each(|source| source.tell(text)))
    }

    /// Figures in Prometheus' form, and since when they are counted.
    fn told(&self, tell: impl FnOnce(&mut metrics::Text)) -> Response<Body> {
        let mut text = metrics::Text::default();
        tell(&mut text);
        let mut response = respond::bytes_of(StatusCode::OK, metrics::CONTENT_TYPE, text.finish());
        let started = self.pages.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        response.headers_mut().insert(PROCESS_START_TIME, started.into());
        response
    }

    fn exists(&self, path: &str) -> bool {
        let found = |known: &str| known == path || (known != METRICS && known == path.trim_end_matches('/'));
        path == "/" || self.paths().iter().any(|known| found(known)) || path.starts_with("/openapi/v3/")
    }

    /// Every path that answers, as `/` tells them.
    fn paths(&self) -> Vec<String> {
        let mut paths = self.discovery.paths(&self.catalog.load_full());
        paths.extend(self.health.paths());
        paths.extend(
            [METRICS, SERVICE_LEVELS, "/openapi/v2", "/openapi/v3", "/openapi/v3/", "/version"].map(str::to_owned),
        );
        paths.extend(pages::PATHS.map(str::to_owned));
        if self.issuer.is_some() {
            paths.extend(issuer::PATHS.map(str::to_owned));
        }
        paths.sort_unstable();
        paths
    }
}

/// Upstream serves it at this path and at none that goes on behind it.
const METRICS: &str = "/metrics";
/// What came of the checks of health.
const SERVICE_LEVELS: &str = "/metrics/slis";
/// Another name of `/`, which tells nothing of it.
const INDEX: &str = "/index.html";
/// Since when figures are counted, in seconds.
const PROCESS_START_TIME: HeaderName = HeaderName::from_static("process-start-time-unix");

fn is_api(path: &str) -> bool {
    ["/api", "/apis"].iter().any(|root| path.strip_prefix(root).is_some_and(|r| r.is_empty() || r.starts_with('/')))
}
