//! The documents themselves, made of a catalog.

use crate::codec::accept::Media;
use crate::codec::protobuf::encode;
use crate::codec::{spelled, yaml};
use crate::registry::catalog::{Catalog, Resource, Verbs};
use crate::schema::model;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::identity::subject::{hexadecimal, sha256};
use tinyplane_wire::status::{self, Status};

/// A document as bytes, in the letters that somebody asked for, and what tells it from others. That is of the JSON alone:
/// answers differ by `Accept`, and say so.
pub(super) struct Document {
    json: Bytes,
    others: [OnceLock<Bytes>; 2],
    pub(super) hash: String,
}

impl Document {
    fn of(value: &Value) -> Self {
        let mut json = Vec::new();
        spelled::write(value, &mut json);
        json.push(b'\n');
        let hash = hexadecimal(&sha256(&json)).to_uppercase();
        Self { hash, json: json.into(), others: Default::default() }
    }

    /// The document in these letters: in others than JSON written when it is first wished.
    pub(super) fn written(&self, media: Media) -> status::Result<Bytes> {
        let at = match media {
            Media::Json => return Ok(self.json.clone()),
            Media::Yaml => 0,
            Media::Protobuf => 1,
        };
        if let Some(known) = self.others[at].get() {
            return Ok(known.clone());
        }
        let value: Value = serde_json::from_slice(&self.json).map_err(Status::internal)?;
        let written = match media {
            Media::Protobuf => encode::encode(model(), &value).ok_or_else(|| Status::internal("no such message"))?,
            _ => yaml::write(&value).map_err(Status::internal)?.into_bytes(),
        };
        Ok(self.others[at].get_or_init(|| written.into()).clone())
    }
}

/// All documents of one catalog.
pub(super) struct Documents {
    /// By path, without a slash at the end.
    plain: BTreeMap<String, Value>,
    core: Document,
    groups: Document,
}

/// A group's versions in the order of the catalog, and each one's rows.
struct Group<'a> {
    name: &'a str,
    versions: Vec<(&'a str, Vec<&'a Arc<Resource>>)>,
}

impl Documents {
    pub(super) fn build(catalog: &Catalog, server_address: &str) -> Self {
        let groups = groups(catalog);
        let mut plain = BTreeMap::new();
        let address = json!([{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}]);
        let (core, named): (Vec<&Group<'_>>, Vec<&Group<'_>>) = groups.iter().partition(|group| group.name.is_empty());
        let core_versions: Vec<&str> = core.iter().flat_map(|g| &g.versions).map(|(version, _)| *version).collect();
        plain.insert(
            "/api".into(),
            json!({"kind": "APIVersions", "versions": core_versions, "serverAddressByClientCIDRs": address}),
        );
        let listed: Vec<Value> = named.iter().map(|group| Value::Object(group_entry(group))).collect();
        plain.insert("/apis".into(), json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}));
        for group in &groups {
            if !group.name.is_empty() {
                let mut entry = group_entry(group);
                entry.insert("kind".into(), "APIGroup".into());
                entry.insert("apiVersion".into(), "v1".into());
                plain.insert(format!("/apis/{}", group.name), Value::Object(entry));
            }
            for (version, rows) in &group.versions {
                let (path, list) = resource_list(group.name, version, rows);
                plain.insert(path, list);
            }
        }
        Self { plain, core: aggregate(&core), groups: aggregate(&named) }
    }

    pub(super) fn plain(&self, path: &str) -> Option<&Value> {
        self.plain.get(path)
    }

    pub(super) fn aggregated(&self, path: &str) -> Option<&Document> {
        match path {
            "/api" => Some(&self.core),
            "/apis" => Some(&self.groups),
            _ => None,
        }
    }

    pub(super) fn paths(&self) -> Vec<String> {
        let paths = self.plain.keys().cloned();
        paths.chain(["/apis/".to_owned()]).collect()
    }
}

fn groups(catalog: &Catalog) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in catalog.rows() {
        let (name, version) = (row.gvk.group.as_str(), row.gvk.version.as_str());
        let at = groups.iter().position(|group| group.name == name).unwrap_or_else(|| {
            groups.push(Group { name, versions: Vec::new() });
            groups.len() - 1
        });
        let versions = &mut groups[at].versions;
        match versions.iter_mut().find(|(known, _)| *known == version) {
            Some((_, rows)) => rows.push(row),
            None => versions.push((version, vec![row])),
        }
    }
    groups
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn group_entry(group: &Group<'_>) -> Map<String, Value> {
    let versions = group.versions.iter();
    let versions: Vec<Value> = versions
        .map(|(version, _)| json!({"groupVersion": group_version(group.name, version), "version": version}))
        .collect();
    let mut entry = Map::new();
    entry.insert("name".into(), group.name.into());
    entry.insert("preferredVersion".into(), versions.first().cloned().unwrap_or_default());
    entry.insert("versions".into(), versions.into());
    entry
}

