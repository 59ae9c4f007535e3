//! Services.

use super::container::port_name;
use super::field::{Errors, Path, child, index, key, list, same, text};
use super::ingress::check_point_name;
use super::pod;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::{Meta, dns_label, dns_subdomain, qualified_name};
use tinyplane_wire::net::ClusterNet;

/// Longest time that a client is sent to the same endpoint.
const AFFINITY_SECONDS_MAX: i64 = 86_400;
const ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

/// The two annotations of one meaning, of which the second is the older.
const TOPOLOGY: [&str; 2] = ["service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"];
/// Where ranges may stand that the field does not say.
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

/// Where a balancer answers for a Service.
pub(super) fn check_status(service: &Value, errors: &mut Errors) {
    let (points, path) = (list(&service["status"]["loadBalancer"]["ingress"]), "status.loadBalancer.ingress");
    if service["spec"]["type"] != "LoadBalancer" && !points.is_empty() {
        return errors.forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'");
    }
    for (at, point) in points.iter().enumerate() {
        let (path, address) = (index(path, at), text(&point["ip"]));
        if !address.is_empty() {
            errors.address(child(&path, "ip"), address);
        }
        match point["ipMode"].as_str() {
            None if !address.is_empty() => {
                errors.required(child(&path, "ipMode"), "must be specified when `ip` is set");
            }
            None => {}
            Some(_) if address.is_empty() => {
                errors.forbidden(child(&path, "ipMode"), "may not be specified when `ip` is not set");
            }
            Some(mode) if !["Proxy", "VIP"].contains(&mode) => {
                errors.unsupported(child(&path, "ipMode"), mode, &["Proxy", "VIP"]);
            }
            Some(_) => {}
        }
        check_point_name(text(&point["hostname"]), &path, errors);
    }
}

