//! Priority and fairness: which requests run now, which wait for their turn, and which are sent away.
//!
//! A request is classified by the `FlowSchema`s, takes a seat of its priority level, or waits in one of the level's
//! queues. Levels get the server's seats by their shares; a level that needs more borrows, at once, what others may
//! lend and do not use (upstream works that out anew every ten seconds). A list takes as many seats as it weighs (`width`).

mod classify;
mod level;
mod seats;
mod tell;
#[cfg(test)]
mod tests;
mod width;

use crate::authn::{Caller, GROUP_MASTERS};
use crate::registry::Registry;
use crate::registry::reader::{Reader, View};
use crate::request::{Call, Verb};
use arc_swap::ArcSwap;
use classify::{Schemas, level_of, schema_of};
use http::HeaderValue;
use seats::{Seat, Seats, Turn};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tinyplane_wire::clock::Clock;

/// How old the view of the configuration may be.
const REFRESH_PERIOD: Duration = Duration::from_millis(200);

/// How many requests run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Reading requests (`--max-requests-inflight`).
    pub reading: u32,
    /// Changing requests (`--max-mutating-requests-inflight`). With fairness the two together are the server's seats.
    pub mutating: u32,
    /// Whether priority levels share the seats (`--enable-priority-and-fairness`).
    pub fair: bool,
    /// How long a request may wait for its seat.
    pub wait_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { reading: 400, mutating: 200, fair: true, wait_max: Duration::from_secs(15) }
    }
}

/// Sent away: the server has no room for the request.
#[derive(Debug)]
pub struct Rejected;

/// How a request was classified: what its answer's headers tell.
#[derive(Clone, Debug)]
pub struct Class {
    /// `X-Kubernetes-PF-FlowSchema-UID`
    pub schema_uid: HeaderValue,
    /// `X-Kubernetes-PF-PriorityLevel-UID`
    pub level_uid: HeaderValue,
}

/// Leave to run, given back when it is dropped.
#[derive(Debug)]
pub enum Leave {
    /// A seat of a level.
    Seat(Seat),
    /// One of the plain count.
    Plain(Plain),
    /// The request is not counted.
    Free,
}

/// Gives the server's seats to requests.
pub struct FlowControl {
    limits: Limits,
    clock: Clock,
    readers: Option<Readers>,
    schemas: ArcSwap<Schemas>,
    views: Mutex<Option<Views>>,
    began: Instant,
    refreshed_millis: AtomicU64,
    seats: Arc<Seats>,
    plain: [Arc<AtomicU64>; 2],
}

/// What is gone by: the configuration, and the objects that lists will read.
struct Readers {
    registry: Arc<Registry>,
    schemas: Reader<classify::Schema>,
    levels: Reader<level::Level>,
}

type Views = (View<classify::Schema>, View<level::Level>);

impl FlowControl {
    /// Goes by the `FlowSchema`s and `PriorityLevelConfiguration`s of a registry.
    #[must_use]
    pub fn new(registry: &Arc<Registry>, limits: Limits) -> Self {
        const GROUP: &str = "flowcontrol.apiserver.k8s.io";
        let schemas = registry.reader(GROUP, "flowschemas", schema_of);
        let levels = registry.reader(GROUP, "prioritylevelconfigurations", level_of);
        let readers = Readers { registry: Arc::clone(registry), schemas, levels };
        let control = Self::with(limits, registry.clock().clone(), Some(readers));
        control.refresh();
        control
    }

    /// Lets everything through: for tests of other rooms.
    #[must_use]
    pub fn unlimited(clock: Clock) -> Self {
        Self::with(Limits { reading: 0, mutating: 0, fair: false, wait_max: Duration::ZERO }, clock, None)
    }

    fn with(limits: Limits, clock: Clock, readers: Option<Readers>) -> Self {
        Self {
            limits,
            clock,
            readers,
            schemas: ArcSwap::from_pointee(Schemas::default()),
            views: Mutex::new(None),
            began: Instant::now(),
            refreshed_millis: AtomicU64::new(0),
            seats: Arc::new(Seats::new(limits.reading + limits.mutating)),
            plain: std::array::from_fn(|_| Arc::new(AtomicU64::new(0))),
        }
    }

    /// Gives a request leave to run, at once or after a while. What it was classified as is told even if it is sent
    /// away.
    ///
    /// # Errors
    /// There is no room for it.
    pub async fn admit(&self, call: &Call, caller: &Caller, class: &mut Option<Class>) -> Result<Leave, Rejected> {
        // Connections last as long as their callers want, and are never counted; of watches only the beginning is.
        if call.is_long_running() && (call.verb != Verb::Watch || !self.limits.fair) {
            return Ok(Leave::Free);
        }
        if !self.limits.fair {
            return self.count(call.verb.is_read_only(), caller);
        }
        self.refresh_sometimes();
        let schemas = self.schemas.load();
        let Some(schema) = schemas.classify(call, caller) else { return Ok(Leave::Free) };
        *class = Some(schema.class.clone());
        let width = self.readers.as_ref().map_or(1, |readers| width::of(call, &readers.registry));
        let turn = self.seats.ask(schema.level, &schema.name, width, || schema.flow(call, caller));
        drop(schemas);
        match turn {
            Turn::Now(seat) => Ok(Leave::Seat(seat)),
            Turn::Never => Err(Rejected),
            Turn::Later(waiting) => tokio::select! {
                biased;
                seat = waiting.seat() => seat.map(Leave::Seat).ok_or(Rejected),
                () = self.clock.sleep(self.limits.wait_max) => {
                    self.seats.gave_up();
                    Err(Rejected)
                }
            },
        }
    }

    /// The plain limits, which know no levels: for readers and for writers, 0 for none.
    fn count(&self, read_only: bool, caller: &Caller) -> Result<Leave, Rejected> {
        let most = if read_only { self.limits.reading } else { self.limits.mutating };
        if most == 0 {
            return Ok(Leave::Free);
        }
        let counter = &self.plain[usize::from(read_only)];
        let before = counter.fetch_add(1, Ordering::AcqRel);
        let leave = Leave::Plain(Plain(Arc::clone(counter)));
        if before < u64::from(most) || caller.is_in(GROUP_MASTERS) { Ok(leave) } else { Err(Rejected) }
    }

    /// Brings the configuration up to date, unless that was done a moment ago.
    fn refresh_sometimes(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let last = self.refreshed_millis.load(Ordering::Relaxed);
        let due = now.saturating_sub(last) >= REFRESH_PERIOD.as_millis() as u64;
        let mine =
            due && self.refreshed_millis.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            self.refresh();
        }
    }

    /// Brings the configuration up to date.
    pub fn refresh(&self) {
        let Some(readers) = &self.readers else { return };
        let views = (readers.schemas.view(), readers.levels.view());
        let mut known = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_some_and(|known| known.0.ptr_eq(&views.0) && known.1.ptr_eq(&views.1)) {
            return;
        }
        let indices = self.seats.configure(views.1.values().map(|level| &**level));
        self.schemas.store(Arc::new(Schemas::of(views.0.values().cloned(), &indices)));
        *known = Some(views);
    }
}

/// One of the plain count.
#[derive(Debug)]
pub struct Plain(Arc<AtomicU64>);

impl Drop for Plain {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn number(value: &Value, field: &str) -> u32 {
    value[field].as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
}

fn uid(object: &Value) -> HeaderValue {
    HeaderValue::from_str(text(&object["metadata"], "uid")).unwrap_or_else(|_| HeaderValue::from_static(""))
}
