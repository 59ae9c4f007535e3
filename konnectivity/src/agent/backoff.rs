//! How long to wait before the next try: longer each time, and never quite the same.

use std::time::Duration;

/// The first wait, unless a shorter one is asked for: a server that was just started is found soon.
const FIRST: Duration = Duration::from_millis(50);

/// No wait is shorter, whatever is asked for: a server that is gone must not keep a processor busy.
const LEAST: Duration = Duration::from_millis(10);

/// Each wait is this much longer than the one before it.
const FACTOR: f64 = 1.5;

/// Waits differ by up to this part, so that agents which lost the same server do not come back as one.
const JITTER: f64 = 0.1;

/// The waits between tries.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub(super) fn new(interval: Duration, longest: Duration) -> Self {
        let first = FIRST.min(interval).max(LEAST);
        Self { first, next: first, longest: longest.max(first) }
    }

    /// The next wait.
    pub(super) fn wait(&mut self) -> Duration {
        let wait = self.next.mul_f64(1.0 + JITTER * rand::random::<f64>());
        self.next = self.next.mul_f64(FACTOR).min(self.longest);
        wait
    }

    /// A try succeeded.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(2));
        let first = backoff.wait();
        assert!(first >= FIRST && first < FIRST.mul_f64(1.2));
        let second = backoff.wait();
        assert!(second >= FIRST.mul_f64(FACTOR) && second > first);
        for _ in 0..20 {
            assert!(backoff.wait() <= Duration::from_millis(2200));
        }
        assert!(backoff.wait() >= Duration::from_secs(2));
        backoff.reset();
        assert!(backoff.wait() < FIRST.mul_f64(1.2));
    }
}
