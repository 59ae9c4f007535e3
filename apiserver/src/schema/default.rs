//! Writes what nobody said: the defaults of each type, and the empty values that Go writes in any case.

pub(crate) mod special;
#[cfg(test)]
mod tests;

use super::model::{Field, Model, Scalar, Shape, TypeId};
use serde_json::{Map, Value};

/// Completes a decoded object in place. Doing it again changes nothing. Answers whether something of it stands behind a gate that
/// is off, and is to be dropped.
pub fn apply(model: &Model, id: TypeId, object: &mut Value) -> bool {
    object.as_object_mut().is_some_and(|object| fields(model, id, object))
}

fn fields(model: &Model, id: TypeId, object: &mut Map<String, Value>) -> bool {
    let one = model.get(id);
    if !one.fills {
        return false;
    }
    let mut is_gated = false;
    for rule in &one.rules {
        is_gated |= rule.apply(object);
    }
    for index in &one.filled {
        let field = &one.fields[usize::from(*index)];
        if object.get(field.name.as_str()).is_none_or(Value::is_null) {
            let value = field.default.clone().unwrap_or_else(|| empty(&field.shape, field.pointer));
            object.insert(field.name.as_str().to_owned(), value);
        }
    }
    for (name, value) in object.iter_mut().filter(|(_, value)| value.is_object() || value.is_array()) {
        if let Some(field) = one.field(name) {
            is_gated |= below(&field.shape, value, &mut |id, object| fields(model, id, object));
        }
    }
    is_gated
}

/// Drops what stands behind gates that are off.
pub fn drop_gated(model: &Model, id: TypeId, object: &mut Value) {
    if let Value::Object(object) = object {
        drop_gated_of(model, id, object);
    }
}

fn drop_gated_of(model: &Model, id: TypeId, object: &mut Map<String, Value>) -> bool {
    let one = model.get(id);
    if one.fills {
        one.rules.iter().for_each(|rule| rule.drop_gated(object));
        for (name, value) in object.iter_mut() {
            if let Some(field) = one.field(name) {
                below(&field.shape, value, &mut |id, object| drop_gated_of(model, id, object));
            }
        }
    }
    false
}

/// Goes on with the objects in a value, and answers whether that answered so of any.
fn below(shape: &Shape, value: &mut Value, each: &mut impl FnMut(TypeId, &mut Map<String, Value>) -> bool) -> bool {
    let mut is_any = false;
    match (shape, value) {
        (Shape::Object(id) | Shape::SchemaOrArray(id) | Shape::SchemaOrBool(id), Value::Object(object)) => {
            is_any = each(*id, object);
        }
        (Shape::List(item), Value::Array(items)) if !matches!(**item, Shape::Scalar(_)) => {
            items.iter_mut().for_each(|value| is_any |= below(item, value, each));
        }
        (Shape::Map(item), Value::Object(entries)) if !matches!(**item, Shape::Scalar(_)) => {
            entries.values_mut().for_each(|value| is_any |= below(item, value, each));
        }
        _ => {}
    }
    is_any
}

/// Completes the scaling rules of an autoscaler, which may have come by a version without such fields.
pub(crate) fn scaling_behavior(autoscaler: &mut Value) {
    if let Some(autoscaler) = autoscaler.as_object_mut() {
        special::scaling_behavior(autoscaler);
    }
}

/// Takes lists and maps that are empty for absent, where Go writes them all the same: as upstream's store does, which holds
/// objects in protobuf, and protobuf knows no empty list.
pub fn forget_empty(model: &Model, id: TypeId, object: &mut Value) {
    let one = model.get(id);
    let Value::Object(object) = object else { return };
    for index in &one.filled {
        let field = &one.fields[usize::from(*index)];
        if let Some(value) = object.get_mut(field.name.as_str())
            && is_forgotten(field, value)
        {
            *value = Value::Null;
        }
    }
    // The type has few such fields, and knows them; to look up every field of the object would take longer.
    for index in &one.filling {
        let field = &one.fields[usize::from(*index)];
        match (&field.shape, object.get_mut(field.name.as_str())) {
            (Shape::Object(id), Some(value)) => forget_empty(model, *id, value),
            (Shape::List(item), Some(Value::Array(items))) => {
                if let Shape::Object(id) = **item {
                    items.iter_mut().for_each(|item| forget_empty(model, id, item));
                }
            }
            _ => {}
        }
    }
}

/// An object as upstream compares it with another one: by amounts and not by their texts, and without the lists and maps that are
/// empty and that Go does not write then.
#[must_use]
pub fn held(model: &Model, id: TypeId, object: &Value) -> Value {
    let mut held = super::amounts::counted(model, id, object);
    leave_out(model, id, &mut held);
    held
}

/// Takes out the lists and maps that are empty and that Go does not write then.
pub fn leave_out(model: &Model, id: TypeId, object: &mut Value) {
    leave_out_of(model, &Shape::Object(id), object);
}

/// The same of a value of a shape.
fn leave_out_of(model: &Model, shape: &Shape, value: &mut Value) {
    match (shape, value) {
        (Shape::Object(id) | Shape::SchemaOrArray(id) | Shape::SchemaOrBool(id), Value::Object(object)) => {
            let one = model.get(*id);
            object.retain(|name, value| {
                let Some(field) = one.field(name) else { return true };
                let stays = !field.leaves_out(value);
                if stays {
                    leave_out_of(model, &field.shape, value);
                }
                stays
            });
        }
        (Shape::List(item), Value::Array(items)) => {
            items.iter_mut().for_each(|item_value| leave_out_of(model, item, item_value));
        }
        (Shape::Map(item), Value::Object(entries)) => {
            entries.values_mut().for_each(|entry| leave_out_of(model, item, entry));
        }
        _ => {}
    }
}

/// Whether a store in protobuf forgets this value of a field, and Go writes that there is none.
pub(super) fn is_forgotten(field: &Field, value: &Value) -> bool {
    let is_empty = match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    };
    is_empty && matches!(field.shape, Shape::List(_) | Shape::Map(_)) && (defaulted(field) || written(field))
}

/// Whether a marker gives the field a value that Go would write.
pub(super) fn defaulted(field: &Field) -> bool {
    let zero = || !field.pointer && field.default.as_ref() == Some(&empty(&field.shape, false));
    field.default.is_some() && !zero()
}

/// Whether Go writes the field though nothing was said: a struct that is no pointer, or one that does not omit what is empty.
pub(super) fn written(field: &Field) -> bool {
    let is_struct = match field.shape {
        Shape::Object(_) => true,
        Shape::Scalar(scalar) => {
            matches!(scalar, Scalar::Time | Scalar::MicroTime | Scalar::Quantity | Scalar::IntOrString | Scalar::Raw)
        }
        _ => false,
    };
    field.written || (is_struct && !field.pointer && !field.omit_zero)
}

/// What Go writes for a field that holds nothing.
pub(super) fn empty(shape: &Shape, pointer: bool) -> Value {
    match shape {
        _ if pointer => Value::Null,
        Shape::Object(_) => Value::Object(Map::new()),
        Shape::Scalar(Scalar::String) => Value::String(String::new()),
        Shape::Scalar(Scalar::Bool) => Value::Bool(false),
        Shape::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Double | Scalar::IntOrString) => Value::from(0),
        Shape::Scalar(Scalar::Quantity) => Value::from("0"),
        _ => Value::Null,
    }
}
