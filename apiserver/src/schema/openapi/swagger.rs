//! `OpenAPI` v2, made from the v3 documents: one document for everything, which kubectl up to 1.28 asks for first.

use super::gnostic;
use super::parameters::Shared;
use super::published::{self, Among};
use super::schemas::described;
use crate::schema::model::Model;
use serde_json::{Map, Value, json};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// In which order media types are told of what comes.
const PRODUCED: [&str; 6] = [
    "text/plain",
    "application/json",
    "application/yaml",
    PROTOBUF,
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];
/// The same of what goes.
const CONSUMED: [&str; 6] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "application/json",
    "application/yaml",
];
/// Where upstream's types without fields are.
const VALUES: [&str; 2] = ["io.k8s.apimachinery.pkg.", "io.k8s.apiextensions-apiserver.pkg."];
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

/// A document of v2, in both of its forms.
pub(super) struct Written {
    pub(super) json: String,
    pub(super) protobuf: Vec<u8>,
}

/// Joins v3 documents into one of v2. Paths are written as they come: all of them as values would take twenty times as much
/// memory as they do as texts.
pub(super) fn write(model: &Model, documents: impl Iterator<Item = Value>) -> Written {
    let (mut paths, mut messages, mut shared) = (String::new(), gnostic::v2::Paths::default(), Shared::default());
    let mut definitions = Map::new();
    for mut document in documents {
        if let Value::Object(found) = document["paths"].take() {
            for (name, item) in found {
                let item = path(item, &mut shared);
                messages.add(&name, &item);
                let separator = if paths.is_empty() { "" } else { "," };
                paths.push_str(&format!("{separator}{}:{item}", Value::from(name)));
            }
        }
        if let Value::Object(found) = document["components"]["schemas"].take() {
            for (name, schema) in found {
                if !definitions.contains_key(&name) {
                    let schema = definition(model, &name, schema);
                    definitions.insert(name, schema);
                }
            }
        }
    }
    let mut rest = json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": super::VERSION},
        "securityDefinitions": {"BearerToken": super::bearer_token()},
        "security": [{"BearerToken": []}],
    });
    rest["definitions"] = definitions.into();
    rest["parameters"] = shared.into_definitions();
    let protobuf = gnostic::v2::document(&rest, &messages);
    let rest = rest.to_string();
    let json = format!("{{\"paths\":{{{paths}}},{}", rest.strip_prefix('{').unwrap_or(&rest));
    Written { json, protobuf }
}

fn definition(model: &Model, name: &str, mut schema: Value) -> Value {
    // Groups of custom resources may be called anything, and their kinds.
    if model.named(name).is_none() && !VALUES.iter().any(|of_values| name.starts_with(of_values)) {
        super::custom::for_v2(&mut schema);
        return self::schema(schema);
    }
    let said = schema.get("description").cloned();
    match name.rsplit('.').next() {
        Some("Quantity") => described(json!({"type": "string"}), said),
        Some("IntOrString") => described(json!({"type": "string", "format": "int-or-string"}), said),
        Some(short) if published::OF_ALL.contains(&short) => {
            schema["x-kubernetes-group-version-kind"] = published::everywhere(short, Among::Everything);
            self::schema(schema)
        }
        _ => self::schema(schema),
    }
}

/// A schema without defaults, whose references point where v2 has them, with what is said beside them.
fn schema(schema: Value) -> Value {
    let Value::Object(entries) = schema else { return schema };
    let mut out = Map::new();
    for (name, value) in entries {
        match (name.as_str(), value) {
            ("default", _) => {}
            ("allOf", Value::Array(all)) => {
                for one in all {
                    if let Value::Object(one) = self::schema(one) {
                        out.extend(one);
                    }
                }
            }
            ("$ref", Value::String(target)) => {
                out.insert(name, target.replace("#/components/schemas/", "#/definitions/").into());
            }
            ("properties", Value::Object(properties)) => {
                let properties = properties.into_iter().map(|(name, value)| (name, self::schema(value)));
                out.insert(name, properties.collect::<Map<_, _>>().into());
            }
            ("items" | "additionalProperties", value) => drop(out.insert(name, self::schema(value))),
            (_, value) => drop(out.insert(name, value)),
        }
    }
    out.into()
}

