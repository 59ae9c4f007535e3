//! The server's seats: who sits, who waits in which queue, and who is next.

use super::level::{Level, Queues};
use crate::metrics::Histogram;
use http::HeaderValue;
use smol_str::SmolStr;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
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
    /// Seats that are taken, in levels that are not exempt.
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
    /// Most seats of one request.
    pub(super) widest: u32,
    /// Seats that are taken, and by how many requests.
    pub(super) sitting: u32,
    pub(super) running: u32,
    queues: Vec<VecDeque<Waiter>>,
    pub(super) waiting: usize,
    /// The queue that is served next.
    next: usize,
    pub(super) counts: BTreeMap<SmolStr, Counts>,
}

/// Bounds of the times that requests wait and run, in seconds.
const SECONDS: &[f64] = &[0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0];
/// Bounds of the seats that requests ask for.
const WIDTHS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 100.0];

/// What became of the requests of one schema.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) dispatched: u64,
    pub(super) rejected: u64,
    /// Seats that are taken, and by how many requests.
    pub(super) sitting: u32,
    pub(super) running: u32,
    /// How long those waited that got a seat.
    pub(super) waits: Histogram,
    /// How long they had it.
    pub(super) runs: Histogram,
    /// How many seats were asked for.
    pub(super) widths: Histogram,
}

impl Default for Counts {
    fn default() -> Self {
        let seconds = || Histogram::new(SECONDS);
        let (waits, runs, widths) = (seconds(), seconds(), Histogram::new(WIDTHS));
        Self { dispatched: 0, rejected: 0, sitting: 0, running: 0, waits, runs, widths }
    }
}

#[derive(Debug)]
struct Waiter {
    schema: SmolStr,
    width: u32,
    since: Instant,
    tell: oneshot::Sender<Seat>,
}

