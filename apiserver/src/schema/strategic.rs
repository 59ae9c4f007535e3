//! Strategic merge patch: a patch laid over an object, lists merged item by item where the type says so.

mod list;
#[cfg(test)]
mod tests;

use super::go;
use super::model::{Field, Model, Scalar, Shape, Strategy, TypeId};
use serde_json::{Map, Value};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList";
const ELEMENT_ORDER: &str = "$setElementOrder";

type Object = Map<String, Value>;

/// Why a patch cannot be laid over an object. Upstream answers 400 to the first five, 422 to lists of lists, 500 to the rest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// The patch is no JSON object.
    #[error("json: cannot unmarshal {0} into Go value of type map[string]interface {{}}")]
    NotAnObject(&'static str),
    /// A `$deleteFromPrimitiveList` without a field.
    #[error("invalid patch format of primitive list")]
    PrimitiveList,
    /// A `$retainKeys` that is no list, or lacks a field that the patch sets.
    #[error("invalid patch format of retainKeys")]
    RetainKeys,
    /// A `$setElementOrder` that is no list, or names no field.
    #[error("invalid patch format of setElementOrder list")]
    ElementOrder,
    /// The type has no strategies: a custom resource.
    #[error("strategic merge patch format is not supported")]
    Unsupported,
    /// A list in a list that would be merged.
    #[error("lists of lists are not supported")]
    ListOfLists,
    /// The order in a patch's list is not that of its `$setElementOrder`.
    #[error("The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n")]
    OrderMismatch {
        /// The list, as Go prints it.
        patch: String,
        /// The declared order, likewise.
        order: String,
    },
    /// An item without the field that tells it from others.
    #[error("map: {map} does not contain declared merge key: {key}")]
    NoMergeKey {
        /// The item, as Go prints it.
        map: String,
        /// The field.
        key: String,
    },
    /// A `$patch` with an unknown word.
    #[error("unknown patch type: {directive} in map: {map}")]
    UnknownDirective {
        /// The word.
        directive: String,
        /// The object that holds it, as Go prints it.
        map: String,
    },
    /// A `$patch: merge` in a list.
    #[error("merging lists cannot yet be specified in the patch")]
    MergeDirective,
    /// Objects are to be merged, but the type names no merge key.
    #[error("cannot merge lists without merge key for {0}")]
    NoKeyDeclared(String),
    /// Items of several types in one list.
    #[error("list element types are not identical: {0}")]
    MixedItems(String),
    /// A directive meant for a list stands beside something else.
    #[error("expected a []interface {{}}, but received a {0}")]
    NotAList(String),
    /// Something else than an object in a list whose items are told apart by a field of theirs.
    #[error("expected a map[string]interface {{}}, but received a {0}")]
    NotAMap(String),
    /// The same in a `$setElementOrder`, by its index.
    #[error("value for key {0} is not a map")]
    OrderedNotAMap(usize),
    /// A `$setElementOrder` for a field that is no list.
    #[error("expected slice or array type, but got: {0}")]
    NoSlice(&'static str),
    /// A `$setElementOrder` for a list that is empty and stays so.
    #[error("no elements in any of the given slices")]
    NoElements,
    /// A directive for a field that the type does not have.
    #[error("unable to find api field in struct {holder} for the json field {field:?}")]
    NoField {
        /// The struct.
        holder: String,
        /// The field.
        field: String,
    },
}

/// Lays `patch` over `current`, an object of the type in its stored form. Decode the result again: it may hold anything.
///
/// # Errors
/// When the patch is malformed, or does not fit the type.
pub fn merge(model: &Model, id: TypeId, current: Value, patch: Value) -> Result<Value, MergeError> {
    let patch = match patch {
        Value::Object(patch) => patch,
        other => return Err(MergeError::NotAnObject(go::type_name(&other))),
    };
    if model.get(id).open {
        return Err(MergeError::Unsupported);
    }
    let current = match current {
        Value::Object(current) => current,
        _ => Object::new(),
    };
    Merger { model }.objects(current, patch, Some(&Shape::Object(id))).map(Value::Object)
}

#[derive(Clone, Copy)]
struct Merger<'m> {
    model: &'m Model,
}

/// What the type says of one field of an object.
struct Meta<'m> {
    shape: Option<&'m Shape>,
    strategy: Strategy,
    /// What Go calls the kind of the type that holds it, where it is neither a list nor behind a pointer.
    no_slice: Option<&'static str>,
}

