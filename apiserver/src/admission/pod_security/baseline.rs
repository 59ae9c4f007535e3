//! The baseline standard: no known way out of the container.

use super::{Violation, container_names, containers, items, named, plural, quoted};
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::pairs;

/// Capabilities that may be added.
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
const SELINUX_TYPES: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
/// Kernel parameters that do not reach beyond the pod.
const SYSCTLS: [&str; 13] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_slow_start_after_idle",
];
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// What breaks the standard, in upstream's order.
pub(super) fn check(pod: &Value) -> Vec<Violation> {
    let mut found = outside_the_profile(pod);
    found.extend(capabilities(pod));
    found.extend(within(pod));
    found.sort_by_key(|one| order(one.reason));
    found
}

/// Checks run in the order of their names, and that is the order of what is told.
pub(super) fn order(reason: &str) -> &'static str {
    match reason {
        "allowPrivilegeEscalation != false" => "allowPrivilegeEscalation",
        "forbidden AppArmor profiles" | "forbidden AppArmor profile" => "appArmorProfile",
        "non-default capabilities" => "capabilities_baseline",
        "unrestricted capabilities" => "capabilities_restricted",
        "host namespaces" => "hostNamespaces",
        "hostPath volumes" => "hostPathVolumes",
        "hostPort" => "hostPorts",
        "probe or lifecycle host" => "hostProbesAndHostLifecycle",
        "privileged" => "privileged",
        "procMount" => "procMount",
        "restricted volume types" => "restrictedVolumes",
        "runAsNonRoot != true" => "runAsNonRoot",
        "runAsUser=0" => "runAsUser",
        "seLinuxOptions" => "seLinuxOptions",
        "seccompProfile" => "seccompProfile",
        "forbidden sysctls" => "sysctls",
        _ => "windowsHostProcess",
    }
}

/// What is forbidden by baseline and, in another form, by restricted too.
pub(super) fn outside_the_profile(pod: &Value) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut tell = |reason: &'static str, detail: String| found.push(Violation { reason, detail });
    let spec = &pod["spec"];
    let host: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .into_iter()
        .filter(|field| spec[field] == true)
        .map(|field| format!("{field}=true"))
        .collect();
    if !host.is_empty() {
        tell("host namespaces", host.join(", "));
    }
    let ports_of = |container: &Value| -> Vec<i64> {
        items(&container["ports"]).filter_map(|port| port["hostPort"].as_i64()).filter(|port| *port != 0).collect()
    };
    let with_ports = named(pod, |container| !ports_of(container).is_empty());
    if !with_ports.is_empty() {
        let ports: BTreeSet<i64> = containers(pod).flat_map(ports_of).collect();
        let told: Vec<String> = ports.iter().map(i64::to_string).collect();
        let word = plural("hostPort", ports.len());
        let uses = if with_ports.len() == 1 { "uses" } else { "use" };
        tell("hostPort", format!("{} {uses} {word} {}", container_names(&with_ports), told.join(", ")));
    }
    let privileged = named(pod, |container| container["securityContext"]["privileged"] == true);
    if !privileged.is_empty() {
        let must = "must not set securityContext.privileged=true";
        tell("privileged", format!("{} {must}", container_names(&privileged)));
    }
    let proc_mount =
        |container: &Value| container["securityContext"]["procMount"].as_str().is_some_and(|m| m != "Default");
    let mounted = named(pod, proc_mount);
    if !mounted.is_empty() && spec["hostUsers"] != false {
        let types: BTreeSet<&str> = containers(pod)
            .filter_map(|one| one["securityContext"]["procMount"].as_str())
            .filter(|m| *m != "Default")
            .collect();
        let told = format!("{} must not set securityContext.procMount to {}", container_names(&mounted), quoted(types));
        tell("procMount", told);
    }
    found.extend(selinux(pod));
    found.extend(sysctls(pod));
    found.extend(apparmor(pod));
    found.extend(windows(pod));
    found.extend(probes(pod));
    found
}

/// What restricted forbids in a wider form of its own.
fn within(pod: &Value) -> Vec<Violation> {
    let mut found = Vec::new();
    let volumes: Vec<&str> = items(&pod["spec"]["volumes"])
        .filter(|volume| !volume["hostPath"].is_null())
        .map(|volume| volume["name"].as_str().unwrap_or_default())
        .collect();
    if !volumes.is_empty() {
        let detail = format!("{} {}", plural("volume", volumes.len()), quoted(volumes.iter().copied()));
        found.push(Violation { reason: "hostPath volumes", detail });
    }
    let unconfined = |holder: &Value| holder["securityContext"]["seccompProfile"]["type"] == "Unconfined";
    let mut setters = Vec::new();
    if unconfined(&pod["spec"]) {
        setters.push("pod".to_owned());
    }
    let bad = named(pod, unconfined);
    if !bad.is_empty() {
        setters.push(container_names(&bad));
    }
    if !setters.is_empty() {
        let detail =
            format!("{} must not set securityContext.seccompProfile.type to \"Unconfined\"", setters.join(" and "));
        found.push(Violation { reason: "seccompProfile", detail });
    }
    found
}

fn capabilities(pod: &Value) -> Option<Violation> {
    let added = |container: &Value| -> BTreeSet<String> {
        let add = items(&container["securityContext"]["capabilities"]["add"]).filter_map(Value::as_str);
        add.filter(|name| !CAPABILITIES.contains(name)).map(str::to_owned).collect()
    };
    let bad = named(pod, |container| !added(container).is_empty());
    let all: BTreeSet<String> = containers(pod).flat_map(added).collect();
    let told = quoted(all.iter().map(String::as_str));
    let detail = format!("{} must not include {told} in securityContext.capabilities.add", container_names(&bad));
    (!bad.is_empty()).then_some(Violation { reason: "non-default capabilities", detail })
}

