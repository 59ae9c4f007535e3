//! The tasks of a member: all end when it is told to end, and it ends when all have.

use std::future::Future;
use tinyplane_wire::process::Shutdown;
use tokio_util::task::TaskTracker;

/// Spawns tasks that are dropped at shutdown, and can be waited for.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    shutdown: Shutdown,
    tracker: TaskTracker,
}

impl Tasks {
    pub(crate) fn new(shutdown: &Shutdown) -> Self {
        Self { shutdown: shutdown.clone(), tracker: TaskTracker::new() }
    }

    /// What tells the tasks to end.
    pub(crate) fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Runs a task until it is done or the member ends.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Waits until the member was told to end and no task is left.
    pub(crate) async fn ended(&self) {
        self.shutdown.cancelled().await;
        self.tracker.close();
        self.tracker.wait().await;
    }
}
