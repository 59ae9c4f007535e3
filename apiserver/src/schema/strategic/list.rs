//! The lists of a strategic merge: what is in them, what a patch takes out, and in which order the rest stands.

use super::{DIRECTIVE, MergeError, no_merge_key, type_of, unknown_directive};
use crate::schema::go;
use serde_json::Value;

/// A list and a patch for it without its directives.
pub(super) struct Split {
    pub(super) current: Vec<Value>,
    pub(super) patch: Vec<Value>,
}

/// The one Go type of all items; none where there are no items.
pub(super) fn item_kind(current: &[Value], patch: &[Value]) -> Result<Option<&'static str>, MergeError> {
    let mut items = current.iter().chain(patch);
    let Some(first) = items.next().map(go::type_name) else { return Ok(None) };
    if first == "[]interface {}" {
        return Err(MergeError::ListOfLists);
    }
    if items.any(|item| go::type_name(item) != first) {
        let both = Value::Array(vec![Value::Array(current.to_vec()), Value::Array(patch.to_vec())]);
        return Err(MergeError::MixedItems(go::text(&both)));
    }
    Ok(Some(first))
}

/// The scalars that `delete` does not name.
pub(super) fn without(mut current: Vec<Value>, delete: &[Value]) -> Vec<Value> {
    current.retain(|item| !delete.contains(item));
    current
}

/// All scalars of both, each once: those of the patch in its order, the others about them where they stood.
pub(super) fn union(current: &[Value], patch: &[Value]) -> Vec<Value> {
    let mut merged: Vec<Value> = Vec::with_capacity(current.len() + patch.len());
    for item in current.iter().chain(patch) {
        if !merged.contains(item) {
            merged.push(item.clone());
        }
    }
    let position = |item: &Value| patch.iter().position(|other| other == item);
    let (mut ours, theirs): (Vec<_>, Vec<_>) = merged.into_iter().partition(|item| position(item).is_some());
    ours.sort_by_key(|item| position(item));
    woven(ours, theirs, |item| current.iter().position(|other| other == item))
}

/// Carries out `$patch: delete` and `$patch: replace` items.
pub(super) fn directives(mut current: Vec<Value>, patch: Vec<Value>, key: &str) -> Result<Split, MergeError> {
    let mut rest = Vec::with_capacity(patch.len());
    let mut replace = false;
    for value in patch {
        let Value::Object(one) = &value else { continue };
        match one.get(DIRECTIVE) {
            None => rest.push(value),
            Some(directive) => match directive.as_str() {
                Some("delete") => {
                    let id = one.get(key).ok_or_else(|| no_merge_key(one, key))?;
                    current.retain(|other| other.get(key) != Some(id));
                }
                Some("replace") => replace = true,
                Some("merge") => return Err(MergeError::MergeDirective),
                _ => return Err(unknown_directive(directive, one.clone())),
            },
        }
    }
    Ok(if replace { Split { current: rest, patch: Vec::new() } } else { Split { current, patch: rest } })
}

/// Checks that what a patch sets stands in the order that it declares.
pub(super) fn check_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), MergeError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    if key.is_some() {
        patch.iter().try_for_each(demand_map)?;
    }
    let is_directive = |item: &&Value| item.get(DIRECTIVE).is_some();
    let mut places = order.iter();
    for item in patch.iter().filter(|item| !is_directive(item)) {
        let id = identity(item, key)?;
        loop {
            let Some(place) = places.next() else {
                return Err(MergeError::OrderMismatch {
                    patch: go::text(&Value::Array(patch.to_vec())),
                    order: go::text(&Value::Array(order.to_vec())),
                });
            };
            if identity(place, key)? == id {
                break;
            }
        }
    }
    Ok(())
}

/// Insists that items which a field of theirs tells apart are looked for among such. What is found is looked for no further.
pub(super) fn demand_keys(merged: &[Value], order: &[Value], key: Option<&str>) -> Result<(), MergeError> {
    let Some(key) = key else { return Ok(()) };
    for item in merged {
        demand_map(item)?;
        let id = identity(item, Some(key))?;
        for (at, other) in order.iter().enumerate() {
            let Value::Object(other) = other else { return Err(MergeError::OrderedNotAMap(at)) };
            if other.get(key) == Some(id) {
                break;
            }
        }
    }
    Ok(())
}

fn demand_map(item: &Value) -> Result<(), MergeError> {
    if item.is_object() { Ok(()) } else { Err(MergeError::NotAMap(type_of(item))) }
}

/// The items in the order that `order` declares, with those that it does not name about them where they stood.
pub(super) fn ordered(
    merged: Vec<Value>,
    order: &[Value],
    current: &[Value],
    key: Option<&str>,
) -> Result<Vec<Value>, MergeError> {
    for item in merged.iter().chain(order).chain(current) {
        identity(item, key)?;
    }
    let id = |item: &Value| identity(item, key).ok().cloned();
    let position = |list: &[Value], item: &Value| list.iter().position(|other| id(other) == id(item));
    let (mut ours, mut theirs): (Vec<_>, Vec<_>) = merged.into_iter().partition(|item| position(order, item).is_some());
    ours.sort_by_key(|item| position(order, item));
    theirs.sort_by_key(|item| position(current, item));
    Ok(woven(ours, theirs, |item| position(current, item)))
}

/// Weaves two lists, each in its order: one of `theirs` stands before one of `ours` only where it did so before.
fn woven(ours: Vec<Value>, theirs: Vec<Value>, position: impl Fn(&Value) -> Option<usize>) -> Vec<Value> {
    let mut all = Vec::with_capacity(ours.len() + theirs.len());
    let mut theirs = theirs.into_iter().peekable();
    for item in ours {
        let here = position(&item);
        while let Some(other) = theirs.next_if(|other| match (position(other), here) {
            (Some(there), Some(here)) => there < here,
            _ => false,
        }) {
            all.push(other);
        }
        all.push(item);
    }
    all.extend(theirs);
    all
}

/// What tells an item from others: the item itself, or its merge key.
fn identity<'v>(item: &'v Value, key: Option<&str>) -> Result<&'v Value, MergeError> {
    match (item, key) {
        (Value::Object(one), Some(key)) => one.get(key).ok_or_else(|| no_merge_key(one, key)),
        (_, Some(_)) => Err(MergeError::NotAMap(type_of(item))),
        (_, None) => Ok(item),
    }
}
