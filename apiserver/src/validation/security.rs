//! Security contexts, of pods and of containers.

use super::field::{Errors, Path, list, text};
use super::present::Present;
use super::{internal, windows};
use serde_json::Value;
use std::collections::BTreeSet;

const SYSCTL_BYTES_MAX: usize = 253;
const SYSCTL_MESSAGE: &str = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";

/// The context of a whole pod.
pub(super) fn check_pod(spec: &Present<'_>, path: &Path<'_>, errors: &mut Errors) {
    let (context, path) = (&spec["securityContext"], path.child("securityContext"));
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        check_id(&context[field], &path.child(field), errors);
    }
    for (at, group) in list(&context["supplementalGroups"]).iter().enumerate() {
        check_id(group, &path.item("supplementalGroups", at), errors);
    }
    if spec["shareProcessNamespace"] == true && spec["hostPID"] == true {
        let told = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.invalid(path.child("shareProcessNamespace"), &spec["shareProcessNamespace"], told);
    }
    check_sysctls(spec, &context["sysctls"], &path.child("sysctls"), errors);
    errors.known(path.child("fsGroupChangePolicy"), &context["fsGroupChangePolicy"], &["Always", "OnRootMismatch"]);
    check_seccomp(&context["seccompProfile"], &path.child("seccompProfile"), errors);
    windows::check_options(&context["windowsOptions"], &path.child("windowsOptions"), errors);
    check_app_armor(&context["appArmorProfile"], &path.child("appArmorProfile"), errors);
    let groups = &context["supplementalGroupsPolicy"];
    errors.known(path.child("supplementalGroupsPolicy"), groups, &["Merge", "Strict"]);
    errors.known(path.child("seLinuxChangePolicy"), &context["seLinuxChangePolicy"], &["Recursive"]);
}

/// The context of one container.
pub(super) fn check_container(context: &Value, host_users: bool, path: &Path<'_>, errors: &mut Errors) {
    if !context.is_object() {
        return;
    }
    for field in ["runAsUser", "runAsGroup"] {
        check_id(&context[field], &path.child(field), errors);
    }
    let mount = &context["procMount"];
    errors.known(path.child("procMount"), mount, &["Default", "Unmasked"]);
    if host_users && mount == "Unmasked" {
        errors.invalid(path.child("procMount"), mount, "`hostUsers` must be false to use `Unmasked`");
    }
    check_seccomp(&context["seccompProfile"], &path.child("seccompProfile"), errors);
    if context["allowPrivilegeEscalation"] == false {
        if context["privileged"] == true {
            let told = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.invalid_as(path, &internal::shown("SecurityContext", context), told);
        }
        if list(&context["capabilities"]["add"]).iter().any(|capability| capability == "CAP_SYS_ADMIN") {
            let told = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.invalid_as(path, &internal::shown("SecurityContext", context), told);
        }
    }
    windows::check_options(&context["windowsOptions"], &path.child("windowsOptions"), errors);
    check_app_armor(&context["appArmorProfile"], &path.child("appArmorProfile"), errors);
}

fn check_id(id: &Value, path: &Path<'_>, errors: &mut Errors) {
    if id.as_i64().is_some_and(|id| !(0..=i64::from(i32::MAX)).contains(&id)) {
        errors.invalid(path, id, "must be between 0 and 2147483647, inclusive");
    }
}

fn check_sysctls(spec: &Present<'_>, sysctls: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for (at, sysctl) in list(sysctls).iter().enumerate() {
        let (name, path) = (text(&sysctl["name"]), path.index(at));
        let path = path.child("name");
        if name.is_empty() {
            errors.required(path, "");
        } else if name.len() > SYSCTL_BYTES_MAX || !name.split(['.', '/']).all(is_sysctl_segment) {
            errors.invalid_text(path, name, SYSCTL_MESSAGE);
        } else if !names.insert(name) {
            errors.duplicate(path, &sysctl["name"]);
        }
        if let Some(field) = namespace_of(name).filter(|field| spec[*field] == true) {
            errors.invalid_text(path, name, &format!("may not be specified when '{field}' is true"));
        }
    }
}

/// Which of the host's namespaces a pod has not to share for this to be its own.
fn namespace_of(sysctl: &str) -> Option<&'static str> {
    // The first sign between two words says which of the two it is.
    let dotted = match sysctl.find(['.', '/']) {
        Some(at) if sysctl.as_bytes()[at] == b'/' => sysctl
            .chars()
            .map(|c| match c {
                '/' => '.',
                '.' => '/',
                c => c,
            })
            .collect(),
        _ => sysctl.to_owned(),
    };
    let begins = |all: &[&str]| all.iter().any(|prefix| dotted.starts_with(prefix));
    match () {
        () if dotted == "kernel.sem" || begins(&["kernel.shm", "kernel.msg", "fs.mqueue."]) => Some("hostIPC"),
        () if begins(&["net."]) => Some("hostNetwork"),
        () => None,
    }
}

fn is_sysctl_segment(segment: &str) -> bool {
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = segment.as_bytes();
    bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && bytes.iter().all(|b| plain(b) || matches!(b, b'-' | b'_'))
}

fn check_seccomp(profile: &Value, path: &Path<'_>, errors: &mut Errors) {
    if !profile.is_object() {
        return;
    }
    let (kind, local) = (text(&profile["type"]), &profile["localhostProfile"]);
    if kind.is_empty() {
        errors.required(path.child("type"), "type is required when seccompProfile is set");
    }
    check_profile_type(kind, path, errors);
    let path = path.child("localhostProfile");
    match local.as_str() {
        None if kind == "Localhost" => errors.required(path, "must be set when seccomp type is Localhost"),
        Some(local) if kind == "Localhost" => check_descending(local, &path, errors),
        Some(_) => {
            let shown = internal::shown("SeccompProfile", profile);
            errors.invalid_as(path, &shown, "can only be set when seccomp type is Localhost");
        }
        None => {}
    }
}

fn check_app_armor(profile: &Value, path: &Path<'_>, errors: &mut Errors) {
    if !profile.is_object() {
        return;
    }
    let (kind, local) = (text(&profile["type"]), &profile["localhostProfile"]);
    if kind.is_empty() {
        errors.required(path.child("type"), "type is required when appArmorProfile is set");
    }
    let at = path.child("localhostProfile");
    match local.as_str() {
        None | Some("") if kind == "Localhost" => errors.required(at, "must be set when AppArmor type is Localhost"),
        Some(local) if kind == "Localhost" && local.trim() != local => {
            errors.invalid_text(at, local, "must not be padded with whitespace");
        }
        Some(local) if ["RuntimeDefault", "Unconfined"].contains(&kind) => {
            errors.invalid_text(at, local, "can only be set when AppArmor type is Localhost");
        }
        _ => {}
    }
    check_profile_type(kind, path, errors);
}

fn check_profile_type(kind: &str, path: &Path<'_>, errors: &mut Errors) {
    let known = ["Localhost", "RuntimeDefault", "Unconfined"];
    if !kind.is_empty() && !known.contains(&kind) {
        errors.unsupported(path.child("type"), kind, &known);
    }
}

/// A path that does not leave the folder it is in.
pub(super) fn check_descending(place: &str, path: &Path<'_>, errors: &mut Errors) {
    if place.starts_with('/') {
        errors.invalid_text(path, place, "must be a relative path");
    }
    if place.split('/').any(|part| part == "..") {
        errors.invalid_text(path, place, "must not contain '..'");
    }
}
