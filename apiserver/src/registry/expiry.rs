//! Deletes what is kept for a while only: events.

use super::Registry;
use super::encoding;
use crate::store::contract::{CommitError, Expect, Range, Write};
use serde_json::Value;
use std::time::{Duration, SystemTime};
use tinyplane_wire::clock;
use tinyplane_wire::process::Shutdown;

/// How long an event is kept after it was seen last: upstream's default.
const EVENT_LASTS: Duration = Duration::from_secs(3_600);
/// How often old events are looked for.
const PERIOD: Duration = Duration::from_secs(60);

impl Registry {
    /// Deletes events that are too old, again and again, until the member ends.
    pub async fn expire(&self, shutdown: &Shutdown) {
        loop {
            tokio::select! {
                () = self.clock().sleep(PERIOD) => self.expire_once(self.clock().now()).await,
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Deletes the events that are too old at this time.
    async fn expire_once(&self, now: SystemTime) {
        let folder = self.builtin("", "events").folder.clone();
        let snapshot = self.store().snapshot();
        for entry in snapshot.range(&Range::under(&folder), None) {
            let Ok(event) = encoding::parse(entry) else { continue };
            if last_seen(&event, now).is_none_or(|seen| now.duration_since(seen).unwrap_or_default() < EVENT_LASTS) {
                continue;
            }
            match self.store().commit(Write::delete(entry.key.clone(), Expect::At(entry.modified))).await {
                // One that was seen again meanwhile stays.
                Ok(_) | Err(CommitError::Stale { .. } | CommitError::Missing { .. }) => {}
                Err(error) => return tracing::warn!(%error, "old events can't be deleted"),
            }
        }
    }
}

/// When an event was seen last, from whatever of its times it has. What it says of the future keeps it no longer.
fn last_seen(event: &Value, now: SystemTime) -> Option<SystemTime> {
    let times = [
        &event["metadata"]["creationTimestamp"],
        &event["eventTime"],
        &event["lastTimestamp"],
        &event["series"]["lastObservedTime"],
    ];
    times.into_iter().filter_map(|time| clock::parse(time.as_str()?)).filter(|seen| *seen <= now).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::World;
    use serde_json::json;

    #[tokio::test]
    async fn an_event_goes_an_hour_after_it_was_seen_last() {
        let world = World::new().await;
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
        let (hour, second) = (EVENT_LASTS, Duration::from_secs(1));
        for (name, seen) in [("old", now - hour), ("young", now - (hour - second)), ("ahead", now + hour)] {
            let about = json!({"kind": "Pod", "name": "p", "namespace": "default"});
            let event = json!({"metadata": {"name": name}, "involvedObject": about, "lastTimestamp": clock::format_seconds(seen)});
            world.create("", "events", event).await.unwrap();
        }
        world.registry.expire_once(now).await;
        let left = world.registry.find_all("", "events", "default").unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0]["metadata"]["name"], "young");
    }
}
