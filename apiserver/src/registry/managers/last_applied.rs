//! The way over from client-side apply: what kubectl noted as last applied, it may apply again from the server's side.

use super::Writer;
use super::apply::Conflict;
use crate::schema::fields::{self, Set};
use serde_json::{Value, json};
use tinyplane_wire::meta::{map_mut, metadata_mut};

/// Where kubectl notes what it applied.
const NOTE: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The one manager that the note belongs to.
const KUBECTL: &str = "kubectl";
/// Most bytes of all annotations, as upstream has it.
const ANNOTATIONS_BYTES_MAX: usize = 256 << 10;

/// Whether this manager is the one that wrote the note.
pub(super) fn belongs_to(manager: &str) -> bool {
    manager == KUBECTL
}

fn note(object: &Value) -> Option<&str> {
    object["metadata"]["annotations"][NOTE].as_str().filter(|text| !text.is_empty())
}

/// The conflicts that the note does not explain: those about fields that are not as they were last applied.
pub(super) fn unexpected(writer: &Writer<'_>, live: &Value, conflicts: Vec<Conflict>) -> Vec<Conflict> {
    let Some(allowed) = allowed(writer, live) else { return conflicts };
    conflicts.into_iter().filter(|conflict| !allowed.has(&conflict.path)).collect()
}

/// The fields of the note that still are as the note has them.
fn allowed(writer: &Writer<'_>, live: &Value) -> Option<Set> {
    let noted: Value = serde_json::from_str(note(live)?).ok()?;
    if noted["apiVersion"].as_str() != Some(writer.versions.written()) {
        return None;
    }
    let place = writer.versions.kind.place();
    if fields::check(place, &noted).is_some() {
        return None;
    }
    let change = fields::compare(place, &noted, live);
    let set = fields::collect(place, &noted);
    Some(set.difference(&change.modified).difference(&change.added).difference(&change.removed))
}

/// Notes what was applied now, where there is a note.
pub(super) fn follow(object: &mut Value, config: &Value) {
    if note(object).is_none() {
        return;
    }
    let mut noted = config.clone();
    if let Some(annotations) = noted.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(NOTE);
    }
    let text = noted.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    let annotations = map_mut(metadata_mut(object).entry("annotations").or_insert_with(|| json!({})));
    annotations.insert(NOTE.to_owned(), format!("{text}\n").into());
    let bytes: usize = annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if bytes > ANNOTATIONS_BYTES_MAX {
        annotations.remove(NOTE);
    }
}
