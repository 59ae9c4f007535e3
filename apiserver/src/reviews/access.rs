//! Whether somebody may do something: the three access reviews.

use super::{AUTHORIZATION, invalid};
use crate::authn::Caller;
use crate::authz::{Attributes, Authorizer, Decision};
use serde_json::{Map, Value, json};
use smol_str::SmolStr;
use std::collections::BTreeMap;
use tinyplane_wire::status;

pub(super) fn of_subject(authorizer: &dyn Authorizer, body: &Value) -> status::Result<Value> {
    check_question("SubjectAccessReview", body)?;
    Ok(decide(authorizer, &subject("SubjectAccessReview", body)?, &body["spec"]))
}

pub(super) fn of_self(authorizer: &dyn Authorizer, caller: &Caller, body: &Value) -> status::Result<Value> {
    check_question("SelfSubjectAccessReview", body)?;
    Ok(decide(authorizer, caller, &body["spec"]))
}

pub(super) fn in_namespace(authorizer: &dyn Authorizer, namespace: &str, body: &Value) -> status::Result<Value> {
    const KIND: &str = "LocalSubjectAccessReview";
    check_question(KIND, body)?;
    let caller = subject(KIND, body)?;
    let asked = &body["spec"]["resourceAttributes"];
    let wrong = |field: &str, value: &Value, detail: &str| Err(invalid(AUTHORIZATION, KIND, field, value, detail));
    if !body["spec"]["nonResourceAttributes"].is_null() {
        let value = &body["spec"]["nonResourceAttributes"];
        return wrong("spec.nonResourceAttributes", value, "disallowed on this kind of request");
    }
    if asked["namespace"].as_str().unwrap_or_default() != namespace {
        return wrong("spec.resourceAttributes.namespace", &asked["namespace"], "must match metadata.namespace");
    }
    Ok(decide(authorizer, &caller, &body["spec"]))
}

/// Exactly one of the two kinds of questions has to be asked.
fn check_question(kind: &str, body: &Value) -> status::Result<()> {
    let (resource, path) = (&body["spec"]["resourceAttributes"], &body["spec"]["nonResourceAttributes"]);
    match (resource.is_null(), path.is_null()) {
        (false, false) => {
            let detail = "cannot be specified in combination with resourceAttributes";
            Err(invalid(AUTHORIZATION, kind, "spec.nonResourceAttributes", path, detail))
        }
        (true, true) => {
            let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            Err(invalid(AUTHORIZATION, kind, "spec.resourceAttributes", &Value::Null, detail))
        }
        _ => Ok(()),
    }
}

/// About whom is asked.
fn subject(kind: &str, body: &Value) -> status::Result<Caller> {
    let spec = &body["spec"];
    let text = |field: &str| SmolStr::from(spec[field].as_str().unwrap_or_default());
    let groups: Vec<SmolStr> = texts(&spec["groups"]).map(SmolStr::from).collect();
    if text("user").is_empty() && groups.is_empty() {
        let detail = "at least one of user or group must be specified";
        return Err(invalid(AUTHORIZATION, kind, "spec.user", &json!(""), detail));
    }
    let extra: BTreeMap<String, Vec<String>> = spec["extra"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, values)| (key.clone(), texts(values).map(str::to_owned).collect()))
        .collect();
    Ok(Caller { name: text("user"), uid: text("uid"), groups, extra })
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn decide(authorizer: &dyn Authorizer, caller: &Caller, spec: &Value) -> Value {
    let resource = &spec["resourceAttributes"];
    let text = |value: &'_ Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let decision = if resource.is_null() {
        let path = &spec["nonResourceAttributes"];
        authorizer.authorize(caller, &Attributes::path(&text(path, "verb"), &text(path, "path")))
    } else {
        let (verb, group, plural) = (text(resource, "verb"), text(resource, "group"), text(resource, "resource"));
        let (version, part) = (text(resource, "version"), text(resource, "subresource"));
        let (namespace, name) = (text(resource, "namespace"), text(resource, "name"));
        let selector = field_selector(&resource["fieldSelector"]);
        let question = Attributes::resource(&verb, &group, &plural).version(&version).subresource(&part);
        authorizer.authorize(caller, &question.namespace(&namespace).name(&name).field_selector(&selector))
    };
    let mut status = Map::new();
    status.insert("allowed".into(), decision.is_allowed().into());
    match decision {
        Decision::Allow => {}
        Decision::Deny(reason) => {
            status.insert("denied".into(), true.into());
            tell(&mut status, reason);
        }
        Decision::NoOpinion(reason) => tell(&mut status, reason),
    }
    Value::Object(status)
}

fn tell(status: &mut Map<String, Value>, reason: String) {
    if !reason.is_empty() {
        status.insert("reason".into(), reason.into());
    }
}

/// A review's field selector as text: as it is, or of its requirements those that ask for one value.
fn field_selector(selector: &Value) -> String {
    if let Some(raw) = selector["rawSelector"].as_str().filter(|raw| !raw.is_empty()) {
        return raw.to_owned();
    }
    let requirements = selector["requirements"].as_array().into_iter().flatten();
    let terms = requirements.filter(|term| term["operator"] == "In").filter_map(|term| {
        let mut values = texts(&term["values"]);
        let (value, None) = (values.next()?, values.next()) else { return None };
        Some(format!("{}={value}", term["key"].as_str()?))
    });
    terms.collect::<Vec<_>>().join(",")
}
