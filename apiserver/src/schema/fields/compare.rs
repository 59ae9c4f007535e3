//! What a change did: the fields it added, changed and removed, found in one pass over both values.

use super::element::{Element, order};
use super::place::{Form, Place, sorted_items};
use super::set::Set;
use serde_json::{Map, Value};
use smol_str::SmolStr;
use std::cmp::Ordering;

/// The fields in which two values differ. None is in more than one of the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// There only in the second one. Everything on the way that is new is part of it.
    pub added: Set,
    /// In both, with different values.
    pub modified: Set,
    /// There only in the first one, likewise.
    pub removed: Set,
    /// An item of a list in the second one says nothing that tells it from the others: upstream does not compare such values.
    pub is_nameless: bool,
}

impl Difference {
    /// All but what is in this set, or below it.
    #[must_use]
    pub fn without(self, set: &Set) -> Self {
        Self {
            added: self.added.without(set),
            modified: self.modified.without(set),
            removed: self.removed.without(set),
            is_nameless: self.is_nameless,
        }
    }

    fn push(&mut self, element: Element, change: Change) {
        let Change { itself, below } = change;
        let Self { added, modified, removed, is_nameless } = below;
        self.is_nameless |= is_nameless;
        let target = |kind| itself.contains(&Some(kind));
        let (add, modify, remove) = (target(Kind::Added), target(Kind::Modified), target(Kind::Removed));
        // Most often one of the three speaks, and then the element is not cloned.
        if !removed.is_empty() || remove {
            self.removed.push(element.clone(), remove, removed);
        }
        if !modified.is_empty() || modify {
            self.modified.push(element.clone(), modify, modified);
        }
        if !added.is_empty() || add {
            self.added.push(element, add, added);
        }
    }

    fn union(self, other: Self) -> Self {
        Self {
            added: self.added.union(other.added),
            modified: self.modified.union(other.modified),
            removed: self.removed.union(other.removed),
            is_nameless: self.is_nameless || other.is_nameless,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Added,
    Modified,
    Removed,
}

/// What became of one place: itself, in up to two ways where duplicates come or go, and what is below it.
struct Change {
    itself: [Option<Kind>; 2],
    below: Difference,
}

impl Change {
    const NONE: Self = Self {
        itself: [None, None],
        below: Difference { added: Set::EMPTY, modified: Set::EMPTY, removed: Set::EMPTY, is_nameless: false },
    };

    fn itself(kind: Kind) -> Self {
        Self { itself: [Some(kind), None], ..Self::NONE }
    }
}

/// Compares two values of one place.
#[must_use]
pub fn compare(place: Place<'_>, old: &Value, new: &Value) -> Difference {
    at(place, Some(old), Some(new)).below
}

/// Whether the place itself was added or changed, and what below it was; none where an item says nothing that tells it from others.
pub(super) fn gained(place: Place<'_>, old: &Value, new: &Value) -> Option<(bool, Set)> {
    let Change { itself, below } = at(place.as_written(), Some(old), Some(new));
    let is_gained = itself.iter().flatten().any(|kind| *kind != Kind::Removed);
    (!below.is_nameless).then(|| (is_gained, below.modified.union(below.added)))
}

/// Whether two values are equal. A number equals itself, whole or not.
#[must_use]
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(_), Value::Number(_)) => order(one, other).is_eq(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let alike = |(one, other): ((&String, &Value), (&String, &Value))| one.0 == other.0 && same(one.1, other.1);
            one.len() == other.len() && one.iter().zip(other).all(alike)
        }
        _ => one == other,
    }
}

/// Whether Go's structs, which hold both, write the same of them. Lists are compared as they are held.
fn written_alike<'v>(place: Place<'_>, one: &'v Value, other: &'v Value) -> bool {
    if !place.is_written() {
        return false;
    }
    match (place.resolve(Some(one)).form, one, other) {
        (form @ (Form::Struct(_) | Form::Map(_)), Value::Object(one), Value::Object(other)) => {
            let said =
                |value: Option<&'v Value>, name: &str| value.filter(|value| !place.looks_past(form, name, value));
            one.keys().chain(other.keys()).all(|name| match (said(one.get(name), name), said(other.get(name), name)) {
                (Some(one), Some(other)) => same(one, other) || written_alike(place.entry(form, name).0, one, other),
                (one, other) => one.is_none() && other.is_none(),
            })
        }
        _ => false,
    }
}

fn at(place: Place<'_>, old: Option<&Value>, new: Option<&Value>) -> Change {
    let (was, is) = (place.resolve(old), place.resolve(new));
    match (old, new) {
        (_, None) => by_form(place, was.form, was.atomic, old, new),
        (Some(_), Some(_)) if !alike(was.form, is.form) => {
            // What was a list, a map or a scalar has become another of them.
            let one = by_form(place, was.form, was.atomic, old, new);
            let other = by_form(place, is.form, is.atomic, old, new);
            let itself = if other.itself[0].is_some() { other.itself } else { one.itself };
            Change { itself, below: one.below.union(other.below) }
        }
        _ => by_form(place, is.form, is.atomic, old, new),
    }
}

