//! The managers after an update whose sets need not be read for it: what most updates do.

use super::entry::in_order;
use super::update::{own_entry, strip};
use super::{UPDATE_ENTRIES_MAX, Writer};
use crate::schema::fields::{self, Set};
use serde_json::Value;

/// `managedFields` after a change of `live` to `new`. None where somebody has to read the sets: where the model may have
/// changed since they were written, where they are named in another version, where the client wrote them, where they
/// have become too many, or where nobody can tell what has changed.
pub(super) fn managers(writer: &Writer<'_>, live: &Value, new: &Value) -> Option<Value> {
    let kind = &writer.versions.kind;
    let known = live["metadata"]["managedFields"].as_array().filter(|known| !known.is_empty())?;
    let is_left = !writer.subresource.is_empty()
        || match &new["metadata"]["managedFields"] {
            Value::Null => true,
            sent => sent.as_array() == Some(known),
        };
    let updaters = known.iter().filter(|entry| entry["operation"] == "Update").count();
    let of_version =
        |entry: &Value| entry["apiVersion"] == *writer.versions.written() && entry["fieldsType"] == "FieldsV1";
    if !kind.is_built_in() || !is_left || updaters >= UPDATE_ENTRIES_MAX || !known.iter().all(of_version) {
        return None;
    }
    // A write of a scale leaves no time, and may leave a manager a second entry.
    if known.iter().any(|entry| entry["time"].is_null() && entry["operation"] == "Update" && is_double(entry, known)) {
        return None;
    }
    let mut change = fields::compare(kind.place().as_written(), live, new);
    if let Some(resets) = writer.resets {
        change = change.without(resets);
    }
    if change.is_nameless {
        return None;
    }
    let changed = change.modified.union(change.added);
    let (taken, gone) = (strip(changed.clone()), changed.union(change.removed));
    let mut own = own_entry(writer, Set::EMPTY);
    let mut managers = Vec::with_capacity(known.len() + 1);
    let mut is_known = false;
    for entry in known {
        let text = entry["fieldsV1"].as_str()?;
        let is_own = entry["operation"] == "Update"
            && entry["manager"] == *own.manager
            && entry["subresource"].as_str().unwrap_or_default() == own.subresource;
        is_known |= is_own;
        let set = fields::edit(text, &gone, if is_own { &taken } else { Set::NOTHING })?;
        if is_own && !taken.is_empty() {
            managers.push(own.spelled(set));
        } else if set != "{}" {
            let mut entry = entry.clone();
            entry["fieldsV1"] = set.into();
            managers.push(entry);
        }
    }
    if !is_known && !taken.is_empty() {
        own.fields = taken;
        managers.push(own.spelled(own.fields.to_text()));
    }
    in_order(managers)
}

/// Whether a manager has another entry beside this one.
fn is_double(entry: &Value, known: &[Value]) -> bool {
    let is_same =
        |other: &&Value| ["operation", "manager", "subresource"].iter().all(|name| entry[*name] == other[*name]);
    known.iter().filter(is_same).count() > 1
}
