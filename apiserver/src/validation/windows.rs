//! What pods say to Windows.

use super::field::{Errors, Path, list};
use super::present::Present;
use serde_json::Value;
use tinyplane_wire::meta::dns_subdomain;

/// Longest description of a service account that is managed, in bytes.
const CREDENTIAL_BYTES_MAX: usize = 64 << 10;
/// Longest domain and longest name of a user.
const DOMAIN_BYTES_MAX: usize = 255;
const USER_BYTES_MAX: usize = 104;

/// What containers say to Windows, and what they say to Linux.
const FOR_WINDOWS: [&str; 1] = ["windowsOptions"];
const OF_LINUX: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];
/// What pods say to Linux, in upstream's order.
const OF_LINUX_PODS: [&str; 15] = [
    "securityContext.appArmorProfile",
    "securityContext.seLinuxOptions",
    "hostUsers",
    "hostPID",
    "hostIPC",
    "securityContext.seccompProfile",
    "securityContext.fsGroup",
    "securityContext.fsGroupChangePolicy",
    "securityContext.sysctls",
    "shareProcessNamespace",
    "securityContext.runAsUser",
    "securityContext.runAsGroup",
    "securityContext.supplementalGroups",
    "securityContext.supplementalGroupsPolicy",
    "securityContext.seLinuxChangePolicy",
];

/// The options of a pod or a container.
pub(super) fn check_options(options: &Value, path: &Path<'_>, errors: &mut Errors) {
    if !options.is_object() {
        return;
    }
    let said = |field: &'static str| options[field].as_str().map(|value| (value, path.child(field)));
    if let Some((name, path)) = said("gmsaCredentialSpecName") {
        errors.grammar(path, name, dns_subdomain(name));
    }
    match said("gmsaCredentialSpec") {
        Some(("", path)) => errors.invalid_text(path, "", "gmsaCredentialSpec cannot be an empty string"),
        Some((spec, path)) if spec.len() > CREDENTIAL_BYTES_MAX => {
            errors.invalid_text(path, spec, "gmsaCredentialSpec size must be under 64 KiB");
        }
        _ => {}
    }
    if let Some((name, path)) = said("runAsUserName") {
        check_user(name, &path, errors);
    }
}

fn check_user(name: &str, path: &Path<'_>, errors: &mut Errors) {
    let mut wrong = |told: &str| errors.invalid_text(path, name, told);
    if name.is_empty() {
        return wrong("runAsUserName cannot be an empty string");
    }
    if name.bytes().any(|byte| byte.is_ascii_control()) {
        return wrong("runAsUserName cannot contain control characters");
    }
    let (domain, user) = match name.split('\\').collect::<Vec<_>>().as_slice() {
        [user] => (None, *user),
        [domain, user] => (Some(*domain), *user),
        _ => return wrong("runAsUserName cannot contain more than one backslash"),
    };
    if domain.is_some_and(|domain| domain.len() > DOMAIN_BYTES_MAX) {
        wrong("runAsUserName's Domain length must be under 256 characters");
    }
    if domain.is_some_and(|domain| !is_domain(domain)) {
        wrong("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
    }
    if user.is_empty() {
        wrong("runAsUserName's User cannot be empty");
    } else if user.len() > USER_BYTES_MAX {
        wrong("runAsUserName's User length must not be longer than 104 characters");
    }
    if user.chars().all(|c| c == '.' || c == ' ') && !user.is_empty() {
        wrong("runAsUserName's User cannot contain only periods or spaces");
    }
    if user.contains(['"', '/', '\\', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']']) {
        wrong("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
    }
}

/// A name of NetBIOS, or one of DNS.
fn is_domain(domain: &str) -> bool {
    let odd = ['\\', '/', ':', '*', '?', '"', '<', '>', '|'];
    let is_netbios = (1..=15).contains(&domain.chars().count()) && !domain.starts_with('.') && !domain.contains(odd);
    let is_label = |label: &str| {
        let plain = |b: &u8| b.is_ascii_alphanumeric();
        let bytes = label.as_bytes();
        bytes.first().is_some_and(plain)
            && bytes.last().is_some_and(plain)
            && bytes.iter().all(|b| plain(b) || *b == b'-')
    };
    is_netbios || domain.split('.').all(is_label)
}

/// What a pod and its containers say of one system doesn't go with the other.
pub(super) fn check_system(spec: &Present<'_>, path: &Path<'_>, errors: &mut Errors) {
    let is_linux = spec["os"]["name"] == "linux";
    let (told, of_pod, of_container) = match is_linux {
        true => {
            ("windows options cannot be set for a linux pod", &["securityContext.windowsOptions"][..], &FOR_WINDOWS[..])
        }
        false => ("cannot be set for a windows pod", &OF_LINUX_PODS[..], &OF_LINUX[..]),
    };
    for place in of_pod {
        let (holder, field) = place.split_once('.').unwrap_or(("", place));
        let value = if holder.is_empty() { &spec[field] } else { &spec[holder][field] };
        // No process of the host's and no list with nothing in it are as good as nothing said.
        let is_nothing = match *place {
            "hostPID" | "hostIPC" => *value != true,
            "securityContext.sysctls" => list(value).is_empty(),
            _ => value.is_null(),
        };
        if !is_nothing {
            errors.forbidden(path.child(place), told);
        }
    }
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        for (at, container) in list(&spec[field]).iter().enumerate() {
            let path = path.item(field, at);
            let path = path.child("securityContext");
            for field in of_container.iter().filter(|field| !container["securityContext"][**field].is_null()) {
                errors.forbidden(path.child(field), told);
            }
        }
    }
}

/// With a host's processes all containers run as such, in the host's network.
pub(super) fn check_host_process(spec: &Present<'_>, path: &Path<'_>, errors: &mut Errors) {
    let of = |holder: &Value| holder["securityContext"]["windowsOptions"]["hostProcess"].as_bool();
    let whole = of(spec);
    let (mut count, mut hosted) = (0_usize, 0_usize);
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        for (at, container) in list(&spec[field]).iter().enumerate() {
            count += 1;
            let own = of(container);
            if let (Some(whole), Some(own)) = (whole, own)
                && whole != own
            {
                let path = path.item(field, at);
                let told = format!("pod hostProcess value must be identical if both are specified, was {whole}");
                errors.invalid(path.child("securityContext.windowsOptions.hostProcess"), &Value::from(own), &told);
            }
            hosted += usize::from(own.or(whole).unwrap_or_default());
        }
    }
    if hosted == 0 {
        return;
    }
    if hosted != count {
        let told = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.invalid_text(path, "", told);
    }
    if spec["hostNetwork"] != true {
        let told = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.invalid(path.child("hostNetwork"), &Value::from(false), told);
    }
}
