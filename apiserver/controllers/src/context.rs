//! What all control loops share: the client, one cache a resource, the recorder of events.

use crate::recorder::Recorder;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tinyplane_wire::client::{Cache, Client, Selection, reflect};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::process::Shutdown;

pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) shutdown: Shutdown,
    pub(crate) recorder: Recorder,
    caches: Mutex<HashMap<Gvr, Arc<Cache>>>,
}

impl Context {
    pub(crate) fn new(client: Client, clock: Clock, shutdown: Shutdown) -> Self {
        let recorder = Recorder::start(client.clone(), clock.clone(), &shutdown);
        Self { client, clock, shutdown, recorder, caches: Mutex::default() }
    }

    /// The cache of a resource, one for all who ask.
    pub(crate) fn cache(&self, gvr: &Gvr) -> Arc<Cache> {
        let mut caches = self.caches.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fresh = || reflect(&self.client, Selection::all(gvr.clone()), &self.shutdown);
        Arc::clone(caches.entry(gvr.clone()).or_insert_with(fresh))
    }

    /// Runs a task until shutdown.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = task => {}
            }
        });
    }
}
