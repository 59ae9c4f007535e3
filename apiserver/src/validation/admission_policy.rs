//! Admission policies and their bindings, as far as they are no expressions: those are stored and not evaluated.

use super::field::{Errors, Path, child, index, list, text};
use super::metadata::label_1035;
use super::{selector, webhook};
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::{Meta, dns_subdomain, path_segment, qualified_name};

/// Longest expression of an annotation, in bytes.
const ANNOTATION_BYTES_MAX: usize = 5 << 10;
/// Words of the language of expressions.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];
const ANNOTATIONS_MAX: usize = 20;
const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
const ACTIONS: [&str; 3] = ["Audit", "Deny", "Warn"];
/// What a policy that changes objects may be asked about.
const CHANGED: [&str; 4] = ["*", "CONNECT", "CREATE", "UPDATE"];

/// A policy that checks.
pub(super) fn check_validating(policy: &Value, errors: &mut Errors) {
    let spec = &policy["spec"];
    check_common(spec, errors);
    check_variables(spec, errors);
    let (validations, annotations) = (list(&spec["validations"]), list(&spec["auditAnnotations"]));
    if validations.is_empty() && annotations.is_empty() {
        let told = "validations or auditAnnotations must contain at least one item";
        errors.required("spec.validations", told);
        return errors.required("spec.auditAnnotations", told);
    }
    for (at, validation) in validations.iter().enumerate() {
        check_validation(validation, &index("spec.validations", at), errors);
    }
    if annotations.len() > ANNOTATIONS_MAX {
        let told = format!("must not have more than {ANNOTATIONS_MAX} auditAnnotations");
        errors.invalid("spec.auditAnnotations", &spec["auditAnnotations"], &told);
    }
    let mut keys = BTreeSet::new();
    for (at, annotation) in annotations.iter().enumerate() {
        let (path, key) = (index("spec.auditAnnotations", at), text(&annotation["key"]));
        match Meta::of(policy).name() {
            "" => errors.invalid_text(child(&path, "key"), key, "requires metadata.name be non-empty"),
            name => {
                let whole = format!("{name}/{key}");
                errors.grammar(child(&path, "key"), &whole, qualified_name(&whole));
            }
        }
        let expression = text(&annotation["valueExpression"]).trim();
        if expression.is_empty() {
            errors.required(child(&path, "valueExpression"), "valueExpression is not specified");
        } else if expression.len() > ANNOTATION_BYTES_MAX {
            let told = format!("must not exceed {ANNOTATION_BYTES_MAX} bytes in length");
            errors.required(child(&path, "valueExpression"), &told);
        }
        if !keys.insert(key) {
            errors.duplicate(child(&path, "key"), &annotation["key"]);
        }
    }
}

/// A policy that changes what is created or updated.
pub(super) fn check_mutating(policy: &Value, errors: &mut Errors) {
    let spec = &policy["spec"];
    check_constraints(spec, errors);
    check_operations(&spec["matchConstraints"], "spec.matchConstraints", errors);
    webhook::check_conditions(&spec["matchConditions"], "spec.matchConditions", errors);
    check_variables(spec, errors);
    let mutations = list(&spec["mutations"]);
    if mutations.is_empty() {
        errors.required("spec.mutations", "mutations must contain at least one item");
    }
    for (at, mutation) in mutations.iter().enumerate() {
        let path = index("spec.mutations", at);
        let (wanted, other) = match text(&mutation["patchType"]) {
            "" => {
                errors.required(child(&path, "patchType"), "");
                continue;
            }
            "JSONPatch" => ("jsonPatch", "applyConfiguration"),
            "ApplyConfiguration" => ("applyConfiguration", "jsonPatch"),
            word => {
                errors.unsupported(child(&path, "patchType"), word, &["ApplyConfiguration", "JSONPatch"]);
                continue;
            }
        };
        let kind = text(&mutation["patchType"]);
        if !mutation[wanted].is_object() {
            errors.required(child(&path, wanted), &format!("must be specified when patchType is {kind}"));
        } else if text(&mutation[wanted]["expression"]).trim().is_empty() {
            errors.required(child(&path, &format!("{wanted}.expression")), "");
        }
        if mutation[other].is_object() {
            let told = format!("must not be specified when patchType is {kind}");
            errors.invalid_text(child(&path, other), &format!("{{{other}}}"), &told);
        }
    }
    errors.one_of("spec.reinvocationPolicy", &spec["reinvocationPolicy"], &["IfNeeded", "Never"]);
}