fn path(item: Value, shared: &mut Shared) -> Value {
    let Value::Object(entries) = item else { return item };
    let entries = entries.into_iter().map(|(name, value)| {
        let value = match name.as_str() {
            "parameters" => parameters(value).into_iter().map(|one| shared.refer(one)).collect(),
            method if METHODS.contains(&method) => operation(value, shared),
            _ => value,
        };
        (name, value)
    });
    entries.collect::<Map<_, _>>().into()
}

/// `{name, in, schema: {type}}` → `{name, in, type}`.
fn parameters(list: Value) -> Vec<Value> {
    let Value::Array(list) = list else { return Vec::new() };
    let flat = |mut parameter: Value| {
        if let Value::Object(schema) = parameter["schema"].take()
            && let Some(parameter) = parameter.as_object_mut()
        {
            parameter.remove("schema");
            parameter.extend(schema);
        }
        parameter
    };
    list.into_iter().map(flat).collect()
}

fn operation(mut operation: Value, shared: &mut Shared) -> Value {
    let mut parameters = parameters(operation["parameters"].take());
    let mut consumes = Vec::new();
    if let Value::Object(mut body) = operation["requestBody"].take() {
        let required = body.get("required") == Some(&Value::Bool(true));
        let content = body.remove("content").unwrap_or_default();
        let (media, schema) = content_of(content);
        let mut body = json!({"name": "body", "in": "body", "schema": schema});
        if required {
            body["required"] = true.into();
        }
        parameters.push(body);
        consumes = in_order(media, &CONSUMED);
    }
    parameters.sort_by(|one, other| one["name"].as_str().cmp(&other["name"].as_str()));
    let parameters: Vec<Value> = parameters.into_iter().map(|one| shared.refer(one)).collect();
    let mut produces: Vec<String> = Vec::new();
    let mut responses = Map::new();
    if let Value::Object(found) = operation["responses"].take() {
        for (code, mut response) in found {
            let (media, schema) = content_of(response["content"].take());
            let mut out = json!({"description": response["description"]});
            if !schema.is_null() {
                out["schema"] = schema;
            }
            produces.extend(media.into_iter().filter(|media| !produces.contains(media)).collect::<Vec<_>>());
            responses.insert(code, out);
        }
    }
    let Value::Object(mut out) = operation else { return operation };
    out.remove("requestBody");
    match parameters.is_empty() {
        true => drop(out.remove("parameters")),
        false => drop(out.insert("parameters".to_owned(), parameters.into())),
    }
    let produces = in_order(produces, &PRODUCED);
    if consumes.is_empty() {
        consumes = consumed(&out, &produces, &responses);
    }
    if !consumes.is_empty() {
        out.insert("consumes".to_owned(), consumes.into());
    }
    out.insert("responses".to_owned(), responses.into());
    out.insert("produces".to_owned(), produces.into());
    out.insert("schemes".to_owned(), json!(["https"]));
    out.into()
}

/// What upstream says that an operation without a body takes.
fn consumed(operation: &Map<String, Value>, produces: &[String], responses: &Map<String, Value>) -> Vec<String> {
    let is_text = || responses.get("200").is_some_and(|answer| answer["schema"]["type"] == "string");
    match operation.get("x-kubernetes-action") {
        None if is_text() => Vec::new(),
        // Of what is no resource and of custom resources it says that they take what they give.
        None => produces.to_vec(),
        Some(action) if action != "connect" && !produces.iter().any(|one| one == PROTOBUF) => produces.to_vec(),
        Some(_) => vec!["*/*".to_owned()],
    }
}

/// Media types in upstream's order; last, those that it does not know.
fn in_order(mut media: Vec<String>, order: &[&str]) -> Vec<String> {
    media.sort_by_key(|one| order.iter().position(|known| known == one).unwrap_or(order.len()));
    media
}

/// The media types of a body, and its schema, which is the same in all of them.
fn content_of(content: Value) -> (Vec<String>, Value) {
    let Value::Object(content) = content else { return (Vec::new(), Value::Null) };
    let media = content.keys().cloned().collect();
    let schema = content.into_iter().next().map(|(_, mut media)| schema(media["schema"].take()));
    (media, schema.unwrap_or_default())
}
