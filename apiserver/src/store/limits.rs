//! The limits of a store, named.

use std::time::Duration;

/// What a store keeps and takes at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// An object's bytes. Upstream's etcd refuses requests above 1.5 MiB.
    pub object_bytes_max: usize,
    /// A key's bytes. A name has at most 253, and so has a namespace.
    pub key_bytes_max: u16,
    /// How long a change can be watched from. Changes are forgotten when a later one is made.
    pub history_age_max: Duration,
    /// How many changes can be watched from.
    pub history_events_max: usize,
    /// How many bytes of replaced and removed objects the history keeps.
    pub history_bytes_max: usize,
    /// The bytes of all forms of all objects.
    pub form_bytes_max: usize,
    /// How many events a watcher is handed at once.
    pub watch_batch_events_max: usize,
    /// How many bytes of objects a watcher is handed at once, one event aside: each is encoded with the others.
    pub watch_batch_bytes_max: usize,
    /// How many writes share one flush.
    pub commit_batch_max: usize,
    /// How many writes may wait; more wait before the queue.
    pub commit_queue_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            object_bytes_max: 3 << 19,
            key_bytes_max: 2_048,
            history_age_max: Duration::from_secs(300),
            history_events_max: 32_768,
            history_bytes_max: 32 << 20,
            form_bytes_max: 16 << 20,
            watch_batch_events_max: 512,
            watch_batch_bytes_max: 1 << 20,
            commit_batch_max: 256,
            commit_queue_max: 4_096,
        }
    }
}
