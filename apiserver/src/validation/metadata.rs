//! Metadata of every kind: names, labels, annotations, owners, finalizers, and what of it may never change.

use super::field::{Errors, child, index, list, text};
use crate::registry::behaviour::Grammar;
use crate::schema;
use serde_json::Value;
use tinyplane_wire::meta::{Meta, dns_label, dns_subdomain, label_value, pairs, path_segment, qualified_name};

/// Most bytes of all annotations of an object, keys included.
const ANNOTATION_BYTES_MAX: usize = 256 << 10;

/// What is wrong with a name in a grammar. A prefix may end as no name may: with a dash.
#[must_use]
pub fn name(grammar: Grammar, name: &str, is_prefix: bool) -> Vec<String> {
    let masked;
    let checked = match name.strip_suffix('-') {
        Some(rest) if is_prefix && !rest.is_empty() => {
            masked = format!("{rest}a");
            &masked
        }
        _ => name,
    };
    match grammar {
        Grammar::Subdomain => dns_subdomain(checked),
        Grammar::Label => dns_label(checked),
        Grammar::Label1035 => label_1035(checked),
        Grammar::PathSegment => path_segment(name),
    }
}

pub(super) fn label_1035(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if name.len() > 63 {
        wrong.push("must be no more than 63 bytes".to_owned());
    }
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !fits {
        wrong.push(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')".to_owned(),
        );
    }
    wrong
}

/// What is wrong with the metadata of an object.
pub(crate) fn check(object: &Value, grammar: Grammar, namespaced: bool, errors: &mut Errors) {
    let meta = Meta::of(object);
    let generated = text(&object["metadata"]["generateName"]);
    if !generated.is_empty() {
        errors.grammar("metadata.generateName", generated, name(grammar, generated, true));
    }
    match meta.name() {
        "" => errors.required("metadata.name", "name or generateName is required"),
        given => errors.grammar("metadata.name", given, name(grammar, given, false)),
    }
    match (namespaced, meta.namespace()) {
        (true, "") => errors.required("metadata.namespace", ""),
        (true, namespace) => errors.grammar("metadata.namespace", namespace, dns_label(namespace)),
        (false, "") => {}
        (false, _) => errors.forbidden("metadata.namespace", "not allowed on this type"),
    }
    labels(&object["metadata"]["labels"], "metadata.labels", errors);
    annotations(&object["metadata"]["annotations"], "metadata.annotations", errors);
    owners(&object["metadata"]["ownerReferences"], errors);
    finalizers(&object["metadata"]["finalizers"], errors);
}

/// What is wrong with labels.
fn labels(labels: &Value, path: &str, errors: &mut Errors) {
    for (key, value) in pairs(labels) {
        errors.grammar(path, key, qualified_name(key));
        errors.grammar(path, value, label_value(value));
    }
}

fn annotations(annotations: &Value, path: &str, errors: &mut Errors) {
    let mut bytes = 0;
    for (key, value) in pairs(annotations) {
        errors.grammar(path, key, qualified_name(&key.to_lowercase()));
        bytes += key.len() + value.len();
    }
    if bytes > ANNOTATION_BYTES_MAX {
        errors.too_long(path, ANNOTATION_BYTES_MAX);
    }
}

fn owners(owners: &Value, errors: &mut Errors) {
    let path = "metadata.ownerReferences";
    let mut controller: Option<&str> = None;
    for (at, owner) in list(owners).iter().enumerate() {
        let path = index(path, at);
        let version = text(&owner["apiVersion"]);
        if version.rsplit('/').next().unwrap_or_default().is_empty() {
            errors.invalid_text(child(&path, "apiVersion"), version, "version must not be empty");
        }
        for field in ["kind", "name", "uid"] {
            if text(&owner[field]).is_empty() {
                errors.invalid_text(child(&path, field), "", "must not be empty");
            }
        }
        if version == "v1" && owner["kind"] == "Event" {
            errors.invalid_text(&path, "/v1, Kind=Event", "/v1, Kind=Event is disallowed from being an owner");
        }
        if owner["controller"] == true {
            if let Some(first) = controller {
                let second = text(&owner["name"]);
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}"
                );
                errors.invalid("metadata.ownerReferences", owners, &detail);
            }
            controller = Some(text(&owner["name"]));
        }
    }
}

fn finalizers(finalizers: &Value, errors: &mut Errors) {
    let path = "metadata.finalizers";
    let names: Vec<&str> = list(finalizers).iter().map(text).collect();
    for name in &names {
        errors.grammar(path, name, qualified_name(name));
    }
    if names.contains(&"orphan") && names.contains(&"foregroundDeletion") {
        errors.invalid(path, finalizers, "finalizer foregroundDeletion and orphan cannot be both set");
    }
}

