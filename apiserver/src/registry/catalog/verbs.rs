//! The verbs that a resource has, as a small set.

use std::fmt;

/// Letter and word of each verb, in the order in which discovery tells them.
const WORDS: [(u8, &str); 8] = [
    (b'c', "create"),
    (b'd', "delete"),
    (b'D', "deletecollection"),
    (b'g', "get"),
    (b'l', "list"),
    (b'p', "patch"),
    (b'u', "update"),
    (b'w', "watch"),
];

/// A set of verbs.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Verbs(u8);

impl Verbs {
    /// All eight.
    pub const ALL: Self = Self(0xff);

    /// Reads letters, as the table of built-in resources writes them; `all` is all eight.
    pub(in crate::registry) fn of_letters(letters: &str) -> Self {
        if letters == "all" {
            return Self::ALL;
        }
        let bits = WORDS.iter().enumerate().filter(|(_, (letter, _))| letters.as_bytes().contains(letter));
        Self(bits.fold(0, |set, (at, _)| set | 1 << at))
    }

    /// True when the verb, such as `get`, is in the set.
    #[must_use]
    pub fn has(self, verb: &str) -> bool {
        self.words().any(|word| word == verb)
    }

    /// The words, in the order of discovery.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        WORDS.iter().enumerate().filter(move |(at, _)| self.0 & 1 << at != 0).map(|(_, (_, word))| *word)
    }
}

impl fmt::Debug for Verbs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.words()).finish()
    }
}
