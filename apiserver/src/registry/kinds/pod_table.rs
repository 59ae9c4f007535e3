//! A pod's row: how ready it is, in one word how it is, and how often its containers began again.

use crate::registry::behaviour::{AGE, Column, NAME, column, wide};
use crate::registry::cells::{age, duration, items, name, number, or_none, size};
use serde_json::{Value, json};
use std::time::SystemTime;
use tinyplane_wire::clock;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    column("Ready", "How many of the pod's containers are ready."),
    column("Status", "How the pod's containers are, in one word."),
    column("Restarts", "How often containers were started again, and when the last one was."),
    AGE,
    wide("IP", "The pod's address."),
    wide("Node", "The node that runs the pod."),
    wide("Nominated Node", "The node on which room is being made for the pod."),
    wide("Readiness Gates", "How many of the pod's readiness gates are passed."),
];

pub(super) fn cells(pod: &Value, now: SystemTime) -> Vec<Value> {
    let row = Row::of(pod);
    let restarts = match row.last_restart {
        Some(at) if row.restarts != 0 => {
            format!("{} ({} ago)", row.restarts, duration(now.duration_since(at).unwrap_or_default()))
        }
        _ => row.restarts.to_string(),
    };
    let address = items(&pod["status"]["podIPs"]).next().map_or(&pod["status"]["podIP"], |first| &first["ip"]);
    vec![
        name(pod),
        json!(format!("{}/{}", row.ready, row.total)),
        json!(row.reason),
        json!(restarts),
        age(pod, now),
        or_none(address),
        or_none(&pod["spec"]["nodeName"]),
        or_none(&pod["status"]["nominatedNodeName"]),
        gates(pod),
    ]
}

fn gates(pod: &Value) -> Value {
    let gates = &pod["spec"]["readinessGates"];
    if size(gates) == 0 {
        return json!("<none>");
    }
    let passed = items(gates).filter(|gate| has_condition(pod, gate["conditionType"].as_str().unwrap_or_default()));
    json!(format!("{}/{}", passed.count(), size(gates)))
}

fn has_condition(pod: &Value, kind: &str) -> bool {
    items(&pod["status"]["conditions"]).any(|one| one["type"] == kind && one["status"] == "True")
}

/// What a pod's row is computed from.
struct Row {
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<SystemTime>,
    reason: String,
}

