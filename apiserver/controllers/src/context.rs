//! What all control loops share, and what each has of its own: the caches; its client and its recorder of events.

use crate::identity::Identities;
use crate::recorder::Recorder;
use futures_util::FutureExt;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tinyplane_wire::client::{Cache, Client, Selection, reflect};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::process::Shutdown;

/// One loop's view of the program.
pub(crate) struct Context {
    /// Acts as this loop.
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) shutdown: Shutdown,
    pub(crate) recorder: Recorder,
    /// Whether this loop still runs.
    pub(crate) pulse: Pulse,
    shared: Arc<Shared>,
}

/// Whether all tasks of a loop run that were begun. One that panics takes nothing along but this.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse {
    has_stopped: Arc<AtomicBool>,
}

impl Pulse {
    pub(crate) fn beats(&self) -> bool {
        !self.has_stopped.load(Ordering::Relaxed)
    }
}

/// The caches are filled by one client, known as the program itself, as upstream's shared informers are.
pub(crate) struct Shared {
    reader: Client,
    identities: Identities,
    /// With what ends the filling of each.
    caches: Mutex<HashMap<Gvr, (Arc<Cache>, Shutdown)>>,
}

impl Shared {
    pub(crate) fn new(reader: Client, identities: Identities) -> Arc<Self> {
        Arc::new(Self { reader, identities, caches: Mutex::default() })
    }
}

impl Context {
    pub(crate) fn new(client: Client, shared: &Arc<Shared>, clock: Clock, shutdown: Shutdown) -> Arc<Self> {
        let recorder = Recorder::start(client.clone(), clock.clone(), &shutdown);
        Arc::new(Self { client, clock, shutdown, recorder, pulse: Pulse::default(), shared: Arc::clone(shared) })
    }

    /// The same for another loop, which acts as this account.
    pub(crate) fn acting_as(&self, account: &'static str) -> Arc<Self> {
        let client = self.shared.identities.client(account);
        Self::new(client, &self.shared, self.clock.clone(), self.shutdown.clone())
    }

    /// The cache of a resource, one for all who ask.
    pub(crate) fn cache(&self, gvr: &Gvr) -> Arc<Cache> {
        let mut caches = self.shared.caches.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fresh = || {
            let end = self.shutdown.child_token();
            (reflect(&self.shared.reader, Selection::all(gvr.clone()), &end), end)
        };
        Arc::clone(&caches.entry(gvr.clone()).or_insert_with(fresh).0)
    }

    /// Whether this is still the cache of the resource, and was not given up.
    pub(crate) fn is_current(&self, gvr: &Gvr, cache: &Arc<Cache>) -> bool {
        let caches = self.shared.caches.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        caches.get(gvr).is_some_and(|(current, _)| Arc::ptr_eq(current, cache))
    }

    /// Gives up the cache of a resource that is not served any more.
    pub(crate) fn forget(&self, gvr: &Gvr) {
        let mut caches = self.shared.caches.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, end)) = caches.remove(gvr) {
            end.cancel();
        }
    }

    /// Runs a task until shutdown.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let (shutdown, pulse) = (self.shutdown.clone(), self.pulse.clone());
        tokio::spawn(async move {
            let running = AssertUnwindSafe(shutdown.run_until_cancelled(task)).catch_unwind();
            if running.await.is_err() {
                tracing::error!("a loop of the controllers panicked, and has ended");
                pulse.has_stopped.store(true, Ordering::Relaxed);
            }
        });
    }
}
