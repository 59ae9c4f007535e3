//! Label selectors, wherever an object has one.

use super::field::{Errors, Path, list, text};
use super::pod;
use serde_json::Value;
use tinyplane_wire::meta::{label_value, qualified_name};
use tinyplane_wire::status::Cause;

/// Checks a selector that may be missing or empty.
pub(super) fn check(selector: &Value, path: &Path<'_>, errors: &mut Errors) {
    pod::check_labels(&selector["matchLabels"], &path.child("matchLabels"), errors);
    for (at, expression) in list(&selector["matchExpressions"]).iter().enumerate() {
        check_expression(expression, &path.item("matchExpressions", at), errors);
    }
}

/// What is wrong with the selectors of an access review. Operators that are not known are for somebody newer.
pub(crate) fn causes_of_asked(attributes: &Value) -> Vec<Cause> {
    let mut errors = Errors::default();
    for field in ["fieldSelector", "labelSelector"] {
        let selector = &attributes[field];
        if selector.is_null() {
            continue;
        }
        let root = Path::root("spec.resourceAttributes");
        let path = root.child(field);
        let (raw, requirements) = (&selector["rawSelector"], list(&selector["requirements"]));
        match (text(raw).is_empty(), requirements.is_empty()) {
            (false, false) => {
                errors.invalid(path.child("rawSelector"), raw, "may not specified at the same time as requirements");
            }
            (true, true) => errors.required(
                path.child("requirements"),
                &format!("when {path} is specified, requirements or rawSelector is required"),
            ),
            _ => {}
        }
        for (at, one) in requirements.iter().enumerate() {
            let path = path.item("requirements", at);
            if field == "labelSelector" {
                check_values(one, &path, &mut errors);
                check_words(one, &path, &mut errors);
                continue;
            }
            if text(&one["key"]).is_empty() {
                errors.required(path.child("key"), "must be specified");
            }
            check_values(one, &path, &mut errors);
        }
    }
    errors.into_causes()
}

fn check_expression(expression: &Value, path: &Path<'_>, errors: &mut Errors) {
    if !check_values(expression, path, errors) {
        errors.invalid(path.child("operator"), &expression["operator"], "not a valid selector operator");
    }
    check_words(expression, path, errors);
}

/// Checks that there are values where the operator wants them. False for an operator that is none.
fn check_values(expression: &Value, path: &Path<'_>, errors: &mut Errors) -> bool {
    let values = list(&expression["values"]);
    match text(&expression["operator"]) {
        "In" | "NotIn" if values.is_empty() => {
            errors.required(path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let told = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.forbidden(path.child("values"), told);
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => return false,
    }
    true
}

/// Checks the key, and each value.
fn check_words(expression: &Value, path: &Path<'_>, errors: &mut Errors) {
    let values = list(&expression["values"]);
    let key = text(&expression["key"]);
    errors.grammar(path.child("key"), key, qualified_name(key));
    for (at, value) in values.iter().enumerate() {
        errors.grammar(path.item("values", at), text(value), label_value(text(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_of_reviews_are_judged_in_upstreams_order() {
        let told = |attributes: Value| {
            let causes = causes_of_asked(&attributes);
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>()
        };
        assert_eq!(
            told(json!({"labelSelector": {"rawSelector": "a", "requirements": [{"key": "a", "operator": "Foo"}]}})),
            [
                "spec.resourceAttributes.labelSelector.rawSelector: Invalid value: \"a\": may not specified at the same time as requirements"
            ]
        );
        assert_eq!(
            told(json!({"fieldSelector": {}})),
            [
                "spec.resourceAttributes.fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required"
            ]
        );
        assert_eq!(
            told(json!({"fieldSelector": {"requirements": [{"key": "", "operator": "In"}]}})),
            [
                "spec.resourceAttributes.fieldSelector.requirements[0].key: Required value: must be specified",
                "spec.resourceAttributes.fieldSelector.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            ]
        );
        assert_eq!(told(json!({"verb": "get"})), Vec::<String>::new());
    }
}
