//! Values as `encoding/json` writes Go's structs: fields in the order in which Go declares them, names of maps sorted, and
//! what HTML gives a meaning escaped.

use super::default;
use super::go;
use super::model::{Field, Model, Scalar, Shape, TypeId};
use serde_json::{Map, Value};
use smallvec::SmallVec;

/// So many fields of an object are put in order without the allocator.
const FIELDS_EXPECTED: usize = 16;

/// Writes values of the types of a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speller<'m> {
    model: &'m Model,
    forgets_empty: bool,
    folds: bool,
}

impl<'m> Speller<'m> {
    /// Values as they are.
    pub(crate) fn new(model: &'m Model) -> Self {
        Self { model, forgets_empty: false, folds: false }
    }

    /// Lists and maps that are empty are taken for absent where Go writes them all the same: as upstream's store does, which
    /// holds objects in protobuf, and protobuf knows no empty list. Says what [`default::forget_empty`] says, on the way. Raw JSON
    /// stays the text that it is held as.
    pub(crate) fn as_stored(model: &'m Model) -> Self {
        Self { model, forgets_empty: true, folds: true }
    }

    /// Writes a value of a type.
    pub(crate) fn object(self, id: TypeId, value: &Value, out: &mut Vec<u8>) {
        self.shape(&Shape::Object(id), value, out);
    }

    /// Writes a value of a shape.
    pub(crate) fn shape(self, shape: &Shape, value: &Value, out: &mut Vec<u8>) {
        match (shape, value) {
            (
                Shape::Object(id) | Shape::SchemaOrArray(id) | Shape::SchemaOrBool(id) | Shape::SchemaOrStrings(id),
                Value::Object(fields),
            ) => {
                let mut open = b'{';
                in_order(self.model, *id, fields, |name, value, field| {
                    out.push(open);
                    open = b',';
                    label(name, field, out);
                    self.field(field, value, out);
                });
                close(out, open, b"{}");
            }
            (Shape::Map(inner), Value::Object(entries)) => {
                map(entries, out, |value, out| self.shape(inner, value, out));
            }
            (Shape::List(inner), Value::Array(items)) => list(items, out, |item, out| self.shape(inner, item, out)),
            (Shape::SchemaOrArray(id), Value::Array(items)) => {
                list(items, out, |item, out| self.object(*id, item, out));
            }
            (Shape::Scalar(Scalar::Raw), Value::String(text)) if !self.folds => compact(text, out),
            (_, value) => free(value, out),
        }
    }

    /// Writes the value of a field, if it is one.
    pub(crate) fn field(self, field: Option<&Field>, value: &Value, out: &mut Vec<u8>) {
        match field {
            Some(field) if self.forgets_empty && default::is_forgotten(field, value) => out.extend_from_slice(b"null"),
            Some(field) => self.shape(&field.shape, value, out),
            None => free(value, out),
        }
    }
}

/// Tells of the fields of an object as Go declares them, without lists and maps that it leaves out; last, by their names, of those
/// that its type does not know.
pub(crate) fn in_order<'v, 'm>(
    model: &'m Model,
    id: TypeId,
    fields: &'v Map<String, Value>,
    mut each: impl FnMut(&'v str, &'v Value, Option<&'m Field>),
) {
    let one = model.get(id);
    let found = fields.iter().map(|(name, value)| (name.as_str(), value, one.field(name)));
    let found = found.filter(|(_, value, field)| field.is_none_or(|field| !field.leaves_out(value)));
    let mut placed: SmallVec<[_; FIELDS_EXPECTED]> = found.collect();
    placed.sort_by_key(|(.., field)| field.map_or(u16::MAX, |field| field.place));
    for (name, value, field) in &placed {
        each(name, value, *field);
    }
}

/// Writes the name of a field, and what parts it from its value. Names that a model knows need no look at their letters.
pub(crate) fn label(name: &str, field: Option<&Field>, out: &mut Vec<u8>) {
    if field.is_some() {
        out.reserve(name.len() + 3);
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.push(b'"');
    } else {
        text(name, out);
    }
    out.push(b':');
}

/// Writes a value that no type says anything of.
pub(crate) fn free(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(string) => text(string, out),
        Value::Array(items) => list(items, out, free),
        Value::Object(entries) => map(entries, out, free),
        Value::Number(number) if number.is_f64() => float(number.as_f64().unwrap_or_default(), out),
        scalar => serde_json::to_writer(out, scalar).expect("a scalar is written to memory"),
    }
}

