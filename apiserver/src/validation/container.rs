//! Containers: names, images, ports, environment, mounts, resources, probes.

use super::field::{Errors, Path, list, text};
use super::present::Present;
use super::{environment, probe, resources, security};
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::dns_label;

/// What a container that is added to a running pod may not say, in upstream's order.
const NOT_ADDED: [&str; 9] = [
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];
/// Most rules of when a container is started again, and most codes of each.
const RESTART_RULES_MAX: usize = 20;
const EXIT_CODES_MAX: usize = 255;
const RULES_NEED_POLICY: &str = "must specify restartPolicy when restart rules are used";

/// What the containers of one pod have in common.
pub(super) struct Around<'a> {
    /// The pod's spec.
    pub(super) spec: &'a Present<'a>,
    /// The names that mounts may use.
    pub(super) volumes: &'a BTreeSet<String>,
    /// The names of its claims on devices.
    pub(super) claims: &'a BTreeSet<&'a str>,
}

/// All containers of a pod's spec.
pub(super) fn check_all(around: &Around<'_>, path: &Path<'_>, errors: &mut Errors) {
    let spec = around.spec;
    let grace = spec["terminationGracePeriodSeconds"].as_i64();
    let containers = path.child("containers");
    if list(&spec["containers"]).is_empty() {
        errors.required(containers, "");
    }
    let mut names = BTreeSet::new();
    for (at, container) in list(&spec["containers"]).iter().enumerate() {
        let (path, present) = (containers.index(at), &Present::of(container));
        check(present, around, &path, errors);
        check_unique(container, &mut names, &path, errors);
        probe::check_all(present, grace, &path, errors);
        check_restarts(present, &path, errors);
    }
    check_host_ports(list(&spec["containers"]), &containers, errors);
    let init = path.child("initContainers");
    for (at, container) in list(&spec["initContainers"]).iter().enumerate() {
        let (path, present) = (init.index(at), &Present::of(container));
        check(present, around, &path, errors);
        if container["restartPolicy"].is_string() {
            check_restarts(present, &path, errors);
        } else if !list(&container["restartPolicyRules"]).is_empty() {
            errors.required(path.child("restartPolicy"), RULES_NEED_POLICY);
        }
        // Of those that have no name the first of these is not remembered.
        if !text(&container["name"]).is_empty() || names.contains("") {
            check_unique(container, &mut names, &path, errors);
        }
        check_host_ports(std::slice::from_ref(container), &init, errors);
        if container["restartPolicy"] == "Always" {
            probe::check_all(present, grace, &path, errors);
            continue;
        }
        for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if container[field].is_object() {
                errors.forbidden(path.child(field), "may not be set for init containers without restartPolicy=Always");
            }
        }
    }
    check_ephemeral(around, &names, &path.child("ephemeralContainers"), errors);
}

/// Containers that are added to a running pod: little of what others may say.
fn check_ephemeral(around: &Around<'_>, others: &BTreeSet<&str>, path: &Path<'_>, errors: &mut Errors) {
    const MAY_NOT: &str = "cannot be set for an Ephemeral Container";
    let mut names = others.clone();
    for (at, container) in list(&around.spec["ephemeralContainers"]).iter().enumerate() {
        let path = path.index(at);
        check(&Present::of(container), around, &path, errors);
        check_image(container, &path, errors);
        check_unique(container, &mut names, &path, errors);
        let target = text(&container["targetContainerName"]);
        if !target.is_empty() && !others.contains(target) {
            errors.not_found(path.child("targetContainerName"), target);
        }
        for field in NOT_ADDED {
            // What is said is said, though it be empty; only resources are there in any case.
            let is_said = match &container[field] {
                Value::Null => false,
                Value::Object(said) => field != "resources" || !said.is_empty(),
                _ => true,
            };
            if is_said {
                errors.forbidden(path.child(field), MAY_NOT);
            }
        }
        for (nth, mount) in list(&container["volumeMounts"]).iter().enumerate() {
            for field in ["subPath", "subPathExpr"].into_iter().filter(|field| !text(&mount[*field]).is_empty()) {
                errors.forbidden(path.item("volumeMounts", nth).child(field), MAY_NOT);
            }
        }
    }
}

