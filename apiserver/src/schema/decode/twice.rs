//! A field that stands in an object twice: Go reads the second into what it has of the first.

use crate::schema::model::{Field, Model, Scalar, Shape};
use serde_json::Value;

/// What comes of both.
pub(super) fn over(model: &Model, field: &Field, first: Value, second: Value) -> Value {
    // No value says nothing of what can't be absent, save of times, which read themselves. So do quantities, which keep how they are
    // written.
    let keeps = !field.pointer
        && match field.shape {
            Shape::Object(_) => true,
            Shape::Scalar(scalar) => !matches!(scalar, Scalar::Time | Scalar::MicroTime),
            _ => false,
        };
    if second.is_null() && keeps { first } else { merged(model, &field.shape, first, second) }
}

fn merged(model: &Model, shape: &Shape, first: Value, second: Value) -> Value {
    match (shape, first, second) {
        (Shape::Object(id), Value::Object(mut fields), Value::Object(more)) => {
            let one = model.get(*id);
            for (name, value) in more {
                let value = match (one.field(&name), fields.remove(&name)) {
                    (Some(field), Some(first)) => over(model, field, first, value),
                    _ => value,
                };
                fields.insert(name, value);
            }
            Value::Object(fields)
        }
        (Shape::Map(_), Value::Object(mut entries), Value::Object(more)) => {
            entries.extend(more);
            Value::Object(entries)
        }
        // Items are read into those that were there at their places.
        (Shape::List(item), Value::Array(first), Value::Array(second)) => {
            let mut before = first.into_iter();
            let items = second.into_iter().map(|value| match before.next() {
                Some(first) => merged(model, item, first, value),
                None => value,
            });
            Value::Array(items.collect())
        }
        (_, _, second) => second,
    }
}
