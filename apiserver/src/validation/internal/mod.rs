//! Values as Go prints upstream's types without versions, whose fields have an order, names and zeros of their own.
//! Looked at only to say what is wrong.

mod unified;

use crate::schema::{go, spelling};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The types and their fields.
static TYPES: LazyLock<Types> = LazyLock::new(|| Types::read(include_str!("types.txt")));

/// How two values of a type differ, line by line.
pub(super) fn diff(kind: &str, old: &Value, new: &Value) -> String {
    let text = |value| {
        let mut out = String::new();
        TYPES.print(&mut out, (kind, value), &Value::Null, Some(0));
        out
    };
    unified::diff(&text(old), &text(new))
}

/// A value of a type, in one line.
pub(super) fn shown(kind: &str, value: &Value) -> String {
    let mut out = String::new();
    TYPES.print(&mut out, (kind, value), &Value::Null, None);
    out
}

struct Field {
    /// How Go prints it; nothing, where it embeds it.
    name: &'static str,
    /// How it is called in what is stored.
    json: String,
    /// It lies beside the value, and not within.
    beside: bool,
    /// It is left out when it is empty.
    omitted: bool,
    shape: &'static str,
}

struct Types(HashMap<&'static str, Vec<Field>>);

impl Types {
    fn read(text: &'static str) -> Self {
        let mut types: HashMap<&str, Vec<Field>> = HashMap::new();
        let mut open = "";
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            if !line.starts_with(' ') {
                open = words.next().unwrap_or_default();
            }
            types.entry(open).or_default().extend(words.map(field));
        }
        Self(types)
    }

    /// Prints a value of a shape, over several lines where a depth is given. `around` is what the value is a field of.
    fn print(&self, out: &mut String, (shape, value): (&str, &Value), around: &Value, depth: Option<usize>) {
        let whole = shape.strip_prefix('*').filter(|_| !value.is_null()).unwrap_or(shape);
        match (whole.strip_prefix("[]"), whole.strip_prefix("{}"), self.0.get(whole), value) {
            (Some(shape), _, _, Value::Array(items)) => {
                let items = items.iter().map(|item| (None, shape, item));
                self.print_all(out, ['[', ']'], items, value, depth);
            }
            (_, Some(shape), _, Value::Object(entries)) => {
                let entries = entries.iter().map(|(name, entry)| (Some(name.as_str()), shape, entry));
                self.print_all(out, ['{', '}'], entries, value, depth);
            }
            (_, _, Some(fields), _) => {
                let fields = self.told(fields, value, around).into_iter();
                self.print_all(out, ['{', '}'], fields, value, depth);
            }
            (_, _, None, Value::Null) => out.push_str(match whole {
                "" => "\"\"",
                "quantity" => "\"0\"",
                "bool" => "false",
                "int" => "0",
                _ => "null",
            }),
            (_, _, None, Value::String(text)) if whole == "json" => {
                let mut raw = Vec::with_capacity(text.len());
                spelling::compact(text, &mut raw);
                out.push_str(&String::from_utf8_lossy(&raw));
            }
            (_, _, None, _) => go::json(value, out),
        }
    }

    /// The fields of a value that are printed, with their shapes.
    fn told<'v>(
        &'v self,
        fields: &'v [Field],
        value: &'v Value,
        around: &'v Value,
    ) -> Vec<(Option<&'v str>, &'v str, &'v Value)> {
        let mut told = Vec::with_capacity(fields.len());
        for field in fields {
            let found = if field.beside { around } else { value }.get(&field.json).unwrap_or(&Value::Null);
            match self.0.get(field.shape).filter(|_| field.name.is_empty()) {
                Some(embedded) => told.extend(self.told(embedded, found, value)),
                None if field.omitted && is_empty(found) => {}
                None => told.push((Some(field.name), field.shape, found)),
            }
        }
        told
    }

    /// Prints a list or an object of what stands in it.
    fn print_all<'v>(
        &self,
        out: &mut String,
        [open, close]: [char; 2],
        all: impl Iterator<Item = (Option<&'v str>, &'v str, &'v Value)>,
        around: &Value,
        depth: Option<usize>,
    ) {
        let line = |out: &mut String, depth: Option<usize>| {
            if let Some(depth) = depth {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', depth));
            }
        };
        let within = depth.map(|depth| depth + 1);
        out.push(open);
        let start = out.len();
        for (name, shape, value) in all {
            if out.len() > start {
                out.push(',');
            }
            line(out, within);
            if let Some(name) = name {
                go::json_text(name, out);
                out.push_str(if depth.is_some() { ": " } else { ":" });
            }
            self.print(out, (shape, value), around, within);
        }
        if out.len() > start {
            line(out, depth);
        }
        out.push(close);
    }
}

