//! What is no resource: discovery, health, version, OpenAPI, the keys of the token issuer.

pub mod health;
pub mod issuer;
mod version;

use crate::authz::Permitted;
use crate::discovery::Discovery;
use crate::registry::catalog::Catalog;
use crate::request::{Call, Verb};
use crate::respond;
use crate::schema::openapi::{GroupVersion, OpenApi, Resource, Subresource};
use arc_swap::{ArcSwap, ArcSwapOption};
use axum::body::Body;
use health::Health;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Response, StatusCode};
use issuer::Issuer;
use serde_json::json;
use std::sync::Arc;
use tinyplane_wire::status::{self, Reason, Status};

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
}

/// The OpenAPI documents of the catalog that was last asked for.
#[derive(Default)]
pub struct Documents(ArcSwapOption<(Arc<Catalog>, OpenApi)>);

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
        if !matches!(call.verb, Verb::Get | Verb::Head) && self.exists(path) {
            return Err(Status::failure(
                Reason::MethodNotAllowed,
                "the server does not allow this method on the requested resource",
            ));
        }
        let pretty = respond::wants_pretty(&call.query, &call.headers);
        match path {
            "/" => Ok(respond::json(StatusCode::OK, &json!({"paths": self.paths()}), true)),
            "/version" | "/version/" => Ok(respond::json(StatusCode::OK, &version::info(), pretty)),
            _ if is_api(path) => {
                let found = self.discovery.serve(&self.catalog.load_full(), call)?;
                Ok(found.unwrap_or_else(respond::page_not_found))
            }
            _ => match path.strip_prefix("/openapi/v3") {
                Some(rest) => Ok(self.openapi(rest.trim_matches('/'), call)),
                None => Ok(self
                    .issuer
                    .as_ref()
                    .and_then(|issuer| issuer.serve(path))
                    .unwrap_or_else(respond::page_not_found)),
            },
        }
    }

    fn exists(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty() || self.paths().iter().any(|known| known == path) || path.starts_with("/openapi/v3/")
    }

    /// Every path that answers, as `/` tells them.
    fn paths(&self) -> Vec<String> {
        let mut paths = self.discovery.paths(&self.catalog.load_full());
        paths.extend(self.health.paths());
        paths.extend(["/openapi/v3", "/openapi/v3/", "/version"].map(str::to_owned));
        if self.issuer.is_some() {
            paths.extend(issuer::PATHS.map(str::to_owned));
        }
        paths.sort_unstable();
        paths
    }

    fn openapi(&self, path: &str, call: &Call) -> Response<Body> {
        let catalog = self.catalog.load_full();
        let built = self.openapi.0.load_full().filter(|built| Arc::ptr_eq(&built.0, &catalog)).unwrap_or_else(|| {
            let openapi = OpenApi::new(crate::schema::model(), group_versions(&catalog));
            let built = Arc::new((catalog, openapi));
            self.openapi.0.store(Some(Arc::clone(&built)));
            built
        });
        let document = if path.is_empty() { Some(built.1.index().clone()) } else { built.1.v3(path) };
        let Some(document) = document else { return respond::page_not_found() };
        let etag = format!("\"{}\"", document.hash);
        let mut response = if call.header(IF_NONE_MATCH.as_str()).split(',').any(|known| known.trim() == etag) {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            respond::bytes_of(StatusCode::OK, respond::JSON, document.bytes)
        };
        if let Ok(etag) = HeaderValue::from_str(&etag) {
            response.headers_mut().insert(ETAG, etag);
        }
        response
    }
}

fn is_api(path: &str) -> bool {
    ["/api", "/apis"].iter().any(|root| path.strip_prefix(root).is_some_and(|r| r.is_empty() || r.starts_with('/')))
}

/// A catalog in the words of the OpenAPI room.
fn group_versions(catalog: &Catalog) -> Vec<GroupVersion> {
    let mut group_versions: Vec<GroupVersion> = Vec::new();
    for row in catalog.rows() {
        let (group, version) = (row.gvk.group.as_str(), row.gvk.version.as_str());
        let known = |known: &GroupVersion| known.group == group && known.version == version;
        let at = group_versions.iter().position(known).unwrap_or_else(|| {
            let resources = Vec::new();
            group_versions.push(GroupVersion { group: group.into(), version: version.into(), resources });
            group_versions.len() - 1
        });
        let verbs = |verbs: crate::registry::catalog::Verbs| verbs.words().map(str::to_owned).collect();
        let subresources = row.subresources.iter().map(|part| Subresource {
            name: part.name.to_string(),
            kind: (part.gvk.group.to_string(), part.gvk.version.to_string(), part.gvk.kind.to_string()),
            verbs: verbs(part.verbs),
        });
        group_versions[at].resources.push(Resource {
            plural: row.plural.to_string(),
            kind: row.gvk.kind.to_string(),
            namespaced: row.namespaced,
            verbs: verbs(row.verbs),
            subresources: subresources.collect(),
        });
    }
    group_versions
}