pub(super) fn check(service: &Value, net: Option<&ClusterNet>, errors: &mut Errors) {
    let (spec, meta) = (&service["spec"], Meta::of(service));
    if let [Some(mode), Some(hints)] = TOPOLOGY.map(|name| meta.annotation(name))
        && mode != hints
    {
        let told = format!("must match annotations[{}] when both are specified", TOPOLOGY[1]);
        errors.invalid_text(key("metadata.annotations", TOPOLOGY[0]), mode, &told);
    }
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
    pod::check_labels(&spec["selector"], &Path::root("spec.selector"), errors);
    errors.one_of("spec.sessionAffinity", &spec["sessionAffinity"], &["ClientIP", "None"]);
    check_affinity(spec, errors);
    if kind != "ExternalName" {
        related_addresses(spec, errors);
    }
    for (at, ip) in list(&spec["externalIPs"]).iter().enumerate() {
        let (path, mut found) = (index("spec.externalIPs", at), Errors::default());
        super::ip::check_address(&path, text(ip), &mut found);
        if found.is_empty() {
            super::endpoints::check_special(&path, text(ip), net, &mut found);
        }
        errors.append(found);
    }
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
    check_load_balancer(spec, meta.annotation(SOURCE_RANGES), kind, errors);
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

/// What of addresses and their families goes together.
pub(crate) fn related_addresses(spec: &Value, errors: &mut Errors) {
    let (addresses, path) = (list(&spec["clusterIPs"]), "spec.clusterIPs");
    match text(&spec["clusterIP"]) {
        "" if !addresses.is_empty() => {
            errors.invalid(path, &spec["clusterIPs"], "must be empty when `clusterIP` is not specified");
        }
        "" => {}
        _ if addresses.is_empty() => errors.required(path, ""),
        first if addresses[0] != first => {
            errors.invalid(path, &spec["clusterIPs"], "first value must match `clusterIP`");
        }
        _ => {}
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
    let mut wrong = Errors::default();
    for (at, address) in addresses.iter().enumerate() {
        match text(address) {
            "None" if at == 0 && addresses.len() > 1 => {
                wrong.invalid(path, &spec["clusterIPs"], "'None' must be the first and only value");
            }
            "None" if at == 0 => {}
            address => super::ip::check_address(&index(path, at), address, &mut wrong),
        }
    }
    let is_wrong = !wrong.is_empty();
    errors.append(wrong);
    if addresses.len() > 2 {
        errors.invalid(path, &spec["clusterIPs"], "may only hold up to 2 values");
    }
    if !is_wrong {
        check_stacks(spec, addresses, errors);
    }
}

/// Addresses that can be read: of each family one, and of the families that are said.
fn check_stacks(spec: &Value, addresses: &[Value], errors: &mut Errors) {
    let is_six = |address: &Value| super::ip::read(text(address)).is_some_and(|address| address.is_ipv6());
    let sixes = addresses.iter().filter(|address| is_six(address)).count();
    if addresses.len() > 1 && (sixes == 0 || sixes == addresses.len()) {
        let told = "may specify no more than one IP for each IP family";
        errors.invalid("spec.clusterIPs", &spec["clusterIPs"], told);
    }
    if addresses.first().is_some_and(|first| first == "None") {
        return;
    }
    for (at, (address, family)) in addresses.iter().zip(list(&spec["ipFamilies"])).enumerate() {
        if (family == "IPv4" && is_six(address)) || (family == "IPv6" && !is_six(address)) {
            let told = format!("expected an {} value as indicated by `ipFamilies[{at}]`", text(family));
            errors.invalid(index("spec.clusterIPs", at), address, &told);
        }
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

fn check_load_balancer(spec: &Value, annotated: Option<&str>, kind: &str, errors: &mut Errors) {
    let (ranges, path) = (list(&spec["loadBalancerSourceRanges"]), "spec.LoadBalancerSourceRanges");
    let balanced = kind == "LoadBalancer";
    if !ranges.is_empty() && !balanced {
        errors.forbidden(path, ONLY);
    }
    for (at, range) in ranges.iter().enumerate() {
        let range = text(range).trim();
        super::ip::check_range(&index(path, at), range, errors);
    }
    if let Some(annotated) = annotated.filter(|_| ranges.is_empty()) {
        let path = key("metadata.annotations", SOURCE_RANGES);
        if !balanced {
            errors.forbidden(&path, ONLY);
        }
        for range in annotated.trim().split(',').filter(|_| !annotated.trim().is_empty()) {
            super::ip::check_range(&path, range.trim(), errors);
        }
    }
    if !spec["allocateLoadBalancerNodePorts"].is_null() && !balanced {
        errors.forbidden("spec.allocateLoadBalancerNodePorts", ONLY);
    }
    check_class(spec, errors);
}

fn check_class(spec: &Value, errors: &mut Errors) {
    match spec["loadBalancerClass"].as_str() {
        Some(class) if spec["type"] == "LoadBalancer" => {
            errors.grammar("spec.loadBalancerClass", class, qualified_name(class));
        }
        Some(_) => errors.forbidden("spec.loadBalancerClass", ONLY),
        None => {}
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
    } else if kind == "LoadBalancer" && local {
        errors.port("spec.healthCheckNodePort", health);
    }
    errors.known("spec.internalTrafficPolicy", &spec["internalTrafficPolicy"], &["Cluster", "Local"]);
    let known = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    errors.known("spec.trafficDistribution", &spec["trafficDistribution"], &known);
}

fn check_external_name(spec: &Value, errors: &mut Errors) {
    if !list(&spec["clusterIPs"]).is_empty() || !text(&spec["clusterIP"]).is_empty() {
        errors.forbidden("spec.clusterIPs", "may not be set for ExternalName services");
    }
    for field in ["ipFamilies", "ipFamilyPolicy"].into_iter().filter(|field| !same(&spec[*field], &Value::Null)) {
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

pub(super) fn check_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (now, before) = (&new["spec"], &old["spec"]);
    if now["type"] != "ExternalName" && before["type"] != "ExternalName" {
        let headless = [now, before].map(|spec| spec["clusterIP"] == "None");
        if headless != [true, true] {
            check_change(now, before, ("clusterIPs", "clusterIP"), errors);
        }
        if headless == [false, false] {
            check_change(now, before, ("ipFamilies", "ipFamily"), errors);
        }
    }
    let balanced = |spec: &Value| spec["type"] == "LoadBalancer";
    if balanced(now) && balanced(before) && now["loadBalancerClass"] != before["loadBalancerClass"] {
        errors.invalid("spec.loadBalancerClass", &now["loadBalancerClass"], "may not change once set");
    }
    check_class(now, errors);
    let checked = |spec: &Value| balanced(spec) && spec["externalTrafficPolicy"] == "Local";
    if checked(now) && checked(before) && now["healthCheckNodePort"] != before["healthCheckNodePort"] {
        errors.forbidden("spec.healthCheckNodePort", "field is immutable");
    }
}

/// The first of addresses or families stays; the second may come, and go where only one is wanted.
fn check_change(now: &Value, before: &Value, (field, one): (&str, &str), errors: &mut Errors) {
    let path = child("spec", field);
    let (is, was) = (list(&now[field]), list(&before[field]));
    // Upstream shows the addresses where the number of families has changed.
    let shown = if is.len() == was.len() { &now[field] } else { &now["clusterIPs"] };
    for (at, _) in is.iter().zip(was).enumerate().filter(|(_, (is, was))| is != was) {
        if is.len() == was.len() || at == 0 {
            // Of families upstream names the first, whichever it is.
            let at = if field == "clusterIPs" { at } else { 0 };
            errors.invalid(index(&path, at), shown, "may not change once set");
        }
    }
    if was.len() > is.len() {
        if list(&now["clusterIPs"]).is_empty() {
            errors.invalid(index(&path, 0), &now[field], &format!("primary {one} can not be unset"));
        }
        if is.len() == 1 && now["ipFamilyPolicy"] != "SingleStack" {
            let told = format!("must be set to 'SingleStack' when releasing the secondary {one}");
            errors.invalid("spec.ipFamilyPolicy", &now["ipFamilyPolicy"], &told);
        }
    }
}
