//! An object's bytes: whole, or, once another object of its key has taken its place, as that one and what they differ in.
//!
//! The history keeps what was replaced, for watchers that are behind, and it seldom comes to that. Most changes leave most of
//! an object as it was: packed it takes some hundred bytes.

use super::entry::Entry;
use bytes::Bytes;
use lz4_flex::block::{compress_with_dict, decompress_with_dict};
use std::sync::{Arc, PoisonError, RwLock};

/// Beyond this LZ4 would not find again in one object what stands at the same place in the other.
const PACKED_BYTES_MAX: usize = 32 << 10;

/// Bytes that stay whole until they are packed.
pub(super) struct Held {
    bytes: u32,
    state: RwLock<State>,
}

enum State {
    Whole(Bytes),
    Packed { difference: Box<[u8]>, newer: Arc<Entry> },
}

impl Held {
    pub(super) fn whole(bytes: Bytes) -> Self {
        let length = u32::try_from(bytes.len()).expect("a stage refuses objects that are larger");
        Self { bytes: length, state: RwLock::new(State::Whole(bytes)) }
    }

    /// How many bytes they are.
    pub(super) fn size(&self) -> usize {
        self.bytes as usize
    }

    /// How many bytes they take.
    pub(super) fn weight(&self) -> usize {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Whole(bytes) => bytes.len(),
            State::Packed { difference, .. } => difference.len(),
        }
    }

    pub(super) fn bytes(&self) -> Bytes {
        let (difference, newer) = match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Whole(bytes) => return bytes.clone(),
            State::Packed { difference, newer } => (difference.clone(), newer.clone()),
        };
        let bytes = decompress_with_dict(&difference, self.size(), &newer.bytes());
        bytes.expect("what was packed against the same bytes").into()
    }

    /// Keeps what they differ in from a newer object, where that is less than half of them.
    pub(super) fn pack(&self, newer: &Arc<Entry>) {
        let largest = self.size().max(newer.size());
        if largest > PACKED_BYTES_MAX {
            return;
        }
        let difference = compress_with_dict(&self.bytes(), &newer.bytes());
        if difference.len() < self.size() / 2 {
            let packed = State::Packed { difference: difference.into(), newer: newer.clone() };
            *self.state.write().unwrap_or_else(PoisonError::into_inner) = packed;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::store::contract::{Body, Event, Expect, Write};
    use crate::store::limits::Limits;
    use crate::store::stage::Stage;
    use bytes::Bytes;
    use std::sync::Arc;

    /// The events of writing these objects one over the other.
    fn written(objects: &[Bytes]) -> Vec<Arc<Event>> {
        let mut stage = Stage::new(Limits::default());
        let write = |bytes: &Bytes| {
            let body = Body { bytes: bytes.clone(), splice: None, attributes: Arc::default() };
            stage.decide(Write { expect: Expect::Any, ..Write::create("/pods/a", body) }).unwrap()
        };
        objects.iter().map(write).collect()
    }

    #[test]
    fn what_is_packed_is_what_it_was() {
        let filler: String = (0..500).map(|number| format!("\"field{number}\":{},", number * number % 977)).collect();
        let objects: Vec<Bytes> = (0..40).map(|nth| format!("{{{filler}\"nth\":{nth}}}").into()).collect();
        let events = written(&objects);
        for (event, object) in events.iter().zip(&objects) {
            assert_eq!(event.entry.bytes(), object);
            assert_eq!(event.entry.size(), object.len());
        }
        let weight: usize = events[..39].iter().map(|event| event.entry.weight()).sum();
        let whole: usize = objects[..39].iter().map(Bytes::len).sum();
        assert!(weight * 5 < whole, "{weight} of {whole}");
    }

    #[test]
    fn what_has_nothing_in_common_or_is_large_stays_whole() {
        let noise = |seed: u64, bytes: u64| -> Bytes {
            let next = |at: u64| (at + 1).wrapping_mul(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0];
            (0..bytes).map(next).collect()
        };
        let large = noise(3, 40 << 10);
        let events = written(&[noise(1, 400), noise(2, 400), large.clone(), large.clone(), Bytes::new()]);
        let weights: Vec<_> = events.iter().map(|event| event.entry.weight()).collect();
        assert_eq!(weights, [400, 400, 40 << 10, 40 << 10, 0]);
        assert_eq!(events[2].entry.bytes(), large);
    }
}
