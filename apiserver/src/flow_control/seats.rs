//! The server's seats: who sits, who waits in which queue, and who is next.

use super::level::{Level, Queues};
use http::HeaderValue;
use smol_str::SmolStr;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// All levels. One lock, held for a handful of steps.
#[derive(Debug)]
pub(super) struct Seats {
    total: u32,
    state: Mutex<State>,
}

/// The levels as of now. A level that went away keeps its place until nobody sits or waits there: seats remember it.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) levels: Vec<Row>,
    /// Requests that sit, in levels that are not exempt.
    sitting: u32,
    waiting: usize,
    pub(super) gave_up: u64,
}

/// One level: its limits, and who is there.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) level: Level,
    /// Whether there is no such level any more: those who sit or wait are the last.
    pub(super) retired: bool,
    /// Its own seats; those of them that others never get; the most that it may have.
    pub(super) nominal: u32,
    pub(super) lower: u32,
    pub(super) upper: u32,
    pub(super) sitting: u32,
    queues: Vec<VecDeque<Waiter>>,
    pub(super) waiting: usize,
    /// The queue that is served next.
    next: usize,
    pub(super) counts: BTreeMap<SmolStr, Counts>,
}

/// What became of the requests of one schema.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) dispatched: u64,
    pub(super) rejected: u64,
}

#[derive(Debug)]
struct Waiter {
    schema: SmolStr,
    tell: oneshot::Sender<Seat>,
}

/// A seat; dropping it gives it back, to who is next.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    level: usize,
    exempt: bool,
}

/// What a request gets.
pub(super) enum Turn {
    /// A seat.
    Now(Seat),
    /// A place in a queue.
    Later(Waiting),
    /// Neither.
    Never,
}

/// A place in a queue. Dropping it gives it up.
pub(super) struct Waiting(oneshot::Receiver<Seat>);

impl Waiting {
    pub(super) async fn seat(self) -> Option<Seat> {
        self.0.await.ok()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let next = {
            let mut state = self.seats.lock();
            let row = &mut state.levels[self.level];
            row.sitting = row.sitting.saturating_sub(1);
            if !self.exempt {
                state.sitting = state.sitting.saturating_sub(1);
            }
            if state.waiting == 0 { Vec::new() } else { self.seats.dispatch(&mut state) }
        };
        // Told without the lock: a receiver that is gone drops the seat, which takes it.
        for (waiter, seat) in next {
            drop(waiter.tell.send(seat));
        }
    }
}

impl Seats {
    pub(super) fn new(total: u32) -> Self {
        Self { total, state: Mutex::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the levels as they are configured now, and answers where each is. Who sits or waits goes on.
    pub(super) fn configure<'a>(
        &self,
        levels: impl Iterator<Item = &'a Level>,
    ) -> HashMap<String, (usize, HeaderValue)> {
        let mut state = self.lock();
        let levels: Vec<&Level> = levels.collect();
        let shares: u64 = levels.iter().map(|level| u64::from(level.shares)).sum();
        let total = u64::from(self.total);
        let mut places = HashMap::new();
        for level in levels {
            // In 64 bits: an object's numbers may be as large as 31 bits hold.
            let nominal = (total * u64::from(level.shares)).div_ceil(shares.max(1));
            let lower = nominal - (nominal * u64::from(level.lendable) + 50) / 100;
            let upper = level.borrowing.map_or(total, |per_cent| nominal + nominal * u64::from(per_cent) / 100);
            let at = state.place_of(level);
            let row = &mut state.levels[at];
            row.level = level.clone();
            row.retired = false;
            let seats = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
            (row.nominal, row.lower, row.upper) = (seats(nominal), seats(lower), seats(upper));
            // A queue with somebody in it stays; a new one is asked for at once.
            let count = level.queues.map_or(0, |queues| queues.count as usize);
            if row.queues.len() < count || row.waiting == 0 {
                row.queues.resize_with(count, VecDeque::new);
            }
            places.insert(level.name.clone(), (at, level.uid.clone()));
        }
        for row in state.levels.iter_mut().filter(|row| !places.contains_key(&row.level.name)) {
            // One seat at a time for those who wait still; nothing to lend.
            let seats = u32::from(row.waiting > 0);
            (row.retired, row.nominal, row.lower, row.upper) = (true, seats, seats, seats);
        }
        places
    }

    /// Asks for a seat of a level. `flow` says which flow it is for; it is asked only if there is no seat at once.
    pub(super) fn ask(self: &Arc<Self>, level: usize, schema: &SmolStr, flow: impl FnOnce() -> u64) -> Turn {
        let mut state = self.lock();
        if state.levels[level].level.exempt || (state.levels[level].waiting == 0 && state.has_seat(level)) {
            return Turn::Now(self.sit(&mut state, level, schema));
        }
        let mut cleared = 0;
        let row = &mut state.levels[level];
        let place = row.level.queues.filter(|_| !row.queues.is_empty());
        let queue = place.and_then(|queues| {
            let flow = flow();
            row.shortest(queues, flow).or_else(|| {
                // Full, maybe of those who have gone away meanwhile.
                cleared = row.clear();
                row.shortest(queues, flow)
            })
        });
        state.waiting -= cleared;
        let row = &mut state.levels[level];
        let Some(queue) = queue else {
            row.counts.entry(schema.clone()).or_default().rejected += 1;
            return Turn::Never;
        };
        let (tell, told) = oneshot::channel();
        row.queues[queue].push_back(Waiter { schema: schema.clone(), tell });
        row.waiting += 1;
        state.waiting += 1;
        Turn::Later(Waiting(told))
    }

    fn sit(self: &Arc<Self>, state: &mut State, level: usize, schema: &SmolStr) -> Seat {
        let row = &mut state.levels[level];
        row.sitting += 1;
        match row.counts.get_mut(schema) {
            Some(counts) => counts.dispatched += 1,
            None => drop(row.counts.insert(schema.clone(), Counts { dispatched: 1, rejected: 0 })),
        }
        let exempt = row.level.exempt;
        if !exempt {
            state.sitting += 1;
        }
        Seat { seats: Arc::clone(self), level, exempt }
    }

    /// Who gets a seat now, over all levels: one that gives a seat back may have borrowed it.
    fn dispatch(self: &Arc<Self>, state: &mut State) -> Vec<(Waiter, Seat)> {
        let mut served = Vec::new();
        for level in 0..state.levels.len() {
            while state.levels[level].waiting > 0 && state.has_seat(level) {
                let Some(waiter) = state.levels[level].take() else { break };
                state.waiting -= 1;
                // Who gave up waiting has no ear any more.
                if !waiter.tell.is_closed() {
                    let seat = self.sit(state, level, &waiter.schema);
                    served.push((waiter, seat));
                }
            }
        }
        served
    }

    /// Somebody waited too long.
    pub(super) fn gave_up(&self) {
        let mut state = self.lock();
        state.gave_up += 1;
        // Places of those who gave up are cleared, so that they count against no limit.
        let cleared: usize = state.levels.iter_mut().map(Row::clear).sum();
        state.waiting -= cleared;
    }
}

impl State {
    /// The levels that there are, and those that went away and are not empty yet.
    pub(super) fn told(&self) -> impl Iterator<Item = &Row> {
        self.levels.iter().filter(|row| !(row.retired && row.is_empty()))
    }

