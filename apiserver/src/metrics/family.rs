//! Series of one kind, by their labels: found without a lock, for the map is replaced when one is added.

use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Most series of a family. What comes after shares the series of the first key: labels come from callers.
const SERIES_MAX: usize = 4_096;

/// Series by key.
#[derive(Debug)]
pub struct Family<K, V> {
    series: ArcSwap<HashMap<K, Arc<V>>>,
    adding: Mutex<()>,
}

impl<K, V> Default for Family<K, V> {
    fn default() -> Self {
        Self { series: ArcSwap::from_pointee(HashMap::new()), adding: Mutex::new(()) }
    }
}

impl<K: Clone + Eq + Hash + Ord, V: Default> Family<K, V> {
    /// The series of a key, made where there is none yet.
    pub fn series(&self, key: &K) -> Arc<V> {
        if let Some(found) = self.series.load().get(key) {
            return Arc::clone(found);
        }
        self.add(key)
    }

    /// Lets a function count in the series of a key.
    pub fn with(&self, key: &K, count: impl FnOnce(&V)) {
        if let Some(found) = self.series.load().get(key) {
            return count(found);
        }
        count(&self.add(key));
    }

    #[cold]
    fn add(&self, key: &K) -> Arc<V> {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.series.load_full();
        if let Some(found) = current.get(key) {
            return Arc::clone(found);
        }
        if current.len() >= SERIES_MAX
            && let Some(first) = current.iter().min_by_key(|(key, _)| (*key).clone())
        {
            return Arc::clone(first.1);
        }
        let (mut more, made) = (HashMap::clone(&current), Arc::new(V::default()));
        more.insert(key.clone(), Arc::clone(&made));
        self.series.store(Arc::new(more));
        made
    }

    /// All series, in the order of their keys.
    pub fn all(&self) -> Vec<(K, Arc<V>)> {
        let current = self.series.load();
        let mut all: Vec<(K, Arc<V>)> = current.iter().map(|(key, value)| (key.clone(), Arc::clone(value))).collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }
}
