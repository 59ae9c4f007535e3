//! The operations, on a store in memory.

use super::admit::{Intent, Unasked};
use super::behaviour::Part;
use super::bootstrap::Own;
use super::delete::{Options, Propagation};
use super::list::Ask;
use super::selection::Selection;
use super::update::Target;
use super::watch::{Seen, WatchAsk};
use super::*;
use crate::authn::{Caller, GROUP_MASTERS};
use crate::request::Warnings;
use crate::store::limits::Limits;
use crate::store::memory::MemoryStore;
use serde_json::json;
use std::time::Duration;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::watch::EventType::{self, Added, Deleted, Modified};

/// A registry of its own for a test, with the first namespaces.
pub(crate) struct World {
    pub(crate) registry: Arc<Registry>,
    caller: Caller,
    warnings: Warnings,
}

impl World {
    pub(crate) async fn new() -> Self {
        let store = Arc::new(MemoryStore::new(Limits::default(), Clock::system()));
        let settings = Settings { service_range: "10.0.0.0/24".parse().unwrap(), node_ports: 30_000..=30_003 };
        let registry = Arc::new(Registry::new(store, builtin_catalog(), Clock::system(), settings));
        registry.bootstrap(&Own { endpoint: "10.9.9.9:6443".parse().unwrap() }).await.unwrap();
        Self { registry, caller: Caller::new("admin", [GROUP_MASTERS]), warnings: Warnings::default() }
    }

    fn intent(&self) -> Intent<'_> {
        Intent { caller: &self.caller, manager: None, warnings: &self.warnings, dry_run: false, admission: &Unasked }
    }

    fn row(&self, group: &str, plural: &str) -> Arc<Resource> {
        self.registry.builtin(group, plural)
    }

    pub(crate) async fn create(&self, group: &str, plural: &str, object: Value) -> status::Result<Value> {
        let namespace = if self.row(group, plural).namespaced { "default" } else { "" };
        self.registry.create(&self.row(group, plural), namespace, object, &self.intent()).await?.value()
    }

    pub(crate) async fn change(
        &self,
        id: (&str, &str, &str),
        part: Part,
        change: impl FnMut(&mut Value) + Send,
    ) -> status::Result<Value> {
        let subresource = match part {
            Part::Main => "",
            Part::Status => "status",
            Part::Other => "other",
        };
        self.change_by(&self.intent(), id, subresource, change).await
    }

    /// A change of an object, or of what a subresource is of it, that is meant in this way.
    pub(crate) async fn change_by(
        &self,
        intent: &Intent<'_>,
        (group, plural, name): (&str, &str, &str),
        subresource: &str,
        mut change: impl FnMut(&mut Value) + Send,
    ) -> status::Result<Value> {
        let row = self.row(group, plural);
        let namespace = if row.namespaced { "default" } else { "" };
        let part = match subresource {
            "" => Part::Main,
            "status" => Part::Status,
            _ => Part::Other,
        };
        let target = Target {
            resource: &row,
            namespace,
            name,
            subresource,
            part,
            replaces: true,
            creates: false,
            manages: false,
        };
        let mut change = |current: Option<&Value>| {
            let mut new = current.cloned().unwrap_or_default();
            change(&mut new);
            Ok(new)
        };
        self.registry.update(&target, intent, &mut change).await?.object.value()
    }

    pub(crate) async fn delete(
        &self,
        group: &str,
        plural: &str,
        name: &str,
        options: Options,
    ) -> status::Result<(Value, bool)> {
        let row = self.row(group, plural);
        let namespace = if row.namespaced { "default" } else { "" };
        let deleted = self.registry.delete(&row, namespace, name, &options, &self.intent()).await?;
        Ok((deleted.object.value()?, deleted.gone))
    }

    fn map(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"n": name}}})
    }
}

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "a", "image": "nginx"}]}})
}

