//! Bodies of custom objects, which no type of Go's reads: their metadata are those of all objects, and they may say to be
//! something else until they are judged as a whole.

use super::body::{OBJECT_META, Sent, Validation, settle, unrecognized};
use crate::codec::doubles;
use crate::registry::custom::Custom;
use crate::registry::managers::folded;
use crate::request::Warnings;
use crate::schema::{self, decode};
use serde_json::{Map, Value};
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::status::{self, Status};

/// An object, with the kind that it says to have.
///
/// # Errors
/// 400 in upstream's words for what can't be read, says no kind, or says to be of another version.
pub(super) fn decode(
    wanted: &Gvk,
    custom: &Custom,
    sent: &Sent,
    said: &Gvk,
    validation: Validation,
    warnings: &Warnings,
) -> status::Result<Value> {
    let json: &[u8] = &sent.json;
    if said.kind.is_empty() && json.trim_ascii_start().starts_with(b"{") {
        let text = String::from_utf8_lossy(&sent.original);
        return Err(unrecognized(wanted, &sent.original, &format!("Object 'Kind' is missing in '{text}'")));
    }
    let handled = |why: &str| {
        let (kind, version) = (&said.kind, &said.version);
        Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {}: {why}", wanted.kind))
    };
    let doubles::Read { mut value, doubles, .. } = doubles::json(json).map_err(|error| {
        let why = decode::not_json(json, &error);
        if decode::is_beyond_doubles(&error) {
            return handled(&why);
        }
        unrecognized(wanted, &sent.original, &format!("couldn't get version/kind; json parse error: {why}"))
    })?;
    folded::fold(&mut value)?;
    let doubles = doubles.iter().map(|path| format!("duplicate field {}", schema::go::quote(path))).collect();
    let decoded = fit(wanted, custom, value, doubles).map_err(|why| handled(&why))?;
    let value = settle(sent.judged(decoded), validation, warnings, handled)?;
    let expected = wanted.api_version();
    if value["apiVersion"] != expected {
        let given = value["apiVersion"].as_str().unwrap_or_default();
        return Err(Status::bad_request(format!(
            "the API version in the data ({given}) does not match the expected API version ({expected})"
        )));
    }
    Ok(value)
}

/// An object of a custom resource: its metadata as every kind has it, and without the fields that its schema does not
/// know. Whether its values fit is asked later, as upstream has it.
pub(super) fn fit(
    wanted: &Gvk,
    custom: &Custom,
    mut value: Value,
    strict: Vec<String>,
) -> Result<decode::Decoded, String> {
    let Some(fields) = value.as_object_mut() else {
        return Err("json: cannot unmarshal into Go value of type map[string]interface {}".to_owned());
    };
    let mut decoded = decode::Decoded { unknown: strict, ..decode::Decoded::default() };
    if let Some(metadata) = fields.get_mut("metadata") {
        let model = schema::model();
        let id = model.named(OBJECT_META).ok_or("there is no metadata")?;
        let read = decode::rewritten(model, id, metadata.take()).map_err(|error| error.to_string())?;
        *metadata = read.value;
        let below = |told: String| told.replacen("field \"", "field \"metadata.", 1);
        decoded.unknown.extend(read.unknown.into_iter().map(below));
    }
    let text = |field: &str| fields.get(field).and_then(Value::as_str).unwrap_or_default();
    let said = Gvk::parse(text("apiVersion"), text("kind"));
    if said == *wanted {
        custom.structural.read_embedded(&mut value, &mut embedded_metadata)?;
        decoded.unknown.extend(custom.structural.prune(&mut value));
    } else if said.kind == wanted.kind && said.group == wanted.group {
        // Of another version no field is known, but those that all objects have.
        let others = fields.keys().filter(|name| !["apiVersion", "kind", "metadata"].contains(&name.as_str()));
        decoded.unknown.extend(others.map(|name| format!("unknown field {}", schema::go::quote(name))));
    }
    decoded.value = value;
    Ok(decoded)
}

/// Reads the metadata of an object within a custom resource. What they don't know is left to who prunes and tells it.
pub(crate) fn embedded_metadata(metadata: &mut Value) -> Result<(), String> {
    let model = schema::model();
    let id = model.named(OBJECT_META).ok_or("there is no metadata")?;
    if metadata.is_null() {
        *metadata = Value::Object(Map::new());
    }
    decode::value(model, id, metadata.clone()).map(drop).map_err(|error| error.to_string())
}
