//! Definitions in a registry: what they make of the catalog, and what becomes of their objects.

use super::rows::priority;
use super::{Definitions, Scale};
use crate::authn::Caller;
use crate::registry::admit::{Intent, Unasked};
use crate::registry::behaviour::Part;
use crate::registry::catalog::Resource;
use crate::registry::delete::Options;
use crate::registry::selection::Selection;
use crate::registry::tests::World;
use crate::request::Warnings;
use crate::validation::Errors;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::gvr::Gvr;

fn definition(name: &str, names: &Value, versions: &Value) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {"group": "g.example.com", "scope": "Namespaced", "names": names, "versions": versions},
    })
}

fn version(name: &str, stored: bool) -> Value {
    json!({"name": name, "served": true, "storage": stored, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 3}}},
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}})
}

fn names(plural: &str, kind: &str) -> Value {
    json!({"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")})
}

async fn define(world: &World, one: Value) {
    world.create("apiextensions.k8s.io", "customresourcedefinitions", one).await.unwrap();
}

fn found(world: &World, name: &str) -> Option<Arc<Value>> {
    world.registry.find("apiextensions.k8s.io", "customresourcedefinitions", "", name).unwrap()
}

fn condition(definition: &Value, kind: &str) -> (String, String) {
    let conditions = definition["status"]["conditions"].as_array().unwrap();
    let one = conditions.iter().find(|condition| condition["type"] == kind).unwrap();
    (one["status"].as_str().unwrap().into(), one["reason"].as_str().unwrap().into())
}

#[tokio::test]
async fn a_version_shows_what_it_knows_of_what_another_one_holds() {
    let world = World::new().await;
    let mut definitions = Definitions::new(world.registry.clone());
    let mut newer = version("v2", false);
    let color = json!({"type": "string", "default": "red"});
    newer["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"] = json!({"color": color});
    let mut older = version("v1", true);
    older["deprecated"] = json!(true);
    define(&world, definition("foos.g.example.com", &names("foos", "Foo"), &json!([older, newer]))).await;
    assert!(definitions.bring_up_to_date().await.unwrap());
    let row = |version: &str| world.registry.resource(&Gvr::new("g.example.com", version, "foos")).unwrap();
    let seen = |by: &str, stored: &str, spec: Value| {
        let object =
            json!({"apiVersion": format!("g.example.com/{stored}"), "kind": "Foo", "metadata": {}, "spec": spec});
        crate::registry::encoding::serve(&row(by), object)["spec"].clone()
    };
    assert_eq!(seen("v2", "v1", json!({"size": 1})), json!({}), "completed by the version that it is stored in alone");
    assert_eq!(seen("v1", "v2", json!({"size": 1})), json!({}));
    assert_eq!(seen("v1", "v1", json!({"color": "blue"})), json!({"size": 3}));
    let told = row("v1").deprecation().map(str::to_owned);
    assert_eq!(told.as_deref(), Some("g.example.com/v1 Foo is deprecated; use g.example.com/v2 Foo"));
    assert_eq!(row("v2").deprecation(), None);
}

