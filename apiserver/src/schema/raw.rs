//! JSON that upstream keeps as it was written (`runtime.RawExtension`): while an object is being written, and in the store, it
//! is a string that holds the text. So another order, other spaces and other letters of a number are a change.

use super::model::{Model, Scalar, Shape, TypeId};
use super::spelling;
use serde_json::Value;
use std::borrow::Cow;

/// A value as the text that Go makes of it.
#[must_use]
pub fn text_of(value: &Value) -> Value {
    let mut out = Vec::new();
    spelling::free(value, &mut out);
    Value::String(String::from_utf8(out).unwrap_or_default())
}

/// Makes values of the texts in an object.
pub fn unfold(model: &Model, id: TypeId, object: &mut Value) {
    each(model, &Shape::Object(id), object, &|raw| {
        if let Value::String(text) = raw {
            *raw = serde_json::from_str(text).unwrap_or_default();
        }
    });
}

/// The same of a copy, where there is anything to do.
#[must_use]
pub fn unfolded<'v>(model: &Model, id: Option<TypeId>, object: &'v Value) -> Cow<'v, Value> {
    let Some(id) = id.filter(|id| model.get(*id).raws) else { return Cow::Borrowed(object) };
    let mut object = object.clone();
    unfold(model, id, &mut object);
    Cow::Owned(object)
}

/// Makes texts of the values in an object that was stored before they were.
pub fn fold(model: &Model, id: TypeId, object: &mut Value) {
    each(model, &Shape::Object(id), object, &|raw| {
        if !raw.is_string() && !raw.is_null() {
            *raw = text_of(raw);
        }
    });
}

/// Goes to all of them; no further than to where there are some.
fn each(model: &Model, shape: &Shape, value: &mut Value, act: &impl Fn(&mut Value)) {
    match (shape, value) {
        (Shape::Scalar(Scalar::Raw), raw) => act(raw),
        (Shape::Object(id), Value::Object(object)) if model.get(*id).raws => {
            for field in &model.get(*id).fields {
                if let Some(value) = object.get_mut(field.name.as_str()) {
                    each(model, &field.shape, value, act);
                }
            }
        }
        (Shape::List(item), Value::Array(items)) => items.iter_mut().for_each(|value| each(model, item, value, act)),
        (Shape::Map(entry), Value::Object(entries)) => {
            entries.values_mut().for_each(|value| each(model, entry, value, act));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::model;
    use serde_json::json;

    #[test]
    fn what_was_stored_as_a_value_becomes_the_text_that_was_answered_and_back() {
        let claim = |parameters: Value| {
            let opaque = json!({"driver": "x.io", "parameters": parameters});
            json!({"spec": {"devices": {"config": [{"opaque": opaque}]}}, "metadata": {"name": "a"}})
        };
        let id = model().kind("resource.k8s.io", "v1", "ResourceClaim").unwrap();
        let value = claim(json!({"b": [1, 2.0], "a": "<"}));
        let mut folded = value.clone();
        fold(model(), id, &mut folded);
        let text = claim(json!(r#"{"a":"\u003c","b":[1,2]}"#));
        assert_eq!(folded, text);
        fold(model(), id, &mut folded);
        assert_eq!(folded, text);
        assert_eq!(*unfolded(model(), Some(id), &folded), claim(json!({"b": [1, 2], "a": "<"})));
        let mut nothing = claim(Value::Null);
        fold(model(), id, &mut nothing);
        assert_eq!(nothing, claim(Value::Null));
        let pod = model().kind("", "v1", "Pod").unwrap();
        assert!(matches!(unfolded(model(), Some(pod), &value), Cow::Borrowed(_)));
    }
}