    /// Where a level is: its place, or that of one which went away and is empty, or a new one.
    fn place_of(&mut self, level: &Level) -> usize {
        let known = self.levels.iter().position(|row| row.level.name == level.name);
        if let Some(at) = known {
            return at;
        }
        let row = Row::new(level.clone());
        if let Some(at) = self.levels.iter().position(|row| row.retired && row.is_empty()) {
            self.levels[at] = row;
            return at;
        }
        self.levels.push(row);
        self.levels.len() - 1
    }

    /// Whether a level may let one more sit: on its own seats, or on what others lend and do not use.
    fn has_seat(&self, level: usize) -> bool {
        let row = &self.levels[level];
        if row.sitting < row.lower {
            return true;
        }
        let sitting = u64::from(self.sitting);
        let all: u64 = self.levels.iter().map(|row| u64::from(row.nominal)).sum();
        if row.sitting < row.nominal {
            return sitting < all;
        }
        if row.sitting >= row.upper {
            return false;
        }
        let limited = || self.levels.iter().filter(|row| !row.level.exempt);
        let lent: u64 = limited().map(|row| u64::from(row.sitting.saturating_sub(row.nominal))).sum();
        let idle = |row: &Row| u64::from(row.nominal.saturating_sub(row.sitting.max(row.lower)));
        lent < limited().map(idle).sum::<u64>() && sitting < all
    }
}

impl Row {
    fn new(level: Level) -> Self {
        Self {
            level,
            retired: false,
            nominal: 0,
            lower: 0,
            upper: 0,
            sitting: 0,
            queues: Vec::new(),
            waiting: 0,
            next: 0,
            counts: BTreeMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sitting == 0 && self.waiting == 0
    }

    /// The shortest of the queues that a flow was dealt; `None` where even that is full.
    fn shortest(&self, queues: Queues, flow: u64) -> Option<usize> {
        let best = deal(flow, self.queues.len(), queues.hand as usize).min_by_key(|at| self.queues[*at].len())?;
        (self.queues[best].len() < queues.length_max as usize).then_some(best)
    }

    /// Takes out those who have gone away, and answers how many these were.
    fn clear(&mut self) -> usize {
        let before = self.waiting;
        for queue in &mut self.queues {
            queue.retain(|waiter| !waiter.tell.is_closed());
        }
        self.waiting = self.queues.iter().map(VecDeque::len).sum();
        before - self.waiting
    }

    /// The first of the next queue that has somebody: each queue in its turn.
    fn take(&mut self) -> Option<Waiter> {
        let count = self.queues.len();
        let at = (0..count).map(|step| (self.next + step) % count).find(|at| !self.queues[*at].is_empty())?;
        self.next = (at + 1) % count;
        self.waiting -= 1;
        self.queues[at].pop_front()
    }
}

/// Deals a hand of different queues by a flow's number: the same flow is always dealt the same hand.
fn deal(flow: u64, queues: usize, hand: usize) -> impl Iterator<Item = usize> {
    let hand = hand.min(queues);
    let mut left = flow;
    let mut dealt = Vec::with_capacity(hand);
    // In their order, so that a card moves past each of those before it that it reaches.
    let mut gone: Vec<usize> = Vec::with_capacity(hand);
    for taken in 0..hand {
        let rest = (queues - taken) as u64;
        let mut card = usize::try_from(left % rest).unwrap_or_default();
        left /= rest;
        let mut at = 0;
        while at < gone.len() && gone[at] <= card {
            card += 1;
            at += 1;
        }
        gone.insert(at, card);
        dealt.push(card);
    }
    dealt.into_iter()
}
