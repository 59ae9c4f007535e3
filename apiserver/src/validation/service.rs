//! Services.

use super::container::port_name;
use super::field::{Errors, child, index, list, text};
use super::pod;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;
use tinyplane_wire::meta::{dns_label, dns_subdomain};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

pub(super) fn check(service: &Value, errors: &mut Errors) {
    let spec = &service["spec"];
    let kind = text(&spec["type"]);
    let ports = list(&spec["ports"]);
    let headless = spec["clusterIP"] == "None";
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.required("spec.ports", "");
    }
    if kind == "ExternalName" {
        check_external_name(spec, errors);
    }
    check_ports(ports, errors);
    pod::check_labels(&spec["selector"], "spec.selector", errors);
    errors.one_of("spec.sessionAffinity", &spec["sessionAffinity"], &["ClientIP", "None"]);
    check_addresses(spec, kind, errors);
    if kind.is_empty() {
        errors.required("spec.type", "");
    } else if !TYPES.contains(&kind) {
        errors.unsupported("spec.type", kind, &TYPES);
    }
    for (at, port) in ports.iter().enumerate() {
        if kind == "ClusterIP" && port["nodePort"].as_i64().is_some_and(|p| p != 0) {
            errors.forbidden(child(&index("spec.ports", at), "nodePort"), "may not be used when `type` is 'ClusterIP'");
        }
    }
}

fn check_external_name(spec: &Value, errors: &mut Errors) {
    let name = text(&spec["externalName"]).trim_end_matches('.');
    if name.is_empty() {
        errors.required("spec.externalName", "");
    } else {
        errors.grammar("spec.externalName", name, dns_subdomain(name));
    }
    if !text(&spec["clusterIP"]).is_empty() {
        errors.forbidden("spec.clusterIP", "may not be set when type is 'ExternalName'");
    }
}

fn check_ports(ports: &[Value], errors: &mut Errors) {
    let (mut names, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for (at, port) in ports.iter().enumerate() {
        let path = index("spec.ports", at);
        let name = text(&port["name"]);
        if name.is_empty() && ports.len() > 1 {
            errors.required(child(&path, "name"), "");
        } else if !name.is_empty() {
            errors.grammar(&child(&path, "name"), name, dns_label(name));
            if !names.insert(name) {
                errors.duplicate(child(&path, "name"), &port["name"]);
            }
        }
        if port["port"].as_i64().is_none_or(|p| !(1..=65_535).contains(&p)) {
            let zero = Value::from(0);
            let shown = if port["port"].is_null() { &zero } else { &port["port"] };
            errors.invalid(child(&path, "port"), shown, "must be between 1 and 65535, inclusive");
        }
        errors.one_of(&child(&path, "protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"]);
        match &port["targetPort"] {
            Value::Number(_) => errors.port(child(&path, "targetPort"), &port["targetPort"]),
            Value::String(name) => errors.grammar(&child(&path, "targetPort"), name, port_name(name)),
            _ => {}
        }
        if !taken.insert((text(&port["protocol"]), port["port"].as_i64())) {
            let same = serde_json::json!({"port": port["port"], "protocol": port["protocol"]});
            errors.duplicate(&path, &same);
        }
    }
}

fn check_addresses(spec: &Value, kind: &str, errors: &mut Errors) {
    let valid = |ip: &str| ip.parse::<IpAddr>().is_ok();
    for (at, ip) in list(&spec["clusterIPs"]).iter().enumerate() {
        let ip = text(ip);
        if kind != "ExternalName" && !matches!(ip, "" | "None") && !valid(ip) {
            errors.invalid_text(
                index("spec.clusterIPs", at),
                ip,
                "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            );
        }
    }
    for (at, ip) in list(&spec["externalIPs"]).iter().enumerate() {
        let ip = text(ip);
        if !valid(ip) {
            errors.invalid_text(
                index("spec.externalIPs", at),
                ip,
                "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            );
        }
    }
}

pub(super) fn check_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (now, before) = (&new["spec"], &old["spec"]);
    let has_address = |spec: &Value| spec["type"] != "ExternalName";
    let given = text(&before["clusterIP"]);
    if has_address(now) && has_address(before) && !given.is_empty() && now["clusterIP"] != before["clusterIP"] {
        errors.invalid("spec.clusterIPs[0]", &now["clusterIPs"], "may not change once set");
    }
}
