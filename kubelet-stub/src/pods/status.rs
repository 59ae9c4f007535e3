//! A pod's status, made from what its node knows. Pure: the same knowledge gives the same status.

use super::image;
use super::spec::PodSpec;
use super::stage::{Container, Ended, Kind, Phase, State, is_initialized, phase};
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::time::SystemTime;
use tinyplane_wire::clock::format_seconds;

/// The scheme of a container's id.
pub(crate) const ID_SCHEME: &str = "tinyplane://";

/// Why a pod is over, where its containers do not say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) phase: Phase,
    pub(crate) reason: Option<&'static str>,
    pub(crate) message: Option<String>,
}

/// What a node knows of a pod.
#[derive(Debug)]
pub(crate) struct Observed<'a> {
    pub(crate) pod: &'a Value,
    pub(crate) spec: &'a PodSpec,
    pub(crate) containers: &'a [Container],
    pub(crate) host_ip: IpAddr,
    pub(crate) pod_ip: Option<IpAddr>,
    /// The sandbox is there.
    pub(crate) sandbox: bool,
    pub(crate) since: SystemTime,
    pub(crate) verdict: Option<&'a Verdict>,
    /// The pod is being deleted.
    pub(crate) deleting: bool,
    /// The status that was told before; conditions that did not change keep their times.
    pub(crate) before: &'a Value,
    pub(crate) now: SystemTime,
}

/// Makes `status`.
pub(crate) fn status(observed: &Observed<'_>) -> Value {
    let active = observed.containers.iter().any(Container::is_active);
    let phase = match observed.verdict {
        Some(verdict) if !active => verdict.phase,
        _ => phase(observed.containers, observed.deleting && !active),
    };
    let mut status = json!({
        "phase": format!("{phase:?}"),
        "conditions": conditions(observed, phase),
        "hostIP": observed.host_ip,
        "hostIPs": [{"ip": observed.host_ip}],
        "startTime": format_seconds(observed.since),
        "containerStatuses": statuses(observed, |kind| kind == Kind::Main),
        "observedGeneration": observed.pod["metadata"]["generation"],
    });
    let verdict = observed.verdict.filter(|_| !active);
    if let Some(reason) = verdict.and_then(|verdict| verdict.reason) {
        status["reason"] = json!(reason);
    }
    if let Some(message) = verdict.and_then(|verdict| verdict.message.as_ref()) {
        status["message"] = json!(message);
    }
    if let Some(ip) = observed.pod_ip {
        status["podIP"] = json!(ip);
        status["podIPs"] = json!([{"ip": ip}]);
    }
    for (list, kinds) in [
        ("initContainerStatuses", &[Kind::Init, Kind::Sidecar][..]),
        ("ephemeralContainerStatuses", &[Kind::Ephemeral][..]),
    ] {
        if observed.containers.iter().any(|container| kinds.contains(&container.kind)) {
            status[list] = json!(statuses(observed, |kind| kinds.contains(&kind)));
        }
    }
    status
}

/// A condition's status, reason and message.
type Judged = (bool, Option<&'static str>, Option<String>);

const GOOD: Judged = (true, None, None);

fn conditions(observed: &Observed<'_>, phase: Phase) -> Vec<Value> {
    let containers_ready = containers_ready(observed, phase);
    let ready = if containers_ready.0 { gates(observed) } else { containers_ready.clone() };
    let mut conditions: Vec<Value> = [
        ("PodReadyToStartContainers", (observed.sandbox, None, None)),
        ("Initialized", initialized(observed, phase)),
        ("Ready", ready),
        ("ContainersReady", containers_ready),
    ]
    .into_iter()
    .map(|(kind, judged)| condition(observed, kind, &judged))
    .collect();
    let scheduled = find(&observed.pod["status"], "PodScheduled").or_else(|| find(observed.before, "PodScheduled"));
    conditions.push(scheduled.cloned().unwrap_or_else(|| condition(observed, "PodScheduled", &GOOD)));
    conditions
}

fn condition(observed: &Observed<'_>, kind: &str, (good, reason, message): &Judged) -> Value {
    let status = if *good { "True" } else { "False" };
    let before = [observed.before, &observed.pod["status"]].into_iter().find_map(|before| find(before, kind));
    let since = before.filter(|c| c["status"] == status).and_then(|c| c["lastTransitionTime"].as_str());
    let mut condition = json!({
        "type": kind, "status": status, "lastProbeTime": null,
        "lastTransitionTime": since.map_or_else(|| format_seconds(observed.now), str::to_owned),
        "observedGeneration": observed.pod["metadata"]["generation"],
    });
    if let Some(reason) = reason {
        condition["reason"] = json!(reason);
    }
    if let Some(message) = message {
        condition["message"] = json!(message);
    }
    condition
}

fn find<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

fn initialized(observed: &Observed<'_>, phase: Phase) -> Judged {
    let begun = observed.containers.iter().any(|c| c.kind == Kind::Main && (c.is_running() || c.last.is_some()));
    match phase {
        Phase::Succeeded => (true, Some("PodCompleted"), None),
        _ if begun || is_initialized(observed.containers) => GOOD,
        _ => {
            let open = observed.containers.iter().filter(|c| match c.kind {
                Kind::Init => !matches!(&c.state, State::Terminated(ended) if ended.code == 0),
                Kind::Sidecar => !c.started,
                Kind::Main | Kind::Ephemeral => false,
            });
            (
                false,
                Some("ContainersNotInitialized"),
                Some(format!("containers with incomplete status: {}", names(open))),
            )
        }
    }
}

fn containers_ready(observed: &Observed<'_>, phase: Phase) -> Judged {
    let counts = |c: &&Container| matches!(c.kind, Kind::Main | Kind::Sidecar);
    let unready = || observed.containers.iter().filter(counts).filter(|c| !(c.is_running() && c.ready));
    match phase {
        Phase::Succeeded => (false, Some("PodCompleted"), None),
        Phase::Failed => (false, Some("PodFailed"), None),
        _ if unready().next().is_none() => GOOD,
        _ => (false, Some("ContainersNotReady"), Some(format!("containers with unready status: {}", names(unready())))),
    }
}

fn gates(observed: &Observed<'_>) -> Judged {
    let closed: Vec<String> = observed
        .spec
        .readiness_gates
        .iter()
        .filter_map(|gate| {
            let name = &gate.condition_type;
            match find(&observed.pod["status"], name).map(|c| c["status"].as_str().unwrap_or_default()) {
                Some("True") => None,
                Some(status) => {
                    Some(format!("the status of pod readiness gate {name:?} is not \"True\", but {status}"))
                }
                None => Some(format!("corresponding condition of pod readiness gate {name:?} does not exist.")),
            }
        })
        .collect();
    if closed.is_empty() { GOOD } else { (false, Some("ReadinessGatesNotReady"), Some(closed.join(", "))) }
}

fn names<'a>(containers: impl Iterator<Item = &'a Container>) -> String {
    format!("[{}]", containers.map(|c| c.name.as_str()).collect::<Vec<_>>().join(" "))
}

