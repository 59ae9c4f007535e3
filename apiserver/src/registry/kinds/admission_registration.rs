//! The group `admissionregistration.k8s.io`: webhooks, policies, their bindings.

use crate::registry::behaviour::{AGE, Behaviour, Column, Generation, NAME, column, count};
use crate::registry::cells::{age, items, name, size};
use crate::registry::warnings;
use serde_json::{Value, json};
use tinyplane_wire::meta::pairs;

/// `MutatingWebhookConfiguration`s and `ValidatingWebhookConfiguration`s.
pub(super) static WEBHOOK_CONFIGURATION: Behaviour = Behaviour {
    warnings: warnings::static_name,
    generation: Generation::Held,
    unconditional_update: false,
    columns: &[NAME, count("Webhooks", "How many webhooks it has."), AGE],
    cells: |object, now| vec![name(object), json!(size(&object["webhooks"])), age(object, now)],
    ..Behaviour::PLAIN
};

const PARAM_KIND: Column = column("ParamKind", "The kind of the objects that it takes parameters from.");

/// `ValidatingAdmissionPolicy` objects.
pub(super) static VALIDATING_ADMISSION_POLICY: Behaviour = Behaviour {
    warnings: warnings::static_name,
    status_resets: &[&["metadata"]],
    unconditional_update: false,
    columns: &[NAME, count("Validations", "How many expressions it checks."), PARAM_KIND, AGE],
    cells: |object, now| {
        let spec = &object["spec"];
        vec![name(object), json!(size(&spec["validations"])), param_kind(spec), age(object, now)]
    },
    ..Behaviour::WITH_STATUS
};

/// `MutatingAdmissionPolicy` objects.
pub(super) static MUTATING_ADMISSION_POLICY: Behaviour = Behaviour {
    warnings: warnings::static_name,
    generation: Generation::Everything,
    unconditional_update: false,
    columns: &[NAME, count("Mutations", "How many changes it makes."), PARAM_KIND, AGE],
    cells: |object, now| {
        let spec = &object["spec"];
        vec![name(object), json!(size(&spec["mutations"])), param_kind(spec), age(object, now)]
    },
    ..Behaviour::PLAIN
};

/// Bindings of both kinds of policy.
pub(super) static ADMISSION_POLICY_BINDING: Behaviour = Behaviour {
    warnings: warnings::static_name,
    generation: Generation::Everything,
    unconditional_update: false,
    columns: &[
        NAME,
        column("PolicyName", "The policy that is bound."),
        column("ParamRef", "Where the parameters are."),
        AGE,
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let policy = json!(spec["policyName"].as_str().unwrap_or_default());
        vec![name(object), policy, json!(param_reference(&spec["paramRef"])), age(object, now)]
    },
    ..Behaviour::PLAIN
};

fn param_kind(spec: &Value) -> Value {
    let kind = &spec["paramKind"];
    let text = |field: &str| kind[field].as_str().unwrap_or_default();
    if kind.is_null() { json!("<unset>") } else { json!(format!("{}/{}", text("apiVersion"), text("kind"))) }
}

fn param_reference(reference: &Value) -> String {
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    match (text("namespace"), text("name")) {
        (_, "") if reference["selector"].is_object() => selector(&reference["selector"]),
        (_, "") => "<unset>".to_owned(),
        ("", name) => format!("*/{name}"),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}

/// A selector as Go writes the struct.
fn selector(selector: &Value) -> String {
    let mut labels: Vec<_> = pairs(&selector["matchLabels"]).collect();
    labels.sort_unstable();
    let labels: String = labels.iter().map(|(key, value)| format!("{key}: {value},")).collect();
    let expression = |one: &Value| {
        let text = |field: &str| one[field].as_str().unwrap_or_default();
        let values: Vec<&str> = items(&one["values"]).filter_map(Value::as_str).collect();
        format!(
            "LabelSelectorRequirement{{Key:{},Operator:{},Values:[{}],}},",
            text("key"),
            text("operator"),
            values.join(" ")
        )
    };
    let expressions: String = items(&selector["matchExpressions"]).map(expression).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_told_by_name_or_by_selector() {
        assert_eq!(param_reference(&json!(null)), "<unset>");
        assert_eq!(param_reference(&json!({"name": "a"})), "*/a");
        assert_eq!(param_reference(&json!({"name": "a", "namespace": "n"})), "n/a");
        assert_eq!(
            param_reference(&json!({"selector": {"matchLabels": {"b": "2", "a": "1"}}})),
            "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{},}"
        );
    }
}
