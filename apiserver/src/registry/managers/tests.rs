//! The rules of managers that need no server.

use super::cap::cap;
use super::*;
use crate::registry::behaviour::Part;
use crate::registry::catalog::Catalog;
use crate::schema::fields::Set;
use serde_json::{Value, json};
use tinyplane_wire::gvr::Gvr;

fn entry(manager: &str, api_version: &str, second: u32, field: &str) -> Entry {
    Entry {
        manager: manager.into(),
        applied: false,
        api_version: api_version.into(),
        subresource: "".into(),
        time: Some(format!("2026-01-01T00:00:{second:02}Z").into()),
        fields: Set::of(&[&["spec", field]]),
    }
}

#[test]
fn the_oldest_updaters_are_merged_into_one() {
    let entries: Vec<_> = (0..12).map(|at| entry(&format!("m{at}"), "v1", at, &format!("f{at}"))).collect();
    let capped = cap(Managed { entries });
    assert_eq!(capped.entries.len(), 10);
    let ancient = capped.entries.iter().find(|entry| entry.manager == "ancient-changes").unwrap();
    assert_eq!(ancient.fields, Set::of(&[&["spec", "f0"], &["spec", "f1"], &["spec", "f2"]]));
    assert_eq!(ancient.time.as_deref(), Some("2026-01-01T00:00:02Z"));
    let many: Vec<_> = (0..12).map(|at| entry(&format!("m{at}"), &format!("v{at}"), at, "f")).collect();
    assert_eq!(cap(Managed { entries: many }).entries.len(), 12, "versions are never mixed");
}

#[test]
fn an_entry_of_ancient_changes_takes_in_others_until_its_own_turn_comes() {
    let mut entries = vec![entry("ancient-changes", "v1", 1, "old")];
    entries.extend((0..11).map(|at| entry(&format!("m{at:02}"), "v1", 2, &format!("f{at:02}"))));
    let grown = cap(Managed { entries: entries.clone() });
    let fields = |managed: &Managed, manager: &str| {
        managed.entries.iter().find(|entry| entry.manager == manager).map(|entry| entry.fields.clone())
    };
    let united = Set::of(&[&["spec", "old"], &["spec", "f00"], &["spec", "f01"]]);
    assert_eq!((grown.entries.len(), fields(&grown, "ancient-changes")), (10, Some(united)));
    // An older one is left alone, and the entry goes as upstream lets it go.
    entries[1] = entry("m00", "v1", 0, "f00");
    let gone = cap(Managed { entries });
    let united = Set::of(&[&["spec", "f00"], &["spec", "f01"]]);
    assert_eq!((gone.entries.len(), fields(&gone, "ancient-changes")), (10, Some(united)));
    assert_eq!(fields(&gone, "m00"), None);
}

#[test]
fn of_many_entries_each_manager_is_kept_once_and_the_oldest_are_united() {
    const MANY: usize = 20_000;
    let sent = |at: usize, field: &str| {
        json!({"manager": format!("m{at}"), "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
               "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {format!("f:{field}{at}"): {}}}})
    };
    let first = (0..MANY).map(|at| sent(at, "first"));
    let read = Managed::read(&Value::Array(first.chain((0..MANY).map(|at| sent(at, "last"))).collect())).unwrap();
    assert_eq!(read.entries.len(), MANY);
    assert!(read.entries.iter().all(|entry| entry.fields.paths()[0][1].to_string().starts_with(".last")));
    let capped = cap(read);
    assert_eq!(capped.entries.len(), UPDATE_ENTRIES_MAX);
    let paths: Vec<_> = capped.entries.iter().map(|entry| entry.fields.paths().len()).collect();
    assert_eq!(paths.iter().sum::<usize>(), MANY, "nothing is lost");
    assert_eq!(paths.iter().max(), Some(&(MANY - UPDATE_ENTRIES_MAX + 1)));
}

#[test]
fn entries_are_read_and_written_in_upstreams_order() {
    let value = json!([
        {"manager": "z", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
         "time": "2026-01-02T00:00:00Z", "fieldsV1": {"f:data": {"f:a": {}}}},
        {"manager": "b", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "subresource": "status",
         "fieldsV1": {"f:status": {".": {}, "f:x": {}}}},
        {"manager": "a", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
         "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": {"f:b": {}}}},
    ]);
    let mut shuffled = value.as_array().unwrap().clone();
    shuffled.rotate_left(1);
    let mut written = json!({"metadata": {"managedFields": Managed::read(&Value::Array(shuffled)).unwrap().write()}});
    assert_eq!(Managed::read(&written["metadata"]["managedFields"]), Managed::read(&value), "folded or not");
    folded::unfold(&mut written);
    assert_eq!(written["metadata"]["managedFields"], value);
    let refused = |change: fn(&mut Value)| {
        let mut value = value.clone();
        change(&mut value[0]);
        Managed::read(&value).unwrap_err().to_string()
    };
    assert_eq!(refused(|entry| entry["operation"] = json!("Other")), "operation must be `Apply` or `Update`");
    assert_eq!(refused(|entry| entry["apiVersion"] = json!("")), "apiVersion must not be empty");
    assert_eq!(
        refused(|entry| entry["fieldsType"] = json!("V9")),
        "invalid fieldsType \"V9\" in managed fields entry 0"
    );
    assert_eq!(refused(|entry| entry["fieldsType"] = json!("")), "missing fieldsType in managed fields entry 0");
}

#[test]
fn sets_that_are_not_read_become_what_those_become_that_are() {
    let catalog = Catalog::builtin();
    let row = catalog.get(&Gvr::new("", "v1", "pods")).unwrap();
    let versions = Versions::of(&catalog, row);
    let resets = resets(row, Part::Main, "");
    let writer = |manager: &'static str| Writer {
        manager,
        subresource: "",
        now: "2026-01-01T00:00:00Z",
        versions: &versions,
        resets: resets.as_ref(),
    };
    let mut live = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]},
    });
    record(&writer("one"), None, &mut live);
    let changes: [fn(&mut Value); 7] = [
        |_| {},
        |new| new["metadata"]["labels"]["a"] = json!("c"),
        |new| new["metadata"]["labels"] = json!({"b": "c", "0": "first"}),
        |new| drop(new["metadata"].as_object_mut().unwrap().remove("labels")),
        |new| new["spec"]["containers"] = json!([{"name": "d"}, {"name": "c", "image": "j"}]),
        |new| new["spec"]["containers"][0]["ports"][0]["name"] = json!("http"),
        |new| new["status"] = json!({"phase": "Running"}),
    ];
    for manager in ["one", "two"] {
        for change in changes {
            let mut new = live.clone();
            change(&mut new);
            let edited = edited::managers(&writer(manager), &live, &new);
            new["metadata"]["managedFields"] = Value::Null;
            let managed = Managed::read(&live["metadata"]["managedFields"]).unwrap();
            let read = update::updated(&writer(manager), &live, &new, managed).unwrap().write();
            assert!(edited.is_some());
            assert_eq!(edited, read, "{manager}: {new}");
        }
        let mut new = live.clone();
        new["metadata"]["labels"]["two"] = json!("2");
        record(&writer("two"), Some(&live), &mut new);
        live = new;
    }
}

