//! Whether somebody may do something: the three access reviews.

use super::AUTHORIZATION;
use crate::authn::Caller;
use crate::authz::{Attributes, Authorizer, Decision};
use crate::validation;
use serde_json::{Map, Value, json};
use smol_str::SmolStr;
use std::collections::BTreeMap;
use tinyplane_wire::status::{self, Cause, Status};

pub(super) fn of_subject(authorizer: &dyn Authorizer, body: &Value) -> status::Result<Value> {
    let mut causes = subject_causes(body);
    causes.extend(metadata_cause(body, false));
    judged(causes)?;
    Ok(decide(authorizer, &subject(body), &body["spec"]))
}

pub(super) fn of_self(authorizer: &dyn Authorizer, caller: &Caller, body: &Value) -> status::Result<Value> {
    let mut causes = question_causes(body);
    causes.extend(validation::selector::causes_of_asked(&body["spec"]["resourceAttributes"]));
    causes.extend(metadata_cause(body, false));
    judged(causes)?;
    Ok(decide(authorizer, caller, &body["spec"]))
}

pub(super) fn in_namespace(authorizer: &dyn Authorizer, namespace: &str, body: &Value) -> status::Result<Value> {
    let (mut causes, spec) = (subject_causes(body), &body["spec"]);
    causes.extend(metadata_cause(body, true));
    let asked = &spec["resourceAttributes"];
    let there = asked["namespace"].as_str().unwrap_or_default();
    if asked.is_object() && there != namespace {
        causes.push(cause(
            "spec.resourceAttributes.namespace",
            &json!(there).to_string(),
            "must match metadata.namespace",
        ));
    }
    if spec["nonResourceAttributes"].is_object() {
        let detail = "disallowed on this kind of request";
        causes.push(cause("spec.nonResourceAttributes", &shown(&spec["nonResourceAttributes"]), detail));
    }
    judged(causes)?;
    if namespace.is_empty() {
        return Err(Status::bad_request("namespace is required on this type: "));
    }
    Ok(decide(authorizer, &subject(body), spec))
}

/// A review is no object: it has no metadata, but the place of one that asks within a namespace. Who wrote it, and
/// what else the server itself notes, is no matter.
fn metadata_cause(body: &Value, is_placed: bool) -> Option<Cause> {
    let noted = |field: &str| match field {
        "managedFields"
        | "uid"
        | "creationTimestamp"
        | "deletionTimestamp"
        | "deletionGracePeriodSeconds"
        | "selfLink" => true,
        "namespace" => is_placed,
        _ => false,
    };
    let metadata = &body["metadata"];
    let is_empty = metadata
        .as_object()
        .is_none_or(|fields| fields.iter().all(|(field, value)| noted(field) || validation::is_empty(value)));
    let detail = if is_placed { "must be empty except for namespace" } else { "must be empty" };
    (!is_empty).then(|| cause("metadata", &validation::metadata_as_go(metadata), detail))
}

/// Upstream names no kind when it refuses a review.
fn judged(causes: Vec<Cause>) -> status::Result<()> {
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid(AUTHORIZATION, "", "", causes)) }
}

fn cause(field: &str, shown: &str, detail: &str) -> Cause {
    let message = format!("Invalid value: {shown}: {detail}");
    Cause { reason: "FieldValueInvalid".into(), message, field: field.into() }
}

/// A question about a path as Go shows it.
fn shown(path: &Value) -> String {
    let text = |field: &str| json!(path[field].as_str().unwrap_or_default());
    format!("{{\"Path\":{},\"Verb\":{}}}", text("path"), text("verb"))
}

/// Exactly one of the two kinds of questions has to be asked.
fn question_causes(body: &Value) -> Vec<Cause> {
    let (resource, path) = (&body["spec"]["resourceAttributes"], &body["spec"]["nonResourceAttributes"]);
    match (resource.is_null(), path.is_null()) {
        (false, false) => {
            let detail = "cannot be specified in combination with resourceAttributes";
            vec![cause("spec.nonResourceAttributes", &shown(path), detail)]
        }
        (true, true) => {
            let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            vec![cause("spec.resourceAttributes", "null", detail)]
        }
        _ => Vec::new(),
    }
}

/// The question, and about whom it is asked.
fn subject_causes(body: &Value) -> Vec<Cause> {
    let (mut causes, who) = (question_causes(body), subject(body));
    if who.name.is_empty() && who.groups.is_empty() {
        causes.push(cause("spec.user", "\"\"", "at least one of user or group must be specified"));
    }
    causes.extend(validation::selector::causes_of_asked(&body["spec"]["resourceAttributes"]));
    causes
}

/// About whom is asked.
fn subject(body: &Value) -> Caller {
    let spec = &body["spec"];
    let text = |field: &str| SmolStr::from(spec[field].as_str().unwrap_or_default());
    let groups: Vec<SmolStr> = texts(&spec["groups"]).map(SmolStr::from).collect();
    let extra: BTreeMap<String, Vec<String>> = spec["extra"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, values)| (key.clone(), texts(values).map(str::to_owned).collect()))
        .collect();
    Caller { name: text("user"), uid: text("uid"), groups, extra }
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn decide(authorizer: &dyn Authorizer, caller: &Caller, spec: &Value) -> Value {
    let resource = &spec["resourceAttributes"];
    let text = |value: &'_ Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let (decision, why) = if resource.is_null() {
        let path = &spec["nonResourceAttributes"];
        judge(authorizer, caller, &Attributes::path(&text(path, "verb"), &text(path, "path")))
    } else {
        let (verb, group, plural) = (text(resource, "verb"), text(resource, "group"), text(resource, "resource"));
        let (version, part) = (text(resource, "version"), text(resource, "subresource"));
        let (namespace, name) = (text(resource, "namespace"), text(resource, "name"));
        let selector = field_selector(&resource["fieldSelector"]);
        let question = Attributes::resource(&verb, &group, &plural).version(&version).subresource(&part);
        judge(authorizer, caller, &question.namespace(&namespace).name(&name).field_selector(&selector))
    };
    let mut status = Map::new();
    status.insert("allowed".into(), decision.is_allowed().into());
    match decision {
        Decision::Allow => tell(&mut status, why),
        Decision::Deny(reason) => {
            status.insert("denied".into(), true.into());
            tell(&mut status, reason);
        }
        Decision::NoOpinion(reason) => tell(&mut status, reason),
    }
    Value::Object(status)
}

/// What is decided, and why somebody may.
fn judge(authorizer: &dyn Authorizer, caller: &Caller, question: &Attributes<'_>) -> (Decision, String) {
    let decision = authorizer.authorize(caller, question);
    let why = if matches!(decision, Decision::Allow) { authorizer.explain(caller, question) } else { String::new() };
    (decision, why)
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
