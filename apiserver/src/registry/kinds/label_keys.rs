//! Label keys in the affinities and spread constraints of a new pod: its own labels of these keys go into the selectors.

use serde_json::{Value, json};

/// Completes the selectors of a pod.
pub(super) fn merge(pod: &mut Value) {
    let selecting = ["affinity", "topologySpreadConstraints"].into_iter().any(|field| !pod["spec"][field].is_null());
    if !selecting {
        return;
    }
    let labels = pod["metadata"]["labels"].clone();
    let spec = &mut pod["spec"];
    for affinity in ["podAffinity", "podAntiAffinity"] {
        let Some(affinity) = spec.get_mut("affinity").and_then(|all| all.get_mut(affinity)) else { continue };
        for (list, term) in [
            ("preferredDuringSchedulingIgnoredDuringExecution", "/podAffinityTerm"),
            ("requiredDuringSchedulingIgnoredDuringExecution", ""),
        ] {
            for term in list_mut(affinity, list).filter_map(|one| one.pointer_mut(term)) {
                complete(term, "matchLabelKeys", "In", &labels);
                complete(term, "mismatchLabelKeys", "NotIn", &labels);
            }
        }
    }
    for constraint in list_mut(spec, "topologySpreadConstraints") {
        complete(constraint, "matchLabelKeys", "In", &labels);
    }
}

fn list_mut<'v>(holder: &'v mut Value, field: &str) -> impl Iterator<Item = &'v mut Value> {
    holder.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Of what has no selector, nothing is selected.
fn complete(term: &mut Value, field: &str, operator: &str, labels: &Value) {
    let keys = term[field].as_array().cloned().unwrap_or_default();
    if keys.is_empty() || !term["labelSelector"].is_object() {
        return;
    }
    let mut found = Vec::new();
    for key in keys.iter().filter_map(Value::as_str) {
        if let Some(value) = labels[key].as_str() {
            found.push(json!({"key": key, "operator": operator, "values": [value]}));
        }
    }
    if found.is_empty() {
        return;
    }
    match term["labelSelector"]["matchExpressions"].as_array_mut() {
        Some(all) => all.extend(found),
        None => term["labelSelector"]["matchExpressions"] = found.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_a_pod_go_into_selectors_by_their_keys() {
        let term = |selector: Value| {
            json!({
                "topologyKey": "t", "labelSelector": selector, "matchLabelKeys": ["a", "none"], "mismatchLabelKeys": ["b"],
            })
        };
        let mut pod = json!({
            "metadata": {"labels": {"a": "1", "b": "2"}},
            "spec": {
                "affinity": {"podAntiAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [term(json!({})), term(Value::Null)],
                    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term(json!({}))}],
                }},
                "topologySpreadConstraints": [term(json!({"matchExpressions": [{"key": "x", "operator": "Exists"}]}))],
            },
        });
        merge(&mut pod);
        let (matched, mismatched) = (
            json!({"key": "a", "operator": "In", "values": ["1"]}),
            json!({"key": "b", "operator": "NotIn", "values": ["2"]}),
        );
        let both = json!({"matchExpressions": [matched, mismatched]});
        let terms = &pod["spec"]["affinity"]["podAntiAffinity"];
        let required = &terms["requiredDuringSchedulingIgnoredDuringExecution"];
        assert_eq!((&required[0]["labelSelector"], &required[1]["labelSelector"]), (&both, &Value::Null));
        let preferred = &terms["preferredDuringSchedulingIgnoredDuringExecution"][0];
        assert_eq!(preferred["podAffinityTerm"]["labelSelector"], both);
        assert_eq!(
            pod["spec"]["topologySpreadConstraints"][0]["labelSelector"],
            json!({"matchExpressions": [{"key": "x", "operator": "Exists"}, matched]})
        );
    }
}
