//! Selectors of labels and of fields, as they stand in queries.

use tinyplane_wire::selector::{FieldSelector, LabelSelector};

/// They are taken or refused, and what is taken answers for any labels.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(selector) = LabelSelector::parse(text) {
        let none = selector.matches(|_| None);
        assert!(!selector.is_empty() || none, "what selects everything selects this");
        selector.matches(|_| Some("a"));
    }
    if let Ok(selector) = FieldSelector::parse(text) {
        let none = selector.matches(|_| "");
        assert!(!selector.is_empty() || none, "what selects everything selects this");
    }
}
