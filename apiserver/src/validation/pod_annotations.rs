//! Annotations of pods that mean something: copies of static pods, profiles of an earlier day, the cost of a deletion.

use super::field::{Errors, Path, child, key, list, text};
use super::security::check_descending;
use serde_json::Value;
use std::cell::LazyCell;
use std::collections::BTreeSet;
use tinyplane_wire::meta::pairs;

const PATH: &str = "metadata.annotations";
const MIRROR: &str = "kubernetes.io/config.mirror";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_OF_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// What is wrong with those of a pod.
pub(super) fn check(pod: &Value, errors: &mut Errors) {
    check_at(pod, PATH, errors);
}

/// What is wrong with those of a pod or a template, which are told of at this path.
pub(super) fn check_at(holder: &Value, path: &str, errors: &mut Errors) {
    let spec = &holder["spec"];
    let containers = LazyCell::new(|| -> BTreeSet<&str> {
        let lists = ["initContainers", "containers", "ephemeralContainers"].into_iter();
        lists.flat_map(|field| list(&spec[field])).map(|container| text(&container["name"])).collect()
    });
    for (name, value) in pairs(&holder["metadata"]["annotations"]) {
        match name {
            MIRROR if spec["nodeName"].as_str().unwrap_or_default().is_empty() => {
                errors.invalid_text(key(path, name), value, "must set spec.nodeName if mirror pod annotation is set");
            }
            DELETION_COST if !is_cost(value) => {
                errors.invalid_text(key(path, name), value, "must be a 32bit integer");
            }
            SECCOMP => check_seccomp(&child(path, name), value, errors),
            name if name.starts_with(SECCOMP_OF_CONTAINER) => check_seccomp(&child(path, name), value, errors),
            name => {
                if let Some(container) = name.strip_prefix(APP_ARMOR) {
                    if !containers.contains(container) {
                        errors.invalid_text(key(path, name), container, "container not found");
                    }
                    check_app_armor(key(path, name), value, errors);
                }
            }
        }
    }
}

/// What of them may not change.
pub(super) fn check_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (now, before) = (&new["metadata"]["annotations"], &old["metadata"]["annotations"]);
    if now != before {
        let what = |name: &str| match name {
            MIRROR => Some("mirror pod annotation"),
            name if name.starts_with(APP_ARMOR) => Some("AppArmor annotations"),
            _ => None,
        };
        for (name, _) in pairs(before).filter(|(name, value)| now[*name] != *value) {
            if let Some(what) = what(name) {
                errors.forbidden(key(PATH, name), &format!("may not remove or update {what}"));
            }
        }
        for (name, _) in pairs(now).filter(|(name, _)| before[*name].is_null()) {
            if let Some(what) = what(name) {
                errors.forbidden(key(PATH, name), &format!("may not add {what}"));
            }
        }
    }
    check(new, errors);
}

/// Whether a text is a number of 32 bits, without a sign or zeros that mean nothing.
fn is_cost(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = !text.starts_with('+') && (digits == "0" || !digits.starts_with('0'));
    is_plain && text.parse::<i32>().is_ok()
}

fn check_seccomp(path: &str, profile: &str, errors: &mut Errors) {
    if let Some(place) = profile.strip_prefix("localhost/") {
        check_descending(place, &Path::root(path), errors);
    } else if !["runtime/default", "docker/default", "unconfined"].contains(&profile) {
        errors.invalid_text(path, profile, "must be a valid seccomp profile");
    }
}

fn check_app_armor(path: String, profile: &str, errors: &mut Errors) {
    let known = ["", "runtime/default", "unconfined"];
    if !known.contains(&profile) && !profile.starts_with("localhost/") {
        errors.invalid_text(path, profile, &format!("invalid AppArmor profile name: {profile:?}"));
    }
}
