//! The rows of a definition: one for each version that is served.

use super::names::is;
use super::{Custom, PLAIN, Scale, WITH_STATUS, columns};
use crate::registry::catalog::{Resource, Subresource, Verbs};
use crate::registry::conversion::Conversion;
use crate::schema::structural::{Patterns, Structural};
use crate::store::forms::FormId;
use serde_json::Value;
use smol_str::{SmolStr, format_smolstr};
use std::cmp::Reverse;
use std::sync::Arc;
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::process::Shutdown;

/// Numbers of forms below this one belong to built-in kinds.
const FORMS_FROM: u32 = 0x1000;

/// Gives every version of every definition a number of its own, under which the store keeps its bytes.
#[derive(Debug, Default)]
pub(super) struct Forms(u32);

impl Forms {
    fn next(&mut self) -> FormId {
        self.0 += 1;
        FormId(FORMS_FROM + self.0)
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn texts(value: &Value) -> Vec<SmolStr> {
    items(value).filter_map(Value::as_str).map(SmolStr::from).collect()
}

/// The rows of an established definition, the most stable and newest version first. Their watches end with `gone`.
pub(super) fn of(definition: &Value, gone: &Shutdown, forms: &mut Forms) -> Vec<Arc<Resource>> {
    let spec = &definition["spec"];
    let Some(stored) = items(&spec["versions"]).find(|version| version["storage"] == true) else { return Vec::new() };
    let paths = |version: &Value| -> Vec<SmolStr> {
        items(&version["selectableFields"])
            .map(|field| text(&field["jsonPath"]).trim_start_matches('.').into())
            .collect()
    };
    let mut selected: Vec<SmolStr> = items(&spec["versions"]).flat_map(paths).collect();
    selected.sort();
    selected.dedup();
    let selected: Arc<[SmolStr]> = selected.into();
    let mut served: Vec<&Value> = items(&spec["versions"]).filter(|version| version["served"] == true).collect();
    served.sort_by_key(|version| Reverse(priority(text(&version["name"]))));
    let mut patterns = Patterns::default();
    let compiled = |version: &Value| {
        let schema = version["schema"].get("openAPIV3Schema").filter(|schema| schema.is_object());
        (SmolStr::from(text(&version["name"])), Arc::new(Structural::compile_with(schema, &mut patterns)))
    };
    let schemas: Arc<[_]> = items(&spec["versions"]).map(compiled).collect();
    let one = |version: &&Value| {
        let custom = custom(definition, version, &schemas, (paths(version), Arc::clone(&selected)), gone);
        Arc::new(row(definition, version, text(&stored["name"]), custom, forms))
    };
    served.iter().map(one).collect()
}

/// The order of versions: stable ones before beta and alpha, the newer before the older, other words last in their order.
pub(super) fn priority(version: &str) -> (u8, u64, u64, Reverse<String>) {
    let parse = || {
        let rest = version.strip_prefix('v')?;
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let major = rest[..digits].parse().ok()?;
        let (kind, minor) = match &rest[digits..] {
            "" => return Some((3, major, 0)),
            rest => match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
                (Some(minor), _) => (2, minor),
                (None, Some(minor)) => (1, minor),
                (None, None) => return None,
            },
        };
        Some((kind, major, minor.parse().ok()?))
    };
    match parse() {
        Some((kind, major, minor)) => (kind, major, minor, Reverse(String::new())),
        None => (0, 0, 0, Reverse(version.to_owned())),
    }
}

fn custom(
    definition: &Value,
    version: &Value,
    schemas: &Arc<[(SmolStr, Arc<Structural>)]>,
    (offered, selected): (Vec<SmolStr>, Arc<[SmolStr]>),
    gone: &Shutdown,
) -> Custom {
    let spec = &definition["spec"];
    let schema = version["schema"].get("openAPIV3Schema").filter(|schema| schema.is_object());
    let told = version["deprecationWarning"].as_str().map(str::to_owned);
    let own = schemas.iter().find(|(name, _)| name == text(&version["name"]));
    let structural = own.map_or_else(|| Arc::new(Structural::compile(None)), |(_, schema)| Arc::clone(schema));
    Custom {
        modelled: structural.model(),
        structural,
        schemas: Arc::clone(schemas),
        published: schema.cloned().unwrap_or_default(),
        list_kind: text(&definition["status"]["acceptedNames"]["listKind"]).into(),
        columns: columns::of(version),
        offered,
        selected,
        scale: scale(&version["subresources"]["scale"]),
        deprecation: (version["deprecated"] == true).then(|| told.unwrap_or_else(|| deprecation(spec, version))),
        webhook: (spec["conversion"]["strategy"] == "Webhook").then(|| text(&definition["metadata"]["name"]).into()),
        terminating: is(&definition["status"], "Terminating"),
        gone: gone.clone(),
    }
}

/// What is told of a deprecated version whose author has no words for it: which one takes its place, if one does.
fn deprecation(spec: &Value, version: &Value) -> String {
    let name = |version: &str| format!("{}/{version} {}", text(&spec["group"]), text(&spec["names"]["kind"]));
    let own = text(&version["name"]);
    let better = items(&spec["versions"])
        .filter(|other| other["served"] == true && other["deprecated"] != true)
        .map(|other| text(&other["name"]))
        .filter(|other| priority(other) > priority(own))
        .max_by_key(|other| priority(other));
    match better {
        Some(better) => format!("{} is deprecated; use {}", name(own), name(better)),
        None => format!("{} is deprecated", name(own)),
    }
}

fn scale(scale: &Value) -> Option<Scale> {
    // Names and dots alone, whatever else `JSONPath` knows.
    let path = |field: &str| {
        let path = scale[field].as_str().filter(|path| !path.is_empty())?;
        Some(path.strip_prefix('.').unwrap_or(path).split('.').map(SmolStr::from).collect::<Vec<_>>())
    };
    Some(Scale {
        replicas: path("specReplicasPath")?,
        status: path("statusReplicasPath")?,
        selector: path("labelSelectorPath"),
    })
}

fn row(definition: &Value, version: &Value, stored: &str, custom: Custom, forms: &mut Forms) -> Resource {
    let (spec, names) = (&definition["spec"], &definition["status"]["acceptedNames"]);
    let (group, kind) = (text(&spec["group"]), text(&names["kind"]));
    let gvk = Gvk::new(group, text(&version["name"]), kind);
    let stored = Gvk::new(group, stored, kind);
    let has_status = version["subresources"]["status"].is_object();
    let part = |name: &str, gvk: Gvk, foreign| Subresource {
        name: name.into(),
        gvk,
        foreign,
        verbs: Verbs::of_letters("gpu"),
    };
    let status = has_status.then(|| part("status", gvk.clone(), false));
    let scale = custom.scale.is_some().then(|| part("scale", Gvk::new("autoscaling", "v1", "Scale"), true));
    // Also of the stored version: an object may have been written when the schema was another.
    let conversion = Some(Conversion { form: forms.next(), from_stored: |_| {}, to_stored: |_| {}, settles: false });
    Resource {
        plural: text(&names["plural"]).into(),
        singular: text(&names["singular"]).into(),
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        verbs: Verbs::ALL,
        subresources: status.into_iter().chain(scale).collect(),
        folder: format_smolstr!("/{group}/{}/", text(&names["plural"])),
        type_id: None,
        stored_type_id: None,
        api_version: gvk.api_version().into(),
        field_names: custom.selected().into(),
        behaviour: if has_status { &WITH_STATUS } else { &PLAIN },
        conversion,
        custom: Some(Arc::new(custom)),
        stored,
        gvk,
    }
}
