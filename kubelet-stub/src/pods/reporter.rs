//! Tells a pod's status to the API server: the newest one, in order, until it is there.

use crate::tasks::Tasks;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tinyplane_wire::client::{Backoff, Client, Patch};
use tinyplane_wire::meta::Meta;
use tokio::sync::watch;

/// Waits between tries.
const RETRY: Backoff = Backoff { first: Duration::from_millis(20), most: Duration::from_secs(5) };

/// One pod's reporter. The newest status wins; one that is overtaken before it was sent is never seen.
#[derive(Debug)]
pub(crate) struct Reporter {
    newest: watch::Sender<(u64, Value)>,
    sent: watch::Receiver<u64>,
}

impl Reporter {
    pub(crate) fn start(client: Client, pod: &Value, tasks: &Tasks) -> Self {
        let (newest, wanted) = watch::channel((0, Value::Null));
        let (done, sent) = watch::channel(0);
        let meta = Meta::of(pod);
        let pod = (meta.namespace().to_owned(), meta.name().to_owned(), meta.uid().to_owned());
        tasks.spawn(send_all(client, pod, wanted, done));
        Self { newest, sent }
    }

    /// Tells a patch of the pod with its status, unless it is what was told last.
    pub(crate) fn tell(&self, patch: Value) {
        self.newest.send_if_modified(|(count, newest)| {
            let news = *newest != patch;
            if news {
                *newest = patch;
                *count += 1;
            }
            news
        });
    }

    /// Waits until all that was told is with the API server, or the pod is gone.
    pub(crate) async fn flushed(&self) {
        let wanted = self.newest.borrow().0;
        let mut sent = self.sent.clone();
        if sent.wait_for(|sent| *sent >= wanted).await.is_err() {
            tracing::debug!("a reporter ended first");
        }
    }
}

async fn send_all(
    client: Client,
    (namespace, name, uid): (String, String, String),
    mut wanted: watch::Receiver<(u64, Value)>,
    done: watch::Sender<u64>,
) {
    let mut failures = 0;
    while wanted.changed().await.is_ok() {
        loop {
            let (count, status) = wanted.borrow_and_update().clone();
            let patch = with_uid(status, &uid);
            let pods = crate::resources::pods();
            let outcome =
                client.patch(&pods, Some(&namespace), &name, Some("status"), (Patch::Strategic, &patch)).await;
            match outcome {
                Ok(_) => {
                    failures = 0;
                    done.send_replace(count);
                    break;
                }
                // Gone, or another pod has its name now.
                Err(error) if error.is_not_found() || error.is_conflict() => {
                    done.send_replace(count);
                    break;
                }
                Err(error) => {
                    failures += 1;
                    tracing::debug!(namespace, name, failures, error = %tinyplane_wire::process::told(&error), "a pod's status was not told");
                    tokio::time::sleep(RETRY.after(failures)).await;
                }
            }
        }
    }
}

fn with_uid(mut patch: Value, uid: &str) -> Value {
    patch["metadata"]["uid"] = json!(uid);
    patch
}

/// The patch that makes the API server's status `now`: what `before` had and `now` lacks is taken away, and conditions
/// of others stay.
pub(crate) fn patch(before: &Value, now: &Value, annotations: &Map<String, Value>) -> Value {
    let mut status = now.clone();
    for field in before.as_object().into_iter().flatten().map(|(field, _)| field) {
        if now.get(field).is_none() && matches!(field.as_str(), "reason" | "message" | "podIP" | "podIPs") {
            status[field.as_str()] = Value::Null;
        }
    }
    // What conditions no longer say is taken away always: a status that was told in between may have said it.
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        for field in ["reason", "message"] {
            if condition.get(field).is_none() {
                condition[field] = Value::Null;
            }
        }
    }
    let kinds = now["conditions"].as_array().into_iter().flatten().map(|c| json!({"type": c["type"]}));
    status["$setElementOrder/conditions"] = kinds.collect();
    let mut patch = json!({"status": status});
    if !annotations.is_empty() {
        patch["metadata"] = json!({"annotations": annotations});
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_longer_so_is_taken_away() {
        let before = json!({"reason": "Evicted", "qosClass": "Burstable", "phase": "Pending"});
        let made = patch(&before, &json!({"phase": "Running", "conditions": [{"type": "Ready"}]}), &Map::new());
        assert_eq!(made["status"]["reason"], Value::Null);
        assert!(made["status"].as_object().unwrap().contains_key("reason"));
        assert!(made["status"].get("qosClass").is_none(), "what is not ours stays");
        assert_eq!(made["status"]["$setElementOrder/conditions"], json!([{"type": "Ready"}]));
        assert_eq!(made["status"]["conditions"], json!([{"type": "Ready", "reason": null, "message": null}]));
    }
}
