//! Services.

use super::container::port_name;
use super::field::{Errors, child, index, list, text};
use super::pod;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;
use tinyplane_wire::meta::{dns_label, dns_subdomain, qualified_name};

/// Longest time that a client is sent to the same endpoint.
const AFFINITY_SECONDS_MAX: i64 = 86_400;
const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

pub(super) fn check(service: &Value, errors: &mut Errors) {
    let spec = &service["spec"];
    let kind = text(&spec["type"]);
    let ports = list(&spec["ports"]);
    let headless = spec["clusterIP"] == "None";
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.required("spec.ports", "");
    }
    match kind {
        "ExternalName" => check_external_name(spec, errors),
        "LoadBalancer" | "NodePort" if headless => {
            let told = format!("may not be set to 'None' for {kind} services");
            errors.invalid_text("spec.clusterIPs[0]", "None", &told);
        }
        _ => {}
    }
    check_ports(ports, errors);
    pod::check_labels(&spec["selector"], "spec.selector", errors);
    errors.one_of("spec.sessionAffinity", &spec["sessionAffinity"], &["ClientIP", "None"]);
    check_affinity(spec, errors);
    check_families(spec, kind, errors);
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
    check_twice(ports, errors);
    check_load_balancer(spec, kind, errors);
    check_traffic(spec, kind, errors);
}

fn check_affinity(spec: &Value, errors: &mut Errors) {
    let (config, path) = (&spec["sessionAffinityConfig"], "spec.sessionAffinityConfig");
    match text(&spec["sessionAffinity"]) {
        "None" if config.is_object() => errors.forbidden(path, "must not be set when session affinity is None"),
        "ClientIP" => {
            let (told, seconds) = ("when session affinity type is ClientIP", &config["clientIP"]["timeoutSeconds"]);
            if !config.is_object() {
                errors.required(path, told);
            } else if !config["clientIP"].is_object() {
                errors.required(child(path, "clientIP"), told);
            } else if seconds.as_i64().is_some_and(|n| !(1..=AFFINITY_SECONDS_MAX).contains(&n)) {
                let told = format!("must be greater than 0 and less than {AFFINITY_SECONDS_MAX}");
                errors.invalid(child(path, "clientIP.timeoutSeconds"), seconds, &told);
            }
        }
        _ => {}
    }
}

fn check_families(spec: &Value, kind: &str, errors: &mut Errors) {
    if kind == "ExternalName" {
        return;
    }
    let mut seen = BTreeSet::new();
    for (at, family) in list(&spec["ipFamilies"]).iter().enumerate() {
        errors.known(index("spec.ipFamilies", at), family, &["IPv4", "IPv6"]);
        if !seen.insert(text(family)) {
            errors.duplicate(index("spec.ipFamilies", at), family);
        }
    }
    let known = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    errors.known("spec.ipFamilyPolicy", &spec["ipFamilyPolicy"], &known);
    if spec["ipFamilyPolicy"] == "RequireDualStack" {
        // There is one range of addresses, and so one family.
        let why = "Cluster is not configured for dual-stack services";
        errors.invalid("spec.ipFamilyPolicy", &spec["ipFamilyPolicy"], why);
    }
}

