//! Events: what a person sees in `kubectl describe`. The same event again raises the count of the first.

use crate::kinds;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::UNIX_EPOCH;
use tinyplane_wire::client::{Client, ClientError, Patch};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::process::Shutdown;
use tokio::sync::mpsc;

/// Events that may wait to be written; more are dropped, as upstream does.
const WAITING_MAX: usize = 1_000;
/// Events whose count can still be raised.
const REMEMBERED_MAX: usize = 4_096;

/// Records events, without ever making its caller wait.
#[derive(Clone)]
pub(crate) struct Recorder {
    waiting: mpsc::Sender<Event>,
}

struct Event {
    component: &'static str,
    about: Value,
    kind: &'static str,
    reason: String,
    message: String,
}

impl Recorder {
    pub(crate) fn start(client: Client, clock: Clock, shutdown: &Shutdown) -> Self {
        let (waiting, mut events) = mpsc::channel(WAITING_MAX);
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            let mut writer = Writer { client, clock, known: HashMap::new() };
            loop {
                let event = tokio::select! {
                    () = shutdown.cancelled() => return,
                    event = events.recv() => event,
                };
                let Some(event) = event else { return };
                if let Err(error) = writer.write(&event).await {
                    tracing::debug!(%error, reason = event.reason, "an event is not recorded");
                }
            }
        });
        Self { waiting }
    }

    /// Something that went as it should.
    pub(crate) fn normal(&self, component: &'static str, about: &Value, reason: &str, message: impl Into<String>) {
        self.record(component, about, "Normal", reason, message.into());
    }

    /// Something that a person should look at.
    pub(crate) fn warning(&self, component: &'static str, about: &Value, reason: &str, message: impl Into<String>) {
        self.record(component, about, "Warning", reason, message.into());
    }

    fn record(&self, component: &'static str, about: &Value, kind: &'static str, reason: &str, message: String) {
        let about = json!({
            "apiVersion": about["apiVersion"], "kind": about["kind"],
            "name": about["metadata"]["name"], "namespace": about["metadata"]["namespace"],
            "uid": about["metadata"]["uid"], "resourceVersion": about["metadata"]["resourceVersion"],
        });
        let event = Event { component, about, kind, reason: reason.into(), message };
        if self.waiting.try_send(event).is_err() {
            tracing::debug!("too many events wait; one is dropped");
        }
    }
}

struct Writer {
    client: Client,
    clock: Clock,
    known: HashMap<String, (String, u64)>,
}

impl Writer {
    async fn write(&mut self, event: &Event) -> Result<(), ClientError> {
        let namespace = event.about["namespace"].as_str().unwrap_or("default");
        let identity = format!(
            "{}/{}/{}/{}/{}/{}",
            namespace, event.about["uid"], event.component, event.kind, event.reason, event.message
        );
        let now = self.clock.timestamp();
        if let Some((name, count)) = self.known.get_mut(&identity) {
            let patch = json!({"count": *count + 1, "lastTimestamp": now});
            let patched =
                self.client.patch(&kinds::events(), Some(namespace), name, None, (Patch::Merge, &patch)).await;
            match patched {
                Ok(_) => {
                    *count += 1;
                    return Ok(());
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let stamp = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let name = format!("{}.{stamp:x}", event.about["name"].as_str().unwrap_or_default());
        let object = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": event.about, "reason": event.reason, "message": event.message, "type": event.kind,
            "source": {"component": event.component}, "reportingComponent": event.component, "reportingInstance": "",
            "firstTimestamp": now, "lastTimestamp": now, "count": 1,
        });
        let made = self.client.create(&kinds::events(), Some(namespace), &object).await?;
        if self.known.len() >= REMEMBERED_MAX {
            self.known.clear();
        }
        self.known.insert(identity, (Meta::of(&made).name().to_owned(), 1));
        Ok(())
    }
}
