//! Label selectors, wherever an object has one.

use super::field::{Errors, child, index, list, text};
use super::pod;
use serde_json::Value;
use tinyplane_wire::meta::{label_value, qualified_name};

/// Checks a selector that may be missing or empty.
pub(super) fn check(selector: &Value, path: &str, errors: &mut Errors) {
    pod::check_labels(&selector["matchLabels"], &child(path, "matchLabels"), errors);
    for (at, expression) in list(&selector["matchExpressions"]).iter().enumerate() {
        check_expression(expression, &index(&child(path, "matchExpressions"), at), errors);
    }
}

fn check_expression(expression: &Value, path: &str, errors: &mut Errors) {
    let values = list(&expression["values"]);
    match text(&expression["operator"]) {
        "In" | "NotIn" if values.is_empty() => {
            errors.required(child(path, "values"), "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let told = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.forbidden(child(path, "values"), told);
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => errors.invalid(child(path, "operator"), &expression["operator"], "not a valid selector operator"),
    }
    let key = text(&expression["key"]);
    errors.grammar(child(path, "key"), key, qualified_name(key));
    for (at, value) in values.iter().enumerate() {
        errors.grammar(index(&child(path, "values"), at), text(value), label_value(text(value)));
    }
}
