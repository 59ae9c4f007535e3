//! Labels of nodes that have other names by now, wherever they are asked for.

use crate::registry::cells::items;
use crate::validation::Path;
use serde_json::Value;
use tinyplane_wire::meta::label_value;

/// What there is instead of a label of nodes.
pub(super) fn deprecated(label: &str) -> Option<&'static str> {
    Some(match label {
        "beta.kubernetes.io/arch" => "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
        "beta.kubernetes.io/os" => "deprecated since v1.14; use \"kubernetes.io/os\" instead",
        "failure-domain.beta.kubernetes.io/region" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"
        }
        "failure-domain.beta.kubernetes.io/zone" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"
        }
        "beta.kubernetes.io/instance-type" => {
            "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"
        }
        "app.kubernetes.io/created-by" => "deprecated since v1.9",
        "scheduler.alpha.kubernetes.io/preferAvoidPods" => "deprecated since v1.22; use Taints and Tolerations instead",
        "node-role.kubernetes.io/master" => "use \"node-role.kubernetes.io/control-plane\" instead",
        _ => return None,
    })
}

/// Tells of the keys in a list of requirements at this path.
pub(super) fn requirements(expressions: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    for (at, one) in items(expressions).enumerate() {
        let key = one["key"].as_str().unwrap_or_default();
        if let Some(told) = deprecated(key) {
            out.push(format!("{}: {key} is {told}", path.index(at).child("key")));
        }
    }
}

/// Tells of a term of a node selector. In a mere preference, values that no label can have are told as well.
pub(super) fn term(term: &Value, path: &Path<'_>, is_preference: bool, out: &mut Vec<String>) {
    let path = path.child("matchExpressions");
    requirements(&term["matchExpressions"], &path, out);
    if !is_preference {
        return;
    }
    for (at, one) in items(&term["matchExpressions"]).enumerate() {
        for (nth, value) in items(&one["values"]).enumerate() {
            let value = value.as_str().unwrap_or_default();
            let path = path.index(at);
            let path = path.item("values", nth);
            out.extend(label_value(value).into_iter().map(|told| format!("{path}: {value} is invalid, {told}")));
        }
    }
}
