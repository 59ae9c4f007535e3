//! A connection's turn that is left to its streams once, so that what they say goes together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// Who drives an HTTP/2 connection is woken by the first of its streams that has something to send, and tokio runs what a task
/// wakes next: before the other streams that one event has woken. Each of them would cost a write to the socket, and its
/// reader a turn. So whoever is woken leaves its turn to them once, and is polled after them. Nothing waits for time.
#[derive(Debug, Default)]
pub struct Turn {
    is_ours: AtomicBool,
}

impl Turn {
    /// Polls at each second call, and else asks to be woken at once.
    pub fn poll<T>(&self, context: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        if self.is_ours.fetch_xor(true, Ordering::Relaxed) {
            return poll(context);
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn whoever_is_woken_by_the_first_comes_after_the_last() {
        let (said, wakes, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (turn, mut seen) = (Turn::default(), Vec::new());
        for _ in 0..8 {
            let (said, wakes, heard) = (Arc::clone(&said), Arc::clone(&wakes), Arc::clone(&heard));
            tokio::spawn(async move {
                wakes.notified().await;
                said.fetch_add(1, Ordering::Relaxed);
                heard.notify_one();
            });
        }
        tokio::task::yield_now().await;
        wakes.notify_waiters();
        while seen.last() != Some(&8) {
            let mut notified = std::pin::pin!(heard.notified());
            poll_fn(|context| turn.poll(context, |context| notified.as_mut().poll(context))).await;
            seen.push(said.load(Ordering::Relaxed));
        }
        assert_eq!(seen, [8], "what all said is seen at once");
    }
}
