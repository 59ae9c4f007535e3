//! What is written, read as fields.

use super::*;
use serde_json::json;

/// The fields of a protobuf message, with the bytes of their values; numbers are below 128 here.
fn fields(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let end = bytes.iter().position(|byte| byte & 0x80 == 0).expect("a number ends");
        let number = bytes[..=end].iter().rev().fold(0, |number, byte| (number << 7) | u64::from(byte & 0x7f));
        *bytes = &bytes[end + 1..];
        number
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let length = match key & 7 {
            0 => {
                found.push((key >> 3, &bytes[..1]));
                bytes = &bytes[1..];
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes) as usize,
            kind => panic!("field {} is of kind {kind}", key >> 3),
        };
        let (value, rest) = bytes.split_at(length);
        found.push((key >> 3, value));
        bytes = rest;
    }
    found
}

fn numbers(fields: &[(u64, &[u8])]) -> Vec<u64> {
    fields.iter().map(|(number, _)| *number).collect()
}

#[test]
fn v2_holds_definitions_with_their_properties_and_extensions() {
    let rest = json!({
        "swagger": "2.0", "info": {"title": "Kubernetes", "version": "1.36"},
        "definitions": {"Pod": {
            "type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}, "x-list": ["a", "b"],
        }},
        "parameters": {"limit-1": {"name": "limit", "in": "query", "type": "integer"}},
        "securityDefinitions": {"BearerToken": {"type": "apiKey", "in": "header", "name": "authorization"}},
        "security": [{"BearerToken": []}],
    });
    let mut paths = v2::Paths::default();
    paths.add("/a", &json!({"get": {"operationId": "readA", "parameters": [{"$ref": "#/parameters/limit-1"}]}}));
    let encoded = v2::document(&rest, &paths);
    let top = fields(&encoded);
    assert_eq!(numbers(&top), [1, 2, 8, 9, 10, 12, 13]);
    let path = fields(fields(top[2].1)[0].1);
    assert_eq!(path[0], (1, &b"/a"[..]));
    let operation = fields(fields(path[1].1)[0].1);
    let referred = fields(operation.iter().find(|(number, _)| *number == 8).unwrap().1);
    assert_eq!(fields(referred[0].1), [(1, &b"#/parameters/limit-1"[..])]);
    let definition = fields(fields(top[3].1)[0].1);
    assert_eq!(definition[0], (1, &b"Pod"[..]));
    let schema = fields(definition[1].1);
    assert_eq!(numbers(&schema), [19, 22, 25, 31]);
    assert_eq!(schema[0].1, b"name");
    let property = fields(fields(schema[2].1)[0].1);
    assert_eq!(property[0], (1, &b"name"[..]));
    let extension = fields(schema[3].1);
    assert_eq!(fields(extension[1].1), [(2, &b"[\"a\",\"b\"]\n"[..])]);
}

/// The fields of a property of a v3 document that has this schema.
fn of_v3(schema: &Value) -> Vec<(u64, Vec<u8>)> {
    let encoded = v3::document(&json!({"openapi": "3.0.0", "paths": {}, "components": {"schemas": {"A": schema}}}));
    let components = fields(fields(&encoded).last().unwrap().1);
    let named = fields(fields(components[0].1)[0].1);
    let inner = fields(fields(named[1].1)[0].1);
    inner.into_iter().map(|(number, bytes)| (number, bytes.to_vec())).collect()
}

#[test]
fn v3_tells_every_word_of_a_schema_by_its_number() {
    let double = |value: f64| value.to_le_bytes().to_vec();
    for (schema, wanted) in [
        (json!({"type": "string", "format": "byte"}), vec![(25, b"string".to_vec()), (35, b"byte".to_vec())]),
        (
            json!({"nullable": true, "maxItems": 3, "minimum": 0.5}),
            vec![(1, vec![1]), (13, double(0.5)), (18, vec![3])],
        ),
        (json!({"enum": ["a"]}), vec![(24, b"\x12\x04\"a\"\n".to_vec())]),
        (json!({"default": ""}), vec![(33, vec![0x1a, 0])]),
        (json!({"default": false}), vec![(33, vec![0x10, 0])]),
        (json!({"default": 0}), vec![(33, [vec![9], double(0.0)].concat())]),
        (json!({"default": {}}), vec![(33, Vec::new())]),
        (json!({"allOf": [{"$ref": "B"}]}), vec![(26, b"\x12\x03\x0a\x01B".to_vec())]),
        (json!({"not": {"type": "a"}}), vec![(29, b"\xca\x01\x01a".to_vec())]),
        (json!({"additionalProperties": false}), vec![(32, vec![0x10, 0])]),
        (json!({"x-a": 1}), vec![(36, b"\x0a\x03x-a\x12\x04\x12\x021\n".to_vec())]),
    ] {
        assert_eq!(of_v3(&schema), wanted, "{schema}");
    }
}
