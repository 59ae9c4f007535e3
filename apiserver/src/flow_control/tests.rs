//! Seats, queues and classification, with levels made for the test and with those of every cluster.

use super::level::{Level, Queues};
use super::seats::{Seats, Turn};
use super::*;
use crate::audit::Ticket;
use crate::authn::Peer;
use crate::registry::tests::World;
use http::Request;
use serde_json::json;

fn level(name: &str, shares: u32, lendable: u32, queues: Option<Queues>) -> Level {
    let uid = HeaderValue::from_static("u");
    Level { name: name.into(), uid, exempt: false, shares, lendable, borrowing: None, queues }
}

fn call(method: &str, uri: &str) -> Call {
    let request = Request::builder().method(method).uri(uri).body(()).unwrap();
    Call::parse(&request, Peer::nobody(), Ticket::new(None)).unwrap()
}

fn ask(seats: &Arc<Seats>, level: usize) -> Turn {
    seats.ask(level, &"schema".into(), 1, || 7)
}

fn now(turn: Turn) -> Seat {
    match turn {
        Turn::Now(seat) => seat,
        Turn::Later(_) => panic!("it waits"),
        Turn::Never => panic!("it is sent away"),
    }
}

#[test]
fn a_level_without_queues_sends_away_what_it_has_no_seat_for() {
    let seats = Arc::new(Seats::new(4));
    seats.configure([level("a", 1, 0, None), level("b", 1, 0, None)].iter());
    let held = [now(ask(&seats, 0)), now(ask(&seats, 0))];
    assert!(matches!(ask(&seats, 0), Turn::Never));
    let _other = now(ask(&seats, 1));
    drop(held);
    now(ask(&seats, 0));
}

#[test]
fn a_level_borrows_what_another_lends_and_does_not_use() {
    let seats = Arc::new(Seats::new(4));
    seats.configure([level("a", 1, 0, None), level("b", 1, 100, None)].iter());
    let held: Vec<Seat> = (0..4).map(|_| now(ask(&seats, 0))).collect();
    assert!(matches!(ask(&seats, 0), Turn::Never), "no more than there are");
    assert!(matches!(ask(&seats, 1), Turn::Never), "what was lent comes back only when it is given back");
    drop(held);
    now(ask(&seats, 1));
}

#[tokio::test]
async fn a_wide_request_waits_for_all_of_its_seats() {
    let seats = Arc::new(Seats::new(40));
    let queues = Queues { count: 1, hand: 1, length_max: 5 };
    seats.configure([level("a", 1, 0, Some(queues))].iter());
    let wide = |width| seats.ask(0, &"schema".into(), width, || 7);
    let taken = || {
        let state = seats.lock();
        (state.levels[0].sitting, state.levels[0].running)
    };
    // 15 of a hundred of 40 are 6.
    let mut held: Vec<Seat> = (0..6).map(|_| now(wide(10))).collect();
    assert_eq!(taken(), (36, 6));
    let Turn::Later(waiting) = wide(10) else { panic!("6 more are too many") };
    let Turn::Later(behind) = wide(1) else { panic!("nobody overtakes") };
    held.pop();
    let (first, second) = (waiting.seat().await.unwrap(), behind.seat().await.unwrap());
    assert_eq!(taken(), (37, 7));
    drop((first, second, held));
    assert_eq!(taken(), (0, 0));
    // A level that has fewer seats than somebody asks for lets one in when it is empty.
    let narrow = Arc::new(Seats::new(4));
    narrow.configure([level("a", 1, 0, None), level("b", 1, 0, None)].iter());
    let alone = now(narrow.ask(0, &"schema".into(), 9, || 7));
    assert!(matches!(ask(&narrow, 0), Turn::Never));
    drop(alone);
    now(ask(&narrow, 0));
}

