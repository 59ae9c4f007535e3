//! Containers: names, images, ports, environment, mounts, resources, probes.

use super::field::{Errors, child, index, key, list, text};
use crate::schema::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::{dns_label, pairs};

/// All containers of a pod's spec; `volumes` are the names that mounts may use.
pub(super) fn check_all(spec: &Value, path: &str, volumes: &BTreeSet<String>, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    let containers = child(path, "containers");
    if list(&spec["containers"]).is_empty() {
        errors.required(&containers, "");
    }
    for (at, container) in list(&spec["containers"]).iter().enumerate() {
        check(container, &index(&containers, at), volumes, &mut names, errors);
    }
    check_host_ports(&spec["containers"], &containers, errors);
    let init = child(path, "initContainers");
    for (at, container) in list(&spec["initContainers"]).iter().enumerate() {
        let path = index(&init, at);
        check(container, &path, volumes, &mut names, errors);
        let sidecar = container["restartPolicy"] == "Always";
        for (field, told) in [
            ("livenessProbe", "may not be set for init containers without restartPolicy=Always"),
            ("readinessProbe", "may not be set for init containers without restartPolicy=Always"),
            ("startupProbe", "may not be set for init containers without restartPolicy=Always"),
            ("lifecycle", "may not be set for init containers without restartPolicy=Always"),
        ] {
            if !sidecar && container[field].is_object() {
                errors.forbidden(child(&path, field), told);
            }
        }
    }
}

fn check(container: &Value, path: &str, volumes: &BTreeSet<String>, names: &mut BTreeSet<String>, errors: &mut Errors) {
    let name = text(&container["name"]);
    if name.is_empty() {
        errors.required(child(path, "name"), "");
    } else {
        errors.grammar(&child(path, "name"), name, dns_label(name));
        if !names.insert(name.to_owned()) {
            errors.duplicate(child(path, "name"), &container["name"]);
        }
    }
    let image = text(&container["image"]);
    if image.is_empty() {
        errors.required(child(path, "image"), "");
    } else if image.trim() != image {
        errors.invalid_text(child(path, "image"), image, "must not have leading or trailing whitespace");
    }
    errors.one_of(
        &child(path, "terminationMessagePolicy"),
        &container["terminationMessagePolicy"],
        &["File", "FallbackToLogsOnError"],
    );
    check_ports(&container["ports"], &child(path, "ports"), errors);
    check_environment(&container["env"], &child(path, "env"), errors);
    check_mounts(&container["volumeMounts"], &child(path, "volumeMounts"), volumes, errors);
    errors.one_of(&child(path, "imagePullPolicy"), &container["imagePullPolicy"], &["Always", "IfNotPresent", "Never"]);
    check_resources(&container["resources"], &child(path, "resources"), errors);
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        check_probe(&container[probe], probe, &child(path, probe), errors);
    }
}

fn check_ports(ports: &Value, path: &str, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for (at, port) in list(ports).iter().enumerate() {
        let path = index(path, at);
        let name = text(&port["name"]);
        if !name.is_empty() {
            errors.grammar(&child(&path, "name"), name, port_name(name));
            if !names.insert(name) {
                errors.duplicate(child(&path, "name"), &port["name"]);
            }
        }
        match port["containerPort"].as_i64() {
            None | Some(0) => errors.required(child(&path, "containerPort"), ""),
            Some(_) => errors.port(child(&path, "containerPort"), &port["containerPort"]),
        }
        if port["hostPort"].as_i64().is_some_and(|p| p != 0) {
            errors.port(child(&path, "hostPort"), &port["hostPort"]);
        }
        errors.one_of(&child(&path, "protocol"), &port["protocol"], &["TCP", "UDP", "SCTP"]);
    }
}

/// What is wrong with the name of a port (an IANA service name); empty when nothing is.
pub(super) fn port_name(name: &str) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    if name.len() > 15 {
        wrong.push("must be no more than 15 characters".into());
    }
    if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
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

fn check_host_ports(containers: &Value, path: &str, errors: &mut Errors) {
    let mut taken = BTreeSet::new();
    for (at, container) in list(containers).iter().enumerate() {
        for (nth, port) in list(&container["ports"]).iter().enumerate() {
            let Some(host) = port["hostPort"].as_i64().filter(|p| *p != 0) else { continue };
            let told = format!("{}/{}/{host}", text(&port["protocol"]), text(&port["hostIP"]));
            if !taken.insert(told.clone()) {
                let path = index(&child(&index(path, at), "ports"), nth);
                errors.duplicate(child(&path, "hostPort"), &Value::from(told));
            }
        }
    }
}

