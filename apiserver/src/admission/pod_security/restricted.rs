//! The restricted standard: baseline, and what hardens a pod further.

use super::baseline::{self, has_own_users, proc_mount};
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

/// What breaks the standard by the rules of 1.`minor`, beyond baseline, in the order of upstream's names of the checks.
pub(super) fn check(minor: u32, pod: &Value) -> Vec<Violation> {
    // Since there is a field for it, what Windows has not is not asked of its pods.
    let is_windows = minor >= 25 && pod["spec"]["os"]["name"] == "windows";
    let may_be_root = minor >= 35 && has_own_users(pod);
    let found = [
        (minor >= 8 && !is_windows).then(|| escalation(pod)).flatten(),
        (minor >= 22 && !is_windows).then(|| capabilities(pod)).flatten(),
        (minor >= 35).then(|| proc_mount(pod)).flatten(),
        volumes(pod),
        (!may_be_root).then(|| root(pod)).flatten(),
        (minor >= 23 && !may_be_root).then(|| user(pod)).flatten(),
        (minor >= 19 && !is_windows).then(|| seccomp(pod)).flatten(),
    ];
    found.into_iter().flatten().collect()
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
    let own = |holder: &Value| holder["securityContext"]["runAsNonRoot"].as_bool();
    let of_pod = own(&pod["spec"]);
    let explicit = named(pod, |container| own(container) == Some(false));
    let implicit = named(pod, |container| own(container).is_none());
    let setters = (of_pod == Some(false)).then(|| "pod".to_owned()).into_iter();
    let setters: Vec<String> = setters.chain((!explicit.is_empty()).then(|| container_names(&explicit))).collect();
    let detail = if !setters.is_empty() {
        format!("{} must not set securityContext.runAsNonRoot=false", setters.join(" and "))
    } else if of_pod.is_none() && !implicit.is_empty() {
        format!("pod or {} must set securityContext.runAsNonRoot=true", container_names(&implicit))
    } else {
        return None;
    };
    Some(Violation { reason: "runAsNonRoot != true", detail })
}

fn user(pod: &Value) -> Option<Violation> {
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
    let wrong = baseline::seccomp(pod);
    let own = |holder: &Value| holder["securityContext"]["seccompProfile"].is_object();
    if wrong.is_some() || own(&pod["spec"]) {
        return wrong;
    }
    let silent = named(pod, |container| !own(container));
    let detail = format!(
        "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
        container_names(&silent)
    );
    (!silent.is_empty()).then_some(Violation { reason: "seccompProfile", detail })
}
