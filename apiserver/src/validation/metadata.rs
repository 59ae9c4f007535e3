//! Metadata of every kind: names, labels, annotations, owners, finalizers, and what of it may never change.

use super::field::{Errors, Path, list, same, text};
use super::finalizers;
use crate::registry::behaviour::Grammar;
use crate::schema;
use crate::schema::go;
use serde_json::Value;
use tinyplane_wire::meta::{
    METADATA_ORDER, dns_label, dns_subdomain, label_value, pairs, path_segment, qualified_name,
};

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
        Grammar::LongName if is_prefix => Vec::new(),
        Grammar::Subdomain => dns_subdomain(checked),
        // Kinds that upstream checks by declaration count in other words.
        Grammar::LongName => dns_subdomain(checked).into_iter().map(in_bytes).collect(),
        Grammar::Label => dns_label(checked),
        Grammar::Label1035 => label_1035(checked),
        Grammar::PathSegment => path_segment(name),
        Grammar::Any => Vec::new(),
    }
}

fn in_bytes(complaint: String) -> String {
    match complaint.strip_suffix("characters") {
        Some(rest) if rest.starts_with("must be no more than") => format!("{rest}bytes"),
        _ => complaint,
    }
}

pub(crate) fn label_1035(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if name.len() > 63 {
        wrong.push("must be no more than 63 characters".to_owned());
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
    let (meta, path) = (&object["metadata"], Path::root("metadata"));
    check_names(meta, grammar, &path, errors);
    check_namespace(text(&meta["namespace"]), namespaced, &path, errors);
    check_rest(meta, &path, errors);
}

/// Longest name of a manager of fields, in bytes.
pub(crate) const MANAGER_BYTES_MAX: usize = 128;
/// Longest name of the subresource through which fields are managed, in bytes.
const SUBRESOURCE_BYTES_MAX: usize = 256;

/// What is wrong with the metadata of an object that stands in a custom resource. It needs no name.
pub(crate) fn check_embedded(meta: &Value, path: &Path<'_>, errors: &mut Errors) {
    if !text(&meta["name"]).is_empty() || !text(&meta["generateName"]).is_empty() {
        let mut named = meta.clone();
        let name = if text(&meta["name"]).is_empty() { "fakename" } else { text(&meta["name"]) };
        named["name"] = name.into();
        check_names(&named, Grammar::PathSegment, path, errors);
    }
    let namespace = text(&meta["namespace"]);
    check_namespace(namespace, !namespace.is_empty(), path, errors);
    check_rest(meta, path, errors);
}

/// What is wrong with the metadata of a template that may say labels and annotations, and nothing else.
pub(super) fn check_template(meta: &Value, path: &Path<'_>, errors: &mut Errors) {
    annotations(&meta["annotations"], &path.child("annotations"), errors);
    labels(&meta["labels"], &path.child("labels"), errors);
    let others = METADATA_ORDER.into_iter().filter(|field| !["annotations", "labels"].contains(field));
    // A list that was sent is set, though nothing is in it.
    let is_set = |field: &&str| meta[*field].is_array() || !same(&meta[*field], &Value::Null);
    for field in others.filter(is_set) {
        let told = if field == "uid" { "uID" } else { field };
        errors.forbidden(path.child(told), "cannot be set");
    }
}

fn check_names(meta: &Value, grammar: Grammar, path: &Path<'_>, errors: &mut Errors) {
    let generated = text(&meta["generateName"]);
    if !generated.is_empty() {
        errors.grammar(path.child("generateName"), generated, name(grammar, generated, true));
    }
    match text(&meta["name"]) {
        "" => errors.required(path.child("name"), "name or generateName is required"),
        given => errors.grammar(path.child("name"), given, name(grammar, given, false)),
    }
}

fn check_namespace(namespace: &str, namespaced: bool, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("namespace");
    match (namespaced, namespace) {
        (true, "") => errors.required(path, ""),
        (true, namespace) => errors.grammar(path, namespace, dns_label(namespace)),
        (false, "") => {}
        (false, _) => errors.forbidden(path, "not allowed on this type"),
    }
}

fn check_rest(meta: &Value, path: &Path<'_>, errors: &mut Errors) {
    if meta["generation"].as_i64().is_some_and(|generation| generation < 0) {
        errors.invalid(path.child("generation"), &meta["generation"], "must be greater than or equal to 0");
    }
    labels(&meta["labels"], &path.child("labels"), errors);
    annotations(&meta["annotations"], &path.child("annotations"), errors);
    owners(&meta["ownerReferences"], &path.child("ownerReferences"), errors);
    finalizers(&meta["finalizers"], &path.child("finalizers"), errors);
    managers(&meta["managedFields"], &path.child("managedFields"), errors);
}

/// What is wrong with who manages fields. What else could be is not read of an object's own managers.
fn managers(entries: &Value, path: &Path<'_>, errors: &mut Errors) {
    for (at, entry) in list(entries).iter().enumerate() {
        let path = path.index(at);
        manager(text(&entry["manager"]), &path.child("manager"), errors);
        if text(&entry["subresource"]).len() > SUBRESOURCE_BYTES_MAX {
            errors.too_long(path.child("subresource"), SUBRESOURCE_BYTES_MAX);
        }
    }
}

/// What is wrong with the name of one who manages fields. Each cause shows all of it, so of a long one no more is made than is told.
pub(crate) fn manager(name: &str, path: &Path<'_>, errors: &mut Errors) {
    if name.len() > MANAGER_BYTES_MAX {
        errors.too_long(path, MANAGER_BYTES_MAX);
    }
    for (place, one) in name.char_indices().filter(|(_, one)| !go::is_printable(*one)) {
        if errors.is_full() {
            return;
        }
        let told = format!("invalid character U+{:04X} (at position {place})", u32::from(one));
        errors.invalid_text(path, name, &told);
    }
}

/// What is wrong with labels.
fn labels(labels: &Value, path: &Path<'_>, errors: &mut Errors) {
    for (key, value) in pairs(labels) {
        errors.grammar(path, key, qualified_name(key));
        errors.grammar(path, value, label_value(value));
    }
}

fn annotations(annotations: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mut bytes = 0;
    for (key, value) in pairs(annotations) {
        errors.grammar(path, key, qualified_name(&key.to_lowercase()));
        bytes += key.len() + value.len();
    }
    if bytes > ANNOTATION_BYTES_MAX {
        errors.too_long(path, ANNOTATION_BYTES_MAX);
    }
}

/// Upstream tells of no owner by its place in the list.
fn owners(owners: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mut controller: Option<String> = None;
    for owner in list(owners) {
        let version = text(&owner["apiVersion"]);
        if version.matches('/').count() > 1 || version.rsplit('/').next().unwrap_or_default().is_empty() {
            errors.invalid_text(path.child("apiVersion"), version, "version must not be empty");
        }
        for field in ["kind", "name", "uid"] {
            if text(&owner[field]).is_empty() {
                errors.invalid_text(path.child(field), "", "must not be empty");
            }
        }
        if version == "v1" && owner["kind"] == "Event" {
            errors.invalid_as(path, &spelled(owner), "/v1, Kind=Event is disallowed from being an owner");
        }
        if owner["controller"] == true {
            let own = format!("{}/{}", text(&owner["kind"]), text(&owner["name"]));
            match &controller {
                None => controller = Some(own),
                Some(first) => {
                    let detail = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {own}"
                    );
                    let all: Vec<String> = list(owners).iter().map(spelled).collect();
                    errors.invalid_as(path, &format!("[{}]", all.join(",")), &detail);
                }
            }
        }
    }
}

