//! What the author of a `CustomResourceDefinition` is told: formats that mean nothing.

use crate::schema::structural::is_known_format;
use serde_json::Value;
use std::collections::BTreeSet;

/// Formats that nobody knows, as far as the definition did not have them before.
pub(in crate::registry) fn definition(new: &Value, old: Option<&Value>) -> Vec<String> {
    let before = old.map(unknown).unwrap_or_default();
    unknown(new).difference(&before).map(|format| format!("unrecognized format {format:?}")).collect()
}

fn unknown(definition: &Value) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let versions = definition["spec"]["versions"].as_array();
    for version in versions.into_iter().flatten() {
        gather(&version["schema"]["openAPIV3Schema"], &mut found);
    }
    found
}

/// Schemas stand within schemas: by names, in lists, and alone. No object is deeper than its reader lets it be.
fn gather<'v>(schema: &'v Value, found: &mut BTreeSet<&'v str>) {
    let text = |field: &str| schema[field].as_str().unwrap_or_default();
    if !text("format").is_empty() && !is_known_format(text("type"), text("format")) {
        found.insert(schema["format"].as_str().unwrap_or_default());
    }
    let by_name = ["properties", "patternProperties", "definitions", "dependencies"];
    let named = by_name.into_iter().filter_map(|field| schema[field].as_object()).flat_map(|all| all.values());
    let listed =
        ["items", "allOf", "oneOf", "anyOf"].into_iter().filter_map(|field| schema[field].as_array()).flatten();
    let alone = ["items", "not", "additionalProperties", "additionalItems"].into_iter().map(|field| &schema[field]);
    named.chain(listed).chain(alone).filter(|one| one.is_object()).for_each(|one| gather(one, found));
}

#[cfg(test)]
mod tests {
    use super::definition;
    use serde_json::{Value, json};

    fn of(schema: &Value) -> Value {
        json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": schema}}]}})
    }

    #[test]
    fn formats_that_nobody_knows_are_told_once_and_when_they_come() {
        let known = of(
            &json!({"properties": {"a": {"type": "string", "format": "date-time"}, "b": {"type": "integer", "format": "int32"}}}),
        );
        assert_eq!(definition(&known, None), [] as [String; 0]);
        let odd = of(
            &json!({"properties": {"a": {"type": "string", "format": "odd"}, "b": {"items": {"type": "integer", "format": "int8"}},
            "c": {"anyOf": [{"format": "odd"}]}}}),
        );
        let told = ["unrecognized format \"int8\"", "unrecognized format \"odd\""];
        assert_eq!(definition(&odd, None), told);
        assert_eq!(definition(&odd, Some(&known)), told);
        assert_eq!(definition(&odd, Some(&odd)), [] as [String; 0]);
    }
}
