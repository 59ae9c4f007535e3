//! Selectors of labels and of fields, as they stand in queries.

use tinyplane_wire::selector::{FieldSelector, FieldTerm, LabelSelector};

/// They are taken or refused; what is taken answers for any labels, and is the same when it is written and read again.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(selector) = LabelSelector::parse(text) {
        let none = selector.matches(|_| None);
        assert!(!selector.is_empty() || none, "what selects everything selects this");
        selector.matches(|_| Some("a"));
        let written = selector.to_string();
        assert_eq!(LabelSelector::parse(&written), Ok(selector), "{written:?}");
    }
    if let Ok(selector) = FieldSelector::parse(text) {
        let none = selector.matches(|_| "");
        assert!(!selector.is_empty() || none, "what selects everything selects this");
        let written = written(&selector);
        // Terms are sorted as they are written, and `==` is not written again.
        assert_eq!(FieldSelector::parse(&written).map(sorted), Ok(sorted(selector)), "{written:?}");
    }
}

fn sorted(selector: FieldSelector) -> Vec<FieldTerm> {
    let mut terms = selector.terms;
    terms.sort_by_cached_key(|term| (term.field.clone(), term.value.clone(), term.equal));
    terms
}

fn written(selector: &FieldSelector) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
    let term = |term: &FieldTerm| {
        let sign = if term.equal { "=" } else { "!=" };
        format!("{}{sign}{}", term.field, escaped(&term.value))
    };
    selector.terms.iter().map(term).collect::<Vec<_>>().join(",")
}
