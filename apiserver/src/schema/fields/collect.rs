//! The fields that a value speaks of: what an applier owns.

use super::place::{Form, Place, item_element};
use super::set::Set;
use serde_json::Value;

/// Every leaf, list item and map entry of a value. Structs on the way are not part of the set.
#[must_use]
pub fn collect(place: Place<'_>, value: &Value) -> Set {
    at(place, value).1
}

/// Whether the place itself is in the set, and what is below it.
fn at(place: Place<'_>, value: &Value) -> (bool, Set) {
    let resolved = place.resolve(Some(value));
    if resolved.atomic {
        return (true, Set::default());
    }
    let mut set = Set::default();
    match (resolved.form, value) {
        (form @ (Form::Struct(_) | Form::Map(_)), Value::Object(fields)) => {
            for (name, value) in fields {
                let (below, declared) = place.entry(form, name);
                let (itself, inner) = at(below, value);
                let empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
                set.push(super::Element::Field(name.into()), itself || empty || !declared, inner);
            }
        }
        (Form::List(Some(keys), item), Value::Array(items)) => {
            let mut told: Vec<_> =
                items.iter().filter_map(|one| Some((item_element(keys, item, one)?, Some(one)))).collect();
            told.sort_by(|one, other| one.0.cmp(&other.0));
            // Items that can't be told apart are owned together, as a whole.
            told.dedup_by(|next, kept| {
                let double = next.0 == kept.0;
                if double {
                    kept.1 = None;
                }
                double
            });
            for (element, one) in told {
                set.push(element, true, one.map(|one| at(item, one).1).unwrap_or_default());
            }
        }
        _ => {}
    }
    (false, set)
}
