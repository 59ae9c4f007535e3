//! What is served, told to clients: the plain documents, one a group version, and the aggregated ones.

mod documents;
mod negotiation;

use crate::codec::accept::Media;
use crate::registry::catalog::Catalog;
use crate::request::Call;
use crate::respond;
use arc_swap::ArcSwapOption;
use axum::body::Body;
use documents::Documents;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderValue, Response, StatusCode};
use negotiation::{Form, wanted};
use std::sync::Arc;
use tinyplane_wire::status::{self, Reason, Status};

const AGGREGATED: HeaderValue =
    HeaderValue::from_static("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");

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
        let built = self.documents(catalog);
        let Some(document) = built.documents.plain(path) else { return Ok(None) };
        let aggregated = built.documents.aggregated(path);
        match (wanted(call.header("accept"), aggregated.is_some()), aggregated) {
            (Some(Form::Aggregated), Some(document)) => {
                let etag = format!("\"{}\"", document.hash);
                let known = call.header(IF_NONE_MATCH.as_str()).split(',').any(|known| known.trim() == etag);
                let (code, body) =
                    if known { (StatusCode::NOT_MODIFIED, Body::empty()) } else { (StatusCode::OK, document.body()) };
                let mut response = Response::new(body);
                *response.status_mut() = code;
                let headers = response.headers_mut();
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
                headers.insert(VARY, HeaderValue::from_static("Accept"));
                if !known {
                    headers.insert(CONTENT_TYPE, AGGREGATED);
                }
                if let Ok(etag) = HeaderValue::from_str(&etag) {
                    headers.insert(ETAG, etag);
                }
                Ok(Some(response))
            }
            (Some(form), _) => {
                let media = if let Form::Plain(media) = form { media } else { Media::Json };
                let pretty = respond::wants_pretty(&call.query, &call.headers);
                respond::value(StatusCode::OK, document, media, pretty).map(Some)
            }
            (None, _) => Err(Status::failure(
                Reason::NotAcceptable,
                "only the following media types are accepted: application/json, application/yaml, \
                 application/vnd.kubernetes.protobuf",
            )),
        }
    }

    /// The paths of all documents.
    #[must_use]
    pub fn paths(&self, catalog: &Arc<Catalog>) -> Vec<String> {
        self.documents(catalog).documents.paths()
    }
}

#[cfg(test)]
mod tests;