/// Groups of which upstream checks metadata as it does for custom resources.
const PLAIN_GROUPS: [&str; 3] = ["admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io"];

/// Finalizers without a domain are few. Custom resources are not asked.
pub(super) fn check_finalizer_names(group: &str, kind: &str, object: &Value, errors: &mut Errors) {
    let names = list(&object["metadata"]["finalizers"]);
    let version = text(&object["apiVersion"]).rsplit('/').next().unwrap_or_default();
    let is_asked = !PLAIN_GROUPS.contains(&group) && kind != "Event";
    if names.is_empty() || !is_asked || schema::model().kind(group, version, kind).is_none() {
        return;
    }
    for (at, name) in names.iter().map(text).enumerate() {
        finalizer_name(&index("metadata.finalizers", at), name, errors);
    }
}

/// A finalizer is one of the standard ones, or has a domain.
pub(super) fn finalizer_name(path: &str, name: &str, errors: &mut Errors) {
    if !is_known_finalizer(name) {
        errors.invalid_text(path, name, "name is neither a standard finalizer name nor is it fully qualified");
    }
}

fn is_known_finalizer(name: &str) -> bool {
    name.contains('/') || ["orphan", "foregroundDeletion", "kubernetes"].contains(&name)
}

/// What of an object's metadata changed though it may not.
pub(crate) fn check_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (new_meta, old_meta) = (&new["metadata"], &old["metadata"]);
    if !old_meta["deletionTimestamp"].is_null() {
        let known = list(&old_meta["finalizers"]);
        let added: Vec<&str> =
            list(&new_meta["finalizers"]).iter().filter(|name| !known.contains(name)).map(text).collect();
        if !added.is_empty() {
            let added: Vec<String> = added.into_iter().map(|name| format!("{name:?}")).collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            errors.forbidden("metadata.finalizers", &detail);
        }
    }
    for field in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        errors.immutable(child("metadata", field), &new_meta[field], &old_meta[field]);
    }
}

/// What an author of finalizers should know.
pub(crate) fn finalizer_warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let known = old.map(|old| list(&old["metadata"]["finalizers"])).unwrap_or_default();
    let odd = |name: &&str| !is_known_finalizer(name);
    let added = list(&new["metadata"]["finalizers"]).iter().filter(|name| !known.contains(name)).map(text);
    added
        .filter(odd)
        .map(|name| {
            format!("metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wrong(object: &Value, namespaced: bool) -> Vec<String> {
        let mut errors = Errors::default();
        check(object, Grammar::Subdomain, namespaced, &mut errors);
        errors.into_causes().into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn metadata_is_refused_in_upstreams_words() {
        assert_eq!(wrong(&json!({}), false), ["metadata.name: Required value: name or generateName is required"]);
        let found = wrong(&json!({"metadata": {"name": "a", "namespace": "b"}}), false);
        assert_eq!(found, ["metadata.namespace: Forbidden: not allowed on this type"]);
        let bad = wrong(&json!({"metadata": {"name": "A_b", "namespace": "n", "labels": {"a": "-"}}}), true);
        assert!(bad[0].starts_with("metadata.name: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain"));
        assert!(bad[1].starts_with("metadata.labels: Invalid value: \"-\": a valid label"));
        assert!(wrong(&json!({"metadata": {"name": "a-x", "generateName": "a-"}}), false).is_empty());
    }

    #[test]
    fn a_second_controller_is_refused() {
        let owner = |name| json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": "u", "controller": true});
        let found = wrong(&json!({"metadata": {"name": "a", "ownerReferences": [owner("x"), owner("y")]}}), false);
        assert!(found[0].ends_with("in references for x and y"), "{found:?}");
    }

    #[test]
    fn what_may_not_change_is_told() {
        let old = json!({"metadata": {"name": "a", "uid": "1", "deletionTimestamp": "t", "finalizers": ["a/b"]}});
        let mut new = old.clone();
        new["metadata"]["uid"] = json!("2");
        new["metadata"]["finalizers"] = json!(["a/b", "c/d"]);
        let mut errors = Errors::default();
        check_update(&new, &old, &mut errors);
        let told: Vec<_> = errors.into_causes().into_iter().map(|cause| cause.message).collect();
        assert_eq!(
            told[0],
            "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"c/d\"}"
        );
        assert_eq!(told[1], "Invalid value: \"2\": field is immutable");
    }
}