#[tokio::test]
async fn a_list_takes_as_many_seats_as_it_weighs() {
    let world = World::new().await;
    let text = "x".repeat(60_000);
    for at in 0..4 {
        let object = json!({"metadata": {"name": format!("m{at}"), "namespace": "default"}, "data": {"a": text}});
        world.create("", "configmaps", object).await.unwrap();
    }
    let width = |method: &str, uri: &str| width::of(&call(method, uri), &world.registry);
    let maps = "/api/v1/configmaps";
    assert_eq!(width("GET", maps), 3);
    assert_eq!(width("GET", "/api/v1/configmaps?limit=2"), 2);
    assert_eq!(width("GET", "/api/v1/configmaps?fieldSelector=metadata.name%3Dm1"), 1);
    assert_eq!(width("GET", "/api/v1/namespaces/other/configmaps"), 1);
    assert_eq!(width("GET", "/api/v1/configmaps?watch=1"), 3);
    assert_eq!(width("GET", "/api/v1/configmaps?watch=1&resourceVersion=5"), 1);
    assert_eq!(width("GET", "/api/v1/configmaps?watch=1&resourceVersion=5&sendInitialEvents=true"), 3);
    assert_eq!(width("POST", "/api/v1/namespaces/default/configmaps"), 1);
}

#[tokio::test]
async fn who_waits_gets_the_next_seat_and_full_queues_send_away() {
    let seats = Arc::new(Seats::new(1));
    let queues = Queues { count: 2, hand: 1, length_max: 2 };
    seats.configure([level("a", 1, 0, Some(queues))].iter());
    let first = now(ask(&seats, 0));
    let (Turn::Later(second), Turn::Later(third)) = (ask(&seats, 0), ask(&seats, 0)) else { panic!("they wait") };
    assert!(matches!(ask(&seats, 0), Turn::Never), "the queue of this flow is full");
    drop(second);
    let Turn::Later(fourth) = ask(&seats, 0) else { panic!("the place of who went away is free") };
    drop(first);
    let seat = third.seat().await.unwrap();
    drop(seat);
    fourth.seat().await.unwrap();
    assert_eq!(seats.lock().levels[0].sitting, 0);
}

#[tokio::test]
async fn a_level_that_goes_away_lends_nothing_and_lets_who_waits_in() {
    let seats = Arc::new(Seats::new(4));
    let queues = Queues { count: 2, hand: 1, length_max: 2 };
    let (a, b) = (level("a", 1, 0, None), level("b", 1, 100, Some(queues)));
    seats.configure([a.clone(), b].iter());
    let held: Vec<Seat> = (0..2).map(|_| now(ask(&seats, 1))).collect();
    let _others: Vec<Seat> = (0..2).map(|_| now(ask(&seats, 0))).collect();
    let Turn::Later(waiting) = ask(&seats, 1) else { panic!("it waits") };
    seats.configure([a.clone()].iter());
    drop(held);
    drop(waiting.seat().await.unwrap());
    let _more: Vec<Seat> = (0..2).map(|_| now(ask(&seats, 0))).collect();
    assert!(matches!(ask(&seats, 0), Turn::Never), "all seats are its own, and no more");
    // Its place is another's now.
    let places = seats.configure([a, level("c", 1, 0, None)].iter());
    assert_eq!((places["c"].0, seats.lock().levels.len()), (1, 2));
}

#[test]
fn numbers_of_any_size_make_levels() {
    let seats = Arc::new(Seats::new(u32::MAX));
    let mut large = level("a", u32::MAX, 100, Some(Queues { count: 4, hand: u32::MAX, length_max: u32::MAX }));
    large.borrowing = Some(u32::MAX);
    seats.configure([large, level("b", u32::MAX, 0, None)].iter());
    let held = now(ask(&seats, 0));
    assert_eq!(seats.lock().levels[0].upper, u32::MAX);
    drop(held);
}