fn alike(one: Form<'_>, other: Form<'_>) -> bool {
    std::mem::discriminant(&one) == std::mem::discriminant(&other)
}

fn by_form<'m>(place: Place<'m>, form: Form<'m>, atomic: bool, old: Option<&Value>, new: Option<&Value>) -> Change {
    let is_map = matches!(form, Form::Struct(_) | Form::Map(_));
    let hollow = |value: Option<&Value>| match value {
        Some(Value::Object(fields)) if is_map => fields.is_empty(),
        Some(Value::Array(items)) if !is_map => items.is_empty(),
        _ => true,
    };
    if atomic || (hollow(old) && hollow(new)) {
        return match (old, new) {
            (None, Some(_)) => Change::itself(Kind::Added),
            (Some(_), None) => Change::itself(Kind::Removed),
            (Some(old), Some(new)) if !same(old, new) && !written_alike(place, old, new) => {
                Change::itself(Kind::Modified)
            }
            _ => Change::NONE,
        };
    }
    let below = match form {
        Form::List(keys, item) => items(keys.unwrap_or_default(), item, old, new),
        form => entries(place, form, old, new),
    };
    let itself = match (old, new) {
        (None, _) => Some(Kind::Added),
        (_, None) => Some(Kind::Removed),
        _ => None,
    };
    Change { itself: [itself, None], below }
}

fn entries<'m>(place: Place<'m>, form: Form<'m>, old: Option<&Value>, new: Option<&Value>) -> Difference {
    let nothing = Map::new();
    let mut was = old.and_then(Value::as_object).unwrap_or(&nothing).iter().peekable();
    let mut is = new.and_then(Value::as_object).unwrap_or(&nothing).iter().peekable();
    let mut out = Difference::default();
    loop {
        let order = match (was.peek(), is.peek()) {
            (Some(one), Some(other)) => one.0.cmp(other.0),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return out,
        };
        let one = if order.is_le() { was.next() } else { None };
        let other = if order.is_ge() { is.next() } else { None };
        let Some(name) = one.or(other).map(|(name, _)| name) else { return out };
        // Of most writes most is as it was, and the model need not be asked about that.
        if one.is_some() && one == other {
            continue;
        }
        let is_said = |value: &&Value| !place.looks_past(form, name, value);
        let (one, other) = (one.map(|(_, value)| value).filter(is_said), other.map(|(_, value)| value).filter(is_said));
        let change = at(place.entry(form, name).0, one, other);
        if !change.says_nothing() {
            out.push(Element::Field(name.into()), change);
        }
    }
}

impl Change {
    fn says_nothing(&self) -> bool {
        let Difference { added, modified, removed, is_nameless } = &self.below;
        self.itself[0].is_none() && added.is_empty() && modified.is_empty() && removed.is_empty() && !is_nameless
    }
}

fn items(keys: &[SmolStr], place: Place<'_>, old: Option<&Value>, new: Option<&Value>) -> Difference {
    let mut out = Difference::default();
    if old == new {
        return out;
    }
    let (was, is) = (sorted_items(keys, place, old), sorted_items(keys, place, new));
    out.is_nameless = is.len() < new.and_then(Value::as_array).map_or(0, Vec::len);
    let (mut was, mut is) = (was.as_slice(), is.as_slice());
    loop {
        let element = match (was.first(), is.first()) {
            (Some(one), Some(other)) => if one.0 <= other.0 { &one.0 } else { &other.0 }.clone(),
            (Some(one), None) | (None, Some(one)) => one.0.clone(),
            (None, None) => return out,
        };
        let before = take(&mut was, &element);
        let after = take(&mut is, &element);
        let change = item(place, before, after);
        if !change.says_nothing() {
            out.push(element, change);
        }
    }
}

/// Takes the items that have this element.
fn take<'i, 'v>(items: &mut &'i [(Element, &'v Value)], element: &Element) -> &'i [(Element, &'v Value)] {
    let count = items.iter().take_while(|(one, _)| one == element).count();
    let (taken, rest) = items.split_at(count);
    *items = rest;
    taken
}

/// Compares the items of one element: one each as a rule; several are compared as a whole.
fn item(place: Place<'_>, before: &[(Element, &Value)], after: &[(Element, &Value)]) -> Change {
    match (before, after) {
        ([] | [_], [] | [_]) => at(place, before.first().map(|item| item.1), after.first().map(|item| item.1)),
        ([_, _, ..], [_, _, ..]) => {
            let equal = before.len() == after.len() && before.iter().zip(after).all(|(one, two)| same(one.1, two.1));
            if equal { Change::NONE } else { Change::itself(Kind::Modified) }
        }
        (_, [] | [_]) => {
            let single = after.first().map_or(Change::NONE, |item| at(place, None, Some(item.1)));
            Change { itself: [Some(Kind::Removed), single.itself[0]], below: single.below }
        }
        ([] | [_], _) => {
            let single = before.first().map_or(Change::NONE, |item| at(place, Some(item.1), None));
            Change { itself: [Some(Kind::Added), single.itself[0]], below: single.below }
        }
    }
}
