//! `OpenAPI` v3, an index and a document per group version and per path of none, and v2: each built when it is first asked
//! for, then shared.

mod custom;
mod gnostic;
mod names;
mod operations;
mod parameters;
mod published;
mod roots;
mod schemas;
mod swagger;
#[cfg(test)]
mod tests;
mod texts;

use super::model::Model;
use bytes::Bytes;
use roots::Root;
use serde_json::{Map, Value, json};
use std::sync::OnceLock;
use texts::Texts;

/// The content type of [`OpenApi::v2_protobuf`]. Clients ask for it with an `@` before `v1.0`, which is no valid answer.
pub const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// The same of [`OpenApi::v3_protobuf`].
pub const V3_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";

/// The Kubernetes whose API this is.
const VERSION: &str = "1.36";

/// A subresource, as `status` or `scale`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// Its name.
    pub name: String,
    /// The group, version and kind that it takes and gives. A kind on `Options` is a connection, not an object.
    pub kind: (String, String, String),
    /// What can be done with it, in the words of discovery.
    pub verbs: Vec<String>,
}

/// A resource of one group version.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// The plural, as it stands in paths.
    pub plural: String,
    /// Its kind.
    pub kind: String,
    /// Whether it lives in namespaces.
    pub namespaced: bool,
    /// What can be done with it, in the words of discovery.
    pub verbs: Vec<String>,
    /// Whether who deletes one of it is answered the object.
    pub returns_deleted: bool,
    /// What hangs below one of it.
    pub subresources: Vec<Subresource>,
    /// What the author of a custom resource wrote; `None` for what is in the model.
    pub custom: Option<Custom>,
}

/// What the author of a custom resource wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Custom {
    /// The schema; `Null` where there is none.
    pub schema: Value,
    /// The kind of its lists.
    pub list_kind: String,
    /// The fields that selectors may ask for, as in `spec.color`.
    pub selectable: Vec<String>,
}

/// A group version and what it serves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupVersion {
    /// The group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// Its resources.
    pub resources: Vec<Resource>,
}

impl GroupVersion {
    /// Where it is served, without slashes at the ends: `api/v1`, `apis/apps/v1`.
    pub fn path(&self) -> String {
        match self.group.as_str() {
            "" => format!("api/{}", self.version),
            group => format!("apis/{group}/{}", self.version),
        }
    }

    /// Whether its resources are custom ones; a group version has either kind alone.
    fn is_custom(&self) -> bool {
        self.resources.iter().any(|resource| resource.custom.is_some())
    }
}

/// A document, ready to be sent.
#[derive(Clone, Debug)]
pub struct Document {
    /// The JSON.
    pub bytes: Bytes,
    /// What changes whenever the JSON does: its ETag without quotes, and the `hash` in its address.
    pub hash: String,
}

impl Document {
    /// Its `ETag`.
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.hash)
    }
}

/// All documents of a server.
#[derive(Debug)]
pub struct OpenApi {
    model: &'static Model,
    entries: Vec<Entry>,
    index: OnceLock<Document>,
    swagger: OnceLock<Swagger>,
}

/// The two forms of v2. They are written together, for what they are written from takes more memory than they do.
#[derive(Debug)]
struct Swagger {
    json: Document,
    protobuf: Document,
}

#[derive(Debug)]
struct Entry {
    subject: Subject,
    path: String,
    hash: String,
    json: OnceLock<Bytes>,
    protobuf: OnceLock<Bytes>,
}

/// What a document of v3 is about.
#[derive(Debug)]
enum Subject {
    Root(Root),
    GroupVersion(GroupVersion),
}

impl OpenApi {
    /// For the types of `model` and what is served of them; nothing is built yet.
    pub fn new(model: &'static Model, group_versions: Vec<GroupVersion>) -> Self {
        let roots = roots::all(&group_versions).into_iter().map(Subject::Root);
        let subjects = roots.chain(group_versions.into_iter().map(Subject::GroupVersion));
        let tables = Hasher::tables();
        let entries = subjects.map(|subject| Entry::new(subject, tables)).collect();
        Self { model, entries, index: OnceLock::new(), swagger: OnceLock::new() }
    }