#[test]
fn a_manager_of_another_version_is_asked_in_its_own() {
    let catalog = Catalog::builtin();
    let row = catalog.get(&Gvr::new("autoscaling", "v2", "horizontalpodautoscalers")).unwrap();
    let versions = Versions::of(&catalog, row);
    let writer =
        Writer { manager: "m", subresource: "", now: "2026-01-01T00:00:00Z", versions: &versions, resets: None };
    let hpa = |percent: i64| {
        json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h", "uid": "u"},
            "spec": {"maxReplicas": 3, "metrics": [{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent},
            }}]},
        })
    };
    let mut old = hpa(50);
    let owned = json!({"f:spec": {"f:targetCPUUtilizationPercentage": {}, "f:maxReplicas": {}}});
    old["metadata"]["managedFields"] = json!([
        {"manager": "one", "operation": "Apply", "apiVersion": "autoscaling/v1", "fieldsType": "FieldsV1", "fieldsV1": owned},
        {"manager": "gone", "operation": "Update", "apiVersion": "autoscaling/v9", "fieldsType": "FieldsV1", "fieldsV1": owned},
    ]);
    let mut new = hpa(60);
    record(&writer, Some(&old), &mut new);
    let entries = new["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "{entries:?}");
    assert_eq!(entries[0]["fieldsV1"], r#"{"f:spec":{"f:maxReplicas":{}}}"#);
    assert_eq!((&entries[1]["manager"], &entries[1]["apiVersion"]), (&json!("m"), &json!("autoscaling/v2")));
    let config = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
        "spec": {"metrics": hpa(70)["spec"]["metrics"]},
    });
    let Err(Refused::Conflicts(conflicts)) = apply(&writer, Some(&old), &config, false) else { panic!("no conflict") };
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
}

#[test]
fn who_manages_what_a_new_object_does_not_say_stays() {
    let catalog = Catalog::builtin();
    let row = catalog.get(&Gvr::new("", "v1", "configmaps")).unwrap();
    let versions = Versions::of(&catalog, row);
    let writer =
        Writer { manager: "m", subresource: "", now: "2026-01-01T00:00:00Z", versions: &versions, resets: None };
    let sent = |manager: &str, key: &str| {
        json!({"manager": manager, "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
               "subresource": "status", "fieldsV1": {"f:data": {key: {}}}})
    };
    let mut new = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"},
        "metadata": {"name": "n", "managedFields": [sent("kept", "f:other"), sent("gone", "f:a")]},
    });
    record(&writer, None, &mut new);
    let names: Vec<_> =
        new["metadata"]["managedFields"].as_array().unwrap().iter().map(|one| &one["manager"]).collect();
    assert_eq!(names, ["kept", "m"]);
}

#[test]
fn only_times_that_differ_differ_not() {
    let object = |time: &str, data: &str| json!({"metadata": {"managedFields": [{"manager": "a", "time": time}]}, "data": {"a": data}});
    let old = object("1", "x");
    for (mut new, united) in [(object("2", "x"), true), (object("2", "y"), false)] {
        unite_times(&mut new, &old);
        assert_eq!(new == old, united);
    }
}
