//! Volumes of a pod: names, and exactly one source each.

use super::field::{Errors, child, index, list, text};
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::dns_label;

/// Checks volumes, and gives the names that mounts may use.
pub(super) fn check(volumes: &Value, path: &str, errors: &mut Errors) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, volume) in list(volumes).iter().enumerate() {
        let path = index(path, at);
        check_source(volume, &path, errors);
        let name = text(&volume["name"]);
        if name.is_empty() {
            errors.required(child(&path, "name"), "");
            continue;
        }
        let complaints = dns_label(name);
        if complaints.is_empty() {
            if !names.insert(name.to_owned()) {
                errors.duplicate(child(&path, "name"), &volume["name"]);
            }
        } else {
            errors.grammar(&child(&path, "name"), name, complaints);
        }
    }
    names
}

fn check_source(volume: &Value, path: &str, errors: &mut Errors) {
    let sources: Vec<&str> =
        volume.as_object().into_iter().flatten().map(|(field, _)| field.as_str()).filter(|f| *f != "name").collect();
    match sources.as_slice() {
        [] => errors.required(path, "must specify a volume type"),
        [_] => {}
        [_, more @ ..] => {
            for source in more {
                errors.forbidden(child(path, source), "may not specify more than 1 volume type");
            }
        }
    }
    for (source, field) in
        [("configMap", "name"), ("secret", "secretName"), ("persistentVolumeClaim", "claimName"), ("hostPath", "path")]
    {
        if volume[source].is_object() && text(&volume[source][field]).is_empty() {
            errors.required(child(&child(path, source), field), "");
        }
    }
}