/// Writes a number with a fraction as Go does: without one where it is whole, with an exponent where it is very large or
/// very small.
pub(super) fn float(number: f64, out: &mut Vec<u8>) {
    let size = number.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return out.extend_from_slice(number.to_string().as_bytes());
    }
    let text = format!("{number:e}");
    let text = if size < 1.0 { text } else { text.replace('e', "e+") };
    out.extend_from_slice(text.as_bytes());
}

fn list(items: &[Value], out: &mut Vec<u8>, each: impl Fn(&Value, &mut Vec<u8>)) {
    let mut open = b'[';
    for item in items {
        out.push(open);
        open = b',';
        each(item, out);
    }
    close(out, open, b"[]");
}

fn map(entries: &Map<String, Value>, out: &mut Vec<u8>, each: impl Fn(&Value, &mut Vec<u8>)) {
    let mut open = b'{';
    for (name, value) in entries {
        out.push(open);
        open = b',';
        text(name, out);
        out.push(b':');
        each(value, out);
    }
    close(out, open, b"{}");
}

/// Ends what was opened before its first item, or never was.
fn close(out: &mut Vec<u8>, open: u8, both: &[u8; 2]) {
    if open == both[0] {
        out.push(both[0]);
    }
    out.push(both[1]);
}

/// Writes a text; most need no look at each of their letters.
pub(crate) fn text(text: &str, out: &mut Vec<u8>) {
    if is_plain(text) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        let mut escaped = String::with_capacity(text.len() + 16);
        go::json_text(text, &mut escaped);
        out.extend_from_slice(escaped.as_bytes());
    }
}

/// Whether a text stands in JSON as it is. Most are shorter than a block, which the compiler looks at as a whole.
fn is_plain(text: &str) -> bool {
    let (blocks, rest) = text.as_bytes().as_chunks::<16>();
    let is_special = |block: &[u8; 16]| block.iter().fold(false, |found, byte| found | is_escaped(*byte));
    !blocks.iter().any(is_special) && !rest.iter().any(|byte| ESCAPED[usize::from(*byte)])
}

/// The bytes that do not stand in a text of JSON as they are.
static ESCAPED: [bool; 256] = {
    let mut all = [false; 256];
    let mut byte = 0_u8;
    while byte < u8::MAX {
        all[byte as usize] = is_escaped(byte);
        byte += 1;
    }
    all
};

/// Whether a byte is one of these. 0xE2 begins, among others, the two separators that are escaped.
const fn is_escaped(byte: u8) -> bool {
    (byte < b' ') | (byte == b'"') | (byte == b'\\') | (byte == b'<') | (byte == b'>') | (byte == b'&') | (byte == 0xe2)
}

/// Writes a text of JSON without its spaces, and with what HTML gives a meaning escaped.
pub(crate) fn compact(text: &str, out: &mut Vec<u8>) {
    let (mut quoted, mut escaped) = (false, false);
    for one in text.chars() {
        match one {
            ' ' | '\t' | '\n' | '\r' if !quoted => {}
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(one)).as_bytes());
            }
            _ => out.extend_from_slice(one.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        quoted ^= one == '"' && !escaped;
        escaped = one == '\\' && !escaped;
    }
}

