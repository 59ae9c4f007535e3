//! Whether an applied object fits its type: every mistake, in the words of a Go API server.

use super::element::Element;
use super::place::{Form, Place, item_element};
use crate::schema::go;
use crate::schema::model::Scalar;
use serde_json::Value;
use smol_str::SmolStr;
use std::collections::BTreeSet;

/// What is wrong with a value that is applied; none where nothing is.
#[must_use]
pub fn check(place: Place<'_>, value: &Value) -> Option<String> {
    faults(place, value, Duplicates::Wrong)
}

/// What is wrong with a value that is there, which may hold an element twice; none where nothing is.
#[must_use]
pub fn check_held(place: Place<'_>, value: &Value) -> Option<String> {
    faults(place, value, Duplicates::Fine)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Duplicates {
    Fine,
    Wrong,
}

struct Faults {
    told: Vec<String>,
    duplicates: Duplicates,
}

fn faults(place: Place<'_>, value: &Value, duplicates: Duplicates) -> Option<String> {
    let mut wrong = Faults { told: Vec::new(), duplicates };
    at(place, value, &mut String::new(), &mut wrong);
    match wrong.told.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        all => Some(format!("errors:\n  {}", all.join("\n  "))),
    }
}

fn told(path: &str, why: &str) -> String {
    if path.is_empty() { why.to_owned() } else { format!("{path}: {why}") }
}

fn at(place: Place<'_>, value: &Value, path: &mut String, wrong: &mut Faults) {
    if value.is_null() {
        return;
    }
    match (place.resolve(Some(value)).form, value) {
        (Form::Scalar(scalar), value) => wrong.told.extend(scalar_fault(scalar, value).map(|why| told(path, &why))),
        (form @ (Form::Struct(_) | Form::Map(_)), Value::Object(fields)) => {
            for (name, value) in fields {
                let (below, declared) = place.entry(form, name);
                let open = matches!(form, Form::Map(_)) || matches!(form, Form::Struct(one) if one.open);
                let length = path.len();
                path.push('.');
                path.push_str(name);
                if declared || open {
                    at(below, value, path, wrong);
                } else {
                    wrong.told.push(told(path, "field not declared in schema"));
                }
                path.truncate(length);
                if !(declared || open) {
                    return;
                }
            }
        }
        (Form::Struct(_) | Form::Map(_), other) => {
            wrong.told.push(told(path, &format!("expected map, got &{{{}}}", go::text(other))));
        }
        (Form::List(keys, item), Value::Array(items)) => list(keys, item, items, path, wrong),
        (Form::List(..), other) => wrong.told.push(told(path, &format!("expected list, got &{{{}}}", go::text(other)))),
    }
}

fn list(keys: Option<&[SmolStr]>, item: Place<'_>, items: &[Value], path: &mut String, wrong: &mut Faults) {
    let mut seen: BTreeSet<Element> = BTreeSet::new();
    for (index, value) in items.iter().enumerate() {
        let element = match keys {
            None => Element::Index(i64::try_from(index).unwrap_or_default()),
            Some(keys) => match item_element(keys, item, value) {
                Some(element) => element,
                None => {
                    wrong.told.push(told(path, &format!("element {index}: {}", no_element(keys, value))));
                    return;
                }
            },
        };
        let counts = keys.is_some() && wrong.duplicates == Duplicates::Wrong;
        if counts && seen.contains(&element) {
            wrong.told.push(told(path, &format!("duplicate entries for key {element}")));
        }
        let length = path.len();
        path.push_str(&element.to_string());
        at(item, value, path, wrong);
        path.truncate(length);
        if counts {
            seen.insert(element);
        }
    }
}

fn no_element(keys: &[SmolStr], value: &Value) -> String {
    let what = match (keys, value) {
        ([], Value::Object(_)) => "associative list without keys has an element that's a map type",
        ([], Value::Array(_)) => "not supported: associative list with lists as elements",
        ([], _) => "associative list without keys has an element that's an explicit null",
        (_, Value::Null) => "associative list with keys may not have a null element",
        (keys, Value::Object(_)) => {
            let keys: Vec<_> = keys.iter().map(|key| format!("{key:?}")).collect();
            return format!(
                "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
                keys.join(" ")
            );
        }
        _ => "associative list with keys may not have non-map elements",
    };
    what.to_owned()
}

fn scalar_fault(scalar: Scalar, value: &Value) -> Option<String> {
    match (scalar, value) {
        (Scalar::String | Scalar::Bytes, Value::String(_))
        | (Scalar::Bool, Value::Bool(_))
        | (Scalar::Int32 | Scalar::Int64 | Scalar::Double, Value::Number(_))
        | (Scalar::Raw | Scalar::IntOrString, _) => None,
        (Scalar::String | Scalar::Bytes, other) => {
            Some(format!("expected string, got &value.valueUnstructured{{Value:{}}}", go::syntax(other)))
        }
        (Scalar::Bool, other) => Some(format!("expected boolean, got &{{{}}}", go::text(other))),
        (Scalar::Int32 | Scalar::Int64 | Scalar::Double, other) => {
            Some(format!("expected numeric (int or float), got {}", go::type_name(other)))
        }
        (_, Value::Array(_) | Value::Object(_)) => Some(format!("expected any scalar, got &{{{}}}", go::text(value))),
        _ => None,
    }
}
