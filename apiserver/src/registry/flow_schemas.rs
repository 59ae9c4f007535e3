//! Says in the status of every `FlowSchema` whether its priority level is there, as upstream's consumer of the
//! configuration does: whoever writes a schema reads there whether it is gone by.

use crate::authn::Caller;
use crate::registry::Registry;
use crate::registry::admit::{Intent, Unasked};
use crate::registry::behaviour::Part;
use crate::registry::managers::{self, Versions, Writer};
use crate::registry::no_such_resource;
use crate::registry::update::Target;
use crate::request::Warnings;
use crate::store::contract::Range;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::process::Shutdown;
use tinyplane_wire::status::{self, Reason};
use tokio::time::Instant;

const GROUP: &str = "flowcontrol.apiserver.k8s.io";
/// By which name the condition is applied.
pub const CONSUMER: &str = "api-priority-and-fairness-config-consumer-v1";
/// How often the status of one schema is written within a minute. Who writes against it, again and again, waits.
const WRITES_MAX: usize = 6;
const WRITES_PERIOD: Duration = Duration::from_secs(60);
/// When that is tried again.
const WAIT: Duration = Duration::from_secs(30);
/// When it is tried again after the store refused.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Writes the condition wherever it is not as it should be, until the member ends.
pub async fn follow(registry: &Arc<Registry>, shutdown: &Shutdown) {
    let clock = registry.clock().clone();
    let mut written = Written::default();
    let pause = || async {
        tokio::select! {
            () = clock.sleep(LOOK_AGAIN) => false,
            () = shutdown.cancelled() => true,
        }
    };
    loop {
        let watch = |plural: &str| {
            let store = registry.store();
            store.watch(Range::under(&registry.builtin(GROUP, plural).folder), store.revision())
        };
        let (Ok(mut schemas), Ok(mut levels)) = (watch("flowschemas"), watch("prioritylevelconfigurations")) else {
            if pause().await {
                return;
            }
            continue;
        };
        let again = match settle(registry, &mut written).await {
            Ok(true) => None,
            Ok(false) => Some(WAIT),
            Err(error) => {
                tracing::warn!(%error, "flow schemas can't be told of their priority levels for the moment");
                Some(LOOK_AGAIN)
            }
        };
        let again = async {
            match again {
                Some(after) => clock.sleep(after).await,
                None => std::future::pending().await,
            }
        };
        // Whatever happened, all is looked at anew.
        let heard = tokio::select! {
            told = schemas.next() => told.is_ok(),
            told = levels.next() => told.is_ok(),
            () = again => true,
            () = shutdown.cancelled() => return,
        };
        // The history was lost, or the store has ended.
        if !heard && pause().await {
            return;
        }
    }
}

/// When the statuses were written, by the names of their schemas.
#[derive(Default)]
struct Written(HashMap<String, Vec<Instant>>);

impl Written {
    /// Forgets what was long ago.
    fn forget(&mut self) {
        let now = Instant::now();
        self.0.retain(|_, times| {
            times.retain(|time| now.duration_since(*time) < WRITES_PERIOD);
            !times.is_empty()
        });
    }

    /// Takes note of another write, unless there were too many.
    fn again(&mut self, name: &str) -> bool {
        let now = Instant::now();
        let times = self.0.entry(name.to_owned()).or_default();
        let room = times.len() < WRITES_MAX;
        if room {
            times.push(now);
        }
        room
    }
}

/// Brings all conditions up to date. False where some are written too often.
async fn settle(registry: &Registry, written: &mut Written) -> status::Result<bool> {
    let levels = registry.find_all(GROUP, "prioritylevelconfigurations", "")?;
    let levels: HashSet<&str> = levels.iter().map(|level| Meta::of(level).name()).collect();
    written.forget();
    let mut all = true;
    for schema in registry.find_all(GROUP, "flowschemas", "")? {
        let level = schema["spec"]["priorityLevelConfiguration"]["name"].as_str().unwrap_or_default();
        let mut wanted = condition(level, levels.contains(level));
        let told = schema["status"]["conditions"].as_array().into_iter().flatten();
        let mut told = told.filter(|one| one["type"] == "Dangling");
        if told.any(|one| ["status", "reason", "message"].iter().all(|field| one[*field] == wanted[*field])) {
            continue;
        }
        let name = Meta::of(&schema).name();
        if written.again(name) {
            wanted["lastTransitionTime"] = registry.clock().timestamp().into();
            apply(registry, name, &wanted).await?;
        } else {
            all = false;
        }
    }
    Ok(all)
}