#[tokio::test]
async fn a_created_object_carries_what_the_server_writes() {
    let world = World::new().await;
    let pod = world.create("", "pods", pod("web")).await.unwrap();
    assert_eq!(pod["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
    assert_eq!(pod["spec"]["restartPolicy"], "Always");
    let meta = Meta::of(&pod);
    assert_eq!((meta.namespace(), meta.generation()), ("default", 1));
    assert!(!meta.uid().is_empty() && !meta.resource_version().is_empty());
    let taken = world.create("", "pods", self::pod("web")).await.unwrap_err();
    assert_eq!(taken.message, "pods \"web\" already exists");
    let mut generated = self::pod("");
    generated["metadata"] = json!({"generateName": "web-"});
    let name = world.create("", "pods", generated).await.unwrap();
    assert!(Meta::of(&name).name().starts_with("web-") && Meta::of(&name).name().len() == 9);
}

#[tokio::test]
async fn what_is_wrong_with_a_new_object_is_told_and_nothing_is_written() {
    let world = World::new().await;
    let before = world.registry.store().revision();
    let refused = world.create("", "configmaps", World::map("Bad_Name")).await.unwrap_err();
    assert!(
        refused.message.starts_with("ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value"),
        "{refused}"
    );
    let row = world.row("", "configmaps");
    let nowhere = world.registry.create(&row, "nowhere", World::map("a"), &world.intent()).await.unwrap_err();
    assert_eq!(nowhere.message, "namespaces \"nowhere\" not found");
    let mut versioned = World::map("a");
    versioned["metadata"]["resourceVersion"] = json!("3");
    let refused = world.create("", "configmaps", versioned).await.unwrap_err();
    assert_eq!(refused.message, "resourceVersion should not be set on objects to be created");
    let dry = Intent { dry_run: true, ..world.intent() };
    world.registry.create(&row, "default", World::map("dry"), &dry).await.unwrap();
    assert_eq!(world.registry.store().revision(), before);
}

#[tokio::test]
async fn an_update_keeps_the_status_and_counts_the_spec() {
    let world = World::new().await;
    let set = json!({"metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "x"}]}},
    }});
    let old = world.create("apps", "deployments", set).await.unwrap();
    let id = ("apps", "deployments", "d");
    let same = world.change(id, Part::Main, |_| {}).await.unwrap();
    assert_eq!(same["metadata"], old["metadata"], "no change makes no revision");
    let scaled = world
        .change(id, Part::Main, |new| {
            new["spec"]["replicas"] = json!(3);
            new["status"]["replicas"] = json!(9);
        })
        .await
        .unwrap();
    assert_eq!((Meta::of(&scaled).generation(), &scaled["status"]), (2, &old["status"]));
    let reported = world
        .change(id, Part::Status, |new| {
            new["spec"]["replicas"] = json!(7);
            new["status"]["replicas"] = json!(3);
        })
        .await
        .unwrap();
    assert_eq!((Meta::of(&reported).generation(), &reported["spec"]["replicas"]), (2, &json!(3)));
    assert_eq!(reported["status"]["replicas"], 3);
    let stale = world
        .change(id, Part::Main, |new| new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone())
        .await
        .unwrap_err();
    assert_eq!(
        stale.message,
        "Operation cannot be fulfilled on deployments.apps \"d\": the object has been modified; please apply your changes to the latest version and try again"
    );
    let foreign = world.change(id, Part::Main, |new| new["metadata"]["uid"] = json!("other")).await.unwrap_err();
    assert!(foreign.message.contains("Precondition failed: UID in precondition: other"), "{foreign}");
}

#[tokio::test]
async fn concurrent_changes_of_one_object_all_happen() {
    let world = Arc::new(World::new().await);
    world.create("", "configmaps", World::map("count")).await.unwrap();
    let adds = (0..8).map(|at| {
        let world = world.clone();
        async move {
            world
                .change(("", "configmaps", "count"), Part::Main, |new| {
                    new["metadata"].as_object_mut().unwrap().remove("resourceVersion");
                    new["data"][format!("k{at}")] = json!("v");
                })
                .await
                .unwrap()
        }
    });
    futures_util::future::join_all(adds).await;
    let map = world.registry.find("", "configmaps", "default", "count").unwrap().unwrap();
    assert_eq!(map["data"].as_object().unwrap().len(), 8);
}

#[tokio::test]
async fn a_pod_on_a_node_is_given_time_and_then_goes() {
    let world = World::new().await;
    let mut placed = pod("web");
    placed["spec"]["nodeName"] = json!("n1");
    world.create("", "pods", placed).await.unwrap();
    let (marked, gone) = world.delete("", "pods", "web", Options::default()).await.unwrap();
    assert!(!gone && Meta::of(&marked).is_deleting());
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    let now = Options { grace_seconds: Some(0), ..Options::default() };
    assert!(world.delete("", "pods", "web", now).await.unwrap().1);
    world.create("", "pods", pod("free")).await.unwrap();
    assert!(world.delete("", "pods", "free", Options::default()).await.unwrap().1);
    let missing = world.delete("", "pods", "free", Options::default()).await.unwrap_err();
    assert_eq!(missing.message, "pods \"free\" not found");
}

#[tokio::test]
async fn finalizers_hold_an_object_until_the_last_is_taken_away() {
    let world = World::new().await;
    world.create("", "configmaps", World::map("held")).await.unwrap();
    let foreground = Options { propagation: Some(Propagation::Foreground), ..Options::default() };
    let (marked, gone) = world.delete("", "configmaps", "held", foreground).await.unwrap();
    assert_eq!((gone, &marked["metadata"]["finalizers"]), (false, &json!(["foregroundDeletion"])));
    let id = ("", "configmaps", "held");
    let refused = world.change(id, Part::Main, |new| new["metadata"]["finalizers"] = json!(["a.b/c"])).await;
    assert!(refused.unwrap_err().message.contains("no new finalizers can be added"));
    world.change(id, Part::Main, |new| new["metadata"]["finalizers"] = json!([])).await.unwrap();
    assert!(world.registry.find("", "configmaps", "default", "held").unwrap().is_none());
}

#[tokio::test]
async fn a_namespace_stays_until_it_is_finalized() {
    let world = World::new().await;
    world.create("", "namespaces", json!({"metadata": {"name": "team"}})).await.unwrap();
    let (marked, gone) = world.delete("", "namespaces", "team", Options::default()).await.unwrap();
    assert_eq!((gone, &marked["status"]["phase"]), (false, &json!("Terminating")));
    let (again, gone) = world.delete("", "namespaces", "team", Options::default()).await.unwrap();
    assert_eq!((gone, again), (false, marked));
    let taken = world.create("", "namespaces", json!({"metadata": {"name": "team"}})).await.unwrap_err();
    assert_eq!(taken.message, "object is being deleted: namespaces \"team\" already exists");
    let needed = world.delete("scheduling.k8s.io", "priorityclasses", "system-node-critical", Options::default()).await;
    let told = needed.unwrap_err().message;
    assert!(told.ends_with("this is a system priority class and cannot be deleted"), "{told}");
    world.change(("", "namespaces", "team"), Part::Other, |new| new["spec"]["finalizers"] = json!([])).await.unwrap();
    assert!(world.registry.find("", "namespaces", "", "team").unwrap().is_none());
}

#[tokio::test]
async fn pages_of_a_list_show_one_moment() {
    let world = World::new().await;
    for name in ["a", "b", "c", "d", "e"] {
        world.create("", "configmaps", World::map(name)).await.unwrap();
    }
    let row = world.row("", "configmaps");
    let all = Selection::all(&row, "default");
    let first = world.registry.list(&row, &all, &Ask { limit: 2, ..Ask::default() }).unwrap();
    assert_eq!((first.entries.len(), first.remaining), (2, Some(3)));
    world.delete("", "configmaps", "d", Options::default()).await.unwrap();
    let token = first.token.unwrap();
    let next = world.registry.list(&row, &all, &Ask { limit: 1, token: token.clone(), ..Ask::default() }).unwrap();
    assert_eq!(next.remaining, Some(2), "told of the moment that the list is about");
    let ask = Ask { limit: 3, token, ..Ask::default() };
    let second = world.registry.list(&row, &all, &ask).unwrap();
    assert_eq!(second.revision, first.revision);
    assert_eq!((second.entries.len(), second.token.is_none()), (3, true));
    let some = Selection::parse(&row, "default", "n in (a,e)", "metadata.name!=a").unwrap();
    let found = world.registry.list(&row, &some, &Ask { limit: 1, ..Ask::default() }).unwrap();
    assert_eq!((found.entries.len(), found.token.is_none(), found.remaining), (1, true, None));
    let bad = world.registry.list(&row, &all, &Ask { token: "%%".into(), ..Ask::default() }).unwrap_err();
    assert!(
        bad.message
            .starts_with("invalid continue token: continue key is not valid: illegal base64 data at input byte 0"),
        "{bad}"
    );
    let future = Ask { resource_version: "99999".into(), ..Ask::default() };
    assert_eq!(world.registry.list(&row, &all, &future).unwrap_err().code, 504);
}

#[tokio::test]
async fn unknown_fields_and_bad_selectors_are_refused() {
    let world = World::new().await;
    let (pods, maps) = (world.row("", "pods"), world.row("", "configmaps"));
    let refused = Selection::parse(&pods, "", "", "spec.foo=a").unwrap_err();
    assert_eq!(refused.message, "field label not supported: spec.foo");
    let refused = Selection::parse(&maps, "", "", "data=a").unwrap_err();
    assert_eq!(
        refused.message,
        "\"data\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
    );
    let refused = Selection::parse(&maps, "", "a b", "").unwrap_err();
    assert_eq!(
        (refused.code, &*refused.message),
        (400, "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt")
    );
}

async fn told(watch: &mut watch::Watch, count: usize) -> Vec<(EventType, String)> {
    let mut all = Vec::new();
    while all.len() < count {
        let next = tokio::time::timeout(Duration::from_secs(5), watch.next()).await.expect("events come in time");
        for seen in next.expect("the watch goes on").seen() {
            all.push(match seen {
                Seen::Object { event, entry, .. } => (event, entry.key.rsplit('/').next().unwrap().to_owned()),
                Seen::Bookmark { ends_initial, .. } => (EventType::Bookmark, ends_initial.to_string()),
                Seen::Failed(status) => (EventType::Error, status.message.clone()),
            });
        }
    }
    all
}

#[tokio::test]
async fn a_watch_tells_what_its_selection_sees() {
    let world = World::new().await;
    world.create("", "configmaps", World::map("a")).await.unwrap();
    let row = world.row("", "configmaps");
    let selected = || Selection::parse(&row, "default", "n=a", "").unwrap();
    let ask = WatchAsk { bookmarks: true, initial_events: Some(true), ..WatchAsk::default() };
    let mut watch = world.registry.watch(&row, selected(), &ask).unwrap();
    let start = told(&mut watch, 2).await;
    assert_eq!(start, [(Added, "a".into()), (EventType::Bookmark, "true".into())]);
    world.create("", "configmaps", World::map("b")).await.unwrap();
    let id = ("", "configmaps", "a");
    world.change(id, Part::Main, |new| new["data"]["k"] = json!("v")).await.unwrap();
    let left = world.change(id, Part::Main, |new| new["metadata"]["labels"]["n"] = json!("x")).await.unwrap();
    world.change(id, Part::Main, |new| new["metadata"]["labels"]["n"] = json!("a")).await.unwrap();
    world.delete("", "configmaps", "a", Options::default()).await.unwrap();
    let seen: Vec<_> = told(&mut watch, 4).await.into_iter().map(|(event, _)| event).collect();
    assert_eq!(seen, [Modified, Deleted, Added, Deleted]);
    let from = WatchAsk { resource_version: Meta::of(&left).resource_version().into(), ..WatchAsk::default() };
    let mut watch = world.registry.watch(&row, selected(), &from).unwrap();
    assert_eq!(told(&mut watch, 2).await.into_iter().map(|(event, _)| event).collect::<Vec<_>>(), [Added, Deleted]);
    let gone = WatchAsk { resource_version: "1".into(), lasts: Some(Duration::from_millis(1)), ..WatchAsk::default() };
    let store = world.registry.store();
    store.compact(store.revision()).await.unwrap();
    let mut watch = world.registry.watch(&row, selected(), &gone).unwrap();
    let (event, message) = told(&mut watch, 1).await.remove(0);
    assert!(event == EventType::Error && message.starts_with("too old resource version: 1 ("), "{message}");
}

#[tokio::test]
async fn what_is_found_again_is_parsed_once_and_never_older_than_the_store() {
    let world = World::new().await;
    world.create("", "configmaps", World::map("a")).await.unwrap();
    let found = || world.registry.find("", "configmaps", "default", "a").unwrap();
    assert!(Arc::ptr_eq(&found().unwrap(), &found().unwrap()));
    world.change(("", "configmaps", "a"), Part::Main, |new| new["data"]["k"] = json!("new")).await.unwrap();
    assert_eq!(found().unwrap()["data"]["k"], "new");
    assert_eq!(world.registry.find_all("", "configmaps", "default").unwrap()[0]["data"]["k"], "new");
    world.delete("", "configmaps", "a", Options::default()).await.unwrap();
    assert!(found().is_none());
}

fn service(name: &str, spec: &Value) -> Value {
    let mut service = json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
    for (field, value) in spec.as_object().unwrap() {
        service["spec"][field.as_str()] = value.clone();
    }
    service
}

#[tokio::test]
async fn services_get_addresses_and_ports_of_their_own() {
    let world = Arc::new(World::new().await);
    let made = (0..40).map(|at| {
        let world = world.clone();
        async move { world.create("", "services", service(&format!("s{at}"), &json!({}))).await.unwrap() }
    });
    let mut addresses: Vec<_> =
        futures_util::future::join_all(made).await.iter().map(|s| s["spec"]["clusterIP"].to_string()).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 40);
    let taken = world.create("", "services", service("t", &json!({"clusterIP": "10.0.0.1"}))).await.unwrap_err();
    assert_eq!(
        taken.message,
        "Service \"t\" is invalid: spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: failed to allocate IP 10.0.0.1: provided IP is already allocated"
    );
    let on_nodes = json!({"type": "NodePort"});
    for at in 0..4 {
        let made = world.create("", "services", service(&format!("n{at}"), &on_nodes)).await.unwrap();
        assert!((30_000..=30_003).contains(&made["spec"]["ports"][0]["nodePort"].as_u64().unwrap()));
    }
    assert_eq!(world.create("", "services", service("n4", &on_nodes)).await.unwrap_err().code, 500);
    world.delete("", "services", "n0", Options::default()).await.unwrap();
    world.create("", "services", service("n4", &on_nodes)).await.unwrap();
    let plain = world.change(("", "services", "n4"), Part::Main, |new| new["spec"]["type"] = json!("ClusterIP")).await;
    assert!(plain.unwrap()["spec"]["ports"][0]["nodePort"].is_null());
    // As many addresses as Services: those of the refused ones are given back, soon.
    let given_back = async {
        while world.registry.find_all("networking.k8s.io", "ipaddresses", "").unwrap().len() != 40 + 4 + 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), given_back).await.expect("no address stays taken");
}

