//! Takes fields and items out of a value.

use super::element::Element;
use super::place::{Form, Place, item_element};
use super::set::Set;
use serde_json::{Map, Value};

/// A value without the fields and items of a set; null where nothing is left of it.
#[must_use]
pub fn remove(place: Place<'_>, value: Value, gone: &Set) -> Value {
    if gone.is_empty() {
        return value;
    }
    let resolved = place.resolve(Some(&value));
    match (resolved.form, value) {
        (Form::Scalar(_), value) => value,
        (form @ (Form::Struct(_) | Form::Map(_)), Value::Object(fields)) if !resolved.atomic => {
            let mut kept = Map::new();
            for (name, value) in fields {
                let value = match gone.find(&Element::Field(name.as_str().into())) {
                    Some(node) if node.member => continue,
                    Some(node) => remove_below(place.entry(form, &name).0, value, &node.below),
                    None => value,
                };
                kept.insert(name, value);
            }
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
        (Form::List(Some(keys), item), Value::Array(items)) => {
            let keep = |value: Value| match item_element(keys, item, &value).and_then(|element| gone.find(&element)) {
                Some(node) if node.member => None,
                Some(node) => Some(remove_below(item, value, &node.below)),
                None => Some(value),
            };
            let kept: Vec<_> = items.into_iter().filter_map(keep).collect();
            if kept.is_empty() { Value::Null } else { Value::Array(kept) }
        }
        _ => Value::Null,
    }
}

/// The same of a value that goes on being there, whatever it loses.
fn remove_below(place: Place<'_>, value: Value, gone: &Set) -> Value {
    let hollow = match &value {
        Value::Object(_) => Value::Object(Map::new()),
        Value::Array(_) => Value::Array(Vec::new()),
        _ => Value::Null,
    };
    match remove(place, value, gone) {
        Value::Null => hollow,
        left => left,
    }
}
