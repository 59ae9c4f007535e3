//! Finalizers: their names, and what their authors are told.

use super::field::{Errors, Path, list, text};
use crate::schema;
use serde_json::Value;

/// Groups of which upstream checks metadata as it does for custom resources.
const PLAIN_GROUPS: [&str; 3] = ["admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io"];

/// Finalizers without a domain are few. Custom resources are not asked.
pub(crate) fn check_of_kind(group: &str, kind: &str, object: &Value, errors: &mut Errors) {
    let names = list(&object["metadata"]["finalizers"]);
    let version = text(&object["apiVersion"]).rsplit('/').next().unwrap_or_default();
    let is_asked = !PLAIN_GROUPS.contains(&group) && kind != "Event";
    if names.is_empty() || !is_asked || schema::model().kind(group, version, kind).is_none() {
        return;
    }
    check_names(object, errors);
}

/// What is wrong with the names of an object's finalizers.
pub(super) fn check_names(object: &Value, errors: &mut Errors) {
    for (at, name) in list(&object["metadata"]["finalizers"]).iter().map(text).enumerate() {
        check_name(&Path::root("metadata.finalizers").index(at), name, errors);
    }
}

/// A finalizer is one of the standard ones, or has a domain.
pub(super) fn check_name(path: &Path<'_>, name: &str, errors: &mut Errors) {
    if !is_known(name) {
        errors.invalid_text(path, name, "name is neither a standard finalizer name nor is it fully qualified");
    }
}

fn is_known(name: &str) -> bool {
    name.contains('/') || ["orphan", "foregroundDeletion", "kubernetes"].contains(&name)
}

/// What an author of finalizers should know.
pub(crate) fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let known = old.map(|old| list(&old["metadata"]["finalizers"])).unwrap_or_default();
    let odd = |name: &&str| !is_known(name);
    let added = list(&new["metadata"]["finalizers"]).iter().filter(|name| !known.contains(name)).map(text);
    added
        .filter(odd)
        .map(|name| {
            let path = if name.contains('.') { " including a path (/)" } else { "" };
            format!("metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name{path} to avoid accidental conflicts with other finalizer writers")
        })
        .collect()
}
