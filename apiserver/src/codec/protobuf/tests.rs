//! Bodies by hand, broken ones, and every kind there and back.

use super::*;
use crate::schema;

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn envelope(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [field(1, version.as_bytes()), field(2, kind.as_bytes())].concat();
    [MAGIC, &field(1, &meta), &field(2, raw)].concat()
}

#[test]
fn an_object_is_read_by_its_numbers() {
    let entry = [field(1, b"app"), field(2, b"web")].concat();
    let metadata = [field(1, b"m"), field(11, &entry), field(8, &[8, 100])].concat();
    let data = [field(1, b"k"), field(2, b"v")].concat();
    let body = envelope("v1", "ConfigMap", &[field(1, &metadata), field(2, &data), vec![4 << 3, 1]].concat());
    let value = decode(schema::model(), &body).unwrap();
    assert_eq!(
        value,
        json!({
            "kind": "ConfigMap", "apiVersion": "v1", "immutable": true, "data": {"k": "v"},
            "metadata": {"name": "m", "labels": {"app": "web"}, "creationTimestamp": "1970-01-01T00:01:40Z"},
        })
    );
}

#[test]
fn what_is_broken_is_refused_and_never_panics() {
    let good = envelope("v1", "ConfigMap", &field(1, &field(1, b"name")));
    for end in 0..good.len() {
        drop(decode(schema::model(), &good[..end]));
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        drop(decode(schema::model(), &bad));
    }
    assert_eq!(decode(schema::model(), b"{}"), Err(ProtobufError::Magic));
    assert!(matches!(decode(schema::model(), &envelope("v9", "Nothing", &[])), Err(ProtobufError::Kind { .. })));
}

/// The bytes that Go's code writes for the same object, laid out by hand.
#[test]
fn what_go_holds_by_value_is_written_and_maps_are_sorted() {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"b": "2", "a": ""}, "binaryData": {"x": "AQI="},
        "metadata": {"name": "m", "namespace": "n", "creationTimestamp": "1970-01-01T00:01:40Z", "generation": -1},
    });
    let metadata: &[&[u8]] = &[
        b"\x0a\x01m\x12\x00\x1a\x01n\x22\x00\x2a\x00\x32\x00",
        b"\x38\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x42\x04\x08\x64\x10\x00",
    ];
    let raw = [
        field(1, &metadata.concat()),
        b"\x12\x05\x0a\x01a\x12\x00\x12\x06\x0a\x01b\x12\x012\x1a\x07\x0a\x01x\x12\x02\x01\x02".to_vec(),
    ];
    let whole = [envelope("v1", "ConfigMap", &raw.concat()), b"\x1a\x00\x22\x00".to_vec()].concat();
    assert_eq!(encode::encode(schema::model(), &object).unwrap(), whole);
}

#[test]
fn zero_behind_a_pointer_is_written_and_nothing_is_not() {
    let scale =
        |replicas: Value| json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": {"replicas": replicas}});
    let spec = |object: &Value| {
        let id = schema::model().named("io.k8s.api.apps.v1.ReplicaSetSpec").unwrap();
        encode::object(schema::model(), id, &object["spec"])
    };
    let zero = spec(&scale(json!(0)));
    assert_eq!(zero[..2], [8, 0]);
    assert_eq!(spec(&scale(Value::Null)), zero[2..]);
    let id = schema::model().named("io.k8s.api.core.v1.TCPSocketAction").unwrap();
    let text = encode::object(schema::model(), id, &json!({"port": "web"}));
    assert_eq!(text, b"\x0a\x09\x08\x01\x10\x00\x1a\x03web\x12\x00");
    let number = encode::object(schema::model(), id, &json!({"port": 80}));
    assert_eq!(number, b"\x0a\x06\x08\x00\x10\x50\x1a\x00\x12\x00");
}

