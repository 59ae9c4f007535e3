//! A member's tasks: each ends when the member is told to, and the member ends when all have.

use std::time::Duration;
use tinyplane_wire::process::Shutdown;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    /// The connections through the tunnel.
    carried: TaskTracker,
    /// Told to the member: accept nothing more.
    told: Shutdown,
    /// Told to its tasks: end now.
    end: Shutdown,
}

impl Tasks {
    pub(crate) fn new(told: Shutdown) -> Self {
        Self { tracker: TaskTracker::new(), carried: TaskTracker::new(), told, end: Shutdown::new() }
    }

    /// Runs a task until it ends, or the member does.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let end = self.end.clone();
        self.tracker.spawn(async move {
            let _ended_early = end.run_until_cancelled(task).await;
        });
    }

    /// Runs what takes in work, until the member is told to end.
    pub(crate) fn spawn_acceptor(&self, task: impl Future<Output = ()> + Send + 'static) {
        let told = self.told.clone();
        self.tracker.spawn(async move {
            let _ended_early = told.run_until_cancelled(task).await;
        });
    }

    /// Runs what ends by itself once the member is told to: it may still have something to do then, and bounds it.
    pub(crate) fn spawn_closing(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    /// Held by a connection while it is carried, for a graceful end.
    pub(crate) fn carry(&self) -> TaskTrackerToken {
        self.carried.token()
    }

    /// Waits until the member is told to end, then for its connections, which may take `grace` to end by themselves,
    /// and then for its tasks.
    pub(crate) async fn run(self, grace: Duration) {
        self.told.cancelled().await;
        self.tracker.close();
        self.carried.close();
        if tokio::time::timeout(grace, self.carried.wait()).await.is_err() {
            tracing::debug!("connections are cut since the member ends");
        }
        self.end.cancel();
        self.tracker.wait().await;
    }
}