#[tokio::test]
async fn a_fresh_cluster_has_its_own_service_and_starting_again_changes_nothing() {
    let world = World::new().await;
    let service = world.registry.find("", "services", "default", "kubernetes").unwrap().unwrap();
    assert_eq!(service["spec"]["clusterIP"], "10.0.0.1");
    let before = world.registry.store().revision();
    world.registry.bootstrap(&Own { endpoint: "10.9.9.9:6443".parse().unwrap() }).await.unwrap();
    assert_eq!(world.registry.store().revision(), before);
    world.registry.bootstrap(&Own { endpoint: "10.9.9.8:6443".parse().unwrap() }).await.unwrap();
    let endpoints = world.registry.find("", "endpoints", "default", "kubernetes").unwrap().unwrap();
    assert_eq!(endpoints["subsets"][0]["addresses"][0]["ip"], "10.9.9.8");
    let schema = world.registry.find("flowcontrol.apiserver.k8s.io", "flowschemas", "", "exempt").unwrap().unwrap();
    let authors: Vec<_> =
        ["manager", "operation", "subresource"].iter().map(|f| &schema["metadata"]["managedFields"][0][f]).collect();
    assert_eq!(authors, ["api-priority-and-fairness-config-consumer-v1", "Apply", "status"]);
}

