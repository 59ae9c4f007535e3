//! What the author of a definition is told: which formats its schemas name that mean nothing here.

use crate::schema::structural::knows_format;
use crate::validation::field::{list, text};
use serde_json::Value;

/// Warnings for a definition; what the old one named already is not told again.
pub(in crate::registry) fn definition(new: &Value, old: Option<&Value>) -> Vec<String> {
    let before = old.map(unknown_formats).unwrap_or_default();
    let added = unknown_formats(new).into_iter().filter(|format| !before.contains(format));
    added.map(|format| format!("unrecognized format {format:?}")).collect()
}

/// The formats that mean nothing, each once.
fn unknown_formats(definition: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    for version in list(&definition["spec"]["versions"]) {
        collect(&version["schema"]["openAPIV3Schema"], &mut found);
    }
    found
}

fn collect<'v>(schema: &'v Value, found: &mut Vec<&'v str>) {
    let format = text(&schema["format"]);
    if !format.is_empty() && !knows_format(text(&schema["type"]), format) && !found.contains(&format) {
        found.push(format);
    }
    for one in ["items", "not", "additionalProperties"] {
        if schema[one].is_object() {
            collect(&schema[one], found);
        }
    }
    for many in ["allOf", "anyOf", "oneOf"] {
        list(&schema[many]).iter().for_each(|schema| collect(schema, found));
    }
    for (_, schema) in schema["properties"].as_object().into_iter().flatten() {
        collect(schema, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn formats_that_mean_nothing_are_told_once_and_when_they_are_new() {
        let with = |schema: Value| json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": schema}}]}});
        let odd = with(json!({"type": "object", "properties": {
            "a": {"type": "string", "format": "regex"}, "b": {"type": "array", "items": {"type": "string", "format": "regex"}},
            "c": {"type": "integer", "format": "int32"}, "d": {"type": "string", "format": "k8s-long-name"},
            "e": {"anyOf": [{"type": "number", "format": "byte"}]},
        }}));
        assert_eq!(definition(&odd, None), ["unrecognized format \"regex\"", "unrecognized format \"byte\""]);
        assert_eq!(definition(&odd, Some(&odd)), [""; 0]);
    }
}
