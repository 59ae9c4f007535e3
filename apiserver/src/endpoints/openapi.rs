//! `/openapi/v3` and `/openapi/v2`: the types of what is served.

use super::content::{self, Content};
use crate::codec::accept;
use crate::registry::catalog::{Catalog, Verbs};
use crate::request::Call;
use crate::respond;
use crate::schema::openapi::{
    Custom, Document, GroupVersion, OpenApi, Resource, Subresource, V2_PROTOBUF, V3_PROTOBUF,
};
use arc_swap::{ArcSwap, ArcSwapOption};
use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, LOCATION, VARY};
use http::{HeaderValue, Response, StatusCode};
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tinyplane_wire::status::{self, Status};

/// What documents of v2 and of v3 can be asked for as: JSON, and what clients and upstream's answers call protobuf.
const V2_MEDIA: [&str; 3] =
    ["application/json", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf", V2_PROTOBUF];
const V3_MEDIA: [&str; 3] =
    ["application/json", "application/com.github.proto-openapi.spec.v3@v1.0+protobuf", V3_PROTOBUF];

/// What the index of v3 is called.
const V3_INDEX: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// How long who names a document's hash may keep it: a year.
const KEPT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The documents of the catalog that was last asked for.
#[derive(Default)]
pub struct Documents(ArcSwapOption<Built>);

struct Built {
    of: Arc<Catalog>,
    openapi: OpenApi,
    since: SystemTime,
    /// By content type and path: what was asked for compressed, compressed once.
    compressed: Mutex<HashMap<String, Bytes>>,
}

impl Documents {
    /// The answer to a path below `/openapi`; `None` when there is no such document.
    ///
    /// # Errors
    /// A 500 when a document can't be built.
    pub(super) async fn serve(
        &self,
        catalog: &ArcSwap<Catalog>,
        path: &str,
        call: &Call,
        now: SystemTime,
    ) -> status::Result<Option<Response<Body>>> {
        let built = self.built(catalog.load_full(), now);
        let since = built.since;
        let is_index = path == "v3";
        let below = path.strip_prefix("v3/").is_some();
        let media = if below { &V3_MEDIA } else { &V2_MEDIA };
        let accept = call.header(ACCEPT.as_str());
        // What of v3 is asked for in no form that can be read is not answered, and that is no failure.
        let unreadable = below && !accept.trim().is_empty() && !accept::names_types(accept);
        let wished = accept::of_types(accept, media);
        let wants_protobuf = wished.is_some_and(|wished| wished > 0);
        // Upstream compresses documents of v2 alone.
        let gzip = path == "v2" && call.header(ACCEPT_ENCODING.as_str()).split(',').any(wishes_gzip);
        let path = path.to_owned();
        let content_type = match (is_index, wants_protobuf) {
            // Upstream says nothing of what it is, and Go guesses.
            (true, _) => V3_INDEX,
            (false, true) => HeaderValue::from_static(media[2]),
            (false, false) => respond::JSON,
        };
        // A document is built when it is first asked for, which takes longer than a call should keep a thread.
        let work = move || {
            let document = built.document(&path, wants_protobuf)?;
            let body = gzip.then(|| built.compressed(&format!("{path} {wants_protobuf}"), &document.bytes));
            Some((document, body))
        };
        let found = tokio::task::spawn_blocking(work).await.map_err(Status::internal)?;
        let Some((document, compressed)) = found else {
            return Ok(below.then(|| content::empty(StatusCode::NOT_FOUND)));
        };
        if unreadable {
            return Ok(Some(content::empty(StatusCode::OK)));
        }
        let hash = call.query.text("hash");
        let mut response = if !is_index && wished.is_none() {
            content::empty(StatusCode::NOT_ACCEPTABLE)
        } else if below && !hash.is_empty() && hash != document.hash {
            moved(call, &document, content_type)?
        } else {
            let modified = if is_index { now } else { since };
            let etag = (!is_index).then(|| document.quoted());
            let kept = below && hash == document.hash;
            let content = Content { bytes: document.bytes, compressed, content_type, etag, modified, now };
            let mut response = content.answer(&call.headers)?;
            if kept {
                let headers = response.headers_mut();
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
                headers.insert(EXPIRES, content::http_date(now + KEPT)?);
            }
            response
        };
        let vary: &[&str] = match (is_index, below) {
            (true, _) => &[],
            (false, true) => &["Accept"],
            (false, false) => &["Accept-Encoding", "Accept"],
        };
        for name in vary {
            response.headers_mut().append(VARY, HeaderValue::from_static(name));
        }
        Ok(Some(response))
    }

    fn built(&self, catalog: Arc<Catalog>, now: SystemTime) -> Arc<Built> {
        if let Some(built) = self.0.load_full().filter(|built| Arc::ptr_eq(&built.of, &catalog)) {
            return built;
        }
        let openapi = OpenApi::new(crate::schema::model(), group_versions(&catalog));
        let built = Arc::new(Built { of: catalog, openapi, since: now, compressed: Mutex::default() });
        self.0.store(Some(Arc::clone(&built)));
        built
    }
}

/// Leads to a document by its right hash.
fn moved(call: &Call, document: &Document, content_type: HeaderValue) -> status::Result<Response<Body>> {
    let mut response = content::empty(StatusCode::MOVED_PERMANENTLY);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(ETAG, document.quoted().parse().map_err(Status::internal)?);
    let right = format!("{}?hash={}", call.path, document.hash);
    headers.insert(LOCATION, right.parse().map_err(Status::internal)?);
    Ok(response)
}

impl Built {
    fn document(&self, path: &str, wants_protobuf: bool) -> Option<Document> {
        match path {
            "v2" if wants_protobuf => Some(self.openapi.v2_protobuf().clone()),
            "v2" => Some(self.openapi.v2().clone()),
            "v3" => Some(self.openapi.index().clone()),
            _ if wants_protobuf => self.openapi.v3_protobuf(path.strip_prefix("v3/")?),
            _ => self.openapi.v3(path.strip_prefix("v3/")?),
        }
    }

    fn compressed(&self, key: &str, document: &Bytes) -> Bytes {
        if let Some(known) = self.compressed.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
            return known.clone();
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let written = encoder.write_all(document).and_then(|()| encoder.finish());
        let bytes = Bytes::from(written.expect("a Vec takes what is written to it"));
        self.compressed.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), bytes.clone());
        bytes
    }
}

