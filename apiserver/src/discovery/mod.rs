//! What is served, told to clients: the plain documents, one a group version, and the aggregated ones.

mod documents;

use crate::codec::accept::{self, Media, Offer};
use crate::codec::gzip;
use crate::registry::catalog::Catalog;
use crate::request::Call;
use crate::respond;
use arc_swap::ArcSwapOption;
use axum::body::Body;
use documents::{Document, Documents};
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderValue, Response, StatusCode};
use std::sync::Arc;
use tinyplane_wire::status::{self, Status};

/// What stands behind the letters in the content type of an aggregated document.
const AGGREGATED: &str = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Answers `/api` and `/apis` and everything directly below. Documents are built when a catalog is first asked for.
pub struct Discovery {
    server_address: String,
    built: ArcSwapOption<Built>,
}

struct Built {
    of: Arc<Catalog>,
    documents: Documents,
}

impl Discovery {
    /// Tells clients in `/api` that the server is at this address (`HOST:PORT`).
    #[must_use]
    pub fn new(server_address: String) -> Self {
        Self { server_address, built: ArcSwapOption::empty() }
    }

    fn documents(&self, catalog: &Arc<Catalog>) -> Arc<Built> {
        if let Some(built) = self.built.load_full()
            && Arc::ptr_eq(&built.of, catalog)
        {
            return built;
        }
        let documents = Documents::build(catalog, &self.server_address);
        let built = Arc::new(Built { of: Arc::clone(catalog), documents });
        self.built.store(Some(Arc::clone(&built)));
        built
    }

    /// The answer to a path; `None` when there is no such document.
    ///
    /// # Errors
    /// A 406 when the client accepts no form that a document has.
    pub fn serve(&self, catalog: &Arc<Catalog>, call: &Call) -> status::Result<Option<Response<Body>>> {
        let path = call.path.trim_end_matches('/');
        if path == "/apis" && call.path.ends_with("//") {
            return Ok(None);
        }
        let built = self.documents(catalog);
        let Some(document) = built.documents.plain(path) else { return Ok(None) };
        if let Some(aggregated) = built.documents.aggregated(path)
            && let Some(media) = accept::of_discovery(&call.headers)
        {
            return aggregate(aggregated, media, call).map(Some);
        }
        match accept::demand_known(&call.headers, false) {
            // Groups that definitions brought have upstream's router less.
            Err(status) if !is_of_groups(path) && !is_of_definitions(catalog, path) => return Err(status),
            _ => {}
        }
        let accept = accept::of(&call.headers, Offer::PLAIN)?;
        let pretty = accept.pretty || respond::wants_pretty(&call.query, &call.headers);
        respond::value(StatusCode::OK, document, accept.media, pretty).map(Some)
    }

    /// The paths of all documents.
    #[must_use]
    pub fn paths(&self, catalog: &Arc<Catalog>) -> Vec<String> {
        self.documents(catalog).documents.paths()
    }
}

/// Whether a path leads to the groups, or to one of them: what upstream answers before its router is asked, whatever the
/// method.
#[must_use]
pub fn is_of_groups(path: &str) -> bool {
    let below = path.strip_prefix("/apis").filter(|below| below.is_empty() || below.starts_with('/'));
    below.is_some_and(|below| {
        let group = below.strip_prefix('/').unwrap_or(below);
        !group.strip_suffix('/').unwrap_or(group).contains('/')
    })
}

/// Whether a path lies in a group whose router upstream asks: what that does not know it tells by a `Status`.
#[must_use]
pub fn is_of_router(catalog: &Catalog, path: &str) -> bool {
    let below = path.strip_prefix("/apis/").and_then(|below| below.split_once('/'));
    path.starts_with("/api/") || below.is_some_and(|(group, _)| !group.is_empty() && catalog.is_builtin_group(group))
}

/// Whether a path is that of a group version in which all that is served is custom.
fn is_of_definitions(catalog: &Catalog, path: &str) -> bool {
    let group_version = path.strip_prefix("/apis/").and_then(|path| path.split_once('/'));
    group_version.is_some_and(|(group, version)| catalog.is_of_definitions(group, version))
}

/// The aggregated document, for clients that know it already as well.
fn aggregate(document: &Document, media: Media, call: &Call) -> status::Result<Response<Body>> {
    let etag = format!("\"{}\"", document.hash);
    let known = call.header(IF_NONE_MATCH.as_str()).split(',').any(|known| known.trim() == etag);
    let mut response = if known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let content_type = HeaderValue::from_str(&format!("{}{AGGREGATED}", media.name())).map_err(Status::internal)?;
        respond::bytes_of(StatusCode::OK, content_type, document.written(media)?)
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    headers.insert(ETAG, HeaderValue::from_str(&etag).map_err(Status::internal)?);
    Ok(gzip::compressed(&call.headers, response))
}

#[cfg(test)]
mod tests;