impl<'m> Merger<'m> {
    /// The field `name` of a value of `shape`; values of a map say nothing of how they merge.
    fn meta(self, shape: Option<&'m Shape>, name: &str) -> Result<Meta<'m>, MergeError> {
        match shape {
            Some(Shape::Object(id)) => {
                let one = self.model.get(*id);
                let missing = || MergeError::NoField { holder: one.short_name().to_owned(), field: name.to_owned() };
                let Field { shape, strategy, pointer, .. } = one.field(name).ok_or_else(missing)?;
                let no_slice = (!pointer && !is_slice(shape)).then_some("struct");
                Ok(Meta { shape: Some(shape), strategy: strategy.clone(), no_slice })
            }
            Some(Shape::Map(value)) => {
                let no_slice = (!is_slice(value)).then_some("map");
                Ok(Meta { shape: Some(value), strategy: Strategy::default(), no_slice })
            }
            _ => Ok(Meta { shape: None, strategy: Strategy::default(), no_slice: None }),
        }
    }

    fn objects(self, mut current: Object, mut patch: Object, shape: Option<&'m Shape>) -> Result<Object, MergeError> {
        if let Some(directive) = patch.remove(DIRECTIVE) {
            return match directive.as_str() {
                Some("replace") => Ok(patch),
                Some("delete") => Ok(Object::new()),
                _ => {
                    patch.insert(DIRECTIVE.to_owned(), directive.clone());
                    Err(unknown_directive(&directive, patch))
                }
            };
        }
        retain_keys(&mut current, &mut patch)?;
        self.ordered_lists(&mut current, &mut patch, shape)?;
        for (name, value) in patch {
            let delete_list = name.starts_with(DELETE_PRIMITIVES);
            let name = if delete_list {
                directive_field(&name, DELETE_PRIMITIVES).ok_or(MergeError::PrimitiveList)?
            } else {
                name
            };
            if value.is_null() {
                current.remove(&name);
                continue;
            }
            let Some(place) = current.get_mut(&name) else {
                if !delete_list {
                    insert(&mut current, name, value);
                }
                continue;
            };
            *place = match (std::mem::take(place), value) {
                (Value::Object(current), Value::Object(patch)) => {
                    let Meta { shape, strategy, .. } = self.meta(shape, &name)?;
                    let merged = if strategy.replace { patch } else { self.objects(current, patch, shape)? };
                    Value::Object(merged)
                }
                (Value::Array(current), Value::Array(patch)) => {
                    let Meta { shape, strategy, .. } = self.meta(shape, &name)?;
                    Value::Array(self.lists(current, patch, shape, &strategy, delete_list)?)
                }
                (old, _) if delete_list => old,
                (_, value) => {
                    current.remove(&name);
                    insert(&mut current, name, value);
                    continue;
                }
            };
        }
        Ok(current)
    }

    /// Merges the lists whose order the patch declares.
    fn ordered_lists(
        self,
        current: &mut Object,
        patch: &mut Object,
        shape: Option<&'m Shape>,
    ) -> Result<(), MergeError> {
        let directives: Vec<String> = patch.keys().filter(|name| name.starts_with(ELEMENT_ORDER)).cloned().collect();
        for directive in directives {
            let order = list(patch.remove(&directive).unwrap_or_default())?;
            let name = directive_field(&directive, ELEMENT_ORDER).ok_or(MergeError::ElementOrder)?;
            let theirs = current.get(&name).filter(|value| !value.is_null()).cloned().map(list).transpose()?;
            let ours = patch.get(&name).cloned().map(list).transpose()?;
            let Meta { shape, strategy, no_slice } = self.meta(shape, &name)?;
            if let Some(held_by) = no_slice {
                return Err(MergeError::NoSlice(held_by));
            }
            list::check_order(ours.as_deref().unwrap_or(&[]), &order, strategy.key.as_deref())?;
            let merged = match (theirs.clone(), ours) {
                (None, None) => continue,
                (Some(theirs), None) => theirs,
                (None, Some(ours)) => match cleaned(Value::Array(ours)) {
                    Some(Value::Array(ours)) => ours,
                    _ => continue,
                },
                (Some(theirs), Some(ours)) => self.lists(theirs, ours, shape, &strategy, false)?,
            };
            let key = strategy.key.as_deref();
            list::demand_keys(&merged, &order, key)?;
            if merged.is_empty() && theirs.as_ref().is_none_or(Vec::is_empty) {
                return Err(MergeError::NoElements);
            }
            let ordered = list::ordered(merged, &order, &theirs.unwrap_or_default(), key)?;
            current.insert(name.clone(), Value::Array(ordered));
            patch.remove(&name);
        }
        Ok(())
    }

    fn lists(
        self,
        current: Vec<Value>,
        patch: Vec<Value>,
        shape: Option<&'m Shape>,
        strategy: &Strategy,
        delete: bool,
    ) -> Result<Vec<Value>, MergeError> {
        if !strategy.merge && !delete {
            return Ok(patch);
        }
        let Some(kind) = list::item_kind(&current, &patch)? else { return Ok(current) };
        if kind != "map[string]interface {}" {
            return Ok(if delete { list::without(current, &patch) } else { list::union(&current, &patch) });
        }
        let item = match shape {
            Some(Shape::List(item)) => Some(&**item),
            _ => None,
        };
        let Some(key) = strategy.key.as_deref() else {
            let name = item.map(|item| self.model.go_name(item, None, None)).unwrap_or_default();
            return Err(MergeError::NoKeyDeclared(name));
        };
        let list::Split { current, patch } = list::directives(current, patch, key)?;
        let mut merged = current.clone();
        for value in &patch {
            let Value::Object(one) = value else { continue };
            let id = one.get(key).ok_or_else(|| no_merge_key(one, key))?;
            match merged.iter_mut().find(|other| other.get(key) == Some(id)) {
                Some(place) => {
                    let Value::Object(old) = std::mem::take(place) else { continue };
                    *place = Value::Object(self.objects(old, one.clone(), item)?);
                }
                None => merged.push(value.clone()),
            }
        }
        list::ordered(merged, &patch, &current, Some(key))
    }
}

/// Puts a value where there was none: without nulls and without what carries a directive.
fn insert(into: &mut Object, name: String, mut value: Value) {
    drop_nulls(&mut value);
    if let Some(value) = cleaned(value) {
        into.insert(name, value);
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// The value without objects that carry `$patch`.
fn cleaned(value: Value) -> Option<Value> {
    match value {
        Value::Object(entries) if entries.contains_key(DIRECTIVE) => None,
        Value::Object(entries) => {
            Some(Value::Object(entries.into_iter().filter_map(|(name, value)| Some((name, cleaned(value)?))).collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(cleaned).collect())),
        other => Some(other),
    }
}

/// Drops what `$retainKeys` does not name.
fn retain_keys(current: &mut Object, patch: &mut Object) -> Result<(), MergeError> {
    let Some(keys) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(keys) = keys else { return Err(MergeError::RetainKeys) };
    let named = |name: &str| keys.iter().any(|key| key.as_str() == Some(name));
    let is_directive = |name: &str| name.starts_with(DELETE_PRIMITIVES) || name.starts_with(ELEMENT_ORDER);
    if patch.iter().any(|(name, value)| !value.is_null() && !is_directive(name) && !named(name)) {
        return Err(MergeError::RetainKeys);
    }
    current.retain(|name, _| named(name));
    Ok(())
}

/// Whether Go holds values of a shape in a slice.
const fn is_slice(shape: &Shape) -> bool {
    matches!(shape, Shape::List(_) | Shape::Scalar(Scalar::Bytes))
}

/// The field that a directive such as `$setElementOrder/containers` is for.
fn directive_field(name: &str, directive: &str) -> Option<String> {
    let (found, field) = name.split_once('/')?;
    (found == directive).then(|| field.to_owned())
}

fn list(value: Value) -> Result<Vec<Value>, MergeError> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(MergeError::NotAList(type_of(&other))),
    }
}

/// A value's type, as `%s` prints it.
fn type_of(value: &Value) -> String {
    if value.is_null() { go::as_string(value) } else { go::type_name(value).to_owned() }
}

fn no_merge_key(one: &Object, key: &str) -> MergeError {
    MergeError::NoMergeKey { map: go::text(&Value::Object(one.clone())), key: key.to_owned() }
}

fn unknown_directive(directive: &Value, map: Object) -> MergeError {
    MergeError::UnknownDirective { directive: go::as_string(directive), map: go::text(&Value::Object(map)) }
}