/// JSON on lines of its own, each two spaces deeper than what holds it. `compact` is JSON without spaces.
pub(crate) fn indented(compact: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(compact.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', 2 * depth));
    };
    for (at, &byte) in compact.iter().enumerate() {
        let neighbour = |step: usize| compact.get(at + step).copied().unwrap_or_default();
        match byte {
            _ if quoted => out.push(byte),
            b'{' | b'[' => {
                out.push(byte);
                if !matches!(neighbour(1), b'}' | b']') {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                if !matches!(out.last(), Some(b'{' | b'[')) {
                    depth = depth.saturating_sub(1);
                    line(&mut out, depth);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => out.push(byte),
        }
        quoted ^= byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
    }
    out
}

/// JSON with what HTML gives a meaning escaped, as Go escapes it: outside of texts nothing of it stands.
pub(crate) fn escaped(json: Vec<u8>) -> Vec<u8> {
    if !json.iter().any(|byte| matches!(byte, b'<' | b'>' | b'&' | 0xe2)) {
        return json;
    }
    let text = String::from_utf8_lossy(&json);
    let mut out = String::with_capacity(json.len() + 64);
    for one in text.chars() {
        match one {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(one))),
            _ => out.push(one),
        }
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;
    use serde_json::json;

    fn spelled(kind: (&str, &str, &str), value: &Value) -> String {
        let model = schema::model();
        let mut out = Vec::new();
        Speller::new(model).object(model.kind(kind.0, kind.1, kind.2).unwrap(), value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let mut out = Vec::new();
        free(&json!([2.0, 1.5, -0.25, 1e20, 1e21, 1.5e-7, 0.000_001, 7, -3, 0.0]), &mut out);
        let told = "[2,1.5,-0.25,100000000000000000000,1e+21,1.5e-7,0.000001,7,-3,0]";
        assert_eq!(String::from_utf8(out).unwrap(), told);
    }

    #[test]
    fn fields_stand_as_go_declares_them_and_names_of_maps_are_sorted() {
        let pod = json!({
            "spec": {
                "containers": [{"image": "i", "name": "c", "resources": {"requests": {"memory": "1", "cpu": "2"}}}],
                "initContainers": [], "volumes": [{"emptyDir": {}, "name": "v"}], "unknown": 1, "dnsPolicy": "Default",
            },
            "status": {}, "apiVersion": "v1", "kind": "Pod",
            "metadata": {"labels": {"b": "<", "a": ""}, "name": "n", "managedFields": [{"time": "t", "manager": "m"}]},
        });
        assert_eq!(
            spelled(("", "v1", "Pod"), &pod),
            concat!(
                r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"n","labels":{"a":"","b":"\u003c"},"#,
                r#""managedFields":[{"manager":"m","time":"t"}]},"spec":{"volumes":[{"name":"v","emptyDir":{}}],"#,
                r#""containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":"2","memory":"1"}}}],"#,
                r#""dnsPolicy":"Default","unknown":1},"status":{}}"#
            )
        );
    }

    #[test]
    fn what_go_embeds_stands_where_it_is_embedded() {
        let webhooks =
            json!({"webhooks": [{"name": "n", "rules": [{"resources": ["a"], "scope": "*", "operations": ["*"]}]}]});
        assert_eq!(
            spelled(("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration"), &webhooks),
            r#"{"webhooks":[{"name":"n","rules":[{"operations":["*"],"resources":["a"],"scope":"*"}]}]}"#
        );
    }

    #[test]
    fn texts_are_escaped_as_go_escapes_them() {
        let value =
            json!({"a": "é \u{7f}\u{2028}…<&>", "n": [null, true, -1, 1.5e300, u64::MAX, [], {}, "\u{1}\n\\\""]});
        let mut out = Vec::new();
        free(&value, &mut out);
        let told = String::from_utf8(out).unwrap();
        assert!(told.starts_with("{\"a\":\"é \u{7f}\\u2028…\\u003c\\u0026\\u003e\","), "{told}");
        assert!(told.ends_with(r#"[],{},"\u0001\n\\\""]}"#), "{told}");
        assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), value);
    }

    #[test]
    fn a_byte_that_is_escaped_is_found_wherever_it_stands() {
        for special in ["\"", "\\", "<", ">", "&", "\n", "\u{1f}", "\u{2028}"] {
            for before in 0..40 {
                let value = format!("{}{special}{}", "x".repeat(before), "y".repeat(39 - before));
                let mut out = Vec::new();
                text(&value, &mut out);
                assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), value);
                assert_eq!(out.len(), 2 + 39 + if ["\"", "\\", "\n"].contains(&special) { 2 } else { 6 }, "{value:?}");
            }
        }
        assert!(is_plain(&"üñ~".repeat(20)) && is_plain(""));
    }

    #[test]
    fn lines_are_indented_as_go_indents_them() {
        let value = json!({"a": [], "b": {}, "c": [1, {"d": "{[,:\\\"]}"}]});
        let compact = value.to_string();
        let told = String::from_utf8(indented(compact.as_bytes())).unwrap();
        assert_eq!(told, serde_json::to_string_pretty(&value).unwrap());
        assert_eq!(escaped(b"\"<\xe2\x80\xa8\"".to_vec()), b"\"\\u003c\\u2028\"");
    }
}