/// When a container is started again, if not as its pod says.
fn check_restarts(container: &Present<'_>, path: &Path<'_>, errors: &mut Errors) {
    let rules = list(&container["restartPolicyRules"]);
    match container["restartPolicy"].as_str() {
        None if rules.is_empty() => return,
        None => errors.required(path.child("restartPolicy"), RULES_NEED_POLICY),
        Some(_) => {
            errors.known(path.child("restartPolicy"), &container["restartPolicy"], &["Always", "Never", "OnFailure"]);
        }
    }
    let path = path.child("restartPolicyRules");
    if rules.len() > RESTART_RULES_MAX {
        errors.too_many(path, rules.len(), RESTART_RULES_MAX);
    }
    for (at, rule) in rules.iter().enumerate() {
        let (path, codes) = (path.index(at), &rule["exitCodes"]);
        let action = text(&rule["action"]);
        if !["Restart", "RestartAllContainers"].contains(&action) {
            errors.unsupported(path.child("action"), action, &["Restart", "RestartAllContainers"]);
        }
        if !codes.is_object() {
            errors.required(path.child("exitCodes"), "must be specified");
            continue;
        }
        if !["In", "NotIn"].contains(&text(&codes["operator"])) {
            errors.unsupported(path.child("exitCodes.operator"), text(&codes["operator"]), &["In", "NotIn"]);
        }
        let count = list(&codes["values"]).len();
        if count > EXIT_CODES_MAX {
            errors.too_many(path.child("exitCodes.values"), count, EXIT_CODES_MAX);
        }
    }
}

/// What of a container is looked at in pods alone, and not in their templates.
pub(super) fn check_image(container: &Value, path: &Path<'_>, errors: &mut Errors) {
    let image = text(&container["image"]);
    if image.trim() != image {
        errors.invalid_text(path.child("image"), image, "must not have leading or trailing whitespace");
    }
}

fn check_unique<'a>(container: &'a Value, names: &mut BTreeSet<&'a str>, path: &Path<'_>, errors: &mut Errors) {
    if !names.insert(text(&container["name"])) {
        errors.duplicate(path.child("name"), &container["name"]);
    }
}

fn check(container: &Present<'_>, around: &Around<'_>, path: &Path<'_>, errors: &mut Errors) {
    let name = text(&container["name"]);
    if name.is_empty() {
        errors.required(path.child("name"), "");
    } else {
        errors.grammar(path.child("name"), name, dns_label(name));
    }
    if text(&container["image"]).is_empty() {
        errors.required(path.child("image"), "");
    }
    errors.one_of(
        path.child("terminationMessagePolicy"),
        &container["terminationMessagePolicy"],
        &["File", "FallbackToLogsOnError"],
    );
    check_ports(&container["ports"], &path.child("ports"), errors);
    environment::check(&container["env"], &path.child("env"), errors);
    environment::check_from(&container["envFrom"], &path.child("envFrom"), errors);
    check_mounts(container, around.volumes, &path.child("volumeMounts"), errors);
    check_devices(container, around, &path.child("volumeDevices"), errors);
    errors.one_of(path.child("imagePullPolicy"), &container["imagePullPolicy"], &["Always", "IfNotPresent", "Never"]);
    resources::check(&container["resources"], &path.child("resources"), errors);
    let claims = &container["resources"]["claims"];
    resources::check_claims(claims, around.claims, &path.child("resources.claims"), errors);
    check_resize(&container["resizePolicy"], &around.spec["restartPolicy"], &path.child("resizePolicy"), errors);
    let host_users = around.spec["hostUsers"] != false;
    security::check_container(&container["securityContext"], host_users, &path.child("securityContext"), errors);
}

fn check_resize(policies: &Value, restart: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (at, policy) in list(policies).iter().enumerate() {
        if !seen.insert(text(&policy["resourceName"])) {
            errors.duplicate(path.index(at), &policy["resourceName"]);
        }
        errors.one_of(path, &policy["resourceName"], &["cpu", "memory"]);
        errors.one_of(path, &policy["restartPolicy"], &["NotRequired", "RestartContainer"]);
        if restart == "Never" && policy["restartPolicy"] != "NotRequired" {
            let told = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            errors.invalid(path, &policy["restartPolicy"], told);
        }
    }
}

fn check_ports(ports: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for (at, port) in list(ports).iter().enumerate() {
        let path = path.index(at);
        let name = text(&port["name"]);
        if !name.is_empty() {
            let complaints = port_name(name);
            if !complaints.is_empty() {
                errors.grammar(path.child("name"), name, complaints);
            } else if !names.insert(name) {
                errors.duplicate(path.child("name"), &port["name"]);
            }
        }
        match port["containerPort"].as_i64() {
            None | Some(0) => errors.required(path.child("containerPort"), ""),
            Some(_) => errors.port(path.child("containerPort"), &port["containerPort"]),
        }
        if port["hostPort"].as_i64().is_some_and(|p| p != 0) {
            errors.port(path.child("hostPort"), &port["hostPort"]);
        }
        errors.one_of(path.child("protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"]);
    }
}

/// What is wrong with the name of a port (an IANA service name); empty when nothing is.
pub(super) fn port_name(name: &str) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    if name.len() > 15 {
        wrong.push("must be no more than 15 characters".into());
    }
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        wrong.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".into());
    }
    if !name.bytes().any(|b| b.is_ascii_lowercase()) {
        wrong.push("must contain at least one letter (a-z)".into());
    }
    if name.contains("--") {
        wrong.push("must not contain consecutive hyphens".into());
    }
    if name.starts_with('-') || name.ends_with('-') {
        wrong.push("must not begin or end with a hyphen".into());
    }
    wrong
}