    /// What `/openapi/v3` answers: where each document lies.
    pub fn index(&self) -> &Document {
        self.index.get_or_init(|| {
            let paths: Map<String, Value> = self
                .entries
                .iter()
                .map(|Entry { path, hash, .. }| {
                    (path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")}))
                })
                .collect();
            let bytes = Bytes::from(json!({ "paths": paths }).to_string());
            Document { bytes, hash: self.hash() }
        })
    }

    /// What `/openapi/v2` answers as JSON.
    pub fn v2(&self) -> &Document {
        &self.swagger().json
    }

    /// What `/openapi/v2` answers as [`V2_PROTOBUF`], which is what clients ask for.
    pub fn v2_protobuf(&self) -> &Document {
        &self.swagger().protobuf
    }

    fn swagger(&self) -> &Swagger {
        self.swagger.get_or_init(|| {
            let texts = Texts::unpack();
            let documents = self.entries.iter().map(|entry| entry.subject.document(self.model, &texts));
            let written = swagger::write(self.model, documents);
            let of = |bytes: Bytes| Document { bytes, hash: self.hash() };
            Swagger { json: of(written.json.into()), protobuf: of(written.protobuf.into()) }
        })
    }

    /// The hash of everything.
    fn hash(&self) -> String {
        self.entries.iter().fold(Hasher::default(), |hasher, entry| hasher.text(&entry.hash)).finish()
    }

    /// The document of `path`, as in `apis/apps/v1`.
    pub fn v3(&self, path: &str) -> Option<Document> {
        let entry = self.entry(path)?;
        let write = || Bytes::from(entry.subject.document(self.model, &Texts::unpack()).to_string());
        Some(Document { bytes: entry.json.get_or_init(write).clone(), hash: entry.hash.clone() })
    }

    /// The same as [`V3_PROTOBUF`].
    pub fn v3_protobuf(&self, path: &str) -> Option<Document> {
        let entry = self.entry(path)?;
        let write = || Bytes::from(gnostic::v3::document(&entry.subject.document(self.model, &Texts::unpack())));
        Some(Document { bytes: entry.protobuf.get_or_init(write).clone(), hash: entry.hash.clone() })
    }

    fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path == path)
    }
}

impl Entry {
    /// The hash of a document is one of all that it is a function of, so that the index needs no document.
    fn new(subject: Subject, tables: Hasher) -> Self {
        let (path, hash) = (subject.path(), tables.text(&format!("{subject:?}")).finish());
        Self { subject, path, hash, json: OnceLock::new(), protobuf: OnceLock::new() }
    }
}

impl Subject {
    fn path(&self) -> String {
        match self {
            Self::Root(root) => root.path(),
            Self::GroupVersion(group_version) => group_version.path(),
        }
    }

    fn document(&self, model: &Model, texts: &Texts) -> Value {
        match self {
            Self::Root(root) => written(model, texts, &GroupVersion::default(), root.paths()),
            Self::GroupVersion(group_version) => document(model, texts, group_version),
        }
    }
}

/// The document of one group version.
fn document(model: &Model, texts: &Texts, group_version: &GroupVersion) -> Value {
    written(model, texts, group_version, operations::paths(model, group_version))
}

/// A document of these paths, in the words of a group version.
fn written(model: &Model, texts: &Texts, group_version: &GroupVersion, paths: Value) -> Value {
    let schemas = schemas::reachable(model, texts, group_version, &paths);
    let mut components = Map::new();
    if schemas.as_object().is_some_and(|schemas| !schemas.is_empty()) {
        components.insert("schemas".to_owned(), schemas);
    }
    // Of custom resources upstream says neither how callers are told apart nor which Kubernetes it is.
    let mut info = json!({"title": "Kubernetes CRD Swagger", "version": "v0.1.0"});
    if !group_version.is_custom() {
        info = json!({"title": "Kubernetes", "version": VERSION});
        components.insert("securitySchemes".to_owned(), json!({"BearerToken": bearer_token()}));
    }
    let mut document = json!({"openapi": "3.0.0", "info": info});
    document["paths"] = paths;
    document["components"] = components.into();
    document
}

/// How callers are told apart.
fn bearer_token() -> Value {
    json!({"type": "apiKey", "in": "header", "name": "authorization"})
}

/// FNV-1a of 128 bits: short, and no secret depends on it.
#[derive(Clone, Copy)]
struct Hasher(u128);

impl Default for Hasher {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Hasher {
    /// Of the tables and of this program, as far as documents depend on them.
    fn tables() -> Self {
        Self::default()
            .text(env!("CARGO_PKG_VERSION"))
            .text(include_str!("table.txt"))
            .text(include_str!("openapi.rs"))
            .text(include_str!("openapi/custom.rs"))
            .text(include_str!("openapi/gnostic.rs"))
            .text(include_str!("openapi/gnostic/v2.rs"))
            .text(include_str!("openapi/gnostic/v3.rs"))
            .text(include_str!("openapi/names.rs"))
            .text(include_str!("openapi/operations.rs"))
            .text(include_str!("openapi/parameters.rs"))
            .text(include_str!("openapi/published.rs"))
            .text(include_str!("openapi/roots.rs"))
            .text(include_str!("openapi/schemas.rs"))
            .text(include_str!("openapi/swagger.rs"))
            .text(include_str!("openapi/texts.rs"))
            .bytes(texts::PACKED)
    }

    fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        Self(bytes.iter().fold(self.0, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME)))
    }

    fn finish(self) -> String {
        format!("{:032X}", self.0)
    }
}
