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
/// Types of SELinux that a container may have, and since which version.
const SELINUX_TYPES: [(&str, u32); 5] =
    [("", 0), ("container_t", 0), ("container_init_t", 0), ("container_kvm_t", 0), ("container_engine_t", 31)];
/// Kernel parameters that do not reach beyond the pod, and since which version they count as such.
const SYSCTLS: [(&str, u32); 12] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
];
const SECCOMP_OF_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_OF_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// What breaks the standard by the rules of 1.`minor`, in the order of upstream's names of the checks. Of a restricted pod,
/// what that standard has a stricter form of is left to it.
pub(super) fn check(minor: u32, pod: &Value, is_restricted: bool) -> Vec<Violation> {
    let left = |from: u32| is_restricted && minor >= from;
    let seccomp = || if minor >= 19 { seccomp(pod) } else { seccomp_notes(pod) };
    let found = [
        apparmor(pod),
        (!left(22)).then(|| capabilities(pod)).flatten(),
        host_namespaces(pod),
        (!is_restricted).then(|| host_paths(pod)).flatten(),
        host_ports(pod),
        (minor >= 34).then(|| probes(pod)).flatten(),
        privileged(pod),
        (minor < 35 || !is_restricted && !has_own_users(pod)).then(|| proc_mount(pod)).flatten(),
        selinux(pod, minor),
        (!left(19)).then(seccomp).flatten(),
        sysctls(pod, minor),
        windows(pod),
    ];
    found.into_iter().flatten().collect()
}

/// Whether the pod has a namespace of its own for users: its root is nobody outside.
pub(super) fn has_own_users(pod: &Value) -> bool {
    pod["spec"]["hostUsers"] == false
}

fn host_namespaces(pod: &Value) -> Option<Violation> {
    let fields = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|field| pod["spec"][field] == true);
    let told: Vec<String> = fields.map(|field| format!("{field}=true")).collect();
    (!told.is_empty()).then(|| Violation { reason: "host namespaces", detail: told.join(", ") })
}

fn host_ports(pod: &Value) -> Option<Violation> {
    let ports_of = |container: &Value| -> Vec<i64> {
        items(&container["ports"]).filter_map(|port| port["hostPort"].as_i64()).filter(|port| *port != 0).collect()
    };
    let bad = named(pod, |container| !ports_of(container).is_empty());
    let ports: BTreeSet<String> = containers(pod).flat_map(ports_of).map(|port| port.to_string()).collect();
    let uses = if bad.len() == 1 { "uses" } else { "use" };
    let told = ports.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let detail = format!("{} {uses} {} {told}", container_names(&bad), plural("hostPort", ports.len()));
    (!bad.is_empty()).then_some(Violation { reason: "hostPort", detail })
}

fn privileged(pod: &Value) -> Option<Violation> {
    let bad = named(pod, |container| container["securityContext"]["privileged"] == true);
    let detail = format!("{} must not set securityContext.privileged=true", container_names(&bad));
    (!bad.is_empty()).then_some(Violation { reason: "privileged", detail })
}

pub(super) fn proc_mount(pod: &Value) -> Option<Violation> {
    let wrong = |container: &Value| {
        let kind = container["securityContext"]["procMount"].as_str().filter(|kind| *kind != "Default");
        kind.map(str::to_owned)
    };
    let bad = named(pod, |container| wrong(container).is_some());
    let types: BTreeSet<String> = containers(pod).filter_map(wrong).collect();
    let told = quoted(types.iter().map(String::as_str));
    let detail = format!("{} must not set securityContext.procMount to {told}", container_names(&bad));
    (!bad.is_empty()).then_some(Violation { reason: "procMount", detail })
}

fn host_paths(pod: &Value) -> Option<Violation> {
    let volumes = items(&pod["spec"]["volumes"]).filter(|volume| !volume["hostPath"].is_null());
    let names: Vec<&str> = volumes.map(|volume| volume["name"].as_str().unwrap_or_default()).collect();
    let detail = format!("{} {}", plural("volume", names.len()), quoted(names.iter().copied()));
    (!names.is_empty()).then_some(Violation { reason: "hostPath volumes", detail })
}

/// The profile that a pod or a container asks for, where it is none that confines it.
pub(super) fn unconfined(holder: &Value) -> Option<&str> {
    let kind = holder["securityContext"]["seccompProfile"]["type"].as_str();
    kind.filter(|kind| !matches!(*kind, "RuntimeDefault" | "Localhost"))
}

/// Who asks for a profile that does not confine it.
pub(super) fn seccomp(pod: &Value) -> Option<Violation> {
    let of_pod = unconfined(&pod["spec"]);
    let bad = named(pod, |container| unconfined(container).is_some());
    let kinds: BTreeSet<&str> = containers(pod).filter_map(unconfined).chain(of_pod).collect();
    let setters = of_pod.map(|_| "pod".to_owned()).into_iter();
    let setters: Vec<String> = setters.chain((!bad.is_empty()).then(|| container_names(&bad))).collect();
    let detail =
        format!("{} must not set securityContext.seccompProfile.type to {}", setters.join(" and "), quoted(kinds));
    (!setters.is_empty()).then_some(Violation { reason: "seccompProfile", detail })
}

/// Before there was a field for it, profiles stood in notes.
fn seccomp_notes(pod: &Value) -> Option<Violation> {
    let names = containers(pod).filter_map(|container| container["name"].as_str());
    let keys = names.map(|name| format!("{SECCOMP_OF_CONTAINER}{name}")).chain([SECCOMP_OF_POD.to_owned()]);
    let notes: BTreeSet<String> = keys
        .filter_map(|key| {
            let value = pod["metadata"]["annotations"][&key].as_str()?;
            let fine = matches!(value, "runtime/default" | "docker/default") || value.starts_with("localhost/");
            (!fine).then(|| format!("{key}={value:?}"))
        })
        .collect();
    let told = notes.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let detail = format!("forbidden {} {told}", plural("annotation", notes.len()));
    (!notes.is_empty()).then_some(Violation { reason: "seccompProfile", detail })
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

fn selinux(pod: &Value, minor: u32) -> Option<Violation> {
    let (mut setters, mut types) = (Vec::new(), BTreeSet::new());
    let (mut user, mut role) = (false, false);
    let mut bad = |holder: &Value| {
        let options = &holder["securityContext"]["seLinuxOptions"];
        let text = |field: &str| options[field].as_str().unwrap_or_default().to_owned();
        let wrong_type = !SELINUX_TYPES.iter().any(|(name, from)| text("type") == *name && minor >= *from);
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

fn sysctls(pod: &Value, minor: u32) -> Option<Violation> {
    let names = items(&pod["spec"]["securityContext"]["sysctls"]).filter_map(|one| one["name"].as_str());
    let safe = |name: &&str| SYSCTLS.iter().any(|(known, from)| known == name && minor >= *from);
    let bad: Vec<&str> = names.filter(|name| !safe(name)).collect();
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
        hosts.into_iter().filter_map(Value::as_str).filter(|host| !host.is_empty()).map(str::to_owned).collect()
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
    let mut bad = named(pod, |container| !hosts(container).is_empty());
    bad.sort_unstable();
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