/// Reads `Name[=json][:shape]`, `name?[:shape]` or `@json:Type`.
fn field(word: &'static str) -> Field {
    let (word, shape) = word.split_once(':').unwrap_or((word, ""));
    let (word, omitted) = word.strip_suffix('?').map_or((word, false), |word| (word, true));
    let (name, json) = match (word.split_once('='), word.strip_prefix('@')) {
        (Some((name, json)), _) => (name, json.to_owned()),
        (None, Some(json)) => ("", json.to_owned()),
        (None, None) => (word, lowered(word)),
    };
    Field { name, json: json.trim_start_matches('^').to_owned(), beside: json.starts_with('^'), omitted, shape }
}

/// Go's name of a field as JSON has it: `HostIP` is `hostIP`, and `TCPSocket` is `tcpSocket`.
fn lowered(name: &str) -> String {
    let capitals = name.bytes().take_while(u8::is_ascii_uppercase).count();
    // The last capital of several begins a word of its own, unless the name ends with it.
    let first = if capitals > 1 && capitals < name.len() { capitals - 1 } else { capitals };
    let (first, rest) = name.split_at(first);
    first.to_ascii_lowercase() + rest
}

/// What Go leaves out of JSON where it is told to.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_have_gos_names_order_and_zeros() {
        assert_eq!(
            shown("Toleration", &json!({"operator": "Exists", "key": "a<b"})),
            r#"{"Key":"a\u003cb","Operator":"Exists","Value":"","Effect":"","TolerationSeconds":null}"#
        );
        assert_eq!(
            shown("FCVolumeSource", &json!({"wwids": ["1"], "lun": 2})),
            r#"{"TargetWWNs":null,"Lun":2,"FSType":"","ReadOnly":false,"WWIDs":["1"]}"#
        );
        assert_eq!(
            shown("ResourceRequirements", &json!({"limits": {"cpu": "1"}})),
            r#"{"Limits":{"cpu":"1"},"Requests":null,"Claims":null}"#
        );
        assert_eq!(
            shown("LabelSelector", &json!({"matchExpressions": [{"operator": "In", "key": "a"}]})),
            r#"{"matchExpressions":[{"key":"a","operator":"In"}]}"#
        );
        assert_eq!(
            shown("PersistentVolumeClaimTemplate", &json!({"metadata": {"labels": {"a": "b"}}}))
                .replace(&shown("PersistentVolumeClaimSpec", &json!({})), "…"),
            r#"{"labels":{"a":"b"},"Spec":…}"#
        );
        let mut spec = json!({"hostPID": true, "securityContext": {"runAsUser": 1}});
        spec["containers"] = json!([]);
        let told = shown("PodSpec", &spec);
        assert!(told.contains(r#""SecurityContext":{"HostNetwork":false,"HostPID":true,"#), "{told}");
    }

    #[test]
    fn every_shape_of_the_table_is_known() {
        for (kind, fields) in &TYPES.0 {
            for field in fields {
                let shape = field.shape.trim_start_matches(['*', '[', ']', '{', '}']);
                let is_plain = ["", "int", "bool", "quantity", "time", "json"].contains(&shape);
                assert!(is_plain || TYPES.0.contains_key(shape), "{kind} {}", field.name);
            }
        }
    }

    #[test]
    fn names_are_lowered_as_go_writes_them_for_json() {
        for (name, json) in [
            ("HostIP", "hostIP"),
            ("IP", "ip"),
            ("TCPSocket", "tcpSocket"),
            ("TTY", "tty"),
            ("Name", "name"),
            ("AWSElasticBlockStore", "awsElasticBlockStore"),
            ("matchLabels", "matchLabels"),
            ("OS", "os"),
        ] {
            assert_eq!(lowered(name), json);
        }
    }
}
