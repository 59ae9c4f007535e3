//! The faults in force: where they are placed, whom they bite, and how often they did.

use super::riders::Riders;
use super::{Direction, Fault, Healed, Kind, Rider};
use crate::relay::{Kind as LinkKind, Middle, MiddleError, Place};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Faults at the same time.
const FAULTS_MAX: usize = 64;
/// Ends of links whose connections are counted by themselves; those of further ones are counted together.
const PLACES_MAX: usize = 4_096;
/// Bytes that are kept of what a man in the middle read.
const READ_BYTES_MAX: usize = 256 << 10;

/// Why a fault can't be placed.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// Too many of them.
    #[error("there are {FAULTS_MAX} faults already: heal some")]
    TooMany,
    /// The link carries no TLS that somebody could end.
    #[error("nobody can step into the middle of {link}, which carries {carries} and no TLS at its own layer")]
    NoTls {
        /// The link.
        link: String,
        /// What it carries instead.
        carries: &'static str,
    },
    /// No man in the middle.
    #[error("there is no man in the middle")]
    Middle(#[from] MiddleError),
}

/// Where faults are written, and where connections read them.
#[derive(Debug)]
pub(crate) struct Board {
    state: Mutex<State>,
    /// The number of changes so far.
    changed: watch::Sender<u64>,
    riders: Arc<Riders>,
}

#[derive(Debug, Default)]
struct State {
    last_id: u64,
    placed: Vec<Arc<Placed>>,
    /// Connections so far, by where they run.
    connections: HashMap<Place, u64>,
}

/// A fault in force.
#[derive(Debug)]
pub(crate) struct Placed {
    id: u64,
    place: Place,
    pub(crate) fault: Fault,
    pub(crate) middle: Option<Middle>,
    /// How many connections there had been at each place when it was placed.
    since: HashMap<Place, u64>,
    times: AtomicU64,
    read: Mutex<Vec<u8>>,
}

/// A fault in force, as others see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seen {
    pub(crate) id: u64,
    pub(crate) link: Place,
    pub(crate) fault: Fault,
    /// How often it has bitten so far.
    pub(crate) times: u64,
}

impl Board {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changed: watch::Sender::new(0), riders: Arc::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Places a fault. It is in force when this returns.
    pub(crate) fn place(&self, place: Place, fault: Fault) -> Result<u64, FaultError> {
        let middle = match &fault.kind {
            Kind::ManInTheMiddle { pair } => Some(Middle::with(pair.as_ref())?),
            _ => None,
        };
        let id = {
            let mut state = self.state();
            if state.placed.len() >= FAULTS_MAX {
                return Err(FaultError::TooMany);
            }
            state.last_id += 1;
            let (id, since) = (state.last_id, state.connections.clone());
            let (times, read) = (AtomicU64::new(0), Mutex::default());
            state.placed.push(Arc::new(Placed { id, place, fault, middle, since, times, read }));
            id
        };
        self.changed.send_modify(|changes| *changes += 1);
        Ok(id)
    }

    /// Takes a fault away, and says what it did; nothing where it is gone already.
    pub(crate) fn heal(&self, id: u64) -> Option<Healed> {
        let placed = {
            let mut state = self.state();
            let at = state.placed.iter().position(|placed| placed.id == id)?;
            state.placed.remove(at)
        };
        self.changed.send_modify(|changes| *changes += 1);
        Some(placed.healed())
    }

    /// Waits until all that is under way knows which faults are in force: what was there is bitten, or is healed, by then.
    pub(crate) async fn noticed(&self) {
        let change = *self.changed.borrow();
        self.riders.noticed(change).await;
    }

    /// How often a fault has bitten so far.
    pub(crate) fn times(&self, id: u64) -> u64 {
        self.state().placed.iter().find(|placed| placed.id == id).map_or(0, |placed| placed.times())
    }

    /// All that is in force.
    pub(crate) fn list(&self) -> Vec<Seen> {
        let seen = |placed: &Arc<Placed>| Seen {
            id: placed.id,
            link: placed.place.clone(),
            fault: placed.fault.clone(),
            times: placed.times(),
        };
        self.state().placed.iter().map(seen).collect()
    }

    /// Takes up a connection that runs here.
    pub(crate) fn meet(self: &Arc<Self>, kind: LinkKind, name: &str) -> Meeting {
        let place = kind.named(name);
        let mut state = self.state();
        let known = state.connections.len() < PLACES_MAX || state.connections.contains_key(&place);
        let counted = if known { place.clone() } else { kind.named("") };
        let connections = state.connections.entry(counted).or_default();
        let number = *connections;
        *connections += 1;
        drop(state);
        Meeting { changes: self.changed.subscribe(), board: Arc::clone(self), place, number }
    }
}

impl Placed {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    fn times(&self) -> u64 {
        self.times.load(Ordering::Relaxed)
    }

