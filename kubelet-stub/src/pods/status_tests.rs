//! Statuses as data.

use super::super::stage::records;
use super::*;
use std::time::{Duration, UNIX_EPOCH};

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_764_000_000)
}

fn made(pod: &Value, change: impl FnOnce(&mut Vec<Container>), before: &Value, verdict: Option<&Verdict>) -> Value {
    let spec = PodSpec::of(pod).unwrap();
    let mut containers = records(&spec);
    change(&mut containers);
    status(&Observed {
        pod,
        spec: &spec,
        containers: &containers,
        host_ip: "127.1.0.1".parse().unwrap(),
        pod_ip: Some("127.2.0.1".parse().unwrap()),
        sandbox: true,
        since: now(),
        verdict,
        deleting: false,
        before,
        now: now(),
    })
}

fn pod() -> Value {
    json!({"metadata": {"generation": 1}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}})
}

fn run(containers: &mut [Container]) {
    for container in containers {
        container.state = State::Running { id: "abc".into(), started: now() };
        container.started = true;
        container.ready = true;
    }
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    find(status, kind).unwrap()
}

#[test]
fn a_new_pod_waits_for_its_containers() {
    let status = made(&pod(), |_| {}, &Value::Null, None);
    assert_eq!(status["phase"], "Pending");
    assert_eq!(status["containerStatuses"][0]["state"]["waiting"]["reason"], "ContainerCreating");
    assert_eq!(condition(&status, "Initialized")["status"], "True");
    let ready = condition(&status, "Ready");
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("ContainersNotReady")));
    assert_eq!(ready["message"], "containers with unready status: [web]");
}

#[test]
fn a_running_pod_is_ready_and_keeps_the_times_of_what_did_not_change() {
    let before = json!({"conditions": [{"type": "Initialized", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}]});
    let status = made(&pod(), |all| run(all), &before, None);
    assert_eq!((&status["phase"], &condition(&status, "Ready")["status"]), (&json!("Running"), &json!("True")));
    assert_eq!(condition(&status, "Initialized")["lastTransitionTime"], "2020-01-01T00:00:00Z");
    assert_eq!(condition(&status, "Ready")["lastTransitionTime"], "2025-11-24T16:00:00Z");
    let web = &status["containerStatuses"][0];
    assert_eq!(
        (&web["containerID"], &web["image"]),
        (&json!("tinyplane://abc"), &json!("docker.io/library/nginx:latest"))
    );
}

#[test]
fn a_readiness_gate_holds_back_the_pod_and_not_its_containers() {
    let mut pod = pod();
    pod["spec"]["readinessGates"] = json!([{"conditionType": "example.com/up"}]);
    let status = made(&pod, |all| run(all), &Value::Null, None);
    assert_eq!(condition(&status, "ContainersReady")["status"], "True");
    assert_eq!(condition(&status, "Ready")["reason"], "ReadinessGatesNotReady");
    pod["status"] = json!({"conditions": [{"type": "example.com/up", "status": "True"}]});
    assert_eq!(condition(&made(&pod, |all| run(all), &Value::Null, None), "Ready")["status"], "True");
}

#[test]
fn init_containers_are_told_apart() {
    let mut pod = pod();
    pod["spec"]["initContainers"] = json!([{"name": "first", "image": "busybox"}]);
    let status = made(&pod, |_| {}, &Value::Null, None);
    assert_eq!(status["containerStatuses"][0]["state"]["waiting"]["reason"], "PodInitializing");
    assert_eq!(status["initContainerStatuses"][0]["name"], "first");
    assert_eq!(condition(&status, "Initialized")["message"], "containers with incomplete status: [first]");
}

#[test]
fn a_verdict_is_told_once_nothing_runs() {
    let verdict = Verdict { phase: Phase::Failed, reason: Some("DeadlineExceeded"), message: None };
    assert_eq!(made(&pod(), |all| run(all), &Value::Null, Some(&verdict))["phase"], "Running");
    let status = made(&pod(), |_| {}, &Value::Null, Some(&verdict));
    assert_eq!((&status["phase"], &status["reason"]), (&json!("Failed"), &json!("DeadlineExceeded")));
    assert_eq!(condition(&status, "Ready")["reason"], "PodFailed");
}