fn check_environment(env: &Value, path: &str, errors: &mut Errors) {
    for (at, variable) in list(env).iter().enumerate() {
        let path = index(path, at);
        let name = text(&variable["name"]);
        if name.is_empty() {
            errors.required(child(&path, "name"), "");
        } else if name.contains('=') || name.bytes().any(|b| !(0x20..0x7f).contains(&b)) {
            let told =
                "a valid environment variable name must consist only of printable ASCII characters other than '='";
            errors.invalid_text(child(&path, "name"), name, told);
        }
        let from = &variable["valueFrom"];
        let Some(sources) = from.as_object().map(serde_json::Map::len) else { continue };
        let path = child(&path, "valueFrom");
        match sources {
            0 => errors.invalid_text(&path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"),
            1 if !text(&variable["value"]).is_empty() => {
                errors.invalid_text(&path, "", "may not be specified when `value` is not empty");
            }
            1 => {}
            _ => errors.invalid_text(&path, "", "may not have more than one field specified at a time"),
        }
        for reference in ["configMapKeyRef", "secretKeyRef"] {
            if from[reference].is_object() && text(&from[reference]["key"]).is_empty() {
                errors.required(child(&child(&path, reference), "key"), "");
            }
        }
    }
}

fn check_mounts(mounts: &Value, path: &str, volumes: &BTreeSet<String>, errors: &mut Errors) {
    let mut taken = BTreeSet::new();
    for (at, mount) in list(mounts).iter().enumerate() {
        let path = index(path, at);
        let name = text(&mount["name"]);
        if name.is_empty() {
            errors.required(child(&path, "name"), "");
        }
        if !volumes.contains(name) {
            errors.not_found(child(&path, "name"), name);
        }
        let place = text(&mount["mountPath"]);
        if place.is_empty() {
            errors.required(child(&path, "mountPath"), "");
        }
        if !taken.insert(place) {
            errors.invalid_text(child(&path, "mountPath"), place, "must be unique");
        }
        let sub = text(&mount["subPath"]);
        if sub.starts_with('/') {
            errors.invalid_text(child(&path, "subPath"), sub, "must be a relative path");
        }
        if sub.split('/').any(|part| part == "..") {
            errors.invalid_text(child(&path, "subPath"), sub, "must not contain '..'");
        }
    }
}

fn check_resources(resources: &Value, path: &str, errors: &mut Errors) {
    for field in ["limits", "requests"] {
        for (name, amount) in pairs(&resources[field]) {
            if amount.starts_with('-') {
                let path = key(&child(path, field), name);
                errors.invalid_text(&path, amount, "must be greater than or equal to 0");
            }
        }
    }
    for (name, request) in pairs(&resources["requests"]) {
        let limit = text(&resources["limits"][name]);
        let amounts = Quantity::parse(limit).ok().zip(Quantity::parse(request).ok());
        if amounts.is_some_and(|(limit, request)| request > limit) {
            let told = format!("must be less than or equal to {name} limit of {limit}");
            errors.invalid_text(child(path, "requests"), request, &told);
        }
    }
}

fn check_probe(probe: &Value, kind: &str, path: &str, errors: &mut Errors) {
    let Some(fields) = probe.as_object() else { return };
    let handlers: Vec<&str> =
        ["exec", "httpGet", "tcpSocket", "grpc"].into_iter().filter(|h| fields.contains_key(*h)).collect();
    match handlers.as_slice() {
        [] => errors.required(path, "must specify a handler type"),
        [_] => {}
        [_, more @ ..] => {
            for handler in more {
                errors.forbidden(child(path, handler), "may not specify more than 1 handler type");
            }
        }
    }
    if fields.contains_key("exec") && list(&probe["exec"]["command"]).is_empty() {
        errors.required(child(path, "exec.command"), "");
    }
    for handler in ["httpGet", "tcpSocket"] {
        let port = &probe[handler]["port"];
        let path = child(&child(path, handler), "port");
        match port {
            Value::Number(_) => errors.port(path, port),
            Value::String(name) => errors.grammar(&path, name, port_name(name)),
            _ => {}
        }
    }
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        errors.non_negative(child(path, field), &probe[field]);
    }
    if kind != "readinessProbe" && probe["successThreshold"].as_i64().is_some_and(|n| n != 1) {
        errors.invalid(child(path, "successThreshold"), &probe["successThreshold"], "must be 1");
    }
}