#[tokio::test]
async fn a_reader_is_in_step_with_every_answered_write() {
    let world = World::new().await;
    let names = world.registry.reader("", "configmaps", |map| Meta::of(map).name().to_owned());
    assert!(names.view().is_empty());
    world.create("", "configmaps", World::map("a")).await.unwrap();
    assert_eq!(*names.get("default", "a").unwrap(), "a");
    world.delete("", "configmaps", "a", Options::default()).await.unwrap();
    assert!(names.view().is_empty());
}

/// Compares with what a fresh cluster of Kubernetes 1.36 holds.
#[tokio::test]
async fn a_fresh_cluster_holds_what_upstreams_does() {
    let shared = option_env!("TINYPLANE_SHARED").unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    let world = World::new().await;
    let kinds = [
        ("", "namespaces", "namespaces"),
        ("scheduling.k8s.io", "priorityclasses", "priorityclasses"),
        ("flowcontrol.apiserver.k8s.io", "flowschemas", "flowschemas"),
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", "prioritylevels"),
        ("apiregistration.k8s.io", "apiservices", "apiservices"),
        ("networking.k8s.io", "servicecidrs", "servicecidrs"),
        ("networking.k8s.io", "ipaddresses", "ipaddresses"),
        ("", "services", "services"),
    ];
    for (group, plural, file) in kinds {
        let path = format!("{shared}/kubernetes-1.36/fresh-cluster/{file}.json");
        let Ok(text) = std::fs::read(&path) else { return eprintln!("passed over: {path} is absent") };
        let upstream: Value = serde_json::from_slice(&text).unwrap();
        let ours = world.registry.find_all(group, plural, "").unwrap();
        let upstream = upstream["items"].as_array().unwrap();
        assert_eq!(
            ours.iter().map(|one| told_name(one)).collect::<Vec<_>>(),
            upstream.iter().map(told_name).collect::<Vec<_>>()
        );
        for (ours, upstream) in ours.iter().zip(upstream) {
            assert_eq!(comparable(ours), comparable(upstream), "{file}");
        }
    }
}

fn told_name(object: &Value) -> &str {
    Meta::of(object).name()
}

/// An object without what differs from run to run, and without prose, which is ours.
fn comparable(object: &Value) -> Value {
    let mut object = object.clone();
    for field in ["kind", "apiVersion", "description"] {
        object.as_object_mut().unwrap().remove(field);
    }
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
        metadata.remove(field);
    }
    for condition in object.pointer_mut("/status/conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        condition.as_object_mut().unwrap().remove("lastTransitionTime");
    }
    for port in object.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten() {
        port.as_object_mut().unwrap().remove("targetPort");
    }
    object
}
