//! Probes and lifecycle hooks: exactly one handler, and numbers in their ranges.

use super::container::port_name;
use super::field::{Errors, Path, list, text};
use super::present::Present;
use serde_json::Value;

const HEADER_MESSAGE: &str = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";

/// A container's probes and hooks, in upstream's order. `grace` is how long the pod is given to end.
pub(super) fn check_all(container: &Present<'_>, grace: Option<i64>, path: &Path<'_>, errors: &mut Errors) {
    let lifecycle = &container["lifecycle"];
    for hook in ["postStart", "preStop"] {
        if lifecycle[hook].is_object() {
            check_handler(
                &lifecycle[hook],
                &["exec", "httpGet", "tcpSocket", "sleep"],
                grace,
                &path.child("lifecycle").child(hook),
                errors,
            );
        }
    }
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container[kind].is_object() {
            check_probe(&container[kind], kind, &path.child(kind), errors);
        }
    }
}

fn check_probe(probe: &Value, kind: &str, path: &Path<'_>, errors: &mut Errors) {
    let probe = &Present::of(probe);
    check_handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], None, path, errors);
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        errors.non_negative(path.child(field), &probe[field]);
    }
    let grace = &probe["terminationGracePeriodSeconds"];
    if grace.as_i64().is_some_and(|seconds| seconds <= 0) {
        errors.invalid(path.child("terminationGracePeriodSeconds"), grace, "must be greater than 0");
    }
    if kind == "readinessProbe" {
        if grace.is_number() {
            let told = "must not be set for readinessProbes";
            errors.invalid(path.child("terminationGracePeriodSeconds"), grace, told);
        }
    } else if probe["successThreshold"].as_i64().is_some_and(|n| n != 1) {
        errors.invalid(path.child("successThreshold"), &probe["successThreshold"], "must be 1");
    }
}

fn check_handler(handler: &Value, known: &[&str], grace: Option<i64>, path: &Path<'_>, errors: &mut Errors) {
    let mut given = known.iter().filter(|kind| handler[**kind].is_object());
    let Some(first) = given.next() else { return errors.required(path, "must specify a handler type") };
    check_action(&handler[*first], first, grace, &path.child(first), errors);
    for more in given {
        errors.forbidden(path.child(more), "may not specify more than 1 handler type");
    }
}

fn check_action(action: &Value, kind: &str, grace: Option<i64>, path: &Path<'_>, errors: &mut Errors) {
    match kind {
        "exec" if list(&action["command"]).is_empty() => errors.required(path.child("command"), ""),
        "httpGet" => {
            if action["path"].as_str() == Some("") {
                errors.required(path.child("path"), "");
            }
            check_port(&action["port"], &path.child("port"), errors);
            errors.known(path.child("scheme"), &action["scheme"], &["HTTP", "HTTPS"]);
            for header in list(&action["httpHeaders"]) {
                let name = text(&header["name"]);
                if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                    errors.invalid_text(path.child("httpHeaders"), name, HEADER_MESSAGE);
                }
            }
        }
        "tcpSocket" | "grpc" => check_port(&action["port"], &path.child("port"), errors),
        "sleep" => {
            let seconds = action["seconds"].as_i64().unwrap_or_default();
            if let Some(grace) = grace.filter(|grace| !(0..=*grace).contains(&seconds)) {
                let told = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
                errors.invalid(path, &Value::from(seconds), &told);
            }
        }
        _ => {}
    }
}

fn check_port(port: &Value, path: &Path<'_>, errors: &mut Errors) {
    match port {
        Value::String(name) => errors.grammar(path, name, port_name(name)),
        Value::Number(_) => errors.port(path, port),
        _ => errors.port(path, &Value::from(0)),
    }
}
