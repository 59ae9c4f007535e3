//! Asks a silent peer whether it is still there.

use h2::{Ping, PingPong};
use std::time::Duration;
use tinyplane_wire::clock::Clock;

/// How long an answer may take, as gRPC's default.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// What gRPC's servers take for no time at all.
const EVERY_DEFAULT: Duration = Duration::from_secs(2 * 60 * 60);

/// Asks every so often; returns when there is no answer.
pub(crate) async fn until_silent(pings: Option<PingPong>, every: Duration, clock: &Clock) {
    let Some(mut pings) = pings else { return std::future::pending().await };
    let every = if every.is_zero() { EVERY_DEFAULT } else { every };
    loop {
        clock.sleep(every).await;
        match tokio::time::timeout(ANSWER_TIMEOUT, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}
