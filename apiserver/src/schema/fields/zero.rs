//! An object of a type about which nothing was said: what a new object is compared with.

use super::place::Place;
use crate::schema::default::{empty, written};
use crate::schema::model::{Shape, Type};
use serde_json::{Map, Value};

/// What Go writes for a value of the type that nobody has filled in: a struct that is no pointer is there, and empty.
#[must_use]
pub fn zero(place: Place<'_>) -> Value {
    match place.object_type() {
        Some(one) => fields(place, one),
        None => Value::Object(Map::new()),
    }
}

fn fields(place: Place<'_>, one: &Type) -> Value {
    let written = one.fields.iter().filter(|field| written(field));
    let values = written.map(|field| {
        let value = match (&field.shape, field.pointer) {
            (Shape::Object(id), false) => fields(place, place.model().get(*id)),
            (shape, pointer) => empty(shape, pointer),
        };
        (field.name.to_string(), value)
    });
    Value::Object(values.collect())
}