/// A catalog in the words of the OpenAPI room.
fn group_versions(catalog: &Catalog) -> Vec<GroupVersion> {
    let mut group_versions: Vec<GroupVersion> = Vec::new();
    let words = |verbs: Verbs| verbs.words().map(str::to_owned).collect();
    for row in catalog.rows() {
        let (group, version) = (row.gvk.group.as_str(), row.gvk.version.as_str());
        let is_same = |known: &GroupVersion| known.group == group && known.version == version;
        let at = group_versions.iter().position(is_same).unwrap_or_else(|| {
            let resources = Vec::new();
            group_versions.push(GroupVersion { group: group.into(), version: version.into(), resources });
            group_versions.len() - 1
        });
        let subresources = row.subresources.iter().map(|part| Subresource {
            name: part.name.to_string(),
            kind: (part.gvk.group.to_string(), part.gvk.version.to_string(), part.gvk.kind.to_string()),
            verbs: words(part.verbs),
        });
        group_versions[at].resources.push(Resource {
            plural: row.plural.to_string(),
            kind: row.gvk.kind.to_string(),
            namespaced: row.namespaced,
            verbs: words(row.verbs),
            returns_deleted: row.behaviour.returns_deleted,
            subresources: subresources.collect(),
            custom: row.custom.as_ref().map(|custom| Custom {
                schema: custom.published.clone(),
                list_kind: row.list_kind(),
                selectable: custom.offered().iter().map(ToString::to_string).collect(),
            }),
        });
    }
    group_versions
}

