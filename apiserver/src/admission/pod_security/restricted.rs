//! The restricted standard: baseline, and what hardens a pod further.

use super::baseline::{order, outside_the_profile};
use super::{Violation, container_names, containers, items, named, plural, quoted};
use serde_json::Value;
use std::collections::BTreeSet;

/// Kinds of volumes that may be mounted.
const VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// What breaks the standard, in upstream's order.
pub(super) fn check(pod: &Value) -> Vec<Violation> {
    let is_windows = pod["spec"]["os"]["name"] == "windows";
    let mut found = outside_the_profile(pod);
    if !is_windows {
        found.extend(escalation(pod));
        found.extend(capabilities(pod));
        found.extend(seccomp(pod));
    }
    found.extend(volumes(pod));
    found.extend(root(pod));
    found.extend(user(pod));
    found.sort_by_key(|one| order(one.reason));
    found
}

fn escalation(pod: &Value) -> Option<Violation> {
    let bad = named(pod, |container| container["securityContext"]["allowPrivilegeEscalation"] != false);
    let detail = format!("{} must set securityContext.allowPrivilegeEscalation=false", container_names(&bad));
    (!bad.is_empty()).then_some(Violation { reason: "allowPrivilegeEscalation != false", detail })
}

fn capabilities(pod: &Value) -> Option<Violation> {
    let capabilities = |container: &Value| container["securityContext"]["capabilities"].clone();
    let keeps = named(pod, |container| !items(&capabilities(container)["drop"]).any(|one| one == "ALL"));
    let beyond = |container: &Value| -> BTreeSet<String> {
        let added = capabilities(container);
        let names = items(&added["add"]).filter_map(Value::as_str);
        names.filter(|name| *name != "NET_BIND_SERVICE").map(str::to_owned).collect()
    };
    let adds = named(pod, |container| !beyond(container).is_empty());
    let mut told = Vec::new();
    if !keeps.is_empty() {
        told.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", container_names(&keeps)));
    }
    if !adds.is_empty() {
        let all: BTreeSet<String> = containers(pod).flat_map(beyond).collect();
        let names = quoted(all.iter().map(String::as_str));
        told.push(format!("{} must not include {names} in securityContext.capabilities.add", container_names(&adds)));
    }
    (!told.is_empty()).then(|| Violation { reason: "unrestricted capabilities", detail: told.join("; ") })
}

fn volumes(pod: &Value) -> Option<Violation> {
    let kind = |volume: &Value| -> Option<String> {
        let kinds = volume.as_object()?.iter().filter(|(field, value)| *field != "name" && !value.is_null());
        kinds.map(|(field, _)| field.clone()).find(|field| !VOLUMES.contains(&field.as_str()))
    };
    let bad: Vec<(&str, String)> = items(&pod["spec"]["volumes"])
        .filter_map(|volume| Some((volume["name"].as_str().unwrap_or_default(), kind(volume)?)))
        .collect();
    if bad.is_empty() {
        return None;
    }
    let kinds: BTreeSet<&str> = bad.iter().map(|(_, kind)| kind.as_str()).collect();
    let uses = if bad.len() == 1 { "uses" } else { "use" };
    let detail = format!(
        "{} {} {uses} restricted volume {} {}",
        plural("volume", bad.len()),
        quoted(bad.iter().map(|(name, _)| *name)),
        plural("type", kinds.len()),
        quoted(kinds)
    );
    Some(Violation { reason: "restricted volume types", detail })
}

fn root(pod: &Value) -> Option<Violation> {
    if pod["spec"]["hostUsers"] == false {
        return None;
    }
    let own = |holder: &Value| holder["securityContext"]["runAsNonRoot"].as_bool();
    let of_pod = own(&pod["spec"]);
    let explicit = named(pod, |container| own(container) == Some(false));
    let implicit = named(pod, |container| own(container).is_none());
    let mut told = Vec::new();
    // Where all containers speak for themselves, what the pod says does not matter.
    if of_pod == Some(false) && !implicit.is_empty() {
        told.push("pod".to_owned());
    }
    if !explicit.is_empty() {
        told.push(container_names(&explicit));
    }
    if !told.is_empty() {
        let detail = format!("{} must not set securityContext.runAsNonRoot=false", told.join(" and "));
        return Some(Violation { reason: "runAsNonRoot != true", detail });
    }
    if of_pod == Some(true) || implicit.is_empty() {
        return None;
    }
    let detail = format!("pod or {} must set securityContext.runAsNonRoot=true", container_names(&implicit));
    Some(Violation { reason: "runAsNonRoot != true", detail })
}

fn user(pod: &Value) -> Option<Violation> {
    if pod["spec"]["hostUsers"] == false {
        return None;
    }
    let is_root = |holder: &Value| holder["securityContext"]["runAsUser"] == 0;
    let mut setters = Vec::new();
    if is_root(&pod["spec"]) {
        setters.push("pod".to_owned());
    }
    let names = named(pod, is_root);
    if !names.is_empty() {
        setters.push(container_names(&names));
    }
    let detail = format!("{} must not set runAsUser=0", setters.join(" and "));
    (!setters.is_empty()).then_some(Violation { reason: "runAsUser=0", detail })
}

fn seccomp(pod: &Value) -> Option<Violation> {
    let own = |holder: &Value| holder["securityContext"]["seccompProfile"]["type"].as_str().map(str::to_owned);
    let fine = |kind: &Option<String>| matches!(kind.as_deref(), Some("RuntimeDefault" | "Localhost"));
    let of_pod = own(&pod["spec"]);
    let explicit = named(pod, |container| own(container).is_some_and(|kind| !fine(&Some(kind))));
    let implicit = named(pod, |container| own(container).is_none());
    let mut told = Vec::new();
    if of_pod.is_some() && !fine(&of_pod) && !implicit.is_empty() {
        told.push("pod".to_owned());
    }
    if !explicit.is_empty() {
        told.push(container_names(&explicit));
    }
    if !told.is_empty() {
        let detail =
            format!("{} must not set securityContext.seccompProfile.type to \"Unconfined\"", told.join(" and "));
        return Some(Violation { reason: "seccompProfile", detail });
    }
    if fine(&of_pod) || implicit.is_empty() {
        return None;
    }
    let detail = format!(
        "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
        container_names(&implicit)
    );
    Some(Violation { reason: "seccompProfile", detail })
}