#[tokio::test]
async fn an_object_holds_what_the_version_knows_that_it_is_stored_in() {
    let world = World::new().await;
    let mut definitions = Definitions::new(world.registry.clone());
    let mut newer = version("v2", false);
    let color = json!({"type": "string", "default": "red"});
    newer["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["color"] = color;
    let versions = json!([version("v1", true), newer]);
    define(&world, definition("foos.g.example.com", &names("foos", "Foo"), &versions)).await;
    assert!(definitions.bring_up_to_date().await.unwrap());
    let row = world.registry.resource(&Gvr::new("g.example.com", "v2", "foos")).unwrap();
    let custom = row.custom.as_ref().unwrap();
    let stored = |version: &str| json!({"apiVersion": version, "spec": {"color": "blue"}});
    let mut old = stored("g.example.com/v1");
    custom.settle(&mut old);
    assert_eq!(old["spec"], json!({}));
    custom.read(&mut old);
    assert_eq!(old["spec"], json!({"size": 3}));
    let mut new = stored("g.example.com/v2");
    custom.read(&mut new);
    assert_eq!(new["spec"], json!({"size": 3, "color": "blue"}));
}

#[tokio::test]
async fn what_the_stored_version_can_not_read_is_not_stored() {
    let world = World::new().await;
    let mut definitions = Definitions::new(world.registry.clone());
    let (mut stored, mut other) = (version("v1", true), version("v1beta1", false));
    let free = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let mut embedded = free.clone();
    embedded["x-kubernetes-embedded-resource"] = true.into();
    stored["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["template"] = embedded;
    other["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["template"] = free;
    define(&world, definition("foos.g.example.com", &names("foos", "Foo"), &json!([stored, other]))).await;
    assert!(definitions.bring_up_to_date().await.unwrap());
    let row = world.registry.resource(&Gvr::new("g.example.com", "v1beta1", "foos")).unwrap();
    let read = |name: Value| {
        let template = json!({"metadata": {"name": name}});
        let mut object = json!({"apiVersion": "g.example.com/v1", "spec": {"template": template}});
        crate::registry::encoding::read_back(&row, &mut object)
            .map_err(|refused| (refused.code, refused.message.clone()))
    };
    assert_eq!(read(json!("a")), Ok(()));
    let why = "json: cannot unmarshal number into Go struct field ObjectMeta.name of type string";
    let told = format!("spec.template.metadata: Invalid value: {{\"name\":5}}: {why}");
    assert_eq!(read(json!(5)), Err((500, told)));
}

#[tokio::test]
async fn a_definition_makes_rows_and_its_end_takes_objects_and_rows_away() {
    let world = World::new().await;
    let mut definitions = Definitions::new(world.registry.clone());
    define(
        &world,
        definition(
            "foos.g.example.com",
            &names("foos", "Foo"),
            &json!([version("v1beta1", true), version("v1", false)]),
        ),
    )
    .await;
    assert!(definitions.bring_up_to_date().await.unwrap());
    let stored = found(&world, "foos.g.example.com").unwrap();
    assert_eq!(condition(&stored, "Established"), ("True".into(), "InitialNamesAccepted".into()));
    assert_eq!(condition(&stored, "NamesAccepted"), ("True".into(), "NoConflicts".into()));
    assert_eq!(stored["status"]["acceptedNames"]["plural"], "foos");
    let custom: Vec<_> = {
        let catalog = world.registry.catalog();
        catalog.rows().filter(|row| row.custom.is_some()).map(|row| row.gvk.version.to_string()).collect()
    };
    assert_eq!(custom, ["v1", "v1beta1"]);
    let service = |version: &str| {
        let name = format!("{version}.g.example.com");
        world.registry.find("apiregistration.k8s.io", "apiservices", "", &name).unwrap()
    };
    assert_eq!(service("v1").unwrap()["spec"]["groupPriorityMinimum"], 1_000);
    assert_eq!(service("v1beta1").unwrap()["status"]["conditions"][0]["reason"], "Local");
    world
        .create(
            "g.example.com",
            "foos",
            json!({"metadata": {"name": "a", "finalizers": ["x.example.com/held"]}, "spec": {}}),
        )
        .await
        .unwrap();
    let row = world.registry.resource(&Gvr::new("g.example.com", "v1", "foos")).unwrap();
    let entry = world.registry.get(&row, "default", "a").unwrap();
    let served = crate::registry::encoding::served_bytes(&row, &entry).unwrap();
    let served: Value = serde_json::from_slice(&served).unwrap();
    assert_eq!((&served["apiVersion"], &served["spec"]["size"]), (&json!("g.example.com/v1"), &json!(3)));

    world
        .delete("apiextensions.k8s.io", "customresourcedefinitions", "foos.g.example.com", Options::default())
        .await
        .unwrap();
    assert!(!definitions.bring_up_to_date().await.unwrap(), "an object is held");
    let going_row = world.registry.resource(&Gvr::new("g.example.com", "v1", "foos")).unwrap();
    let custom = going_row.custom.as_ref().unwrap();
    assert!(custom.terminating && !custom.gone.is_cancelled(), "who watches is to see the objects go");
    let going = found(&world, "foos.g.example.com").unwrap();
    assert_eq!(going["metadata"].get("deletionGracePeriodSeconds"), None);
    let warnings = Warnings::default();
    let caller = Caller::anonymous();
    let intent = super::drain::intent(&caller, &warnings);
    let late = json!({"metadata": {"name": "late"}, "spec": {"size": 1}});
    let late = world.registry.create(&going_row, "default", late, &intent).await.unwrap_err();
    assert_eq!(late.code, 403, "{late}");
    assert_eq!(condition(&going, "Terminating"), ("True".into(), "InstanceDeletionInProgress".into()));
    assert!(!definitions.bring_up_to_date().await.unwrap(), "it is still held");
    let held = world.registry.get(&row, "default", "a").unwrap();
    let write = crate::store::contract::Write::delete(held.key.clone(), crate::store::contract::Expect::Any);
    world.registry.store().commit(write).await.unwrap();
    assert!(definitions.bring_up_to_date().await.unwrap());
    assert!(found(&world, "foos.g.example.com").is_none());
    assert!(definitions.bring_up_to_date().await.unwrap());
    assert!(world.registry.resource(&Gvr::new("g.example.com", "v1", "foos")).is_err());
    assert!(service("v1").is_none() && service("v1beta1").is_none());
    end_of_watches(&row).await;
}

async fn end_of_watches(row: &Resource) {
    let gone = row.custom.as_ref().unwrap().gone.cancelled();
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("watches end");
}

#[tokio::test]
async fn old_objects_are_read_by_the_schema_of_today_and_watches_of_yesterday_end() {
    let world = World::new().await;
    let mut definitions = Definitions::new(world.registry.clone());
    let (plural, crds) = ("foos.g.example.com", ("apiextensions.k8s.io", "customresourcedefinitions"));
    define(&world, definition(plural, &names("foos", "Foo"), &json!([version("v1", true)]))).await;
    definitions.bring_up_to_date().await.unwrap();
    world.create("g.example.com", "foos", json!({"metadata": {"name": "a"}, "spec": {}})).await.unwrap();
    let gvr = Gvr::new("g.example.com", "v1", "foos");
    let read = || {
        let row = world.registry.resource(&gvr).unwrap();
        let entry = world.registry.get(&row, "default", "a").unwrap();
        let served = crate::registry::encoding::served_bytes(&row, &entry).unwrap();
        (row, serde_json::from_slice::<Value>(&served).unwrap()["spec"].clone())
    };
    let (before, spec) = read();
    assert_eq!(spec, json!({"size": 3}));
    let properties = json!({"color": {"type": "string", "default": "red"}});
    let spec = json!({"type": "object", "properties": properties});
    world
        .change((crds.0, crds.1, plural), Part::Main, |one| {
            one["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = spec.clone();
        })
        .await
        .unwrap();
    definitions.bring_up_to_date().await.unwrap();
    end_of_watches(&before).await;
    let (after, spec) = read();
    assert_eq!(spec, json!({"color": "red"}));
    definitions.bring_up_to_date().await.unwrap();
    assert!(!after.custom.as_ref().unwrap().gone.is_cancelled());
}

#[tokio::test]
async fn only_what_lies_in_a_namespace_is_selected_by_it() {
    let world = World::new().await;
    let mut definitions = Definitions::new(world.registry.clone());
    let mut cluster = definition("bars.g.example.com", &names("bars", "Bar"), &json!([version("v1", true)]));
    cluster["spec"]["scope"] = "Cluster".into();
    define(&world, definition("foos.g.example.com", &names("foos", "Foo"), &json!([version("v1", true)]))).await;
    define(&world, cluster).await;
    definitions.bring_up_to_date().await.unwrap();
    let told = |plural: &str, fields: &str| {
        let row = world.registry.resource(&Gvr::new("g.example.com", "v1", plural)).unwrap();
        Selection::parse(&row, "", "", fields).err().map(|refused| (refused.code, refused.message.to_string()))
    };
    let refused = |field: &str| Some((400, format!("field label not supported: {field}")));
    for (plural, fields, expected) in [
        ("foos", "metadata.namespace=a", None),
        ("bars", "metadata.namespace=a", refused("metadata.namespace")),
        ("bars", "metadata.name=a", None),
        ("foos", "spec.size=3", refused("spec.size")),
        ("bars", "spec.size=3", refused("spec.size")),
    ] {
        assert_eq!(told(plural, fields), expected, "{plural} by {fields}");
    }
}

#[tokio::test]
async fn a_status_changes_no_metadata() {
    let world = World::new().await;
    let mut definitions = Definitions::new(world.registry.clone());
    define(&world, definition("foos.g.example.com", &names("foos", "Foo"), &json!([version("v1", true)]))).await;
    definitions.bring_up_to_date().await.unwrap();
    for (name, before) in [("a", Some("old-")), ("b", None)] {
        let mut one = json!({"metadata": {"name": name}, "spec": {}});
        if let Some(before) = before {
            one["metadata"]["generateName"] = before.into();
        }
        world.create("g.example.com", "foos", one).await.unwrap();
        let change = |one: &mut Value| {
            one["metadata"]["generateName"] = "new-".into();
            one["metadata"]["labels"] = json!({"a": "b"});
            one["status"] = json!({"ready": 1});
        };
        let changed = world.change(("g.example.com", "foos", name), Part::Status, change).await.unwrap();
        assert_eq!(changed["status"]["ready"], 1);
        let metadata = &changed["metadata"];
        assert_eq!((metadata["generateName"].as_str(), metadata.get("labels")), (before, None), "{name}");
    }
}

#[tokio::test]
async fn names_belong_to_whoever_came_first() {
    let world = World::new().await;
    let mut definitions = Definitions::new(world.registry.clone());
    define(&world, definition("foos.g.example.com", &names("foos", "Foo"), &json!([version("v1", true)]))).await;
    definitions.bring_up_to_date().await.unwrap();
    define(&world, definition("bars.g.example.com", &names("bars", "Foo"), &json!([version("v1", true)]))).await;
    definitions.bring_up_to_date().await.unwrap();
    let second = found(&world, "bars.g.example.com").unwrap();
    // The kind of the list is told last.
    assert_eq!(condition(&second, "NamesAccepted"), ("False".into(), "ListKindConflict".into()));
    assert_eq!(condition(&second, "Established"), ("False".into(), "NotAccepted".into()));
    assert!(world.registry.resource(&Gvr::new("g.example.com", "v1", "bars")).is_err());
    world
        .delete("apiextensions.k8s.io", "customresourcedefinitions", "foos.g.example.com", Options::default())
        .await
        .unwrap();
    definitions.bring_up_to_date().await.unwrap();
    definitions.bring_up_to_date().await.unwrap();
    assert!(world.registry.resource(&Gvr::new("g.example.com", "v1", "bars")).is_ok());
}

#[test]
fn versions_are_in_the_order_of_their_promise() {
    let mut versions =
        ["foo1", "v1alpha2", "v10beta3", "v3beta1", "v1", "v12alpha1", "v2", "foo10", "v11alpha2", "v10"];
    versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
    assert_eq!(
        versions,
        ["v10", "v2", "v1", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "v1alpha2", "foo1", "foo10"]
    );
}

#[test]
fn a_scale_is_written_where_the_definition_says() {
    let path = ["spec", "deep", "count"].map(Into::into);
    let mut object = json!({"spec": {"other": 1}});
    Scale::write(&path, &mut object, 4.into());
    assert_eq!(object, json!({"spec": {"other": 1, "deep": {"count": 4}}}));
    assert_eq!(Scale::read(&path, &object), 4);
}

#[test]
fn replicas_are_counts_and_a_selector_is_text() {
    let path = |name: &str| vec!["spec".into(), name.into()];
    let scale = Scale { replicas: path("size"), status: path("ready"), selector: Some(path("selector")) };
    let told = |spec: Value| {
        let (object, mut errors) = (json!({"spec": spec}), Errors::default());
        scale.check_spec(&object, &mut errors);
        scale.check_status(&object, &mut errors);
        let causes = errors.into_causes();
        causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>()
    };
    assert_eq!(told(json!({"size": 0, "ready": i32::MAX, "selector": "a=b"})), Vec::<String>::new());
    assert_eq!(
        told(json!({"size": -1, "ready": 2_147_483_648_i64, "selector": ["a"]})),
        [
            ".spec.size: Invalid value: -1: should be a non-negative integer",
            ".spec.ready: Invalid value: 2147483648: should be less than or equal to 2147483647",
            ".spec.selector: Invalid value: \"\": .spec.selector accessor error: [a] is of the type []interface {}, expected string",
        ]
    );
    assert_eq!(
        told(json!([]))[0],
        ".spec.size: Invalid value: 0: .spec.size accessor error: [] is of the type []interface {}, expected map[string]interface{}"
    );
}

#[tokio::test]
async fn what_a_definitions_status_says_is_the_servers_own() {
    let world = World::new().await;
    let (caller, warnings) = (Caller::new("admin", []), Warnings::default());
    let intent =
        Intent { caller: &caller, manager: Some("me"), warnings: &warnings, dry_run: false, admission: &Unasked };
    let row = world.registry.builtin("apiextensions.k8s.io", "customresourcedefinitions");
    let one = definition("foos.g.example.com", &names("foos", "Foo"), &json!([version("v1", true)]));
    world.registry.create(&row, "", one, &intent).await.unwrap();
    assert!(found(&world, "foos.g.example.com").unwrap()["status"].get("conditions").is_some_and(Value::is_null));
    Definitions::new(world.registry.clone()).bring_up_to_date().await.unwrap();
    let stored = found(&world, "foos.g.example.com").unwrap();
    let managers = stored["metadata"]["managedFields"].as_array().unwrap();
    let server = managers.iter().find(|one| one["manager"] == "kube-apiserver").unwrap();
    assert_eq!(server["subresource"], "status");
    let conditions = &server["fieldsV1"]["f:status"]["f:conditions"];
    assert!(conditions["k:{\"type\":\"Established\"}"].is_object() && conditions["."].is_null(), "{conditions}");
}
