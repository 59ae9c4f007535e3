//! Transitions as data.

use super::*;
use serde_json::json;
use std::time::UNIX_EPOCH;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

fn pod(policy: &str) -> Vec<Container> {
    let pod = json!({"spec": {
        "restartPolicy": policy,
        "initContainers": [{"name": "prepare"}, {"name": "proxy", "restartPolicy": "Always"}],
        "containers": [{"name": "web"}, {"name": "log"}],
    }});
    records(&PodSpec::of(&pod).unwrap())
}

fn ended(code: i32, finished: SystemTime) -> State {
    State::Terminated(Ended {
        id: "x".into(),
        code,
        signal: None,
        reason: String::new(),
        message: String::new(),
        started: None,
        finished: Some(finished),
    })
}

fn running() -> State {
    State::Running { id: "x".into(), started: at(0) }
}

fn started(mut containers: Vec<Container>) -> Vec<Container> {
    containers[0].state = ended(0, at(0));
    for container in &mut containers[1..] {
        container.state = running();
        container.started = true;
    }
    containers
}

#[test]
fn init_containers_go_in_order_and_a_sidecar_holds_only_until_it_started() {
    let mut all = pod("Always");
    assert_eq!(next(&all, false, at(0)), [Step::Start(0)]);
    all[0].state = State::Starting;
    assert_eq!(next(&all, false, at(0)), []);
    assert_eq!(phase(&all, false), Phase::Pending);
    all[0].state = ended(0, at(1));
    assert_eq!(next(&all, false, at(1)), [Step::Start(1)]);
    all[1].state = running();
    assert_eq!(next(&all, false, at(1)), [], "it runs, and has not started yet");
    all[1].started = true;
    assert!(is_initialized(&all));
    assert_eq!(next(&all, false, at(1)), [Step::Start(2), Step::Start(3)]);
}

#[test]
fn a_failed_init_container_ends_a_pod_that_never_restarts() {
    let mut all = pod("Never");
    all[0].state = ended(3, at(1));
    assert_eq!((next(&all, false, at(1)), phase(&all, false)), (vec![], Phase::Failed));
    let mut all = pod("OnFailure");
    all[0].state = ended(3, at(1));
    assert_eq!((next(&all, false, at(1)), phase(&all, false)), (vec![Step::Start(0)], Phase::Pending));
}

#[test]
fn the_phase_follows_policy_and_exit_codes() {
    for (policy, codes, ending, expected) in [
        ("Never", [Some(0), Some(0)], false, Phase::Succeeded),
        ("Never", [Some(0), Some(1)], false, Phase::Failed),
        ("Never", [Some(0), None], false, Phase::Running),
        ("OnFailure", [Some(0), Some(0)], false, Phase::Succeeded),
        ("OnFailure", [Some(0), Some(1)], false, Phase::Running),
        ("Always", [Some(0), Some(0)], false, Phase::Running),
        ("Always", [Some(0), Some(0)], true, Phase::Succeeded),
        ("Always", [Some(137), Some(0)], true, Phase::Failed),
    ] {
        let mut all = started(pod(policy));
        for (container, code) in all[2..].iter_mut().zip(codes) {
            container.state = code.map_or_else(running, |code| ended(code, at(5)));
        }
        assert_eq!(phase(&all, ending), expected, "{policy} {codes:?} {ending}");
    }
}

#[test]
fn a_container_that_ends_again_waits_longer_each_time() {
    let mut all = started(pod("Always"));
    let (mut now, mut waits) = (at(10), Vec::new());
    for _ in 0..8 {
        all[2].state = ended(1, now);
        if let [Step::BackOff { index: 2, wait, until }] = next(&all, true, now).as_slice() {
            waits.push(wait.as_secs());
            now = *until;
        }
        assert_eq!(next(&all, true, now), [Step::Start(2)]);
        all[2].back_off.restarted(now, now);
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
    let much_later = now + Duration::from_secs(601);
    all[2].state = ended(1, much_later);
    assert_eq!(next(&all, true, much_later), [Step::Start(2)], "a long good time is rewarded");
}

#[test]
fn a_sidecar_that_ends_later_comes_back_beside_the_others() {
    let mut all = started(pod("Never"));
    all[1].state = ended(1, at(9));
    all[1].started = false;
    assert_eq!(next(&all, true, at(9)), [Step::Start(1)]);
    assert_eq!(phase(&all, false), Phase::Running);
}

#[test]
fn an_ephemeral_container_runs_once_whatever_the_others_are_at() {
    let pod = json!({"spec": {
        "initContainers": [{"name": "first"}],
        "containers": [{"name": "web"}],
        "ephemeralContainers": [{"name": "look"}],
    }});
    let mut all = records(&PodSpec::of(&pod).unwrap());
    assert_eq!(next(&all, false, at(0)), [Step::Start(0), Step::Start(2)], "nobody is waited for");
    all[2].state = ended(1, at(0));
    assert_eq!(next(&all, false, at(0)), [Step::Start(0)], "it does not come back");
    all[0].state = ended(0, at(0));
    all[1].state = running();
    assert_eq!((phase(&all, false), is_initialized(&all)), (Phase::Running, true));
}