/// A binding: which policy, with which parameters, for what, and what follows from a policy that checks.
pub(super) fn check_binding(kind: &str, binding: &Value, errors: &mut Errors) {
    let spec = &binding["spec"];
    match text(&spec["policyName"]) {
        "" => errors.required("spec.policyName", ""),
        name => errors.grammar("spec.policyName", name, dns_subdomain(name)),
    }
    check_parameters(&spec["paramRef"], errors);
    if spec["matchResources"].is_object() {
        check_resources(&spec["matchResources"], "spec.matchResources", errors);
    }
    if kind == "MutatingAdmissionPolicyBinding" {
        return check_operations(&spec["matchResources"], "spec.matchResources", errors);
    }
    let (path, actions) = ("spec.validationActions", list(&spec["validationActions"]));
    let mut seen = BTreeSet::new();
    for (at, action) in actions.iter().enumerate() {
        let (path, word) = (index(path, at), text(action));
        if !ACTIONS.contains(&word) {
            errors.unsupported(&path, word, &ACTIONS);
        }
        if !seen.insert(word) {
            errors.duplicate(&path, action);
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        let told = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        errors.invalid(path, &spec["validationActions"], told);
    }
    if actions.is_empty() {
        errors.required(path, "at least one validation action is required");
    }
}

fn check_common(spec: &Value, errors: &mut Errors) {
    check_constraints(spec, errors);
    webhook::check_conditions(&spec["matchConditions"], "spec.matchConditions", errors);
}

/// What follows from a failure, the kind of parameters, and what a policy is asked about.
fn check_constraints(spec: &Value, errors: &mut Errors) {
    match spec["failurePolicy"].as_str() {
        None => errors.required("spec.failurePolicy", ""),
        Some(word) if !["Fail", "Ignore"].contains(&word) => {
            errors.unsupported("spec.failurePolicy", word, &["Fail", "Ignore"]);
        }
        Some(_) => {}
    }
    if spec["paramKind"].is_object() {
        check_kind(&spec["paramKind"], errors);
    }
    let constraints = &spec["matchConstraints"];
    if !constraints.is_object() {
        return errors.required("spec.matchConstraints", "");
    }
    check_resources(constraints, "spec.matchConstraints", errors);
    if list(&constraints["resourceRules"]).is_empty() {
        errors.required("spec.matchConstraints.resourceRules", "");
    }
}

fn check_kind(kind: &Value, errors: &mut Errors) {
    let (version, path) = (text(&kind["apiVersion"]), "spec.paramKind.apiVersion");
    let (group, alone) = version.split_once('/').unwrap_or(("", version));
    if version.is_empty() {
        errors.required(path, "");
    } else if alone.contains('/') {
        errors.invalid_text(path, version, &format!("unexpected GroupVersion string: {version}"));
    } else {
        let complaints = if group.is_empty() { Vec::new() } else { dns_subdomain(group) };
        if !complaints.is_empty() {
            errors.invalid_text(path, group, &complaints.join(","));
        }
        let complaints = label_1035(alone);
        if alone.is_empty() {
            errors.invalid_text(path, version, "version must be specified");
        } else if !complaints.is_empty() {
            errors.invalid_text(path, alone, &complaints.join(","));
        }
    }
    let (name, path) = (text(&kind["kind"]), "spec.paramKind.kind");
    let complaints = label_1035(&name.to_lowercase());
    if name.is_empty() {
        errors.required(path, "");
    } else if !complaints.is_empty() {
        let told = format!("may have mixed case, but should otherwise match: {}", complaints.join(","));
        errors.invalid_text(path, name, &told);
    }
}

fn check_resources(resources: &Value, path: &str, errors: &mut Errors) {
    match resources["matchPolicy"].as_str() {
        None => errors.required(child(path, "matchPolicy"), ""),
        Some(word) if !["Equivalent", "Exact"].contains(&word) => {
            errors.unsupported(child(path, "matchPolicy"), word, &["Equivalent", "Exact"]);
        }
        Some(_) => {}
    }
    for field in ["namespaceSelector", "objectSelector"] {
        if resources[field].is_object() {
            selector::check(&resources[field], &Path::root(path).child(field), errors);
        } else {
            errors.required(child(path, field), "");
        }
    }
    for field in ["resourceRules", "excludeResourceRules"] {
        for (at, rule) in list(&resources[field]).iter().enumerate() {
            let path = index(&child(path, field), at);
            let mut seen = BTreeSet::new();
            for (nth, name) in list(&rule["resourceNames"]).iter().enumerate() {
                let path = index(&child(&path, "resourceNames"), nth);
                errors.grammar(&path, text(name), path_segment(text(name)));
                if !seen.insert(text(name)) {
                    errors.duplicate(&path, name);
                }
            }
            webhook::check_rule(rule, &path, errors);
        }
    }
}

fn check_operations(resources: &Value, path: &str, errors: &mut Errors) {
    let rules = list(&resources["resourceRules"]).iter();
    for operation in rules.flat_map(|rule| list(&rule["operations"])).map(text).filter(|one| !CHANGED.contains(one)) {
        errors.unsupported(child(path, "resourceRules.operations"), operation, &CHANGED);
    }
}

fn check_variables(spec: &Value, errors: &mut Errors) {
    for (at, variable) in list(&spec["variables"]).iter().enumerate() {
        let (path, name) = (index("spec.variables", at), text(&variable["name"]));
        let is_identifier = name.chars().all(|one| one.is_ascii_alphanumeric() || one == '_')
            && !name.starts_with(|one: char| one.is_ascii_digit())
            && !RESERVED.contains(&name);
        if name.trim().is_empty() {
            errors.required(child(&path, "name"), "name is not specified");
        } else if !is_identifier {
            errors.invalid_text(child(&path, "name"), name, "must be a valid CEL identifier");
        }
        if text(&variable["expression"]).trim().is_empty() {
            errors.required(child(&path, "expression"), "expression is not specified");
        }
    }
}

fn check_validation(validation: &Value, path: &str, errors: &mut Errors) {
    if text(&validation["expression"]).trim().is_empty() {
        errors.required(child(path, "expression"), "expression is not specified");
    }
    for field in ["messageExpression", "message"] {
        let (said, path) = (text(&validation[field]), child(path, field));
        if !said.is_empty() && said.trim().is_empty() {
            errors.invalid_text(path, said, "must be non-empty if specified");
        } else if field == "message" && said.trim().contains(['\n', '\r']) {
            errors.invalid_text(path, said, "must not contain line breaks");
        }
    }
    errors.known(child(path, "reason"), &validation["reason"], &REASONS);
}

fn check_parameters(parameters: &Value, errors: &mut Errors) {
    let path = "spec.paramRef";
    if !parameters.is_object() {
        return;
    }
    let (name, selects) = (text(&parameters["name"]), parameters["selector"].is_object());
    let told = "name and selector are mutually exclusive";
    if !name.is_empty() {
        errors.grammar(child(path, "name"), name, path_segment(name));
        if selects {
            errors.forbidden(child(path, "name"), told);
        }
    }
    if selects {
        selector::check(&parameters["selector"], &Path::root(path).child("selector"), errors);
        if !name.is_empty() {
            errors.forbidden(child(path, "selector"), told);
        }
    }
    if name.is_empty() && !selects {
        errors.required(path, "one of name or selector must be specified");
    }
    match text(&parameters["parameterNotFoundAction"]) {
        "" => errors.required(child(path, "parameterNotFoundAction"), ""),
        "Deny" | "Allow" => {}
        word => errors.unsupported(child(path, "parameterNotFoundAction"), word, &["Deny", "Allow"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(check: impl Fn(&mut Errors)) -> Vec<String> {
        let mut errors = Errors::default();
        check(&mut errors);
        errors.into_causes().into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    fn resources(operation: &str) -> Value {
        let rule = json!({
            "operations": [operation], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"],
            "scope": "*",
        });
        json!({"matchPolicy": "Exact", "namespaceSelector": {}, "objectSelector": {}, "resourceRules": [rule]})
    }

    #[test]
    fn a_policy_says_what_it_is_about_and_what_it_checks() {
        let of = |fields: Value| {
            let mut spec = json!({
                "failurePolicy": "Fail", "matchConstraints": resources("CREATE"), "validations": [{"expression": "true"}],
            });
            for (field, value) in fields.as_object().unwrap() {
                spec[field] = value.clone();
            }
            let policy = json!({"metadata": {"name": "p"}, "spec": spec});
            told(|errors| check_validating(&policy, errors))
        };
        assert_eq!(of(json!({})), [""; 0]);
        let nothing = "Required value: validations or auditAnnotations must contain at least one item";
        assert_eq!(
            of(json!({"validations": []})),
            [format!("spec.validations: {nothing}"), format!("spec.auditAnnotations: {nothing}")]
        );
        assert_eq!(
            of(json!({"matchConstraints": resources("LOOK")})),
            [
                "spec.matchConstraints.resourceRules[0].operations[0]: Unsupported value: \"LOOK\": supported values: \"*\", \"CONNECT\", \"CREATE\", \"DELETE\", \"UPDATE\""
            ]
        );
        assert_eq!(of(json!({"matchConstraints": null})), ["spec.matchConstraints: Required value"]);
        assert_eq!(
            of(json!({"validations": [{"expression": " ", "reason": "Why"}]})),
            [
                "spec.validations[0].expression: Required value: expression is not specified",
                "spec.validations[0].reason: Unsupported value: \"Why\": supported values: \"Forbidden\", \"Invalid\", \"RequestEntityTooLarge\"",
            ]
        );
    }

    #[test]
    fn only_what_is_written_can_be_changed() {
        let of = |operation: &str| {
            let mutation = json!({"patchType": "JSONPatch", "applyConfiguration": {"expression": "Object{}"}});
            let policy = json!({"spec": {
                "failurePolicy": "Fail", "matchConstraints": resources(operation), "mutations": [mutation],
                "reinvocationPolicy": "Never",
            }});
            told(|errors| check_mutating(&policy, errors))
        };
        let patch = [
            "spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch",
            "spec.mutations[0].applyConfiguration: Invalid value: \"{applyConfiguration}\": must not be specified when patchType is JSONPatch",
        ];
        assert_eq!(of("UPDATE"), patch);
        assert_eq!(
            of("DELETE")[0],
            "spec.matchConstraints.resourceRules.operations: Unsupported value: \"DELETE\": supported values: \"*\", \"CONNECT\", \"CREATE\", \"UPDATE\""
        );
    }

    #[test]
    fn a_binding_has_one_way_to_its_parameters_and_to_its_consequences() {
        let of = |spec: Value| {
            let binding = json!({"spec": spec});
            told(|errors| check_binding("ValidatingAdmissionPolicyBinding", &binding, errors))
        };
        assert_eq!(of(json!({"policyName": "p", "validationActions": ["Deny"]})), [""; 0]);
        assert_eq!(
            of(json!({})),
            [
                "spec.policyName: Required value",
                "spec.validationActions: Required value: at least one validation action is required"
            ]
        );
        assert!(
            of(json!({"policyName": "p", "validationActions": ["Deny", "Warn"]}))[0].contains("both Deny and Warn")
        );
        assert_eq!(
            of(json!({"policyName": "p", "validationActions": ["Audit"], "paramRef": {}})),
            [
                "spec.paramRef: Required value: one of name or selector must be specified",
                "spec.paramRef.parameterNotFoundAction: Required value",
            ]
        );
    }
}
