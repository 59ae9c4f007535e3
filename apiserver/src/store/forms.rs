//! Other encodings of stored objects: made at first use, shared by all readers, and bounded in their total.

use arc_swap::ArcSwap;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Names an encoding of an object. The store knows nothing else about it; whoever makes forms hands out the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FormId(pub u32);

/// How many objects may have forms at once.
const OBJECTS_MAX: usize = 65_536;

/// A form larger than this share of the whole cache is not kept.
const SHARE_OF_CACHE: usize = 8;

/// The forms of one entry.
#[derive(Default)]
pub(super) struct Forms {
    made: ArcSwap<Vec<(FormId, Bytes)>>,
    /// The cache's count of bytes, from when the first form was kept.
    counted: std::sync::OnceLock<Arc<AtomicUsize>>,
}

impl Forms {
    pub(super) fn get(&self, id: FormId) -> Option<Bytes> {
        self.made.load().iter().find(|(made, _)| *made == id).map(|(_, bytes)| bytes.clone())
    }

    fn bytes(&self) -> usize {
        self.made.load().iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

impl Drop for Forms {
    fn drop(&mut self) {
        if let Some(counted) = self.counted.get() {
            counted.fetch_sub(self.bytes(), Ordering::Relaxed);
        }
    }
}

/// Bounds the bytes of all forms of a store. The object whose forms are oldest loses them first.
pub(super) struct FormCache {
    bytes_max: usize,
    bytes: Arc<AtomicUsize>,
    /// The objects that have forms, oldest first. Locked only when a form is added, never to read one.
    queue: Mutex<VecDeque<Weak<Forms>>>,
}

impl FormCache {
    pub(super) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max, bytes: Arc::default(), queue: Mutex::default() })
    }

    /// Keeps `made` in `forms` if it fits. Answers the form that is kept: another's, if that was faster.
    pub(super) fn keep(&self, forms: &Arc<Forms>, id: FormId, made: Bytes) -> Bytes {
        if made.len() > self.bytes_max / SHARE_OF_CACHE {
            return made;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(faster) = forms.get(id) {
            return faster;
        }
        let mut all = forms.made.load().as_ref().clone();
        if all.is_empty() {
            queue.push_back(Arc::downgrade(forms));
        }
        all.push((id, made.clone()));
        forms.counted.get_or_init(|| self.bytes.clone());
        forms.made.store(Arc::new(all));
        self.bytes.fetch_add(made.len(), Ordering::Relaxed);
        self.evict(&mut queue);
        made
    }

    fn evict(&self, queue: &mut VecDeque<Weak<Forms>>) {
        while let Some(oldest) = queue.front() {
            let full = self.bytes.load(Ordering::Relaxed) > self.bytes_max || queue.len() > OBJECTS_MAX;
            match oldest.upgrade() {
                Some(_) if !full => return,
                Some(forms) => {
                    let bytes = forms.bytes();
                    forms.made.store(Arc::default());
                    self.bytes.fetch_sub(bytes, Ordering::Relaxed);
                }
                None => {}
            }
            queue.pop_front();
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_never_hold_more_than_the_limit_and_the_oldest_go_first() {
        let cache = FormCache::new(1000);
        let objects: Vec<Arc<Forms>> = (0..20).map(|_| Arc::default()).collect();
        for forms in &objects {
            cache.keep(forms, FormId(1), Bytes::from(vec![0; 100]));
            assert!(cache.bytes() <= 1000);
        }
        assert!(objects[0].get(FormId(1)).is_none());
        assert!(objects[19].get(FormId(1)).is_some());
    }

    #[test]
    fn forms_of_dropped_objects_are_not_counted() {
        let cache = FormCache::new(1000);
        let forms = Arc::default();
        cache.keep(&forms, FormId(1), Bytes::from_static(b"one"));
        cache.keep(&forms, FormId(2), Bytes::from_static(b"two"));
        assert_eq!(cache.bytes(), 6);
        drop(forms);
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn the_first_form_made_wins() {
        let cache = FormCache::new(1000);
        let forms = Arc::default();
        cache.keep(&forms, FormId(1), Bytes::from_static(b"first"));
        assert_eq!(cache.keep(&forms, FormId(1), Bytes::from_static(b"second")), "first");
    }

    #[test]
    fn a_form_that_would_empty_the_cache_is_not_kept() {
        let cache = FormCache::new(1000);
        let forms = Arc::default();
        cache.keep(&forms, FormId(1), Bytes::from(vec![0; 500]));
        assert!(forms.get(FormId(1)).is_none());
    }
}
