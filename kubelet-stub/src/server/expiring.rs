//! Answers that count for a while.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// Most answers that are kept; past that the expired ones go, and if that frees nothing, all.
const ENTRIES_MAX: usize = 1024;

/// A map whose entries expire.
pub(super) struct Expiring<K, V> {
    entries: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K, V> Default for Expiring<K, V> {
    fn default() -> Self {
        Self { entries: Mutex::default() }
    }
}

impl<K: Eq + Hash, V: Clone> Expiring<K, V> {
    /// What is kept under a key and still counts.
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let entries = self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.get(key).filter(|(until, _)| *until > Instant::now()).map(|(_, value)| value.clone())
    }

    /// Keeps a value for a while.
    pub(super) fn put(&self, key: K, value: V, ttl: Duration) {
        let mut entries = self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, (until, _)| *until > now);
        }
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(key, (now + ttl, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_until_it_expires_and_never_more_than_the_limit_are_kept() {
        let answers = Expiring::default();
        answers.put("a".to_owned(), 1, Duration::from_secs(60));
        answers.put("b".to_owned(), 2, Duration::ZERO);
        assert_eq!((answers.get("a"), answers.get("b"), answers.get("c")), (Some(1), None, None));
        for n in 0..ENTRIES_MAX + 10 {
            answers.put(n.to_string(), 0, Duration::from_secs(60));
        }
        assert!(answers.entries.lock().unwrap().len() <= ENTRIES_MAX);
    }
}
