//! `APIService`s.

use super::field::{Errors, child, text};
use super::metadata::label_1035;
use serde_json::Value;
use tinyplane_wire::meta::{Meta, dns_subdomain, path_segment};

const GROUP_PRIORITY_MAX: i64 = 20_000;
const VERSION_PRIORITY_MAX: i64 = 1_000;

pub(super) fn check(object: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    let (group, version) = (text(&spec["group"]), text(&spec["version"]));
    let (name, wanted) = (Meta::of(object).name(), format!("{version}.{group}"));
    let why = format!("must be `spec.version+\".\"+spec.group`: {wanted:?}");
    let is_wrong = |name: &str| !name.is_empty() && name != wanted && path_segment(name).is_empty();
    let prefix = text(&object["metadata"]["generateName"]);
    if is_wrong(prefix) {
        errors.invalid_text("metadata.generateName", prefix, &why);
    }
    if is_wrong(name) {
        errors.invalid_text("metadata.name", name, &why);
    }
    if group.is_empty() && version != "v1" {
        errors.required("spec.group", "only v1 may have an empty group and it better be legacy kube");
    }
    if !group.is_empty() {
        errors.grammar("spec.group", group, dns_subdomain(group));
    }
    errors.grammar("spec.version", version, label_1035(version));
    for (field, most) in [("groupPriorityMinimum", GROUP_PRIORITY_MAX), ("versionPriority", VERSION_PRIORITY_MAX)] {
        let priority = spec[field].as_i64().unwrap_or_default();
        if !(1..=most).contains(&priority) {
            let why = format!("must be positive and less than {most}");
            errors.invalid(child("spec", field), &priority.into(), &why);
        }
    }
    check_service(spec, errors);
}

fn check_service(spec: &Value, errors: &mut Errors) {
    let (service, insecure) = (&spec["service"], spec["insecureSkipTLSVerify"] == true);
    let bundle = text(&spec["caBundle"]);
    if service.is_null() {
        if !bundle.is_empty() {
            // Of four letters, three bytes: fewer where they are filled up.
            let bytes = bundle.len() / 4 * 3 - bundle.bytes().filter(|byte| *byte == b'=').count();
            let why = "local APIServices may not have a caBundle";
            errors.invalid_text("spec.caBundle", &format!("{bytes} bytes"), why);
        }
        if insecure {
            let why = "local APIServices may not have insecureSkipTLSVerify";
            errors.invalid("spec.insecureSkipTLSVerify", &true.into(), why);
        }
        return;
    }
    errors.needed("spec.service.namespace", &service["namespace"], "");
    errors.needed("spec.service.name", &service["name"], "");
    if service["port"].as_i64().is_some_and(|port| !(1..=65_535).contains(&port)) {
        let why = "port is not valid: must be between 1 and 65535, inclusive";
        errors.invalid("spec.service.port", &service["port"], why);
    }
    if insecure && !bundle.is_empty() {
        errors.invalid("spec.insecureSkipTLSVerify", &true.into(), "may not be true if caBundle is present");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_priorities_and_services_are_judged() {
        let told = |name: &str, spec: Value| {
            let mut errors = Errors::default();
            check(&json!({"metadata": {"name": name}, "spec": spec}), &mut errors);
            errors
                .into_causes()
                .into_iter()
                .map(|cause| format!("{}: {}", cause.field, cause.message))
                .collect::<Vec<_>>()
        };
        let fine = json!({"group": "a.example.com", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1});
        assert_eq!(told("v1.a.example.com", fine), [] as [String; 0]);
        let odd = json!({"version": "v2", "groupPriorityMinimum": 0, "versionPriority": 1001, "caBundle": "eA=="});
        assert_eq!(
            told("x", odd),
            [
                "metadata.name: Invalid value: \"x\": must be `spec.version+\".\"+spec.group`: \"v2.\"",
                "spec.group: Required value: only v1 may have an empty group and it better be legacy kube",
                "spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000",
                "spec.versionPriority: Invalid value: 1001: must be positive and less than 1000",
                "spec.caBundle: Invalid value: \"1 bytes\": local APIServices may not have a caBundle",
            ]
        );
    }
}
