//! Lays what is applied over what is there: nothing is removed, and what both say is said as applied.

use super::element::Element;
use super::place::{Form, Place, item_element};
use serde_json::{Map, Value};
use smol_str::SmolStr;

/// Both values in one. The items of a list stand as in `live`, or as in `applied` where that orders them otherwise.
#[must_use]
pub fn merge(place: Place<'_>, live: Value, applied: Value) -> Value {
    at(place, Some(live), Some(applied)).unwrap_or_default()
}

fn at(place: Place<'_>, live: Option<Value>, applied: Option<Value>) -> Option<Value> {
    let resolved = place.resolve(applied.as_ref().or(live.as_ref()));
    let is_map = matches!(resolved.form, Form::Struct(_) | Form::Map(_));
    let hollow = |value: &Option<Value>| match value {
        Some(Value::Object(fields)) if is_map => fields.is_empty(),
        Some(Value::Array(items)) if !is_map => items.is_empty(),
        _ => true,
    };
    if resolved.atomic || (hollow(&live) && hollow(&applied)) {
        return applied.or(live);
    }
    match resolved.form {
        Form::List(keys, item) => items(keys.unwrap_or_default(), item, list(live), list(applied)),
        form => entries(place, form, object(live), object(applied)),
    }
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

fn entries<'m>(
    place: Place<'m>,
    form: Form<'m>,
    mut live: Map<String, Value>,
    applied: Map<String, Value>,
) -> Option<Value> {
    for (name, value) in applied {
        let old = live.remove(&name);
        if let Some(merged) = at(place.entry(form, &name).0, old, Some(value)) {
            live.insert(name, merged);
        }
    }
    (!live.is_empty()).then_some(Value::Object(live))
}

/// One list on its way into the other: elements, and items that are taken out as they are merged.
struct Side {
    elements: Vec<Element>,
    items: Vec<Option<Value>>,
    /// Places sorted by element.
    sorted: Vec<usize>,
}

impl Side {
    fn new(keys: &[SmolStr], place: Place<'_>, list: Vec<Value>) -> Self {
        let told = list.into_iter().filter_map(|item| Some((item_element(keys, place, &item)?, Some(item))));
        let (elements, items): (Vec<_>, Vec<_>) = told.unzip();
        let mut sorted: Vec<usize> = (0..elements.len()).collect();
        sorted.sort_by(|one, other| elements[*one].cmp(&elements[*other]));
        Self { elements, items, sorted }
    }

    /// Where the items with this element stand, sorted.
    fn places(&self, element: &Element) -> &[usize] {
        let from = self.sorted.partition_point(|place| self.elements[*place] < *element);
        let to = self.sorted.partition_point(|place| self.elements[*place] <= *element);
        &self.sorted[from..to]
    }

    fn has(&self, element: &Element) -> bool {
        !self.places(element).is_empty()
    }

    /// The item with this element; none where several have it: they are replaced, and not merged.
    fn take(&mut self, element: &Element) -> Option<Value> {
        match *self.places(element) {
            [place] => self.items[place].take(),
            _ => None,
        }
    }
}

fn items(keys: &[SmolStr], place: Place<'_>, live: Vec<Value>, applied: Vec<Value>) -> Option<Value> {
    let mut out = Vec::with_capacity(live.len().max(applied.len()));
    let (mut live, mut applied) = (Side::new(keys, place, live), Side::new(keys, place, applied));
    // The applied items that are there already, in the order in which they are to stand.
    let shared: Vec<usize> = (0..applied.elements.len()).filter(|at| live.has(&applied.elements[*at])).collect();
    let mut shared = shared.into_iter().peekable();
    let mut merged = vec![false; applied.elements.len()];
    let (mut left, mut right) = (0, 0);
    while left < live.elements.len() || right < applied.elements.len() {
        if let (Some(one), Some(other)) = (live.elements.get(left), applied.elements.get(right))
            && one != other
            && applied.has(one)
            && shared.peek().is_some_and(|next| applied.elements[*next] != *one)
        {
            // Shared, but another one comes first.
            left += 1;
            continue;
        }
        let meet = live.elements.get(left).is_some_and(|one| applied.elements.get(right) == Some(one));
        if !meet && let Some(one) = live.elements.get(left) {
            let known = applied.places(one);
            if known.is_empty() {
                out.extend(live.items[left].take());
                left += 1;
                continue;
            }
            if known.iter().any(|place| merged[*place]) {
                left += 1;
            }
        }
        if let Some(element) = applied.elements.get(right).cloned() {
            merged[right] = true;
            let (old, new) = (live.take(&element), applied.items[right].take());
            out.extend(at(place, old, new));
            if shared.peek() == Some(&right) {
                shared.next();
            }
            right += 1;
            left += usize::from(meet);
        }
    }
    (!out.is_empty()).then_some(Value::Array(out))
}
