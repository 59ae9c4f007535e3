//! `x-kubernetes-validations`: what can be said of rules without reading their expressions.

use crate::validation::field::{Errors, child, index, list, text};
use serde_json::Value;

const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

pub(super) fn check(path: &str, schema: &Value, errors: &mut Errors) {
    for (at, rule) in list(&schema["x-kubernetes-validations"]).iter().enumerate() {
        check_rule(&index(&child(path, "x-kubernetes-validations"), at), schema, rule, errors);
    }
}

fn check_rule(path: &str, schema: &Value, rule: &Value, errors: &mut Errors) {
    let (written, message, by_expression) =
        (text(&rule["rule"]).trim(), text(&rule["message"]), text(&rule["messageExpression"]));
    let empty = "must be non-empty if specified";
    if written.is_empty() {
        errors.required(child(path, "rule"), "rule is not specified");
    } else if !message.is_empty() && message.trim().is_empty() {
        errors.invalid_text(child(path, "message"), message, empty);
    } else if has_newlines(message.trim()) {
        errors.invalid_text(child(path, "message"), message, "must not contain line breaks");
    } else if has_newlines(written) && message.is_empty() {
        errors.required(child(path, "message"), "message must be specified if rule contains line breaks");
    }
    if !by_expression.is_empty() && by_expression.trim().is_empty() {
        errors.required(child(path, "messageExpression"), "messageExpression must be non-empty if specified");
    }
    errors.known(child(path, "reason"), &rule["reason"], &REASONS);
    let (field, field_path) = (text(&rule["fieldPath"]), child(path, "fieldPath"));
    if field.is_empty() {
        return;
    }
    if field.trim().is_empty() {
        errors.invalid_text(&field_path, field, empty);
    }
    if has_newlines(field) {
        errors.invalid_text(&field_path, field, "must not contain line breaks");
    }
    if leads_nowhere(schema, field) {
        errors.invalid_text(field_path, field, "must be a valid path");
    }
}

fn has_newlines(text: &str) -> bool {
    text.contains(['\n', '\r'])
}

/// Whether a path such as `.spec.names['a.b']` names no field of a schema.
fn leads_nowhere(schema: &Value, path: &str) -> bool {
    let mut tokens = Tokens(path);
    let mut at = Some(schema);
    while let Some(token) = tokens.next() {
        let name = match token {
            "." => tokens.next().map(str::to_owned),
            "[" => {
                let quoted = tokens.next().and_then(|token| token.strip_prefix('\'')?.strip_suffix('\''));
                let name = quoted.and_then(unescaped);
                if tokens.next() != Some("]") {
                    return true;
                }
                name
            }
            _ => None,
        };
        let (Some(name), Some(schema)) = (name, at) else { return true };
        let properties = schema["properties"].as_object().filter(|properties| !properties.is_empty());
        at = match (properties, &schema["additionalProperties"]) {
            (Some(properties), _) => match properties.get(&name) {
                Some(field) => Some(field),
                None => return true,
            },
            (None, Value::Null) => return true,
            (None, values) => Some(values).filter(|values| values.is_object()),
        };
    }
    false
}

/// What a path is made of: dots, brackets, quoted texts and what stands between them.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.0.as_bytes();
        let first = *bytes.first()?;
        let end = match first {
            b'.' | b'[' | b']' => 1,
            b'\'' => {
                let closes = |at: &usize| bytes[*at] == b'\'' && bytes[at - 1] != b'\\';
                (1..bytes.len()).find(closes).map_or(bytes.len(), |at| at + 1)
            }
            _ => self.0.find(['.', '[', ']']).unwrap_or(bytes.len()),
        };
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(token)
    }
}

/// A text out of single quotes; `None` where an escape in it is none that CEL has.
fn unescaped(quoted: &str) -> Option<String> {
    let (mut text, mut chars) = (String::new(), quoted.chars());
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => match chars.next()? {
                c @ ('\'' | '"' | '\\' | '`' | '?') => c,
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                _ => return None,
            },
            c => c,
        });
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_to_fields_or_nowhere() {
        let schema = json!({"type": "object", "properties": {
            "a": {"type": "object", "properties": {"b.c": {"type": "string"}}},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
        }});
        for fine in [".a", ".a['b.c']", ".map.x", ".map['y']"] {
            assert!(!leads_nowhere(&schema, fine), "{fine}");
        }
        for wrong in ["a", ".b", ".a.b", ".a[b]", ".a['b.c'", ".map.x.y", "."] {
            assert!(leads_nowhere(&schema, wrong), "{wrong}");
        }
    }
}