#[test]
fn a_frame_of_a_watch_is_an_event_behind_its_length() {
    let mut out = b"before".to_vec();
    encode::frame(&mut out, "ADDED", &[b"ab", b"c"]);
    assert_eq!(out, b"before\x00\x00\x00\x0e\x0a\x05ADDED\x12\x05\x0a\x03abc");
}

/// A value of a shape with something in every field, some levels deep.
fn sample(model: &Model, shape: &Shape, depth: usize) -> Value {
    match shape {
        Shape::Scalar(scalar) => match scalar {
            Scalar::String => json!("text"),
            Scalar::Bool => json!(true),
            Scalar::Int32 => json!(-7),
            Scalar::Int64 => json!(1_i64 << 40),
            Scalar::Double => json!(1.5),
            Scalar::Bytes => json!("AQID"),
            Scalar::Quantity => json!("1500m"),
            Scalar::Time => json!("2026-11-22T10:20:30Z"),
            Scalar::MicroTime => json!("1969-11-22T10:20:30.000456Z"),
            Scalar::IntOrString => json!(if depth.is_multiple_of(2) { json!("25%") } else { json!(80) }),
            Scalar::Fields => json!({"f:a": {".": {}}, "b": [1]}),
            Scalar::Raw => json!(r#"{"b": [1.0], "a": 2}"#),
            Scalar::Json => json!([1, "x", {"y": 2.5}]),
            Scalar::Patch => json!({}),
        },
        Shape::Object(id) => {
            let fields = model.get(*id).fields.iter().filter(|field| field.number != 0);
            let filled = fields.filter(|field| depth < 5 || !holds_objects(&field.shape));
            filled.map(|field| (field.name.to_string(), sample(model, &field.shape, depth + 1))).collect()
        }
        Shape::List(item) => json!([sample(model, item, depth + 1), sample(model, item, depth + 2)]),
        Shape::Map(value) => json!({"b": sample(model, value, depth + 1), "a": sample(model, value, depth + 2)}),
        Shape::SchemaOrArray(id) => json!([sample(model, &Shape::Object(*id), depth + 2)]),
        Shape::SchemaOrBool(id) => match depth {
            0..4 => sample(model, &Shape::Object(*id), depth + 2),
            _ => json!(true),
        },
        Shape::SchemaOrStrings(_) => json!(["x", "y"]),
    }
}

fn holds_objects(shape: &Shape) -> bool {
    match shape {
        Shape::Scalar(_) | Shape::SchemaOrStrings(_) => false,
        Shape::List(inner) | Shape::Map(inner) => holds_objects(inner),
        _ => true,
    }
}

/// Without what stands for nothing: Go writes it, and JSON leaves it out.
fn pruned(value: Value) -> Value {
    let something = |value: &Value| match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty() && text != "0",
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
    };
    match value {
        Value::Object(entries) => {
            entries.into_iter().map(|(key, value)| (key, pruned(value))).filter(|(_, value)| something(value)).collect()
        }
        Value::Array(items) => items.into_iter().map(pruned).collect(),
        other => other,
    }
}

#[test]
fn every_kind_goes_there_and_back() {
    let model = schema::model();
    let mut kinds = 0;
    for (gvk, id) in model.kinds() {
        let version =
            if gvk.group.is_empty() { gvk.version.to_string() } else { format!("{}/{}", gvk.group, gvk.version) };
        if model.message(id).is_empty() {
            continue;
        }
        for mut object in [sample(model, &Shape::Object(id), 0), json!({})] {
            object["kind"] = gvk.kind.as_str().into();
            object["apiVersion"] = version.as_str().into();
            let bytes = encode::encode(model, &object).unwrap();
            let back = decode(model, &bytes).unwrap_or_else(|error| panic!("{gvk:?}: {error}"));
            assert_eq!(pruned(back.clone()), pruned(object), "{gvk:?}");
            assert_eq!(encode::encode(model, &back).unwrap(), bytes, "{gvk:?} is written again as it was");
        }
        kinds += 1;
    }
    assert!(kinds > 130, "{kinds} kinds");
}