/// Ports, and ports on nodes, that are there twice.
fn check_twice(ports: &[Value], errors: &mut Errors) {
    let (mut on_nodes, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for (at, port) in ports.iter().enumerate() {
        let node = port["nodePort"].as_i64().filter(|node| *node != 0);
        if node.is_some_and(|node| !on_nodes.insert((text(&port["protocol"]), node))) {
            errors.duplicate(child(&index("spec.ports", at), "nodePort"), &port["nodePort"]);
        }
    }
    for (at, port) in ports.iter().enumerate() {
        if !taken.insert((text(&port["protocol"]), port["port"].as_i64())) {
            // Upstream compares, and shows, what a port is known by alone.
            let (number, protocol) = (&port["port"], &port["protocol"]);
            let shown = format!(
                "{{\"Name\":\"\",\"Protocol\":{protocol},\"AppProtocol\":null,\"Port\":{number},\"TargetPort\":0,\"NodePort\":0}}"
            );
            errors.duplicate_as(index("spec.ports", at), &shown, "");
        }
    }
}

fn check_load_balancer(spec: &Value, kind: &str, errors: &mut Errors) {
    const ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
    let (ranges, path) = (list(&spec["loadBalancerSourceRanges"]), "spec.LoadBalancerSourceRanges");
    let balanced = kind == "LoadBalancer";
    if !ranges.is_empty() && !balanced {
        errors.forbidden(path, ONLY);
    }
    for (at, range) in ranges.iter().enumerate() {
        let range = text(range).trim();
        super::ip::check_range(&index(path, at), range, errors);
    }
    for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
        if !spec[field].is_null() && !balanced {
            errors.forbidden(format!("spec.{field}"), ONLY);
        }
    }
    if let Some(class) = spec["loadBalancerClass"].as_str().filter(|_| balanced) {
        errors.grammar("spec.loadBalancerClass", class, qualified_name(class));
    }
}

fn check_traffic(spec: &Value, kind: &str, errors: &mut Errors) {
    let (outside, local) = (&spec["externalTrafficPolicy"], spec["externalTrafficPolicy"] == "Local");
    let reachable =
        matches!(kind, "LoadBalancer" | "NodePort") || (kind == "ClusterIP" && !list(&spec["externalIPs"]).is_empty());
    if reachable {
        errors.known("spec.externalTrafficPolicy", outside, &["Cluster", "Local"]);
    } else if !text(outside).is_empty() {
        errors.invalid("spec.externalTrafficPolicy", outside, "may only be set for externally-accessible services");
    }
    let health = &spec["healthCheckNodePort"];
    if !(kind == "LoadBalancer" && local) && health.as_i64().is_some_and(|port| port != 0) {
        let told = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.invalid("spec.healthCheckNodePort", health, told);
    }
    errors.known("spec.internalTrafficPolicy", &spec["internalTrafficPolicy"], &["Cluster", "Local"]);
    let known = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    errors.known("spec.trafficDistribution", &spec["trafficDistribution"], &known);
}

fn check_external_name(spec: &Value, errors: &mut Errors) {
    if !list(&spec["clusterIPs"]).is_empty() || !text(&spec["clusterIP"]).is_empty() {
        errors.forbidden("spec.clusterIPs", "may not be set for ExternalName services");
    }
    for field in ["ipFamilies", "ipFamilyPolicy"].into_iter().filter(|field| !spec[*field].is_null()) {
        errors.forbidden(format!("spec.{field}"), "may not be set for ExternalName services");
    }
    let full = text(&spec["externalName"]);
    let name = full.strip_suffix('.').unwrap_or(full);
    if name.is_empty() {
        errors.required("spec.externalName", "");
    } else {
        errors.grammar("spec.externalName", name, dns_subdomain(name));
    }
}

fn check_ports(ports: &[Value], errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for (at, port) in ports.iter().enumerate() {
        let path = index("spec.ports", at);
        let name = text(&port["name"]);
        if name.is_empty() && ports.len() > 1 {
            errors.required(child(&path, "name"), "");
        } else if !name.is_empty() {
            errors.grammar(child(&path, "name"), name, dns_label(name));
            if !names.insert(name) {
                errors.duplicate(child(&path, "name"), &port["name"]);
            }
        }
        if port["port"].as_i64().is_none_or(|p| !(1..=65_535).contains(&p)) {
            let zero = Value::from(0);
            let shown = if port["port"].is_null() { &zero } else { &port["port"] };
            errors.invalid(child(&path, "port"), shown, "must be between 1 and 65535, inclusive");
        }
        errors.one_of(child(&path, "protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"]);
        match &port["targetPort"] {
            Value::Number(_) => errors.port(child(&path, "targetPort"), &port["targetPort"]),
            Value::String(name) => errors.grammar(child(&path, "targetPort"), name, port_name(name)),
            _ => {}
        }
        let application = text(&port["appProtocol"]);
        if port["appProtocol"].is_string() {
            errors.grammar(child(&path, "appProtocol"), application, qualified_name(application));
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
