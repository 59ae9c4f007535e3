//! Ingresses and their classes.

use super::container::port_name;
use super::field::{Errors, child, index, list, text};
use super::internal;
use serde_json::Value;
use std::net::IpAddr;
use tinyplane_wire::meta::{Meta, dns_label, dns_subdomain, path_segment};

/// How classes were named before there were any.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
/// Longest name of a class's controller, in bytes.
const CONTROLLER_BYTES_MAX: usize = 250;
const WILDCARD_MESSAGE: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

pub(super) fn check(ingress: &Value, errors: &mut Errors) {
    let spec = &ingress["spec"];
    let rules = list(&spec["rules"]);
    if rules.is_empty() && spec["defaultBackend"].is_null() {
        errors.invalid("spec", &spec["rules"], "either `defaultBackend` or `rules` must be specified");
    }
    if spec["defaultBackend"].is_object() {
        check_backend(&spec["defaultBackend"], "spec.defaultBackend", errors);
    }
    for (at, rule) in rules.iter().enumerate() {
        check_rule(rule, &index("spec.rules", at), errors);
    }
    for (at, tls) in list(&spec["tls"]).iter().enumerate() {
        let path = index("spec.tls", at);
        for (at, host) in list(&tls["hosts"]).iter().enumerate() {
            check_host(text(host), &index(&child(&path, "hosts"), at), errors);
        }
        let secret = text(&tls["secretName"]);
        if !secret.is_empty() {
            errors.grammar(child(&path, "secretName"), secret, dns_subdomain(secret));
        }
    }
    if let Some(class) = spec["ingressClassName"].as_str() {
        errors.grammar("spec.ingressClassName", class, dns_subdomain(class));
    }
}

/// Both ways of naming the class at once may not disagree in a new Ingress.
pub(super) fn check_create(ingress: &Value, errors: &mut Errors) {
    let annotation = Meta::of(ingress).annotation(CLASS_ANNOTATION);
    if let Some((old, new)) = annotation.zip(ingress["spec"]["ingressClassName"].as_str())
        && old != new
    {
        let told = "must match `ingressClassName` when both are specified";
        errors.invalid_text(format!("annotations.{CLASS_ANNOTATION}"), old, told);
    }
}

fn check_host(host: &str, path: &str, errors: &mut Errors) {
    if !host.contains('*') {
        errors.grammar(path, host, dns_subdomain(host));
    } else if !host.strip_prefix("*.").is_some_and(|rest| dns_subdomain(rest).is_empty()) {
        errors.invalid_text(path, host, WILDCARD_MESSAGE);
    }
}

fn check_rule(rule: &Value, path: &str, errors: &mut Errors) {
    let host = text(&rule["host"]);
    if !host.is_empty() {
        if host.parse::<IpAddr>().is_ok() {
            errors.invalid_text(child(path, "host"), host, "must be a DNS name, not an IP address");
        }
        check_host(host, &child(path, "host"), errors);
    }
    if rule["http"].is_null() {
        return;
    }
    let paths = child(path, "http.paths");
    if list(&rule["http"]["paths"]).is_empty() {
        errors.required(&paths, "");
    }
    for (at, one) in list(&rule["http"]["paths"]).iter().enumerate() {
        check_path(one, &index(&paths, at), errors);
    }
}

fn check_path(one: &Value, path: &str, errors: &mut Errors) {
    let (pattern, at) = (text(&one["path"]), child(path, "path"));
    let absolute = pattern.starts_with('/');
    match one["pathType"].as_str() {
        None => return errors.required(child(path, "pathType"), "pathType must be specified"),
        Some("Exact" | "Prefix") => {
            if !absolute {
                errors.invalid_text(&at, pattern, "must be an absolute path");
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"].into_iter().filter(|part| pattern.contains(part)) {
                errors.invalid_text(&at, pattern, &format!("must not contain '{part}'"));
            }
            for end in ["/..", "/."].into_iter().filter(|end| pattern.ends_with(end)) {
                errors.invalid_text(&at, pattern, &format!("cannot end with '{end}'"));
            }
        }
        Some("ImplementationSpecific") => {
            if !pattern.is_empty() && !absolute {
                errors.invalid_text(&at, pattern, "must be an absolute path");
            }
        }
        Some(other) => {
            errors.unsupported(child(path, "pathType"), other, &["Exact", "ImplementationSpecific", "Prefix"]);
        }
    }
    check_backend(&one["backend"], &child(path, "backend"), errors);
}

fn check_backend(backend: &Value, path: &str, errors: &mut Errors) {
    let (service, resource) = (&backend["service"], &backend["resource"]);
    match (service.is_object(), resource.is_object()) {
        (true, true) => errors.invalid_text(path, "", "cannot set both resource and service backends"),
        (false, false) => errors.invalid_text(path, "", "resource or service backend is required"),
        (false, true) => check_reference(resource, &child(path, "resource"), errors),
        (true, false) => {
            let name = text(&service["name"]);
            if name.is_empty() {
                errors.required(child(path, "service.name"), "");
            } else {
                errors.grammar(child(path, "service.name"), name, dns_label(name));
            }
            let (port, number) = (text(&service["port"]["name"]), &service["port"]["number"]);
            match (port.is_empty(), number.as_i64().unwrap_or_default()) {
                (false, 0) => errors.grammar(child(path, "service.port.name"), port, port_name(port)),
                (false, _) => errors.invalid_text(path, "", "cannot set both port name & port number"),
                (true, 0) => errors.required(path, "port name or number is required"),
                (true, _) => errors.port(child(path, "service.port.number"), number),
            }
        }
    }
}

