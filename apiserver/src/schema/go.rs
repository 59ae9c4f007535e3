//! Values as Go prints them, in messages.

use super::spelling;
use serde_json::{Number, Value};
pub(crate) use tinyplane_wire::quote::{is_printable, quote};

/// As upstream's library for merges prints it: texts in quotation marks, and objects without brackets.
pub(crate) fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Number(told) => number(told),
        Value::Array(items) => format!("[{}]", items.iter().map(quoted).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => fields.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect(),
        other => other.to_string(),
    }
}

/// As `%v` prints it: `map[a:1 b:[x y]]`.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(string) => string.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}:{}", text(value))).collect();
            format!("map[{}]", fields.join(" "))
        }
        Value::Number(told) => number(told),
        Value::Bool(is) => is.to_string(),
    }
}

/// A number as `%v` prints it: what no `int64` holds was read as a `float64`.
pub(crate) fn number(number: &Number) -> String {
    number.as_i64().map_or_else(|| float(number.as_f64().unwrap_or_default()), |whole| whole.to_string())
}

/// As `%s` prints it, which complains of what is no text.
pub(crate) fn as_string(value: &Value) -> String {
    match value {
        Value::Null => "%!s(<nil>)".to_owned(),
        Value::Bool(_) | Value::Number(_) => format!("%!s({}={})", type_name(value), text(value)),
        other => text(other),
    }
}

/// As `encoding/json` writes it, which escapes what HTML gives a meaning.
pub(crate) fn json(value: &Value, out: &mut String) {
    let several =
        |out: &mut String, [open, close]: [char; 2], count: usize, each: &mut dyn FnMut(&mut String, usize)| {
            out.push(open);
            for at in 0..count {
                if at > 0 {
                    out.push(',');
                }
                each(out, at);
            }
            out.push(close);
        };
    match value {
        Value::String(text) => json_text(text, out),
        Value::Array(items) => several(out, ['[', ']'], items.len(), &mut |out, at| json(&items[at], out)),
        Value::Object(fields) => {
            let mut fields = fields.iter();
            several(out, ['{', '}'], fields.len(), &mut |out, _| {
                if let Some((name, value)) = fields.next() {
                    json_text(name, out);
                    out.push(':');
                    json(value, out);
                }
            });
        }
        Value::Number(number) => json_number(number, out),
        other => out.push_str(&other.to_string()),
    }
}

fn json_number(number: &Number, out: &mut String) {
    if let Some(whole) = number.as_i64() {
        return out.push_str(&whole.to_string());
    }
    let mut written = Vec::new();
    spelling::float(number.as_f64().unwrap_or_default(), &mut written);
    out.push_str(&String::from_utf8_lossy(&written));
}

/// A text as `encoding/json` writes it.
pub(crate) fn json_text(text: &str, out: &mut String) {
    out.push('"');
    for one in text.chars() {
        match one {
            '"' | '\\' => out.extend(['\\', one]),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(one)));
            }
            _ => out.push(one),
        }
    }
    out.push('"');
}

/// The same as a text of its own: how messages show words that have a type of their own.
pub(crate) fn json_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    json_text(text, &mut out);
    out
}

/// A number as Go's `%g` has it.
pub(crate) fn float(value: f64) -> String {
    shortest(&format!("{value:e}"))
}

/// The same of the fewest digits that tell a number, as Rust writes them with an exponent.
pub(crate) fn shortest(scientific: &str) -> String {
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let value: f64 = scientific.parse().unwrap_or_default();
    value.to_string()
}

/// The name of its Go type, as `%T` prints it.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// What `encoding/json` calls what stands in a document.
pub(crate) fn json_word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// As `%#v` prints what is inside of it.
pub(super) fn syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => quote(text),
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(syntax).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{}:{}", quote(name), syntax(value))).collect();
            format!("map[string]interface {{}}{{{}}}", fields.join(", "))
        }
        Value::Number(told) => number(told),
        Value::Bool(is) => is.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_escaped_for_html() {
        let mut out = String::new();
        json(&serde_json::json!({"a": ["<&>", "\u{2028}\n\x01\"", 1, null], "b": {}}), &mut out);
        assert_eq!(out, r#"{"a":["\u003c\u0026\u003e","\u2028\n\u0001\"",1,null],"b":{}}"#);
    }

    #[test]
    fn numbers_have_an_exponent_where_each_of_gos_printers_gives_them_one() {
        let value: Value = serde_json::json!([5.0, -0.0, 1e-7, 1e5, 123_456_789.0, 1e20, u64::MAX, i64::MAX]);
        let mut out = String::new();
        json(&value, &mut out);
        assert_eq!(out, "[5,-0,1e-7,100000,123456789,100000000000000000000,18446744073709552000,9223372036854775807]");
        let told = "5 -0 1e-07 100000 1.23456789e+08 1e+20 1.8446744073709552e+19 9223372036854775807";
        assert_eq!(text(&value), format!("[{told}]"));
        assert_eq!(syntax(&value), format!("[]interface {{}}{{{}}}", told.replace(' ', ", ")));
        assert_eq!(as_string(&value[5]), "%!s(float64=1e+20)");
        assert_eq!(syntax(&"\u{1}\u{feff}".into()), r#""\x01\ufeff""#);
    }
}
