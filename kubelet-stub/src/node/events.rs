//! Events of a node: told in order, one object for equal ones, which counts them.

use crate::tasks::Tasks;
use serde_json::{Value, json};
use std::collections::HashMap;
use tinyplane_wire::client::{Client, ClientError, Patch};
use tinyplane_wire::clock::{Clock, format_seconds};
use tinyplane_wire::meta::Meta;
use tokio::sync::mpsc;

/// Events that wait to be sent; more are dropped, as upstream does.
const WAITING_MAX: usize = 1000;
/// Different events that are remembered, to count them up.
const REMEMBERED_MAX: usize = 4096;

/// The `type` of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum EventType {
    Normal,
    Warning,
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Regarding {
    api_version: String,
    kind: String,
    namespace: String,
    name: String,
    uid: String,
    resource_version: String,
    field_path: String,
}

impl Regarding {
    /// An object, or one field of it (`spec.containers{web}`; empty: all of it).
    pub(crate) fn object(api_version: &str, kind: &str, object: &Value, field_path: &str) -> Self {
        let meta = Meta::of(object);
        Self {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: meta.namespace().into(),
            name: meta.name().into(),
            uid: meta.uid().into(),
            resource_version: meta.resource_version().into(),
            field_path: field_path.into(),
        }
    }

    /// A node, which as upstream has it is known by its name alone.
    pub(crate) fn node(name: &str) -> Self {
        Self::object("", "Node", &json!({"metadata": {"name": name, "uid": name}}), "")
    }

    fn reference(&self) -> Value {
        let mut reference = serde_json::Map::from_iter([("kind".to_owned(), json!(self.kind))]);
        for (field, value) in [
            ("apiVersion", &self.api_version),
            ("namespace", &self.namespace),
            ("name", &self.name),
            ("uid", &self.uid),
            ("resourceVersion", &self.resource_version),
            ("fieldPath", &self.field_path),
        ] {
            if !value.is_empty() {
                reference.insert(field.into(), json!(value));
            }
        }
        Value::Object(reference)
    }
}

#[derive(Debug)]
struct Told {
    regarding: Regarding,
    kind: EventType,
    reason: &'static str,
    message: String,
    at: String,
}

/// Sends events in the background; telling one never waits.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    queue: mpsc::Sender<Told>,
    clock: Clock,
}

impl Recorder {
    pub(crate) fn start(client: Client, host: &str, clock: Clock, tasks: &Tasks) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let sender = Sender { client, host: host.to_owned(), clock: clock.clone(), known: HashMap::new() };
        tasks.spawn(sender.run(waiting));
        Self { queue, clock }
    }

    pub(crate) fn tell(
        &self,
        regarding: &Regarding,
        kind: EventType,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        let at = format_seconds(self.clock.now());
        let told = Told { regarding: regarding.clone(), kind, reason, message: message.into(), at };
        if self.queue.try_send(told).is_err() {
            tracing::debug!(reason, "an event was dropped: too many wait");
        }
    }
}

/// What makes two events equal: whom they are about, where, and what they say.
type Same = (String, String, EventType, &'static str, String);

struct Sender {
    client: Client,
    host: String,
    clock: Clock,
    known: HashMap<Same, (String, u64)>,
}

impl Sender {
    async fn run(mut self, mut waiting: mpsc::Receiver<Told>) {
        while let Some(told) = waiting.recv().await {
            if let Err(error) = self.send(told).await {
                tracing::debug!(error = %tinyplane_wire::process::told(&error), "an event was not recorded");
            }
        }
    }

    async fn send(&mut self, told: Told) -> Result<(), ClientError> {
        let about = &told.regarding;
        let namespace = if about.namespace.is_empty() { "default" } else { &about.namespace };
        let key = (
            format!("{}/{}/{}", about.uid, about.name, about.field_path),
            namespace.to_owned(),
            told.kind,
            told.reason,
            told.message.clone(),
        );
        let events = crate::resources::events();
        if let Some((name, count)) = self.known.get_mut(&key) {
            *count += 1;
            let patch = json!({"count": *count, "lastTimestamp": told.at});
            match self.client.patch(&events, Some(namespace), name, None, (Patch::Merge, &patch)).await {
                Err(error) if error.is_not_found() => {}
                outcome => return outcome.map(drop),
            }
        }
        if self.known.len() >= REMEMBERED_MAX {
            self.known.clear();
        }
        let name = format!("{}.{:x}", about.name, self.nanoseconds());
        self.client.create(&events, Some(namespace), &self.object(&told, &name, namespace)).await?;
        self.known.insert(key, (name, 1));
        Ok(())
    }

    fn object(&self, told: &Told, name: &str, namespace: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": told.regarding.reference(),
            "type": format!("{:?}", told.kind), "reason": told.reason, "message": told.message,
            "source": {"component": "kubelet", "host": self.host},
            "firstTimestamp": told.at, "lastTimestamp": told.at, "count": 1,
            "eventTime": null, "reportingComponent": "kubelet", "reportingInstance": self.host,
        })
    }

    /// A number that no other event of this object has: the time, told apart by a random tail.
    fn nanoseconds(&self) -> u64 {
        let now = self.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_micros()).unwrap_or(u64::MAX).wrapping_mul(1000) + u64::from(rand::random::<u16>() % 1000)
    }
}
