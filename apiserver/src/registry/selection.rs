//! Which objects a list or a watch is about: selectors, judged by what was computed when an object was written.

use super::catalog::{Catalog, Resource};
use crate::schema::go::quote;
use crate::store::contract::{Key, Range};
use crate::store::entry::{Attributes, Describe, Entry};
use arc_swap::ArcSwap;
use serde_json::Value;
use std::sync::Arc;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::selector::{FieldSelector, LabelSelector};
use tinyplane_wire::status::{self, Status};

/// The catalog, in the hands of everybody who reads it, and of the one who changes it.
pub type SharedCatalog = Arc<ArcSwap<Catalog>>;

/// What selectors ask of an object of the stored version.
#[must_use]
pub fn attributes(resource: &Resource, object: &Value) -> Attributes {
    let labels = Meta::of(object).labels().map(|(key, value)| (key.into(), value.into()));
    let fields = resource.behaviour.fields.iter().map(|field| field.read(object));
    let custom = resource.custom.iter().flat_map(|custom| custom.fields(object));
    Attributes::new(labels, resource.field_names.clone(), fields.chain(custom))
}

/// Computes attributes of objects that come back from a disk.
pub struct Descriptions(pub SharedCatalog);

impl Describe for Descriptions {
    fn describe(&self, key: &Key, bytes: &[u8]) -> Attributes {
        let catalog = self.0.load();
        match (catalog.of_key(key), serde_json::from_slice::<Value>(bytes)) {
            (Some(resource), Ok(object)) => attributes(resource, &object),
            _ => Attributes::default(),
        }
    }
}

/// Namespace and name in a key. The namespace of a kind without one is empty.
#[must_use]
pub fn names_in<'a>(resource: &Resource, key: &'a str) -> (&'a str, &'a str) {
    let rest = key.get(resource.folder.len()..).unwrap_or_default();
    rest.split_once('/').unwrap_or(("", rest))
}

/// What is asked for: a part of the store, and what the objects in it must be like.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The keys.
    pub range: Range,
    /// What labels must be like.
    pub labels: LabelSelector,
    /// What fields must be like.
    pub fields: FieldSelector,
}

impl Selection {
    /// Everything of a resource in a namespace, or in all where `namespace` is empty.
    #[must_use]
    pub fn all(resource: &Resource, namespace: &str) -> Self {
        let range = Range::under(&resource.folder_of(namespace));
        Self { range, labels: LabelSelector::default(), fields: FieldSelector::default() }
    }

    /// Reads both selectors.
    ///
    /// # Errors
    /// 400 in upstream's words, for a selector that does not parse or a field that the kind does not offer.
    pub fn parse(resource: &Resource, namespace: &str, labels: &str, fields: &str) -> status::Result<Self> {
        let labels = LabelSelector::parse(labels).map_err(|error| Status::bad_request(error.to_string()))?;
        let mut fields = FieldSelector::parse(fields).map_err(|error| Status::bad_request(error.to_string()))?;
        for term in &mut fields.terms {
            let old = term.field.starts_with("involvedObject.")
                || ["source", "reportingComponent"].contains(&term.field.as_str());
            if resource.gvk.group == "events.k8s.io" && old {
                return Err(Status::bad_request(format!("field label not supported: {}", term.field)));
            }
            if let Some(rest) = term.field.strip_prefix("regarding.").filter(|_| resource.gvk.group == "events.k8s.io")
            {
                term.field = smol_str::format_smolstr!("involvedObject.{rest}");
            }
            if resource.gvk.group == "events.k8s.io" && term.field == "reportingController" {
                term.field = "reportingComponent".into();
            }
            offered(resource, &term.field)?;
        }
        let mut namespace = namespace;
        let demanded = fields.required("metadata.namespace").unwrap_or_default().to_owned();
        if namespace.is_empty() && resource.namespaced && !demanded.is_empty() && is_segment(&demanded) {
            namespace = &demanded;
        }
        let range = match fields.required("metadata.name") {
            Some(name) if is_segment(name) && !(resource.namespaced && namespace.is_empty()) => {
                Range::only(resource.key(namespace, name))
            }
            _ => Range::under(&resource.folder_of(namespace)),
        };
        Ok(Self { range, labels, fields })
    }

    /// Whether anything but the place is asked for.
    #[must_use]
    pub fn is_selective(&self) -> bool {
        !self.labels.is_empty() || !self.fields.is_empty()
    }

    /// Whether an object is meant.
    #[must_use]
    pub fn selects(&self, resource: &Resource, entry: &Entry) -> bool {
        if !self.is_selective() {
            return true;
        }
        let attributes = entry.attributes();
        let (namespace, name) = names_in(resource, &entry.key);
        self.labels.matches(|key| attributes.label(key))
            && self.fields.matches(|field| match field {
                "metadata.name" => name,
                "metadata.namespace" => namespace,
                other => attributes.field(other).unwrap_or_default(),
            })
    }
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && tinyplane_wire::meta::path_segment(text).is_empty()
}

/// Insists that a kind offers a field to selectors.
fn offered(resource: &Resource, name: &str) -> status::Result<()> {
    let offered = resource.behaviour.fields;
    let custom = resource.custom.as_ref().is_some_and(|custom| custom.offered().iter().any(|field| field == name));
    // Built-in kinds that leave it to upstream's default what they offer have a namespace even where they lie in none.
    let is_by_default = offered.is_empty() && resource.custom.is_none();
    let placed = resource.namespaced || is_by_default;
    if name == "metadata.name"
        || (name == "metadata.namespace" && placed)
        || custom
        || offered.iter().any(|field| field.name() == name)
    {
        return Ok(());
    }
    Err(Status::bad_request(if is_by_default {
        format!("{} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"", quote(name))
    } else if resource.stored.kind == "Job" && resource.stored.group == "batch" {
        format!("field label {} not supported for Job", quote(name))
    } else {
        format!("field label not supported: {name}")
    }))
}