fn check_host_ports(containers: &[Value], path: &Path<'_>, errors: &mut Errors) {
    let mut taken = BTreeSet::new();
    for (at, container) in containers.iter().enumerate() {
        for (nth, port) in list(&container["ports"]).iter().enumerate() {
            let Some(host) = port["hostPort"].as_i64().filter(|p| *p != 0) else { continue };
            let told = format!("{}/{}/{host}", text(&port["protocol"]), text(&port["hostIP"]));
            if !taken.insert(told.clone()) {
                let path = path.index(at);
                errors.duplicate(path.item("ports", nth).child("hostPort"), &Value::from(told));
            }
        }
    }
}

fn check_mounts(container: &Present<'_>, volumes: &BTreeSet<String>, path: &Path<'_>, errors: &mut Errors) {
    let devices = list(&container["volumeDevices"]);
    let mut taken = BTreeSet::new();
    for (at, mount) in list(&container["volumeMounts"]).iter().enumerate() {
        let (name, place) = (text(&mount["name"]), text(&mount["mountPath"]));
        let at = path.index(at);
        if name.is_empty() {
            errors.required(at.child("name"), "");
        }
        if !volumes.contains(name) {
            errors.not_found(at.child("name"), name);
        }
        if place.is_empty() {
            errors.required(at.child("mountPath"), "");
        }
        if !taken.insert(place) {
            errors.invalid_text(at.child("mountPath"), place, "must be unique");
        }
        if devices.iter().any(|device| device["name"] == name) {
            errors.invalid_text(at.child("name"), name, "must not already exist in volumeDevices");
        }
        if devices.iter().any(|device| device["devicePath"] == place) {
            let told = "must not already exist as a path in volumeDevices";
            errors.invalid_text(at.child("mountPath"), place, told);
        }
        // Upstream leaves the mount's number out of the paths from here on.
        let (sub, expression) = (text(&mount["subPath"]), text(&mount["subPathExpr"]));
        security::check_descending(sub, &path.child("subPath"), errors);
        if !expression.is_empty() && !sub.is_empty() {
            let told = "subPathExpr and subPath are mutually exclusive";
            errors.invalid_text(at.child("subPathExpr"), expression, told);
        }
        security::check_descending(expression, &path.child("subPathExpr"), errors);
        let propagation = &mount["mountPropagation"];
        let known = ["Bidirectional", "HostToContainer", "None"];
        errors.known(path.child("mountPropagation"), propagation, &known);
        let recursive = &mount["recursiveReadOnly"];
        errors.known(path.child("recursiveReadOnly"), recursive, &["Disabled", "Enabled", "IfPossible"]);
        if propagation == "Bidirectional" && container["securityContext"]["privileged"] != true {
            let told = "Bidirectional mount propagation is available only to privileged containers";
            errors.forbidden(path.child("mountPropagation"), told);
        }
    }
}

/// Whether the volume of a name is had by a claim. Upstream holds the last of several.
fn is_claimed(volumes: &Value, name: &str) -> bool {
    let volume = list(volumes).iter().rfind(|volume| volume["name"] == name);
    volume.is_some_and(|volume| volume["persistentVolumeClaim"].is_object() || volume["ephemeral"].is_object())
}

fn check_devices(container: &Present<'_>, around: &Around<'_>, path: &Path<'_>, errors: &mut Errors) {
    let mounts = list(&container["volumeMounts"]);
    let (mut names, mut places) = (BTreeSet::new(), BTreeSet::new());
    for (at, device) in list(&container["volumeDevices"]).iter().enumerate() {
        let (name, place) = (text(&device["name"]), text(&device["devicePath"]));
        let at = path.index(at);
        if name.is_empty() {
            errors.required(at.child("name"), "");
        } else if !names.insert(name) {
            errors.invalid_text(at.child("name"), name, "must be unique");
        }
        if !around.volumes.contains(name) {
            errors.not_found(at.child("name"), name);
        } else if !is_claimed(&around.spec["volumes"], name) {
            let told = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
            errors.invalid_text(at.child("name"), name, told);
        }
        if place.is_empty() {
            errors.required(at.child("devicePath"), "");
        }
        if !places.insert(place) {
            errors.invalid_text(at.child("devicePath"), place, "must be unique");
        }
        if place.split('/').any(|part| part == "..") {
            errors.invalid_text(at.child("devicePath"), place, "can not contain backsteps ('..')");
        }
        if mounts.iter().any(|mount| mount["name"] == name) {
            errors.invalid_text(at.child("name"), name, "must not already exist in volumeMounts");
        }
        if mounts.iter().any(|mount| mount["mountPath"] == place) {
            let told = "must not already exist as a path in volumeMounts";
            errors.invalid_text(at.child("devicePath"), place, told);
        }
    }
}
