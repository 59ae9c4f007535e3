//! A work queue: each key once, however often it is added, and again later when its work failed.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The longest that a key waits, 100 years: an object may ask for more seconds than a clock counts.
const WAIT_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How long to wait before work that failed is tried again: doubling, with a top.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// First wait.
    pub first: Duration,
    /// Longest wait.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(5), most: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// The wait before the try that follows `failures` failed ones, with up to a tenth of jitter.
    #[must_use]
    pub fn after(self, failures: u32) -> Duration {
        let wait = self.first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(31))).min(self.most);
        wait.mul_f64(1.0 + rand::random::<f64>() / 10.0)
    }
}

/// Keys that wait for work. Bounded by the number of different keys; a key in work is not handed out a second time.
#[derive(Debug, Default)]
pub struct WorkQueue {
    state: Mutex<State>,
    changed: Notify,
    backoff: Backoff,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<String>,
    waiting: BTreeSet<String>,
    working: BTreeSet<String>,
    again: BTreeSet<String>,
    /// Keys that come again, by when, and when each does: one time a key.
    later: BTreeSet<(Instant, String)>,
    due: HashMap<String, Instant>,
    failures: HashMap<String, u32>,
}

impl WorkQueue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key, unless it waits already. A key in work is handed out again when that work is done.
    pub fn add(&self, key: impl Into<String>) {
        let key = key.into();
        {
            let mut state = self.lock();
            state.enqueue(key);
        }
        self.changed.notify_one();
    }

    /// Adds a key after a while, or sooner where it was to come sooner already.
    pub fn add_after(&self, key: impl Into<String>, wait: Duration) {
        {
            self.lock().delay(key.into(), wait);
        }
        self.changed.notify_one();
    }

    /// The next key, as soon as there is one. Say [`WorkQueue::done`] or [`WorkQueue::failed`] afterwards.
    pub async fn next(&self) -> String {
        loop {
            let due = {
                let mut state = self.lock();
                state.wake(Instant::now());
                if let Some(key) = state.ready.pop_front() {
                    state.waiting.remove(&key);
                    state.working.insert(key.clone());
                    if !state.ready.is_empty() {
                        self.changed.notify_one();
                    }
                    return key;
                }
                state.later.first().map(|(due, _)| *due)
            };
            match due {
                Some(due) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = tokio::time::sleep_until(due) => {}
                },
                None => self.changed.notified().await,
            }
        }
    }

    /// The work of a key is done.
    pub fn done(&self, key: &str) {
        self.finish(key, false);
    }

    /// The work of a key failed: it comes again after a wait that doubles.
    pub fn failed(&self, key: &str) {
        self.finish(key, true);
    }

    fn finish(&self, key: &str, failed: bool) {
        {
            let mut state = self.lock();
            state.working.remove(key);
            if failed {
                let failures = state.failures.entry(key.to_owned()).and_modify(|n| *n += 1).or_insert(1);
                let wait = self.backoff.after(*failures);
                state.delay(key.to_owned(), wait);
            } else {
                state.failures.remove(key);
            }
            if state.again.remove(key) {
                state.enqueue(key.to_owned());
            }
        }
        self.changed.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn enqueue(&mut self, key: String) {
        if self.working.contains(&key) {
            self.again.insert(key);
        } else if self.waiting.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    fn delay(&mut self, key: String, wait: Duration) {
        let at = Instant::now() + wait.min(WAIT_MAX);
        match self.due.get(&key) {
            Some(sooner) if *sooner <= at => return,
            Some(later) => drop(self.later.remove(&(*later, key.clone()))),
            None => {}
        }
        self.due.insert(key.clone(), at);
        self.later.insert((at, key));
    }

    fn wake(&mut self, now: Instant) {
        while self.later.first().is_some_and(|(due, _)| *due <= now)
            && let Some((_, key)) = self.later.pop_first()
        {
            self.due.remove(&key);
            self.enqueue(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_handed_out_once_and_again_when_it_was_added_meanwhile() {
        let queue = WorkQueue::new();
        queue.add("a");
        queue.add("a");
        queue.add("b");
        assert_eq!((queue.next().await, queue.next().await), ("a".into(), "b".into()));
        queue.add("a");
        queue.done("b");
        assert!(queue.lock().ready.is_empty(), "a is in work and must wait");
        queue.done("a");
        assert_eq!(queue.next().await, "a");
    }

    #[tokio::test]
    async fn a_key_comes_again_at_one_time_the_soonest() {
        let queue = WorkQueue::new();
        for wait in [60, 30, 90] {
            queue.add_after("a", Duration::from_secs(wait));
        }
        queue.add_after("b", Duration::MAX);
        let state = queue.lock();
        let soonest = state.due["a"].duration_since(Instant::now());
        assert!(soonest <= Duration::from_secs(30), "{soonest:?}");
        assert_eq!((state.later.len(), state.due.len()), (2, 2));
    }

    #[tokio::test]
    async fn failed_work_comes_again_later() {
        let queue = WorkQueue::new();
        queue.add("a");
        let key = queue.next().await;
        queue.failed(&key);
        assert_eq!(tokio::time::timeout(Duration::from_secs(10), queue.next()).await.unwrap(), "a");
    }
}
