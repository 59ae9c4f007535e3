//! The versions of a definition as Go prints upstream's types without versions: schemas of one shape, whatever JSON lets
//! one write, and without the parts that all versions share.

use super::schema::DEPTH_MAX;
use crate::validation::field;
use crate::validation::internal;
use serde_json::{Value, json};

/// Most versions and schemas that are printed: Go writes each of them with all its fields, twenty times what was sent.
const SCHEMAS_MAX: usize = 4096;

/// The versions, without the parts that are kept at the top.
pub(super) fn versions(all: &Value, common: &[&str]) -> String {
    let Value::Array(versions) = all else { return "null".to_owned() };
    let mut left = SCHEMAS_MAX;
    let spelled = versions.iter().map(|version| {
        left = left.checked_sub(1)?;
        let mut spelled = version.clone();
        let fields = spelled.as_object_mut()?;
        common.iter().for_each(|part| drop(fields.remove(*part)));
        if let Some(schema) = spelled.pointer_mut("/schema/openAPIV3Schema").filter(|schema| !schema.is_null()) {
            *schema = Spelling { left: &mut left }.schema(schema, 0)?;
        }
        Some(spelled)
    });
    match spelled.collect::<Option<Vec<_>>>() {
        Some(versions) => internal::shown("[]CustomResourceDefinitionVersion", &Value::Array(versions)),
        None => field::shown(all),
    }
}

/// A schema.
pub(super) fn schema(schema: &Value) -> String {
    let mut left = SCHEMAS_MAX;
    match (Spelling { left: &mut left }).schema(schema, 0) {
        Some(spelled) => internal::shown("JSONSchemaProps", &spelled),
        None => field::shown(schema),
    }
}

/// Writes out where JSON has one of several shapes.
struct Spelling<'a> {
    left: &'a mut usize,
}

impl Spelling<'_> {
    fn schema(&mut self, schema: &Value, depth: usize) -> Option<Value> {
        *self.left = self.left.checked_sub(1)?;
        let below = (depth < DEPTH_MAX).then_some(depth + 1)?;
        let Some(fields) = schema.as_object() else { return Some(schema.clone()) };
        let spelled = fields.iter().map(|(name, value)| {
            let spelled = match (name.as_str(), value) {
                (_, Value::Null) => Value::Null,
                ("not", _) => self.schema(value, below)?,
                ("allOf" | "anyOf" | "oneOf", Value::Array(all)) => self.list(all, below)?,
                ("items", Value::Array(all)) => json!({"jsonSchemas": self.list(all, below)?}),
                ("items", _) => json!({"schema": self.schema(value, below)?}),
                ("additionalProperties" | "additionalItems", Value::Bool(allows)) => json!({"allows": allows}),
                ("additionalProperties" | "additionalItems", _) => {
                    json!({"allows": true, "schema": self.schema(value, below)?})
                }
                ("properties" | "patternProperties" | "definitions" | "dependencies", Value::Object(all)) => {
                    let each = all.iter().map(|(key, value)| {
                        let spelled = match value {
                            Value::Array(_) if name == "dependencies" => json!({"property": value}),
                            _ if name == "dependencies" => json!({"schema": self.schema(value, below)?}),
                            _ => self.schema(value, below)?,
                        };
                        Some((key.clone(), spelled))
                    });
                    Value::Object(each.collect::<Option<_>>()?)
                }
                _ => value.clone(),
            };
            Some((name.clone(), spelled))
        });
        spelled.collect::<Option<_>>().map(Value::Object)
    }

    fn list(&mut self, all: &[Value], depth: usize) -> Option<Value> {
        all.iter().map(|one| self.schema(one, depth)).collect::<Option<_>>().map(Value::Array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_printed_as_go_has_them() {
        let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {}},
            "subresources": {"status": {}}, "additionalPrinterColumns": [{"name": "A", "type": "string", "jsonPath": ".a"}]});
        assert_eq!(
            versions(&json!([version]), &["schema", "selectableFields"]),
            r#"[{"Name":"v1","Served":true,"Storage":true,"Deprecated":false,"DeprecationWarning":null,"Schema":null,"Subresources":{"Status":{},"Scale":null},"AdditionalPrinterColumns":[{"Name":"A","Type":"string","Format":"","Description":"","Priority":0,"JSONPath":".a"}],"SelectableFields":null}]"#
        );
        assert_eq!(versions(&Value::Null, &[]), "null");
        assert_eq!(versions(&json!([]), &[]), "[]");
    }

    #[test]
    fn a_schema_has_one_shape_whatever_json_lets_one_write() {
        let plain = internal::shown("JSONSchemaProps", &json!({}));
        let of = |schema: Value| {
            let told = versions(&json!([{"schema": {"openAPIV3Schema": schema}}]), &[]);
            told.replace(&plain, "…")
        };
        for (written, shown) in [
            (json!({"items": {}}), r#""Items":{"Schema":…,"JSONSchemas":null}"#),
            (json!({"items": [{}]}), r#""Items":{"Schema":null,"JSONSchemas":[…]}"#),
            (json!({"additionalProperties": false}), r#""AdditionalProperties":{"Allows":false,"Schema":null}"#),
            (json!({"additionalProperties": {}}), r#""AdditionalProperties":{"Allows":true,"Schema":…}"#),
            (
                json!({"dependencies": {"a": ["b"], "c": {}}}),
                r#""Dependencies":{"a":{"Schema":null,"Property":["b"]},"c":{"Schema":…,"Property":null}}"#,
            ),
            (json!({"properties": {"a": {"not": {}}}}), r#""Not":…"#),
            (json!({"required": [], "default": {"a": null}}), r#""Default":{"a":null}"#),
            (json!({"x-kubernetes-list-type": "set"}), r#""XListType":"set""#),
        ] {
            let told = of(written);
            assert!(told.contains(shown), "{told}");
        }
    }

    #[test]
    fn what_would_grow_too_large_is_shown_as_it_was_sent() {
        let versions_of = |count: usize| Value::Array(vec![json!({"name": "v1"}); count]);
        assert!(versions(&versions_of(SCHEMAS_MAX), &[]).contains("\"Name\""));
        assert_eq!(versions(&versions_of(SCHEMAS_MAX + 1), &[]), versions_of(SCHEMAS_MAX + 1).to_string());
        let many: serde_json::Map<_, _> = (0..SCHEMAS_MAX).map(|at| (at.to_string(), json!({}))).collect();
        let all = json!([{"schema": {"openAPIV3Schema": {"properties": many}}}]);
        assert_eq!(versions(&all, &[]), all.to_string());
    }
}