/// Whether one of the encodings that a client names is gzip, with a weight that is none of "not at all".
fn wishes_gzip(encoding: &str) -> bool {
    let mut parts = encoding.split(';').map(str::trim);
    let is_refusal = |part: &str| part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()).is_some_and(|q| q <= 0.0);
    parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip")) && !parts.any(is_refusal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Ticket;
    use crate::authn::Peer;
    use http::Request;

    async fn ask(documents: &Documents, uri: &str, accept: &str) -> Response<Body> {
        let request = Request::builder().uri(uri).header("accept", accept).body(()).unwrap();
        let call = Call::parse(&request, Peer::nobody(), Ticket::new(None)).unwrap();
        let catalog = ArcSwap::from_pointee(Catalog::builtin());
        let path = call.path.strip_prefix("/openapi/").unwrap().to_owned();
        documents
            .serve(&catalog, &path, &call, SystemTime::UNIX_EPOCH)
            .await
            .unwrap()
            .unwrap_or_else(respond::page_not_found)
    }

    #[tokio::test]
    async fn who_knows_the_hash_of_a_document_may_keep_it() {
        let documents = Documents::default();
        let one = "/openapi/v3/apis/node.k8s.io/v1";
        let moved = ask(&documents, &format!("{one}?hash=ABC"), "application/json").await;
        assert_eq!(moved.status(), 301);
        let right = moved.headers()["location"].to_str().unwrap().to_owned();
        assert!(right.starts_with(&format!("{one}?hash=")) && !right.ends_with("ABC"));
        let kept = ask(&documents, &right, "application/json").await;
        assert_eq!(
            (kept.status().as_u16(), &kept.headers()["cache-control"]),
            (200, &"public, immutable".parse().unwrap())
        );
        assert_eq!(kept.headers()["expires"], "Fri, 01 Jan 1971 00:00:00 GMT");
        for (answer, code) in [(ask(&documents, one, "text/html").await, 406), (moved, 301), (kept, 200)] {
            assert_eq!((answer.status().as_u16(), &answer.headers()["vary"]), (code, &"Accept".parse().unwrap()));
        }
        let index = ask(&documents, "/openapi/v3", "").await;
        assert_eq!((&index.headers()["accept-ranges"], index.headers().get("vary")), (&"bytes".parse().unwrap(), None));
        assert!(!ask(&documents, one, "").await.headers().contains_key("cache-control"));
        assert!(!ask(&documents, "/openapi/v3", "").await.headers().contains_key("etag"));
    }

    #[tokio::test]
    async fn documents_come_in_the_letters_that_are_wished_most() {
        let documents = Documents::default();
        let of = |version: &str, mark: char| {
            format!("application/com.github.proto-openapi.spec.{version}{mark}v1.0+protobuf")
        };
        for (path, version) in [("/openapi/v3/apis/node.k8s.io/v1", "v3"), ("/openapi/v2", "v2")] {
            let named = of(version, '.');
            for (accept, wanted) in [
                (of(version, '@'), named.as_str()),
                (format!("{},application/json", of(version, '@')), &named),
                (format!("{};q=0.5,application/json", of(version, '@')), "application/json"),
                (format!("*/*,{named}"), &named),
                ("application/*".to_owned(), "application/json"),
                (String::new(), "application/json"),
            ] {
                let answer = ask(&documents, path, &accept).await;
                assert_eq!(answer.headers()["content-type"], wanted, "{accept}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_there_or_not_accepted_is_told_by_a_code_alone() {
        let documents = Documents::default();
        let code = async |uri: &str, accept: &str| ask(&documents, uri, accept).await.status().as_u16();
        let one = "/openapi/v3/apis/node.k8s.io/v1";
        assert_eq!(code(one, "text/html").await, 406);
        assert_eq!(code(one, "text/html,application/json;q=0.1").await, 200);
        assert_eq!(code("/openapi/v3/nope", "text/html").await, 404);
        assert_eq!(code("/openapi/v3/", "*/*").await, 404);
        let unread = ask(&documents, one, "json").await;
        assert_eq!((unread.status().as_u16(), unread.headers().get("vary")), (200, None));
        assert_eq!(unread.headers().get("content-type"), None, "nothing is answered");
        assert_eq!(code("/openapi/v2", "json").await, 406);
    }
}