/// An owner with its fields in Go's order.
fn spelled(owner: &Value) -> String {
    let (model, mut out) = (schema::model(), Vec::new());
    match model.named(OWNER) {
        Some(id) => schema::spelling::Speller::new(model).object(id, owner, &mut out),
        None => schema::spelling::free(owner, &mut out),
    }
    String::from_utf8(out).unwrap_or_default()
}

const OWNER: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference";

fn finalizers(finalizers: &Value, path: &Path<'_>, errors: &mut Errors) {
    let names: Vec<&str> = list(finalizers).iter().map(text).collect();
    for name in &names {
        errors.grammar(path, name, qualified_name(name));
    }
    if names.contains(&"orphan") && names.contains(&"foregroundDeletion") {
        errors.invalid(path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set");
    }
}

/// What is wrong with the metadata of a new object of a built-in kind that judges it in a place of its own.
pub(super) fn check_in_kind(object: &Value, grammar: Grammar, namespaced: bool, errors: &mut Errors) {
    check(object, grammar, namespaced, errors);
    finalizers::check_names(object, errors);
}

/// What is wrong with the changed metadata of an object of a built-in kind that judges it in a place of its own.
pub(super) fn check_change_in_kind(new: &Value, old: &Value, errors: &mut Errors) {
    changed(new, old, errors);
    finalizers::check_names(new, errors);
}

/// Kinds whose metadata upstream looks at both as changed and as a whole, beside what it does for all kinds.
const WHOLE_AGAIN: [(&str, &[&str]); 10] = [
    (
        "",
        &[
            "ConfigMap",
            "Endpoints",
            "Namespace",
            "Node",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "Pod",
            "Secret",
            "ServiceAccount",
        ],
    ),
    ("apiregistration.k8s.io", &["APIService"]),
    ("apps", &["ControllerRevision"]),
    ("batch", &["Job"]),
    ("certificates.k8s.io", &["CertificateSigningRequest"]),
    ("networking.k8s.io", &["Ingress", "IngressClass", "IPAddress"]),
    ("node.k8s.io", &["RuntimeClass"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]),
    ("resource.k8s.io", &["DeviceClass", "ResourceClaim", "ResourceClaimTemplate"]),
    ("storage.k8s.io", &["CSIStorageCapacity", "StorageClass", "VolumeAttributesClass"]),
];

/// Kinds whose changed metadata upstream looks at as at that of new ones, beside what it does for all kinds.
const WHOLE_ONLY: [(&str, &[&str]); 5] = [
    ("", &["LimitRange"]),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("discovery.k8s.io", &["EndpointSlice"]),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("storage.k8s.io", &["CSINode", "VolumeAttachment"]),
];

/// What is wrong with the metadata of an object that changes. Upstream looks at it as a whole and at what changed of it,
/// and then once more as its kind does, so that each mistake is told as often.
pub(crate) fn check_change(
    (group, kind, subresource): (&str, &str, &str),
    (new, old): (&Value, &Value),
    grammar: Grammar,
    namespaced: bool,
    errors: &mut Errors,
) {
    let mut found = Errors::default();
    check(new, grammar, namespaced, &mut found);
    check_update(new, old, &mut found);
    finalizers::check_of_kind(group, kind, new, &mut found);
    if found.is_empty() {
        return;
    }
    let of_kind = |(of, kinds): &(&str, &[&str])| *of == group && kinds.contains(&kind);
    let (is_whole, is_changed) = match (group, kind, subresource) {
        ("" | "events.k8s.io", "Event", _) | ("policy", "PodDisruptionBudget", _) | ("batch", "CronJob", "status") => {
            (false, false)
        }
        ("certificates.k8s.io", ..) => (true, true),
        (_, _, "status") => (false, true),
        _ if WHOLE_ONLY.iter().any(of_kind) => (true, false),
        _ => (WHOLE_AGAIN.iter().any(of_kind), true),
    };
    let whole = |grammar: Grammar, errors: &mut Errors| check(new, grammar, namespaced, errors);
    // What is there has a name that fits its kind; only as a segment of a path is every name judged anew.
    whole(Grammar::PathSegment, errors);
    changed(new, old, errors);
    if is_changed {
        changed(new, old, errors);
        finalizers::check_of_kind(group, kind, new, errors);
    }
    if is_whole {
        whole(grammar, errors);
        finalizers::check_of_kind(group, kind, new, errors);
    }
}

fn changed(new: &Value, old: &Value, errors: &mut Errors) {
    let (meta, path) = (&new["metadata"], Path::root("metadata"));
    check_update(new, old, errors);
    labels(&meta["labels"], &path.child("labels"), errors);
    annotations(&meta["annotations"], &path.child("annotations"), errors);
    owners(&meta["ownerReferences"], &path.child("ownerReferences"), errors);
    managers(&meta["managedFields"], &path.child("managedFields"), errors);
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
        errors.immutable(Path::root("metadata").child(field), &new_meta[field], &old_meta[field]);
    }
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
    fn names_of_managers_are_bounded() {
        let entry = json!({"manager": "m".repeat(129), "subresource": "s".repeat(257)});
        let found = wrong(&json!({"metadata": {"name": "a", "managedFields": [entry, {"manager": "a\u{7}"}]}}), false);
        assert_eq!(found[0], "metadata.managedFields[0].manager: Too long: may not be more than 128 bytes");
        assert!(found[1].starts_with("metadata.managedFields[0].subresource: Too long"));
        assert!(found[2].ends_with("invalid character U+0007 (at position 1)"), "{found:?}");
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
        let generated = json!({"metadata": {"name": "A-x", "generateName": "A-"}});
        let told = |grammar: Grammar| {
            let mut errors = Errors::default();
            check(&generated, grammar, false, &mut errors);
            errors.into_causes().into_iter().map(|cause| cause.field).collect::<Vec<_>>()
        };
        assert_eq!(told(Grammar::Subdomain), ["metadata.generateName", "metadata.name"]);
        assert_eq!(told(Grammar::LongName), ["metadata.name"]);
    }

    #[test]
    fn owners_are_told_of_without_their_place() {
        let owners = json!([{"apiVersion": "v1", "kind": "Event", "name": "a", "uid": ""}]);
        assert_eq!(
            wrong(&json!({"metadata": {"name": "a", "ownerReferences": owners}}), false),
            [
                "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty",
                "metadata.ownerReferences: Invalid value: {\"apiVersion\":\"v1\",\"kind\":\"Event\",\"name\":\"a\",\"uid\":\"\"}: /v1, Kind=Event is disallowed from being an owner",
            ]
        );
    }

    #[test]
    fn metadata_inside_of_objects_needs_no_name_and_templates_have_none() {
        let told = |errors: Errors| {
            errors
                .into_causes()
                .into_iter()
                .map(|cause| format!("{}: {}", cause.field, cause.message))
                .collect::<Vec<_>>()
        };
        let mut errors = Errors::default();
        let path = Path::root("spec.object.metadata");
        check_embedded(&json!({"labels": {"a": "b"}, "namespace": "-"}), &path, &mut errors);
        let found = told(errors);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("spec.object.metadata.namespace: Invalid value: \"-\": a lowercase RFC 1123 label")
        );
        let mut errors = Errors::default();
        check_template(
            &json!({"labels": {"a": "b"}, "name": "x", "finalizers": []}),
            &Path::root("metadata"),
            &mut errors,
        );
        let set = ["name", "finalizers"].map(|field| format!("metadata.{field}: Forbidden: cannot be set"));
        assert_eq!(told(errors), set, "a list that was sent, though nothing is in it");
    }

    #[test]
    fn a_second_controller_is_refused() {
        let owner = |name| json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": "u", "controller": true});
        let found = wrong(&json!({"metadata": {"name": "a", "ownerReferences": [owner("x"), owner("y")]}}), false);
        assert!(found[0].ends_with("in references for Pod/x and Pod/y"), "{found:?}");
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

    #[test]
    fn mistakes_in_what_changes_are_told_as_often_as_upstream_looks_at_them() {
        let old = json!({"metadata": {"name": "a", "namespace": "n"}});
        let of = |(field, value): (&str, Value), (group, kind, part): (&str, &str, &str)| {
            let mut new = old.clone();
            new["metadata"][field] = value;
            let mut errors = Errors::default();
            check_change((group, kind, part), (&new, &old), Grammar::Subdomain, true, &mut errors);
            errors.into_causes().len()
        };
        let times = |group, kind, part| of(("labels", json!({"a b": ""})), (group, kind, part));
        let uids = |group, kind| of(("uid", json!("other")), (group, kind, ""));
        assert_eq!((uids("", "LimitRange"), uids("", "Secret")), (1, 2));
        assert_eq!(times("", "Pod", ""), 4);
        assert_eq!(times("", "Pod", "status"), 3);
        assert_eq!(times("apps", "Deployment", ""), 3);
        assert_eq!(times("", "Event", ""), 2);
        assert_eq!(times("policy", "PodDisruptionBudget", "status"), 2);
    }
}