#[tokio::test]
async fn requests_are_classified_as_a_fresh_cluster_classifies_them() {
    let world = World::new().await;
    let control = FlowControl::new(&world.registry, Limits::default());
    let class = |caller: Caller, call: Call| {
        let schemas = control.schemas.load();
        schemas.classify(&call, &caller).map(|one| one.name.to_string()).unwrap_or_default()
    };
    let node = || Caller::new("system:node:a", ["system:nodes", "system:authenticated"]);
    let account = |namespace: &str| {
        let name = format!("system:serviceaccount:{namespace}:x");
        Caller::new(&name, ["system:serviceaccounts", "system:authenticated"])
    };
    let jane = || Caller::new("jane", ["system:authenticated"]);
    let pods = || call("GET", "/api/v1/pods");
    for (caller, call, schema) in [
        (Caller::new("admin", [GROUP_MASTERS, "system:authenticated"]), pods(), "exempt"),
        (jane(), pods(), "global-default"),
        (jane(), call("GET", "/healthz"), "probes"),
        (jane(), call("GET", "/version"), "global-default"),
        (node(), pods(), "system-nodes"),
        (node(), call("PATCH", "/api/v1/nodes/a/status"), "system-node-high"),
        (node(), call("PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/a"), "system-node-high"),
        (account("default"), pods(), "service-accounts"),
        (account("kube-system"), pods(), "kube-system-service-accounts"),
        (Caller::new("system:kube-scheduler", ["system:authenticated"]), pods(), "kube-scheduler"),
    ] {
        assert_eq!(class(caller.clone(), call.clone()), schema, "{} {}", caller.name, call.path);
    }
}

#[tokio::test]
async fn a_changed_level_is_enforced_and_told() {
    let world = World::new().await;
    let spec = json!({"type": "Limited", "limited": {
        "nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0,
        "limitResponse": {"type": "Reject"},
    }});
    let group = "flowcontrol.apiserver.k8s.io";
    let made = world.create(group, "prioritylevelconfigurations", json!({"metadata": {"name": "none"}, "spec": spec}));
    let level = made.await.unwrap();
    let rule = json!({
        "subjects": [{"kind": "User", "user": {"name": "jane"}}],
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true, "namespaces": ["*"]}],
    });
    let spec = json!({
        "priorityLevelConfiguration": {"name": "none"}, "matchingPrecedence": 5, "rules": [rule],
    });
    world.create(group, "flowschemas", json!({"metadata": {"name": "jane"}, "spec": spec})).await.unwrap();
    let control = FlowControl::new(&world.registry, Limits::default());
    let (jane, mut class) = (Caller::new("jane", ["system:authenticated"]), None);
    assert!(control.admit(&call("GET", "/api/v1/pods"), &jane, &mut class).await.is_err());
    assert_eq!(class.unwrap().level_uid, level["metadata"]["uid"].as_str().unwrap());
    let mut class = None;
    assert!(control.admit(&call("GET", "/version"), &jane, &mut class).await.is_ok());
    let mut text = crate::metrics::Text::default();
    crate::metrics::Source::tell(&control, &mut text);
    let text = text.finish();
    let line = "apiserver_flowcontrol_rejected_requests_total{flow_schema=\"jane\",priority_level=\"none\",reason=\"concurrency-limit\"} 1";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("apiserver_flowcontrol_nominal_limit_seats{priority_level=\"global-default\"} 49"), "{text}");
}

#[tokio::test]
async fn without_fairness_readers_and_writers_have_a_plain_limit_each() {
    let world = World::new().await;
    let limits = Limits { reading: 1, mutating: 1, fair: false, wait_max: Duration::ZERO };
    let control = FlowControl::new(&world.registry, limits);
    let (jane, mut class) = (Caller::new("jane", []), None);
    let get = call("GET", "/api/v1/pods");
    let held = control.admit(&get, &jane, &mut class).await.unwrap();
    assert!(control.admit(&get, &jane, &mut class).await.is_err());
    assert!(control.admit(&call("POST", "/api/v1/namespaces/a/pods"), &jane, &mut class).await.is_ok());
    assert!(control.admit(&call("GET", "/api/v1/pods?watch=1"), &jane, &mut class).await.is_ok());
    assert!(control.admit(&get, &Caller::new("admin", [GROUP_MASTERS]), &mut class).await.is_ok());
    drop(held);
    assert!(control.admit(&get, &jane, &mut class).await.is_ok());
    assert!(class.is_none());
}
