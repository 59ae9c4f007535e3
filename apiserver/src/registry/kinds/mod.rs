//! The behaviours of the built-in kinds: one file for each that has more than the plain one.

use super::behaviour::Behaviour;

/// How a built-in resource behaves. The only place, declared subresources aside, that compares resources' names.
pub(super) fn behaviour(group: &str, plural: &str) -> &'static Behaviour {
    match (group, plural) {
        _ => &Behaviour::PLAIN,
    }
}
