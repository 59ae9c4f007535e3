//! Ingresses and their classes, network policies, Service ranges and the addresses taken from them.

use crate::registry::behaviour::{AGE, Behaviour, Generation, Grammar, NAME, column};
use crate::registry::cells::{age, items, name, selector, size};
use crate::registry::warnings;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tinyplane_wire::meta::Meta;

/// How many hosts a cell shows.
const HOSTS_SHOWN_MAX: usize = 3;
/// How classes were named before there were any.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// Ingresses.
pub(super) static INGRESS: Behaviour = Behaviour {
    warnings: |new, old| match Meta::of(new).annotation(CLASS_ANNOTATION) {
        Some(_) if old.is_none() => {
            vec![format!("annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead")]
        }
        _ => Vec::new(),
    },
    columns: &[
        NAME,
        column("Class", "The class, which says who serves it."),
        column("Hosts", "Hosts whose requests it takes."),
        column("Address", "Where its load balancer is reached."),
        column("Ports", "Ports that are open."),
        AGE,
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        vec![
            name(object),
            json!(spec["ingressClassName"].as_str().unwrap_or("<none>")),
            json!(hosts(&spec["rules"])),
            json!(addresses(&object["status"]["loadBalancer"])),
            json!(if size(&spec["tls"]) == 0 { "80" } else { "80, 443" }),
            age(object, now),
        ]
    },
    ..Behaviour::WITH_STATUS
};

fn hosts(rules: &Value) -> String {
    let named: Vec<&str> =
        items(rules).filter_map(|rule| rule["host"].as_str()).filter(|host| !host.is_empty()).collect();
    match named.len() {
        0 => "*".to_owned(),
        count if count > HOSTS_SHOWN_MAX => {
            format!("{} + {} more...", named[..HOSTS_SHOWN_MAX].join(","), size(rules) - HOSTS_SHOWN_MAX)
        }
        _ => named.join(","),
    }
}

fn addresses(load_balancer: &Value) -> String {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let all =
        items(&load_balancer["ingress"]).filter_map(|point| text(&point["ip"]).or_else(|| text(&point["hostname"])));
    all.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(",")
}

/// `IngressClass`es.
pub(super) static INGRESS_CLASS: Behaviour = Behaviour {
    generation: Generation::Everything,
    columns: &[
        NAME,
        column("Controller", "Who serves Ingresses of this class."),
        column("Parameters", "The object with further parameters."),
        AGE,
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let controller = json!(spec["controller"].as_str().unwrap_or_default());
        vec![name(object), controller, parameters(&spec["parameters"]), age(object, now)]
    },
    ..Behaviour::PLAIN
};

fn parameters(reference: &Value) -> Value {
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    match reference["apiGroup"].as_str() {
        _ if reference.is_null() => json!("<none>"),
        Some(group) => json!(format!("{}.{group}/{}", text("kind"), text("name"))),
        None => json!(format!("{}/{}", text("kind"), text("name"))),
    }
}

/// `NetworkPolicy` objects.
pub(super) static NETWORK_POLICY: Behaviour = Behaviour {
    warnings: warnings::network_policy,
    generation: Generation::Held,
    columns: &[NAME, column("Pod-Selector", "Which pods it is about."), AGE],
    cells: |object, now| vec![name(object), selector(&object["spec"]["podSelector"]), age(object, now)],
    ..Behaviour::PLAIN
};

/// `ServiceCIDR`s. A client may make one with a status.
pub(super) static SERVICE_CIDR: Behaviour = Behaviour {
    status_resets: &[&["metadata"]],
    generation: Generation::None,
    columns: &[NAME, column("CIDRs", "The ranges that Services get their addresses from."), AGE],
    cells: |object, now| {
        let ranges: Vec<&str> = items(&object["spec"]["cidrs"]).filter_map(Value::as_str).collect();
        vec![name(object), json!(ranges.join(",")), age(object, now)]
    },
    ..Behaviour::WITH_STATUS
};

/// `IPAddress`es, whose names are addresses.
pub(super) static IP_ADDRESS: Behaviour = Behaviour {
    name: Grammar::PathSegment,
    columns: &[NAME, column("ParentRef", "The object that has the address.")],
    cells: |object, _| vec![name(object), parent(&object["spec"]["parentRef"])],
    ..Behaviour::PLAIN
};

fn parent(reference: &Value) -> Value {
    if reference.is_null() {
        return json!("<none>");
    }
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    let resource = match text("group") {
        "" => text("resource").to_lowercase(),
        group => format!("{}.{group}", text("resource")).to_lowercase(),
    };
    json!(match text("namespace") {
        "" => format!("{resource}/{}", text("name")),
        namespace => format!("{resource}/{namespace}/{}", text("name")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn an_ingress_shows_where_it_is_reached() {
        let rules = ["a", "b", "c", "d"].map(|host| json!({"host": host}));
        let object = json!({
            "metadata": {"name": "web"},
            "spec": {"rules": rules, "tls": [{}]},
            "status": {"loadBalancer": {"ingress": [{"hostname": "z"}, {"ip": "10.0.0.1"}]}},
        });
        let shown = (INGRESS.cells)(&object, SystemTime::UNIX_EPOCH);
        assert_eq!(
            shown,
            ["web", "<none>", "a,b,c + 1 more...", "10.0.0.1,z", "80, 443", "<unknown>"].map(|text| json!(text))
        );
        assert_eq!(hosts(&json!([{}])), "*");
    }

    #[test]
    fn references_are_written_as_paths() {
        assert_eq!(
            parent(&json!({"resource": "services", "namespace": "default", "name": "kubernetes"})),
            "services/default/kubernetes"
        );
        assert_eq!(parent(&json!({"resource": "Gateways", "group": "g.io", "name": "x"})), "gateways.g.io/x");
        assert_eq!(parameters(&json!({"kind": "Config", "apiGroup": "g.io", "name": "x"})), "Config.g.io/x");
    }
}
