//! What a kubelet that was restarted knows of its pods' containers: what it told the API server before.

use super::spec::PodSpec;
use super::stage::{Container, Ended, Kind, Phase, State, phase, records};
use super::status::{ID_SCHEME, Verdict};
use serde_json::Value;
use std::time::SystemTime;
use tinyplane_wire::clock::parse;

/// The exit code of a container that was lost with its runtime, as containerd has it.
const LOST_CODE: i32 = 255;

/// The records of a pod's containers, and its verdict if it is over. Containers that ran are lost: they count as ended,
/// and their policies say whether they come back. Init containers run again, since the pod's files are lost too.
pub(crate) fn restored(pod: &Value, spec: &PodSpec, now: SystemTime) -> (Vec<Container>, Option<Verdict>) {
    let mut containers = records(spec);
    for container in &mut containers {
        let list = match container.kind {
            Kind::Init | Kind::Sidecar => "initContainerStatuses",
            Kind::Main => "containerStatuses",
            Kind::Ephemeral => "ephemeralContainerStatuses",
        };
        let statuses = pod["status"][list].as_array().into_iter().flatten();
        let Some(told) = statuses.into_iter().find(|status| status["name"] == container.name.as_str()) else {
            continue;
        };
        container.restarts = told["restartCount"].as_u64().and_then(|count| count.try_into().ok()).unwrap_or(0);
        container.last = ended(&told["lastState"]["terminated"]);
        if told["state"]["running"].is_object() {
            container.state = State::Terminated(lost(told, now));
        } else if let Some(ended) = ended(&told["state"]["terminated"]) {
            container.state = State::Terminated(ended);
        }
    }
    let verdict = |phase| Verdict { phase, reason: None, message: None };
    match pod["status"]["phase"].as_str() {
        Some("Succeeded") => return (containers, Some(verdict(Phase::Succeeded))),
        Some("Failed") => return (containers, Some(verdict(Phase::Failed))),
        _ => {}
    }
    if !phase(&containers, false).is_over() {
        for container in containers.iter_mut().filter(|container| container.kind == Kind::Init) {
            if let State::Terminated(ended) = std::mem::replace(&mut container.state, State::Waiting) {
                container.last = Some(ended);
            }
        }
    }
    (containers, None)
}

fn lost(told: &Value, now: SystemTime) -> Ended {
    Ended {
        id: bare_id(&told["containerID"]),
        code: LOST_CODE,
        signal: None,
        reason: "Unknown".into(),
        message: String::new(),
        started: told["state"]["running"]["startedAt"].as_str().and_then(parse),
        finished: Some(now),
    }
}

fn ended(terminated: &Value) -> Option<Ended> {
    let text = |field: &str| terminated[field].as_str().unwrap_or_default();
    let number = |field: &str| terminated[field].as_i64().and_then(|n| i32::try_from(n).ok());
    terminated.is_object().then(|| Ended {
        id: bare_id(&terminated["containerID"]),
        code: number("exitCode").unwrap_or_default(),
        signal: number("signal"),
        reason: text("reason").into(),
        message: text("message").into(),
        started: parse(text("startedAt")),
        finished: parse(text("finishedAt")),
    })
}

fn bare_id(id: &Value) -> String {
    let id = id.as_str().unwrap_or_default();
    id.strip_prefix(ID_SCHEME).unwrap_or(id).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::stage::{Step, next};
    use super::*;
    use serde_json::json;
    use std::time::UNIX_EPOCH;

    fn pod(policy: &str, phase: &str) -> Value {
        json!({
            "spec": {"restartPolicy": policy, "initContainers": [{"name": "first"}], "containers": [{"name": "web"}]},
            "status": {
                "phase": phase,
                "initContainerStatuses": [{"name": "first", "restartCount": 0, "state": {"terminated": {"exitCode": 0}}}],
                "containerStatuses": [{
                    "name": "web", "restartCount": 2, "containerID": "tinyplane://old",
                    "state": {"running": {"startedAt": "2025-11-24T16:00:00Z"}},
                }],
            },
        })
    }

    fn of(pod: &Value) -> (Vec<Container>, Option<Verdict>) {
        restored(pod, &PodSpec::of(pod).unwrap(), UNIX_EPOCH)
    }

    #[test]
    fn what_ran_was_lost_and_comes_back_by_its_policy() {
        let (containers, verdict) = of(&pod("Always", "Running"));
        assert_eq!(verdict, None);
        assert_eq!(next(&containers, false, UNIX_EPOCH), [Step::Start(0)], "its files are new, so all begins anew");
        assert_eq!(containers[1].restarts, 2);
        let (containers, _) = of(&pod("Never", "Running"));
        assert_eq!((next(&containers, false, UNIX_EPOCH), phase(&containers, false)), (vec![], Phase::Failed));
    }

    #[test]
    fn what_is_over_stays_over() {
        let (_, verdict) = of(&pod("Always", "Succeeded"));
        assert_eq!(verdict.unwrap().phase, Phase::Succeeded);
    }
}