/// The condition of a schema whose level is there, or is not; when that began is left open.
pub fn condition(level: &str, found: bool) -> Value {
    let (status, reason, end) =
        if found { ("False", "Found", "and it exists") } else { ("True", "NotFound", "but there is no such object") };
    let message = format!("This FlowSchema references the PriorityLevelConfiguration object named {level:?} {end}");
    json!({"type": "Dangling", "status": status, "reason": reason, "message": message})
}

/// Applies the condition. A schema that is gone needs none.
async fn apply(registry: &Registry, name: &str, condition: &Value) -> status::Result<()> {
    let resource = registry.builtin(GROUP, "flowschemas");
    let target = Target {
        resource: &resource,
        namespace: "",
        name,
        subresource: "status",
        part: Part::Status,
        replaces: false,
        creates: false,
        manages: true,
    };
    let catalog = registry.catalog();
    let (caller, warnings, now) = (Caller::anonymous(), Warnings::default(), registry.clock().timestamp());
    let resets = managers::resets(&resource, Part::Status, "status");
    let intent = Intent { caller: &caller, manager: None, warnings: &warnings, dry_run: false, admission: &Unasked };
    let config = json!({
        "apiVersion": resource.gvk.api_version(), "kind": resource.gvk.kind.as_str(),
        "metadata": {"name": name}, "status": {"conditions": [condition]},
    });
    let mut change = |old: Option<&Value>| {
        let old = old.ok_or_else(no_such_resource)?;
        let versions = Versions::of(&catalog, &resource);
        let writer = Writer {
            manager: CONSUMER,
            subresource: "status",
            now: &now,
            versions: &versions,
            resets: resets.as_ref(),
        };
        let applied = managers::apply(&writer, Some(old), &config, true).map_err(|refused| refused.status())?;
        Ok(applied.object)
    };
    match registry.update(&target, &intent, &mut change).await {
        Err(status) if status.reason != Reason::NotFound => Err(status),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::World;

    #[test]
    fn nobody_is_written_against_without_end() {
        let mut written = Written::default();
        assert!((0..WRITES_MAX).all(|_| written.again("one")));
        assert!(!written.again("one") && written.again("another"));
    }

    #[tokio::test]
    async fn a_schema_is_told_whether_its_level_is_there() {
        let world = World::new().await;
        let schema = json!({
            "metadata": {"name": "mine"},
            "spec": {"priorityLevelConfiguration": {"name": "other"}, "matchingPrecedence": 7},
        });
        world.create(GROUP, "flowschemas", schema).await.unwrap();
        let told = async || {
            assert!(settle(&world.registry, &mut Written::default()).await.unwrap());
            let schema = world.registry.find(GROUP, "flowschemas", "", "mine").unwrap().unwrap();
            let managers = schema["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
            let by: Vec<_> = managers.iter().map(|one| json!([one["manager"], one["operation"]])).collect();
            (schema["status"]["conditions"].clone(), by)
        };
        let (conditions, by) = told().await;
        assert_eq!((&conditions[0]["status"], &conditions[0]["reason"]), (&json!("True"), &json!("NotFound")));
        assert!(by.contains(&json!([CONSUMER, "Apply"])), "{by:?}");
        let level = json!({
            "metadata": {"name": "other"},
            "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}},
        });
        world.create(GROUP, "prioritylevelconfigurations", level).await.unwrap();
        let conditions = told().await.0;
        let wanted = "This FlowSchema references the PriorityLevelConfiguration object named \"other\" and it exists";
        assert_eq!((&conditions[0]["status"], &conditions[0]["message"]), (&json!("False"), &json!(wanted)));
    }
}
