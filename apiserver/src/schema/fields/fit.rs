//! Sets seen through the model: structs on the way made members, and what became atomic owned as a whole.

use super::place::Place;
use super::set::Set;

/// The set with every declared field on the way to its paths: who owns `a.b` then owns the struct `a` too.
#[must_use]
pub fn with_named(place: Place<'_>, set: &Set) -> Set {
    let mut out = Set::default();
    for node in set.nodes() {
        let (below, declared) = place.below(&node.element);
        let named = declared && !node.below.is_empty();
        out.push(node.element.clone(), node.member || named, with_named(below, &node.below));
    }
    out
}

/// Brings a set in line with a model that has changed since it was written: what lay below a list or map that is now
/// replaced as a whole gives way to that.
pub fn fit(place: Place<'_>, set: &mut Set) {
    for node in set.nodes_mut() {
        if node.below.is_empty() {
            continue;
        }
        let (below, _) = place.below(&node.element);
        if below.resolve(None).atomic {
            (node.member, node.below) = (true, Set::default());
        } else {
            fit(below, &mut node.below);
        }
    }
}
