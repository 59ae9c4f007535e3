//! What a caller should be told besides the answer: the `Warning` headers.

use std::sync::{Arc, Mutex, PoisonError};

/// Most warnings that one answer carries.
const WARNINGS_MAX: usize = 64;
/// Most bytes of one warning.
const WARNING_BYTES_MAX: usize = 1024;

/// Collects warnings while a call is served. Clones share one collection.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Adds a warning. The same text is told once.
    pub fn add(&self, text: impl Into<String>) {
        let mut text: String = text.into();
        while text.len() > WARNING_BYTES_MAX {
            text.pop();
        }
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < WARNINGS_MAX && !told.contains(&text) {
            told.push(text);
        }
    }

    /// The values of the `Warning` headers.
    #[must_use]
    pub fn header_values(&self) -> Vec<String> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().map(|text| format!("299 - \"{}\"", quoted(text))).collect()
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
