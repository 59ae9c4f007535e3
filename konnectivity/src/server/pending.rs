//! Dials that an agent has not answered yet.

use crate::carry::Leg;
use crate::metrics::{Gauge, Held};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Dials of one agent that wait at the same time.
const DIALS_MAX: usize = 16_384;

/// A leg to the endpoint, or the agent's words about why there is none.
pub(super) type Answer = Result<Leg, String>;

/// One agent's pending dials.
#[derive(Debug)]
pub(super) struct Pending {
    /// `None` once the agent is gone.
    dials: Mutex<Option<HashMap<i64, oneshot::Sender<Answer>>>>,
    count: Gauge,
}

impl Pending {
    pub(super) fn new(count: Gauge) -> Arc<Self> {
        Arc::new(Self { dials: Mutex::new(Some(HashMap::new())), count })
    }

    fn dials(&self) -> MutexGuard<'_, Option<HashMap<i64, oneshot::Sender<Answer>>>> {
        self.dials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a dial. Nothing when the agent is gone, or has more than enough of them.
    pub(super) fn begin(self: &Arc<Self>) -> Option<PendingDial> {
        let mut dials = self.dials();
        let dials = dials.as_mut().filter(|dials| dials.len() < DIALS_MAX)?;
        let (answer, answered) = oneshot::channel();
        // The frontend's own number is its own choice: two could choose the same.
        let mut random: i64 = rand::random();
        while dials.contains_key(&random) {
            random = rand::random();
        }
        dials.insert(random, answer);
        Some(PendingDial { pending: Arc::clone(self), random, answered, _counted: self.count.hold() })
    }

    /// Hands an answer to whoever waits for it. False when nobody does: a leg that nobody takes is dropped, which
    /// closes its connection.
    pub(super) fn answer(&self, random: i64, answer: Answer) -> bool {
        let waiting = self.dials().as_mut().and_then(|dials| dials.remove(&random));
        match waiting {
            Some(waiting) => waiting.send(answer).is_ok(),
            None => false,
        }
    }

    /// True while somebody waits for this answer.
    pub(super) fn waits_for(&self, random: i64) -> bool {
        self.dials().as_ref().is_some_and(|dials| dials.contains_key(&random))
    }

    /// The agent is gone: all its dials end now.
    pub(super) fn end(&self) {
        drop(self.dials().take());
    }

    fn forget(&self, random: i64) -> bool {
        self.dials().as_mut().and_then(|dials| dials.remove(&random)).is_some()
    }
}

/// A dial that waits for its answer. Dropping it gives it up.
#[derive(Debug)]
pub(super) struct PendingDial {
    pending: Arc<Pending>,
    random: i64,
    answered: oneshot::Receiver<Answer>,
    _counted: Held,
}

impl PendingDial {
    /// What the agent and we call it.
    pub(super) fn random(&self) -> i64 {
        self.random
    }

    /// The answer; nothing when the agent is gone.
    pub(super) async fn answer(&mut self) -> Option<Answer> {
        (&mut self.answered).await.ok()
    }

    /// Gives it up. True when it had not been answered.
    pub(super) fn give_up(&self) -> bool {
        self.pending.forget(self.random)
    }
}

impl Drop for PendingDial {
    fn drop(&mut self) {
        self.pending.forget(self.random);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pending_dials_end_with_their_agent() {
        let count = Gauge::default();
        let pending = Pending::new(count.clone());
        let mut first = pending.begin().unwrap();
        let mut second = pending.begin().unwrap();
        assert!(pending.answer(first.random(), Err("no".into())));
        assert_eq!(first.answer().await.unwrap().unwrap_err(), "no");
        assert!(!pending.answer(first.random(), Err("twice".into())));
        assert_eq!(count.get(), 2);
        pending.end();
        assert!(second.answer().await.is_none());
        assert!(pending.begin().is_none());
        drop((first, second));
        assert_eq!(count.get(), 0);
    }

    #[test]
    fn a_dial_that_is_given_up_is_not_waited_for() {
        let pending = Pending::new(Gauge::default());
        let dial = pending.begin().unwrap();
        let random = dial.random();
        assert!(pending.waits_for(random));
        assert!(dial.give_up());
        assert!(!dial.give_up());
        assert!(!pending.waits_for(random));
    }
}