/// A seat, or several side by side; dropping it gives them back, to who is next.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    level: usize,
    schema: SmolStr,
    width: u32,
    since: Instant,
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
            row.sitting = row.sitting.saturating_sub(self.width);
            row.running = row.running.saturating_sub(1);
            if let Some(counts) = row.counts.get_mut(&self.schema) {
                counts.sitting = counts.sitting.saturating_sub(self.width);
                counts.running = counts.running.saturating_sub(1);
                counts.runs.record(self.since.elapsed());
            }
            if !self.exempt {
                state.sitting = state.sitting.saturating_sub(self.width);
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
            row.widest = level.queues.map_or(u32::MAX, |queues| widest(row.nominal, queues.hand));
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

    /// Asks for so many seats of a level. `flow` says which flow they are for; it is asked only if there are none at once.
    pub(super) fn ask(
        self: &Arc<Self>,
        level: usize,
        schema: &SmolStr,
        width: u32,
        flow: impl FnOnce() -> u64,
    ) -> Turn {
        let mut state = self.lock();
        let width = width.min(state.levels[level].widest);
        if state.levels[level].level.exempt || (state.levels[level].waiting == 0 && state.has_seats(level, width)) {
            return Turn::Now(self.sit(&mut state, level, schema, width, Duration::ZERO));
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
        row.queues[queue].push_back(Waiter { schema: schema.clone(), width, since: Instant::now(), tell });
        row.waiting += 1;
        state.waiting += 1;
        Turn::Later(Waiting(told))
    }

    fn sit(self: &Arc<Self>, state: &mut State, level: usize, schema: &SmolStr, width: u32, waited: Duration) -> Seat {
        let row = &mut state.levels[level];
        row.sitting += width;
        row.running += 1;
        let counts = match row.counts.get_mut(schema) {
            Some(counts) => counts,
            None => row.counts.entry(schema.clone()).or_default(),
        };
        counts.dispatched += 1;
        counts.sitting += width;
        counts.running += 1;
        counts.widths.record_units(u64::from(width));
        if !row.level.exempt {
            counts.waits.record(waited);
        }
        let exempt = row.level.exempt;
        if !exempt {
            state.sitting += width;
        }
        let since = Instant::now();
        Seat { seats: Arc::clone(self), level, schema: schema.clone(), width, since, exempt }
    }

    /// Who gets a seat now, over all levels: one that gives a seat back may have borrowed it.
    fn dispatch(self: &Arc<Self>, state: &mut State) -> Vec<(Waiter, Seat)> {
        let mut served = Vec::new();
        for level in 0..state.levels.len() {
            while let Some((at, width)) = state.levels[level].next() {
                // Who gave up waiting has no ear any more, and asks for nothing.
                if width.is_some_and(|width| !state.has_seats(level, width)) {
                    break;
                }
                let Some(waiter) = state.levels[level].take(at) else { break };
                state.waiting -= 1;
                if width.is_some() {
                    let waited = waiter.since.elapsed();
                    let seat = self.sit(state, level, &waiter.schema, waiter.width, waited);
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

    /// Whether a level may let somebody take so many seats: of its own, or of what others lend and do not use. An empty
    /// level lets in whoever comes, however wide.
    fn has_seats(&self, level: usize, width: u32) -> bool {
        let row = &self.levels[level];
        let wished = row.sitting.saturating_add(width);
        if wished <= row.lower {
            return true;
        }
        let limited = || self.levels.iter().filter(|row| !row.level.exempt);
        let all: u64 = self.levels.iter().map(|row| u64::from(row.nominal)).sum();
        let fits = u64::from(self.sitting) + u64::from(width) <= all;
        let alone = row.sitting == 0 && row.nominal > 0 && u64::from(self.sitting) < all;
        if wished <= row.nominal || alone {
            return fits || alone;
        }
        if wished > row.upper {
            return false;
        }
        let beyond = |sitting: u32, row: &Row| u64::from(sitting.saturating_sub(row.nominal));
        let others = || limited().filter(|other| !std::ptr::eq(*other, row));
        let lent: u64 = others().map(|other| beyond(other.sitting, other)).sum();
        let idle = |row: &Row| u64::from(row.nominal.saturating_sub(row.sitting.max(row.lower)));
        lent + beyond(wished, row) <= others().map(idle).sum::<u64>() && fits
    }
}

/// Most seats of one request in a level with queues: 15 of a hundred of its own, and no more than leaves some to each
/// queue of a hand.
fn widest(nominal: u32, hand: u32) -> u32 {
    let part = u64::from(nominal) * 15;
    u32::try_from(part.div_ceil(100)).unwrap_or(u32::MAX).min(nominal / hand.max(1)).max(1)
}

impl Row {
    fn new(level: Level) -> Self {
        Self {
            level,
            retired: false,
            nominal: 0,
            lower: 0,
            upper: 0,
            widest: u32::MAX,
            sitting: 0,
            running: 0,
            queues: Vec::new(),
            waiting: 0,
            next: 0,
            counts: BTreeMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sitting == 0 && self.waiting == 0
    }

    /// Who waits, by schema: how many requests, and for how many seats.
    pub(super) fn waiting(&self) -> BTreeMap<&str, (u64, u64)> {
        let mut waiting: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for waiter in self.queues.iter().flatten() {
            let (requests, seats) = waiting.entry(waiter.schema.as_str()).or_default();
            *requests += 1;
            *seats += u64::from(waiter.width);
        }
        waiting
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

    /// The queue that is served next, of those that have somebody, and how many seats its first asks for; `None` of who
    /// gave up.
    fn next(&self) -> Option<(usize, Option<u32>)> {
        let count = self.queues.len();
        let mut turns = (0..count).map(|step| (self.next + step) % count);
        turns.find_map(|at| {
            let first = self.queues[at].front()?;
            Some((at, (!first.tell.is_closed()).then_some(first.width)))
        })
    }

    /// The first of a queue; the one behind it is next.
    fn take(&mut self, queue: usize) -> Option<Waiter> {
        let waiter = self.queues[queue].pop_front()?;
        self.next = (queue + 1) % self.queues.len();
        self.waiting -= 1;
        Some(waiter)
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