fn check_reference(reference: &Value, path: &str, errors: &mut Errors) {
    if let Some(group) = reference["apiGroup"].as_str() {
        errors.grammar(child(path, "apiGroup"), group, dns_subdomain(group));
    }
    for field in ["kind", "name"] {
        let value = text(&reference[field]);
        if value.is_empty() {
            errors.required(child(path, field), "");
        } else {
            errors.grammar(child(path, field), value, path_segment(value));
        }
    }
}

pub(super) fn check_class(class: &Value, errors: &mut Errors) {
    let (path, name, parameters) =
        ("spec.controller", text(&class["spec"]["controller"]), &class["spec"]["parameters"]);
    if name.len() > CONTROLLER_BYTES_MAX {
        errors.too_long(path, CONTROLLER_BYTES_MAX);
    }
    errors.domain_path(path, name);
    if parameters.is_null() {
        return;
    }
    check_reference(parameters, "spec.parameters", errors);
    let namespace = parameters["namespace"].as_str();
    match &parameters["scope"] {
        Value::Null => return errors.required("spec.parameters.scope", ""),
        scope => errors.known("spec.parameters.scope", scope, &["Cluster", "Namespace"]),
    }
    match (text(&parameters["scope"]), namespace) {
        ("Namespace", Some(name)) => errors.grammar("spec.parameters.namespace", name, dns_label(name)),
        ("Namespace", None) => {
            errors.required("spec.parameters.namespace", "`parameters.scope` is set to 'Namespace'");
        }
        ("Cluster", Some(_)) => {
            errors.forbidden("spec.parameters.namespace", "`parameters.scope` is set to 'Cluster'");
        }
        _ => {}
    }
}

/// The addresses at which an Ingress is served.
pub(super) fn check_status(ingress: &Value, errors: &mut Errors) {
    for (at, point) in list(&ingress["status"]["loadBalancer"]["ingress"]).iter().enumerate() {
        check_point(point, &index("status.loadBalancer.ingress", at), errors);
    }
}

/// A place at which a load balancer is met: an address, or a name.
fn check_point(point: &Value, path: &str, errors: &mut Errors) {
    let (address, host) = (text(&point["ip"]), text(&point["hostname"]));
    if !address.is_empty() {
        errors.address(child(path, "ip"), address);
    }
    check_point_name(host, path, errors);
}

/// The name of a load balancer, which is no address.
pub(super) fn check_point_name(host: &str, path: &str, errors: &mut Errors) {
    if host.is_empty() {
        return;
    }
    errors.grammar(child(path, "hostname"), host, dns_subdomain(host));
    if super::ip::read(host).is_some() {
        errors.invalid_text(child(path, "hostname"), host, "must be a DNS name, not an IP address");
    }
}

/// An address that Services were given, and what it was given to.
pub(super) fn check_ip_address(address: &Value, errors: &mut Errors) {
    let (name, parent, path) = (Meta::of(address).name(), &address["spec"]["parentRef"], "spec.parentRef");
    if let Some(complaint) = super::ip::canonical_complaint(name) {
        errors.invalid_text("metadata.name", name, &complaint);
    }
    if parent.is_null() {
        return errors.required(path, "");
    }
    let group = text(&parent["group"]);
    if !group.is_empty() {
        errors.grammar(child(path, "group"), group, dns_subdomain(group));
    }
    for field in ["resource", "name"] {
        errors.path_segment(child(path, field), &parent[field]);
    }
    let namespace = text(&parent["namespace"]);
    errors.grammar(child(path, "namespace"), namespace, path_segment(namespace));
}

/// The ranges out of which Services are given addresses.
pub(super) fn check_service_cidr(ranges: &Value, errors: &mut Errors) {
    let (all, path) = (list(&ranges["spec"]["cidrs"]), "spec.cidrs");
    if all.is_empty() {
        return errors.required(path, "at least one CIDR required");
    }
    if all.len() > 2 {
        let shown = internal::shown("ServiceCIDRSpec", &ranges["spec"]);
        return errors.invalid_as(path, &shown, "may only hold up to 2 values");
    }
    for (at, range) in all.iter().enumerate() {
        super::ip::check_canonical_range(&index(path, at), text(range), errors);
    }
    let families: Vec<_> = all.iter().filter_map(|range| super::ip::read_range(text(range))).collect();
    if let [one, other] = families.as_slice()
        && one.addr().is_ipv4() == other.addr().is_ipv4()
    {
        let told = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        errors.invalid(path, &ranges["spec"]["cidrs"], told);
    }
}

/// Ranges stay, but one of the other family may come.
pub(super) fn check_service_cidr_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (now, before, path) = (list(&new["spec"]["cidrs"]), list(&old["spec"]["cidrs"]), "spec.cidrs");
    if now.len() != before.len() && (before.len(), now.len()) != (1, 2) {
        return errors.invalid(path, &new["spec"]["cidrs"], "field is immutable");
    }
    for (at, (new, old)) in now.iter().zip(before).enumerate() {
        errors.immutable(index(path, at), new, old);
    }
    if now.len() != before.len() {
        check_service_cidr(new, errors);
    }
}
