//! What the author of a new object comes to own, as the text of `FieldsV1`: written while it is found, for the set of it
//! would be a tree as large as the object. Says what `compare` says of nothing and an object.

use super::compare::gained;
use super::place::{Form, Place, sorted_items};
use super::set::{Node, Set};
use super::wire::{spell, spell_element, spell_field};
use serde_json::Value;
use std::cell::Cell;

/// The fields of `object` that are not as in `zero`, without those of `without` and what lies below them, and without
/// those of `ownerless` themselves; none where there are no such fields, or where they can't be told from each other.
#[must_use]
pub fn born(place: Place<'_>, zero: &Value, object: &Value, without: &Set, ownerless: &Set) -> Option<String> {
    let resolved = place.resolve(Some(object));
    if resolved.atomic {
        return None;
    }
    let mut out = String::with_capacity(1 << 10);
    out.push('{');
    let is_nameless = Cell::new(false);
    let cut = Cut { without: Some(without), ownerless: Some(ownerless), is_nameless: &is_nameless };
    entries(&mut out, place, resolved.form, Some(zero), object, cut);
    (close(&mut out, 1) && !is_nameless.get()).then_some(out)
}

/// What is left out below a place.
#[derive(Clone, Copy)]
struct Cut<'s> {
    without: Option<&'s Set>,
    ownerless: Option<&'s Set>,
    /// Whether an item of a list says nothing that tells it from the others.
    is_nameless: &'s Cell<bool>,
}

impl<'s> Cut<'s> {
    /// What is left out below one of the next steps: none where all of it is, and whether the step itself is.
    fn below(self, find: impl Fn(&'s Set) -> Option<&'s Node>) -> Option<(Self, bool)> {
        let deeper = |node: Option<&'s Node>| node.map(|node| &node.below).filter(|below| !below.is_empty());
        let gone = self.without.and_then(&find);
        if gone.is_some_and(|node| node.member) {
            return None;
        }
        let unowned = self.ownerless.and_then(find);
        let cut = Self { without: deeper(gone), ownerless: deeper(unowned), ..self };
        Some((cut, unowned.is_some_and(|node| node.member)))
    }
}

fn entries(out: &mut String, place: Place<'_>, form: Form<'_>, old: Option<&Value>, new: &Value, cut: Cut<'_>) {
    for (name, value) in new.as_object().into_iter().flatten() {
        let was = old.and_then(|old| old.get(name));
        if was == Some(value) || form.leaves_out(name, value) {
            continue;
        }
        let Some((cut, is_ownerless)) = cut.below(|set| set.find_field(name)) else { continue };
        let start = out.len();
        spell_field(name, out);
        node(out, start, place.entry(form, name).0, was, value, (cut, is_ownerless));
    }
}

fn items(out: &mut String, keys: &[smol_str::SmolStr], place: Place<'_>, list: &Value, cut: Cut<'_>) {
    let sorted = sorted_items(keys, place, Some(list));
    if sorted.len() < list.as_array().map_or(0, Vec::len) {
        cut.is_nameless.set(true);
    }
    for alike in sorted.chunk_by(|one, other| one.0 == other.0) {
        let (element, item) = &alike[0];
        let Some((cut, is_ownerless)) = cut.below(|set| set.find(element)) else { continue };
        let start = out.len();
        spell_element(element, out);
        if alike.len() == 1 {
            node(out, start, place, None, item, (cut, is_ownerless));
        } else if is_ownerless {
            out.truncate(start);
        } else {
            out.push_str(":{},");
        }
    }
}

/// Writes what is at a place, whose key was written from `start` on, or takes the key back where nothing is.
fn node(
    out: &mut String,
    start: usize,
    place: Place<'_>,
    old: Option<&Value>,
    new: &Value,
    (cut, is_ownerless): (Cut<'_>, bool),
) {
    out.push_str(":{");
    let inside = out.len();
    let resolved = place.resolve(Some(new));
    let mut is_member = old.is_none();
    let begin = |out: &mut String, is_member: bool| {
        if is_member && !is_ownerless {
            out.push_str("\".\":{},");
        }
    };
    // What Go holds where nothing was said leads to nothing below: what is below is new.
    let is_new = |form: Form<'_>| match old {
        None | Some(Value::Null) => true,
        Some(old) => matches!(form, Form::Struct(_) | Form::Map(_)) && old.is_object(),
    };
    match (old, new, resolved.form) {
        (None, _, _) if resolved.atomic => {}
        (_, Value::Object(fields), form @ (Form::Struct(_) | Form::Map(_)))
            if !resolved.atomic && is_new(form) && !(old.is_some() && fields.is_empty()) =>
        {
            begin(out, is_member);
            entries(out, place, form, old, new, cut);
        }
        (_, Value::Array(list), Form::List(Some(keys), item))
            if !resolved.atomic && is_new(resolved.form) && !(old.is_some() && list.is_empty()) =>
        {
            begin(out, is_member);
            items(out, keys, item, new, cut);
        }
        (None, _, _) => {}
        (Some(old), _, _) => {
            let Some((itself, mut below)) = gained(place, old, new) else { return cut.is_nameless.set(true) };
            is_member = itself;
            below =
                below.without(cut.without.unwrap_or(Set::NOTHING)).difference(cut.ownerless.unwrap_or(Set::NOTHING));
            begin(out, is_member);
            for node in below.nodes() {
                spell_element(&node.element, out);
                out.push(':');
                spell(&node.below, node.member, out);
                out.push(',');
            }
        }
    }
    is_member &= !is_ownerless;
    let head = if is_member { "\".\":{},".len() } else { 0 };
    if out.len() > inside + head {
        out.pop();
    } else if is_member {
        out.truncate(inside);
    } else {
        out.truncate(start);
        return;
    }
    out.push_str("},");
}

/// Closes what was opened before `inside`, and says whether there is anything in it.
fn close(out: &mut String, inside: usize) -> bool {
    let says = out.len() > inside;
    if says {
        out.pop();
    }
    out.push('}');
    says
}