    /// Notes that it bit.
    pub(crate) fn bit(&self) {
        self.times.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps what a man in the middle has read.
    pub(crate) fn overheard(&self, bytes: &[u8]) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let room = READ_BYTES_MAX.saturating_sub(read.len());
        read.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn healed(&self) -> Healed {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        Healed::new(self.times(), String::from_utf8_lossy(&read).into_owned())
    }

    /// What is drawn for a connection at a place: the same for the same seed and number, counted from the injection.
    pub(crate) fn draws(&self, place: &Place, number: u64) -> StdRng {
        let since = self.since.get(place).copied().unwrap_or_default();
        let number = number.wrapping_sub(since);
        StdRng::seed_from_u64(self.fault.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

/// A connection, as faults know it.
#[derive(Clone, Debug)]
pub(crate) struct Meeting {
    board: Arc<Board>,
    changes: watch::Receiver<u64>,
    place: Place,
    number: u64,
}

impl Meeting {
    /// The faults that this connection meets now, towards one of its ends.
    pub(crate) fn met(&self, direction: Direction) -> Met {
        let state = self.board.state();
        let here = state.placed.iter().filter(|placed| placed.place.covers(&self.place));
        let drawn = here.filter(|placed| {
            let share: f64 = placed.draws(&self.place, self.number).random();
            placed.fault.is_towards(direction) && share < placed.fault.probability
        });
        Met(drawn.map(Arc::clone).collect())
    }

    /// What waits for all that is under way waits for this as well, until it is dropped.
    pub(crate) fn ride(&self) -> Rider {
        self.board.riders.mount()
    }

    /// The faults that this connection meets now, towards one of its ends and the other, and the change that they came by: a
    /// rider has seen it once they have bitten.
    pub(crate) fn look(&self, direction: Direction) -> ([Met; 2], u64) {
        let change = *self.changes.borrow();
        ([self.met(direction), self.met(direction.back())], change)
    }

    /// Waits until faults come or go.
    pub(crate) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What is drawn for this connection by a fault, behind the draw that says whether it is bitten.
    pub(crate) fn draws(&self, placed: &Placed) -> StdRng {
        let mut draws = placed.draws(&self.place, self.number);
        let _: f64 = draws.random();
        draws
    }
}

/// The faults that a connection meets, in the order in which they were placed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Met(Vec<Arc<Placed>>);

impl Met {
    /// Those in force when so many bytes have passed.
    pub(crate) fn after(&self, bytes: u64) -> impl Iterator<Item = &Arc<Placed>> {
        self.0.iter().filter(move |placed| placed.fault.after_bytes <= bytes)
    }

    /// The first of a kind in force.
    pub(crate) fn first(&self, bytes: u64, is: impl Fn(&Kind) -> bool) -> Option<&Arc<Placed>> {
        self.after(bytes).find(|placed| is(&placed.fault.kind))
    }

    /// How many bytes may pass until the next fault comes into force.
    pub(crate) fn room(&self, bytes: u64) -> Option<u64> {
        self.0.iter().filter_map(|placed| placed.fault.after_bytes.checked_sub(bytes)).filter(|room| *room > 0).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::Link;

    /// Which of a hundred connections are bitten.
    fn bitten(seed: u64, probability: f64, before: usize) -> Vec<bool> {
        let board = Board::new();
        let place = Link::ClientToApiserver.place();
        for _ in 0..before {
            board.meet(place.kind, &place.name);
        }
        board.place(place.clone(), Fault::reset().with_probability(probability).seeded(seed)).unwrap();
        (0..100).map(|_| board.meet(place.kind, &place.name).met(Direction::Client).after(0).count() > 0).collect()
    }

    #[test]
    fn the_same_seed_bites_the_same_connections() {
        let first = bitten(7, 0.5, 0);
        assert_eq!(first, bitten(7, 0.5, 13));
        assert_ne!(first, bitten(8, 0.5, 0));
        let share = first.iter().filter(|bitten| **bitten).count();
        assert!((30..70).contains(&share), "{share} of 100");
        assert!(bitten(7, 0.0, 0).iter().all(|bitten| !bitten) && bitten(7, 1.0, 0).iter().all(|bitten| *bitten));
    }

    #[test]
    fn a_fault_is_met_where_it_is_placed_until_it_heals() {
        let board = Board::new();
        let one = Link::NodeToApiserver("node-1").place();
        let id = board.place(one.clone(), Fault::blackhole().towards(Direction::Server).after_bytes(5)).unwrap();
        let met = board.meet(one.kind, "node-1");
        let none = |met: &Met| met.after(u64::MAX).next().is_none();
        assert!(none(&board.meet(one.kind, "node-2").met(Direction::Server)));
        assert!(none(&met.met(Direction::Client)));
        let faults = met.met(Direction::Server);
        assert_eq!((faults.after(4).count(), faults.room(4), faults.after(5).count()), (0, Some(1), 1));
        faults.after(5).for_each(|placed| placed.bit());
        assert_eq!((board.times(id), board.list().len()), (1, 1));
        assert_eq!(board.heal(id).map(|healed| healed.times()), Some(1));
        assert!(board.heal(id).is_none() && none(&met.met(Direction::Server)));
    }
}
