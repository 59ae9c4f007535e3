//! What is told besides the answer: to the caller by `Warning` headers, and to the audit log by annotations of its event.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most warnings that one answer carries.
pub(crate) const WARNINGS_MAX: usize = 64;
/// Most bytes of one warning.
const WARNING_BYTES_MAX: usize = 1024;

/// Collects warnings, and notes for the audit log, while a call is served. Clones share one collection.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    warnings: Vec<String>,
    /// `None` where nobody audits the call.
    notes: Option<BTreeMap<&'static str, String>>,
}

impl Warnings {
    /// Adds a warning. The same text is told once.
    pub fn add(&self, text: impl Into<String>) {
        let mut text: String = text.into();
        while text.len() > WARNING_BYTES_MAX {
            text.pop();
        }
        let warnings = &mut self.lock().warnings;
        if warnings.len() < WARNINGS_MAX && !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// The values of the `Warning` headers.
    #[must_use]
    pub fn header_values(&self) -> Vec<String> {
        self.lock().warnings.iter().map(|text| format!("299 - \"{}\"", quoted(text))).collect()
    }

    /// From now on, notes are taken: somebody audits the call.
    pub fn take_notes(&self) {
        self.lock().notes.get_or_insert_default();
    }

    /// Notes something under the name of an annotation, where notes are taken; the last one counts.
    pub fn note(&self, name: &'static str, text: impl FnOnce() -> String) {
        if let Some(notes) = &mut self.lock().notes {
            notes.insert(name, text());
        }
    }

    /// The notes that were taken.
    #[must_use]
    pub fn notes(&self) -> BTreeMap<&'static str, String> {
        self.lock().notes.clone().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Escapes what may not stand in a quoted header text.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
