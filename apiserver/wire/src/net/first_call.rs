//! Whether a connection is used: a server waits for the first call of each for so long, and no longer.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The first call of a connection. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct FirstCall(Arc<Notify>);

impl FirstCall {
    /// A call has come.
    pub fn came(&self) {
        self.0.notify_one();
    }

    /// Ends when no call has come within this time, and never where one has. hyper itself waits for a client's preface
    /// without end.
    pub async fn is_late(&self, within: Duration) {
        if tokio::time::timeout(within, self.0.notified()).await.is_ok() {
            pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_never_calls_is_late_and_who_called_is_not() {
        let (used, unused) = (FirstCall::default(), FirstCall::default());
        used.came();
        unused.is_late(Duration::from_millis(1)).await;
        let late = used.is_late(Duration::ZERO);
        assert!(tokio::time::timeout(Duration::from_millis(5), late).await.is_err());
    }
}
