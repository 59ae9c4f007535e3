//! `OpenAPI` v3, an index and a document per group version, and v2: each built when it is first asked for, then shared.

mod custom;
mod gnostic;
mod operations;
mod schemas;
mod swagger;
#[cfg(test)]
mod tests;

use super::model::Model;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// The content type of [`OpenApi::v2_protobuf`]. Clients ask for it with an `@` before `v1.0`, which is no valid answer.
pub const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

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
#[derive(Clone, Debug, PartialEq)]
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
}

/// A document, ready to be sent.
#[derive(Clone, Debug)]
pub struct Document {
    /// The JSON.
    pub bytes: Bytes,
    /// What changes whenever the JSON does: its ETag without quotes, and the `hash` in its address.
    pub hash: String,
}

/// All documents of a server.
#[derive(Debug)]
pub struct OpenApi {
    model: &'static Model,
    group_versions: Vec<Entry>,
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
    group_version: GroupVersion,
    path: String,
    hash: String,
    bytes: OnceLock<Bytes>,
}

impl OpenApi {
    /// For the types of `model` and what is served of them; nothing is built yet.
    pub fn new(model: &'static Model, group_versions: Vec<GroupVersion>) -> Self {
        let group_versions = group_versions.into_iter().map(|group_version| Entry {
            path: group_version.path(),
            hash: hash(&group_version),
            bytes: OnceLock::new(),
            group_version,
        });
        Self { model, group_versions: group_versions.collect(), index: OnceLock::new(), swagger: OnceLock::new() }
    }

    /// What `/openapi/v3` answers: where each group version's document lies.
    pub fn index(&self) -> &Document {
        self.index.get_or_init(|| {
            let paths: Map<String, Value> = self
                .group_versions
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
            let documents = self.group_versions.iter().map(|entry| document(self.model, &entry.group_version));
            let written = swagger::write(documents);
            let of = |bytes: Bytes| Document { bytes, hash: self.hash() };
            Swagger { json: of(written.json.into()), protobuf: of(written.protobuf.into()) }
        })
    }

    /// The hash of everything.
    fn hash(&self) -> String {
        self.group_versions.iter().fold(Hasher::default(), |hasher, entry| hasher.text(&entry.hash)).finish()
    }

    /// The document of `path`, as in `apis/apps/v1`.
    pub fn v3(&self, path: &str) -> Option<Document> {
        let entry = self.group_versions.iter().find(|entry| entry.path == path)?;
        let bytes = entry.bytes.get_or_init(|| Bytes::from(document(self.model, &entry.group_version).to_string()));
        Some(Document { bytes: bytes.clone(), hash: entry.hash.clone() })
    }
}

/// The document of one group version.
fn document(model: &Model, group_version: &GroupVersion) -> Value {
    let paths = operations::paths(model, group_version);
    let schemas = schemas::reachable(model, group_version, &paths);
    let info = match group_version.resources.iter().any(|resource| resource.custom.is_some()) {
        true => json!({"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}),
        false => json!({"title": "Kubernetes", "version": "1.36"}),
    };
    json!({
        "openapi": "3.0.0",
        "info": info,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"BearerToken": {"type": "apiKey", "in": "header", "name": "authorization"}},
        },
    })
}

/// A document is a function of the tables, of this program and of what is served: their hash stands for it, so that
/// the index needs no document.
fn hash(group_version: &GroupVersion) -> String {
    let hasher = Hasher::default()
        .text(env!("CARGO_PKG_VERSION"))
        .text(include_str!("table.txt"))
        .text(include_str!("openapi/custom.rs"))
        .text(include_str!("openapi/operations.rs"))
        .text(include_str!("openapi/schemas.rs"));
    hasher.text(&format!("{group_version:?}")).finish()
}

/// FNV-1a of 128 bits: short, and no secret depends on it.
struct Hasher(u128);

impl Default for Hasher {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Hasher {
    fn text(self, text: &str) -> Self {
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        Self(text.bytes().fold(self.0, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME)))
    }

    fn finish(self) -> String {
        format!("{:032X}", self.0)
    }
}