fn statuses(observed: &Observed<'_>, wanted: impl Fn(Kind) -> bool) -> Vec<Value> {
    let mut statuses: Vec<Value> = observed
        .containers
        .iter()
        .zip(observed.spec.all())
        .filter(|(container, _)| wanted(container.kind))
        .map(|(container, spec)| container_status(container, spec, waiting_reason(observed)))
        .collect();
    statuses.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    statuses
}

fn waiting_reason(observed: &Observed<'_>) -> &'static str {
    if observed.spec.init_containers.is_empty() || is_initialized(observed.containers) {
        "ContainerCreating"
    } else {
        "PodInitializing"
    }
}

fn container_status(container: &Container, spec: &super::spec::Container, waiting: &str) -> Value {
    let (state, last) = match &container.state {
        State::Waiting => (json!({"waiting": {"reason": waiting}}), container.last.as_ref()),
        // Between two lives the end of the former one is what there is to see.
        State::Starting => match &container.last {
            Some(ended) => (terminated(ended), None),
            None => (json!({"waiting": {"reason": waiting}}), None),
        },
        State::Held { reason, message, .. } => {
            (json!({"waiting": {"reason": reason, "message": message}}), container.last.as_ref())
        }
        State::Running { started, .. } => {
            (json!({"running": {"startedAt": format_seconds(*started)}}), container.last.as_ref())
        }
        State::Terminated(ended) => (terminated(ended), container.last.as_ref()),
    };
    let id = match &container.state {
        State::Running { id, .. } => Some(id),
        State::Terminated(ended) => Some(&ended.id),
        _ => container.last.as_ref().map(|ended| &ended.id),
    };
    let mut status = Map::new();
    status.insert("name".into(), json!(container.name));
    status.insert("state".into(), state);
    status.insert("lastState".into(), last.map_or_else(|| json!({}), terminated));
    status.insert("restartCount".into(), json!(container.restarts));
    let done = container.kind == Kind::Init && matches!(&container.state, State::Terminated(ended) if ended.code == 0);
    status.insert("ready".into(), json!(done || (container.is_running() && container.ready)));
    status.insert("started".into(), json!(container.is_running() && container.started));
    match id {
        Some(id) => {
            let image = image::normalized(&spec.image).unwrap_or_else(|_| spec.image.clone());
            status.insert("imageID".into(), json!(format!("{ID_SCHEME}{image}")));
            status.insert("image".into(), json!(image));
            status.insert("containerID".into(), json!(format!("{ID_SCHEME}{id}")));
            status
                .insert("resources".into(), if spec.resources.is_null() { json!({}) } else { spec.resources.clone() });
            if spec.resources["requests"].is_object() {
                status.insert("allocatedResources".into(), spec.resources["requests"].clone());
            }
        }
        None => {
            status.insert("image".into(), json!(spec.image));
            status.insert("imageID".into(), json!(""));
        }
    }
    if !spec.volume_mounts.is_empty() {
        let mounts = spec.volume_mounts.iter().map(|mount| {
            let mut told = json!({"name": mount.name, "mountPath": mount.mount_path});
            if mount.read_only {
                told["readOnly"] = json!(true);
                told["recursiveReadOnly"] = json!("Disabled");
            }
            told
        });
        status.insert("volumeMounts".into(), mounts.collect());
    }
    Value::Object(status)
}

fn terminated(ended: &Ended) -> Value {
    let time = |at: Option<SystemTime>| at.map(format_seconds);
    let mut told = json!({
        "exitCode": ended.code, "reason": ended.reason,
        "startedAt": time(ended.started), "finishedAt": time(ended.finished),
        "containerID": format!("{ID_SCHEME}{}", ended.id),
    });
    if let Some(signal) = ended.signal {
        told["signal"] = json!(signal);
    }
    if !ended.message.is_empty() {
        told["message"] = json!(ended.message);
    }
    json!({"terminated": told})
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