fn selinux(pod: &Value) -> Option<Violation> {
    let (mut setters, mut types) = (Vec::new(), BTreeSet::new());
    let (mut user, mut role) = (false, false);
    let mut bad = |holder: &Value| {
        let options = &holder["securityContext"]["seLinuxOptions"];
        let text = |field: &str| options[field].as_str().unwrap_or_default().to_owned();
        let wrong_type = !SELINUX_TYPES.contains(&text("type").as_str());
        if wrong_type {
            types.insert(text("type"));
        }
        user |= !text("user").is_empty();
        role |= !text("role").is_empty();
        wrong_type || !text("user").is_empty() || !text("role").is_empty()
    };
    if bad(&pod["spec"]) {
        setters.push("pod".to_owned());
    }
    let names: Vec<&str> = containers(pod)
        .filter(|container| bad(container))
        .map(|container| container["name"].as_str().unwrap_or_default())
        .collect();
    if !names.is_empty() {
        setters.push(container_names(&names));
    }
    if setters.is_empty() {
        return None;
    }
    let mut wrong = Vec::new();
    if !types.is_empty() {
        wrong.push(format!("{} {}", plural("type", types.len()), quoted(types.iter().map(String::as_str))));
    }
    if user {
        wrong.push("user may not be set".to_owned());
    }
    if role {
        wrong.push("role may not be set".to_owned());
    }
    let detail =
        format!("{} set forbidden securityContext.seLinuxOptions: {}", setters.join(" and "), wrong.join("; "));
    Some(Violation { reason: "seLinuxOptions", detail })
}

fn sysctls(pod: &Value) -> Option<Violation> {
    let names = items(&pod["spec"]["securityContext"]["sysctls"]).filter_map(|one| one["name"].as_str());
    let bad: Vec<&str> = names.filter(|name| !SYSCTLS.contains(name)).collect();
    (!bad.is_empty()).then(|| Violation { reason: "forbidden sysctls", detail: bad.join(", ") })
}

fn apparmor(pod: &Value) -> Option<Violation> {
    let wrong = |holder: &Value| {
        let kind = holder["securityContext"]["appArmorProfile"]["type"].as_str();
        kind.is_some_and(|kind| !matches!(kind, "RuntimeDefault" | "Localhost"))
    };
    let (mut setters, mut values) = (Vec::new(), BTreeSet::new());
    if wrong(&pod["spec"]) {
        setters.push("pod".to_owned());
        values.insert("Unconfined".to_owned());
    }
    let names = named(pod, wrong);
    if !names.is_empty() {
        setters.push(container_names(&names));
        values.insert("Unconfined".to_owned());
    }
    let notes: Vec<String> = pairs(&pod["metadata"]["annotations"])
        .filter(|(key, value)| {
            let fine = value.is_empty() || *value == "runtime/default" || value.starts_with("localhost/");
            key.starts_with(APPARMOR) && !fine
        })
        .map(|(key, value)| {
            values.insert(value.to_owned());
            format!("{key}={value:?}")
        })
        .collect();
    if !notes.is_empty() {
        setters.push(format!("{} {}", plural("annotation", notes.len()), notes.join(", ")));
    }
    if setters.is_empty() {
        return None;
    }
    let detail = if notes.is_empty() {
        let types = quoted(values.iter().map(String::as_str));
        format!("{} must not set AppArmor profile type to {types}", setters.join(" and "))
    } else {
        setters.join(" and ")
    };
    let reason = if values.len() == 1 { "forbidden AppArmor profile" } else { "forbidden AppArmor profiles" };
    Some(Violation { reason, detail })
}

fn windows(pod: &Value) -> Option<Violation> {
    let is_host = |holder: &Value| holder["securityContext"]["windowsOptions"]["hostProcess"] == true;
    let mut setters = Vec::new();
    if is_host(&pod["spec"]) {
        setters.push("pod".to_owned());
    }
    let names = named(pod, is_host);
    if !names.is_empty() {
        setters.push(container_names(&names));
    }
    let detail = format!("{} must not set securityContext.windowsOptions.hostProcess=true", setters.join(" and "));
    (!setters.is_empty()).then_some(Violation { reason: "hostProcess", detail })
}

/// Probes and hooks that ask another host than the pod.
fn probes(pod: &Value) -> Option<Violation> {
    let host_of = |action: &Value| -> BTreeSet<String> {
        let hosts = [&action["httpGet"]["host"], &action["tcpSocket"]["host"]];
        let given = hosts.into_iter().filter_map(Value::as_str).filter(|host| !host.is_empty());
        given.filter(|host| !matches!(*host, "127.0.0.1" | "::1")).map(str::to_owned).collect()
    };
    let hosts = |container: &Value| -> BTreeSet<String> {
        let hooks = &container["lifecycle"];
        let actions = [
            &container["livenessProbe"],
            &container["readinessProbe"],
            &container["startupProbe"],
            &hooks["postStart"],
            &hooks["preStop"],
        ];
        actions.into_iter().flat_map(host_of).collect()
    };
    let bad = named(pod, |container| !hosts(container).is_empty());
    let all: BTreeSet<String> = containers(pod).flat_map(hosts).collect();
    let uses = if bad.len() == 1 { "uses" } else { "use" };
    let detail = format!(
        "{} {uses} probe or lifecycle {} {}",
        container_names(&bad),
        plural("host", all.len()),
        quoted(all.iter().map(String::as_str))
    );
    (!bad.is_empty()).then_some(Violation { reason: "probe or lifecycle host", detail })
}
