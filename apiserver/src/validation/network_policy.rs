//! Network policies.

use super::container::port_name;
use super::field::{Errors, Path, child, index, list, text};
use super::{ip, selector};
use serde_json::Value;

const DIRECTIONS: [(&str, &str); 2] = [("ingress", "from"), ("egress", "to")];
const TYPES: [&str; 2] = ["Ingress", "Egress"];

pub(super) fn check(policy: &Value, errors: &mut Errors) {
    let spec = &policy["spec"];
    selector::check(&spec["podSelector"], &Path::root("spec.podSelector"), errors);
    for (direction, side) in DIRECTIONS {
        for (at, rule) in list(&spec[direction]).iter().enumerate() {
            let path = index(&child("spec", direction), at);
            for (at, port) in list(&rule["ports"]).iter().enumerate() {
                check_port(port, &index(&child(&path, "ports"), at), errors);
            }
            for (at, peer) in list(&rule[side]).iter().enumerate() {
                check_peer(peer, &index(&child(&path, side), at), errors);
            }
        }
    }
    let types = list(&spec["policyTypes"]);
    if types.len() > TYPES.len() {
        return errors.invalid("spec.policyTypes", &spec["policyTypes"], "may not specify more than two policyTypes");
    }
    for (at, one) in types.iter().enumerate() {
        errors.known(index("spec.policyTypes", at), one, &TYPES);
    }
}

fn check_port(one: &Value, path: &str, errors: &mut Errors) {
    errors.known(child(path, "protocol"), &one["protocol"], &["TCP", "UDP", "SCTP"]);
    let (port, end, end_path) = (&one["port"], &one["endPort"], child(path, "endPort"));
    match port {
        Value::Number(_) => {
            errors.port(child(path, "port"), port);
            if end.as_i64().is_some_and(|end| Some(end) < port.as_i64()) {
                errors.invalid(&end_path, port, "must be greater than or equal to `port`");
            }
            errors.port(end_path, end);
        }
        Value::String(name) => {
            if !end.is_null() {
                errors.invalid(end_path, end, "may not be specified when `port` is non-numeric");
            }
            errors.grammar(child(path, "port"), name, port_name(name));
        }
        _ if !end.is_null() => errors.invalid(end_path, end, "may not be specified when `port` is not specified"),
        _ => {}
    }
}

fn check_peer(peer: &Value, path: &str, errors: &mut Errors) {
    let mut peers = 0;
    for field in ["podSelector", "namespaceSelector"] {
        if peer[field].is_object() {
            peers += 1;
            selector::check(&peer[field], &Path::root(path).child(field), errors);
        }
    }
    let block = &peer["ipBlock"];
    if block.is_object() {
        check_block(block, &child(path, "ipBlock"), errors);
        if peers > 0 {
            errors.forbidden(path, "may not specify both ipBlock and another peer");
        }
    } else if peers == 0 {
        errors.required(path, "must specify a peer");
    }
}

fn check_block(block: &Value, path: &str, errors: &mut Errors) {
    let text = text(&block["cidr"]);
    if text.is_empty() {
        return errors.required(child(path, "cidr"), "");
    }
    ip::check_range(&child(path, "cidr"), text, errors);
    let Some(whole) = ip::read_range(text) else { return };
    for (at, except) in list(&block["except"]).iter().enumerate() {
        let (path, text) = (index(&child(path, "except"), at), except.as_str().unwrap_or_default());
        ip::check_range(&path, text, errors);
        if let Some(part) = ip::read_range(text)
            && (!whole.contains(&part.network()) || whole.prefix_len() >= part.prefix_len())
        {
            errors.invalid(path, except, "must be a strict subset of `cidr`");
        }
    }
}