fn finished(status: &Value) -> Option<SystemTime> {
    status["lastState"]["terminated"]["finishedAt"].as_str().and_then(clock::parse)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// How a container ended that gives no reason.
fn unexplained(terminated: &Value) -> String {
    match number(&terminated["signal"]) {
        0 => format!("ExitCode:{}", number(&terminated["exitCode"])),
        signal => format!("Signal:{signal}"),
    }
}

impl Row {
    fn of(pod: &Value) -> Self {
        let (spec, status) = (&pod["spec"], &pod["status"]);
        let reason = [text(&status["reason"]), text(&status["phase"])].into_iter().find(|text| !text.is_empty());
        let mut row = Self {
            ready: 0,
            total: size(&spec["containers"]) + items(&spec["initContainers"]).filter(|one| is_sidecar(one)).count(),
            restarts: 0,
            last_restart: None,
            reason: reason.unwrap_or_default().to_owned(),
        };
        if items(&status["conditions"]).any(|one| one["type"] == "PodScheduled" && one["reason"] == "SchedulingGated") {
            row.reason = "SchedulingGated".into();
        }
        let (initializing, of_sidecars) = row.init_containers(spec, status);
        if !initializing || has_condition(pod, "Initialized") {
            (row.restarts, row.last_restart) = of_sidecars;
            row.containers(pod);
        }
        if !pod["metadata"]["deletionTimestamp"].is_null() {
            if status["reason"] == "NodeLost" {
                row.reason = "Unknown".into();
            } else if !matches!(text(&status["phase"]), "Succeeded" | "Failed") {
                row.reason = "Terminating".into();
            }
        }
        row
    }

    /// Looks at the containers that run first. Answers whether they are not done, and the restarts of those that stay.
    fn init_containers(&mut self, spec: &Value, status: &Value) -> (bool, (i64, Option<SystemTime>)) {
        let mut sidecars = (0, None);
        let declared = |name: &Value| items(&spec["initContainers"]).find(|one| one["name"] == *name);
        for (at, container) in items(&status["initContainerStatuses"]).enumerate() {
            let stays = declared(&container["name"]).is_some_and(is_sidecar);
            self.restarts += number(&container["restartCount"]);
            self.last_restart = self.last_restart.max(finished(container));
            if stays {
                sidecars.0 += number(&container["restartCount"]);
                sidecars.1 = sidecars.1.max(finished(container));
            }
            let (terminated, waiting) = (&container["state"]["terminated"], &container["state"]["waiting"]);
            if terminated.is_object() && number(&terminated["exitCode"]) == 0 {
                continue;
            }
            if stays && container["started"] == true {
                self.ready += usize::from(container["ready"] == true);
                continue;
            }
            self.reason = if terminated.is_object() {
                match text(&terminated["reason"]) {
                    "" => format!("Init:{}", unexplained(terminated)),
                    reason => format!("Init:{reason}"),
                }
            } else if !matches!(text(&waiting["reason"]), "" | "PodInitializing") {
                format!("Init:{}", text(&waiting["reason"]))
            } else {
                format!("Init:{at}/{}", size(&spec["initContainers"]))
            };
            return (true, sidecars);
        }
        (false, sidecars)
    }

    fn containers(&mut self, pod: &Value) {
        let mut one_runs = false;
        let statuses: Vec<&Value> = items(&pod["status"]["containerStatuses"]).collect();
        for container in statuses.into_iter().rev() {
            self.restarts += number(&container["restartCount"]);
            self.last_restart = self.last_restart.max(finished(container));
            let (terminated, waiting) = (&container["state"]["terminated"], &container["state"]["waiting"]);
            if !text(&waiting["reason"]).is_empty() {
                self.reason = text(&waiting["reason"]).to_owned();
            } else if terminated.is_object() {
                self.reason = match text(&terminated["reason"]) {
                    "" => unexplained(terminated),
                    reason => reason.to_owned(),
                };
            } else if container["ready"] == true && container["state"]["running"].is_object() {
                one_runs = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && one_runs {
            self.reason = if has_condition(pod, "Ready") { "Running".into() } else { "NotReady".into() };
        }
    }
}

fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_pods_row_reads_as_kubectl_prints_it() {
        let now = clock::parse("2026-11-22T10:10:00Z").unwrap();
        let mut pod = json!({
            "metadata": {"name": "web", "creationTimestamp": "2026-11-22T10:00:00Z"},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}], "nodeName": "n1"},
            "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}], "containerStatuses": [
                {"name": "a", "ready": true, "restartCount": 2, "state": {"running": {}},
                 "lastState": {"terminated": {"finishedAt": "2026-11-22T10:08:00Z"}}},
                {"name": "b", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}},
            ]},
        });
        let row = cells(&pod, now);
        assert_eq!(
            row[..5],
            [json!("web"), json!("1/2"), json!("ContainerCreating"), json!("2 (2m ago)"), json!("10m")]
        );
        assert_eq!(row[5..], [json!("10.0.0.1"), json!("n1"), json!("<none>"), json!("<none>")]);
        pod["metadata"]["deletionTimestamp"] = json!("2026-11-22T10:10:00Z");
        assert_eq!(cells(&pod, now + Duration::from_secs(1))[2], "Terminating");
        pod["metadata"] = json!({"name": "web"});
        pod["spec"]["initContainers"] = json!([{"name": "i"}]);
        pod["status"]["initContainerStatuses"] = json!([{"name": "i", "state": {"terminated": {"exitCode": 3}}}]);
        assert_eq!(cells(&pod, now)[2], "Init:ExitCode:3");
    }
}