fn words(verbs: Verbs) -> Vec<&'static str> {
    verbs.words().collect()
}

/// What may be done to a resource: of a custom one in another order, as upstream tells it, and of one whose definition is
/// going nothing that makes or changes objects, though changes are still taken.
fn verbs(row: &Resource) -> Vec<&'static str> {
    match &row.custom {
        None => words(row.verbs),
        Some(custom) if custom.terminating => vec!["delete", "deletecollection", "get", "list", "watch"],
        Some(_) => vec!["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
    }
}

fn texts(texts: &[SmolStr]) -> Vec<&str> {
    texts.iter().map(SmolStr::as_str).collect()
}

/// Path and `APIResourceList` of a group version.
fn resource_list(group: &str, version: &str, rows: &[&Arc<Resource>]) -> (String, Value) {
    let mut resources = Vec::new();
    for row in rows {
        let mut entry = json!({
            "name": row.plural.as_str(), "singularName": row.singular.as_str(), "namespaced": row.namespaced,
            "kind": row.gvk.kind.as_str(), "verbs": verbs(row),
        });
        if !row.short_names.is_empty() {
            entry["shortNames"] = json!(texts(&row.short_names));
        }
        if !row.categories.is_empty() {
            entry["categories"] = json!(texts(&row.categories));
        }
        if row.verbs.has("watch") {
            entry["storageVersionHash"] = storage_version_hash(&row.stored).into();
        }
        resources.push(entry);
        for part in &row.subresources {
            let mut entry = json!({
                "name": format!("{}/{}", row.plural, part.name), "singularName": "", "namespaced": row.namespaced,
                "kind": part.gvk.kind.as_str(), "verbs": words(part.verbs),
            });
            if part.foreign {
                entry["group"] = part.gvk.group.as_str().into();
                entry["version"] = part.gvk.version.as_str().into();
            }
            resources.push(entry);
        }
    }
    let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let mut list =
        json!({"kind": "APIResourceList", "groupVersion": group_version(group, version), "resources": resources});
    if !group.is_empty() {
        list["apiVersion"] = "v1".into();
    }
    (path, list)
}

/// What tells clients in which version objects are stored: of SHA-256 over the kind's full name, 8 bytes.
fn storage_version_hash(stored: &Gvk) -> String {
    let name = format!("{}/{}/{}", stored.group, stored.version, stored.kind);
    STANDARD.encode(&sha256(name.as_bytes())[..8])
}

fn aggregate(groups: &[&Group<'_>]) -> Document {
    let items: Vec<Value> = groups
        .iter()
        .map(|group| {
            let versions: Vec<Value> = group
                .versions
                .iter()
                .map(|(version, rows)| {
                    let resources: Vec<Value> = rows.iter().map(|row| aggregated_resource(row)).collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if group.name.is_empty() { json!({}) } else { json!({"name": group.name}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    Document::of(&json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    }))
}

fn aggregated_resource(row: &Resource) -> Value {
    let kind = |gvk: &Gvk, foreign: bool| {
        // Upstream tells it where the kind is another group version's, and of every custom resource.
        let (group, version) =
            if foreign || row.custom.is_some() { (gvk.group.as_str(), gvk.version.as_str()) } else { ("", "") };
        json!({"group": group, "version": version, "kind": gvk.kind.as_str()})
    };
    let mut entry = json!({
        "resource": row.plural.as_str(), "responseKind": kind(&row.gvk, false),
        "scope": if row.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": row.singular.as_str(), "verbs": verbs(row),
    });
    if !row.short_names.is_empty() {
        entry["shortNames"] = json!(texts(&row.short_names));
    }
    if !row.categories.is_empty() {
        entry["categories"] = json!(texts(&row.categories));
    }
    if !row.subresources.is_empty() {
        let parts = row.subresources.iter().map(|part| json!({
            "subresource": part.name.as_str(), "responseKind": kind(&part.gvk, part.foreign), "verbs": words(part.verbs),
        }));
        entry["subresources"] = parts.collect::<Vec<Value>>().into();
    }
    entry
}
