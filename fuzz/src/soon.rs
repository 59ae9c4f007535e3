//! Time for one input: a runtime of its own, and a deadline.

use std::future::Future;
use std::time::Duration;

/// The longest that any input may take, on a machine that has other things to do.
pub(crate) const LONGEST: Duration = Duration::from_secs(20);

/// Runs a future to its end. What it has spawned ends with it, so that no input finds what another one left.
///
/// # Panics
/// When the end does not come in time.
pub(crate) fn soon<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(LONGEST, future).await.expect("an end in time") })
}
