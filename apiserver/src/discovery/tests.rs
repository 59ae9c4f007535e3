//! Our discovery against a real server's.

use super::*;
use crate::codec::protobuf::{decode, encode};
use crate::schema::model;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn shared() -> Option<PathBuf> {
    let shared = std::env::var_os("TINYPLANE_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join("kubernetes-1.36/discovery");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("PASSED OVER: {} is not there, so discovery is compared with nothing", folder.display());
    None
}

fn read(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

/// Without the hashes of storage versions: those of some kinds are of versions that are long gone.
fn unhashed(document: &Value) -> Value {
    let mut document = document.clone();
    for resource in document["resources"].as_array_mut().into_iter().flatten() {
        if let Some(resource) = resource.as_object_mut() {
            resource.remove("storageVersionHash");
        }
    }
    document
}

#[test]
fn discovery_is_that_of_a_real_server() {
    let Some(folder) = shared() else { return };
    let documents = Documents::build(&Catalog::builtin(), "127.0.0.1:6443");
    let mut compared = 0;
    for file in std::fs::read_dir(&folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let path = format!("/{}", name.trim_end_matches(".json").replace("__", "/"));
        match path.strip_suffix("-aggregated") {
            None => assert_eq!(documents.plain(&path).map(unhashed), Some(unhashed(&read(&folder, &name))), "{path}"),
            Some(path) => {
                let ours = documents.aggregated(path).unwrap();
                let ours: Value = serde_json::from_slice(&ours.written(Media::Json).unwrap()).unwrap();
                assert_eq!(ours, read(&folder, &name), "{path} aggregated");
            }
        }
        compared += 1;
    }
    assert!(compared > 20);
}

#[test]
fn a_storage_version_hash_is_upstreams() {
    let documents = Documents::build(&Catalog::builtin(), "127.0.0.1:6443");
    let resources = documents.plain("/api/v1").unwrap()["resources"].as_array().unwrap();
    let maps = resources.iter().find(|resource| resource["name"] == "configmaps").unwrap();
    assert_eq!(maps["storageVersionHash"], "qFsyl6wFWjQ=");
}

#[test]
fn every_document_is_the_same_in_protobuf() {
    let documents = Documents::build(&Catalog::builtin(), "127.0.0.1:6443");
    for path in documents.paths() {
        let Some(document) = documents.plain(&path) else { continue };
        let mut stated = document.clone();
        stated["apiVersion"] = "v1".into();
        let bytes = encode::encode(model(), &stated).unwrap();
        let back = decode(model(), &bytes).unwrap();
        for (mine, read) in [("resources", "name"), ("groups", "name"), ("versions", "version")] {
            let names = |value: &Value| {
                value[mine].as_array().into_iter().flatten().map(|one| one[read].clone()).collect::<Vec<_>>()
            };
            assert_eq!(names(&back), names(document), "{path}");
        }
        for (ours, read) in document["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .zip(back["resources"].as_array().into_iter().flatten())
        {
            assert_eq!((&ours["verbs"], &ours["kind"]), (&read["verbs"], &read["kind"]), "{path}");
        }
        assert!(encode::encode(model(), document).is_some(), "{path}");
    }
}

#[test]
fn the_aggregated_document_is_the_same_in_yaml_and_protobuf() {
    let documents = Documents::build(&Catalog::builtin(), "127.0.0.1:6443");
    for path in ["/api", "/apis"] {
        let document = documents.aggregated(path).unwrap();
        let ours: Value = serde_json::from_slice(&document.written(Media::Json).unwrap()).unwrap();
        let yaml = crate::codec::yaml::read(&document.written(Media::Yaml).unwrap()).unwrap().value;
        assert_eq!(yaml, ours, "{path}");
        let back = decode(model(), &document.written(Media::Protobuf).unwrap()).unwrap();
        assert!(shown(&back) == shown(&ours), "{path}: {back}");
    }
}

/// A document without its zeros, empty texts, maps and lists, of which protobuf and JSON keep different ones.
fn shown(value: &Value) -> Value {
    let kept = |value: &Value| {
        let empty = *value == 0
            || matches!(value, Value::String(text) if text.is_empty())
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty);
        !empty && !value.is_null()
    };
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), shown(value))).filter(|(_, value)| kept(value)).collect()
        }
        Value::Array(items) => items.iter().map(shown).collect(),
        other => other.clone(),
    }
}

#[tokio::test]
async fn a_custom_kind_is_told_with_its_group() {
    use crate::registry::custom::Definitions;
    use crate::registry::tests::World;
    use serde_json::json;
    let world = World::new().await;
    let version =
        json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}});
    let definition = json!({
        "metadata": {"name": "books.g.example.com"},
        "spec": {
            "group": "g.example.com", "scope": "Namespaced", "versions": [version],
            "names": {"plural": "books", "singular": "book", "kind": "Book", "listKind": "Shelf"},
        },
    });
    world.create("apiextensions.k8s.io", "customresourcedefinitions", definition).await.unwrap();
    Definitions::new(world.registry.clone()).bring_up_to_date().await.unwrap();
    let catalog = world.registry.catalog();
    let row = catalog.rows().find(|row| row.custom.is_some()).unwrap();
    assert_eq!(row.list_kind(), "Shelf");
    let document = Documents::build(&catalog, "a").aggregated("/apis").unwrap().written(Media::Json).unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    let groups = document["items"].as_array().unwrap();
    let group = groups.iter().find(|group| group["metadata"]["name"] == "g.example.com").unwrap();
    let kind = json!({"group": "g.example.com", "version": "v1", "kind": "Book"});
    assert_eq!(group["versions"][0]["resources"][0]["responseKind"], kind);
}

#[test]
fn the_groups_are_told_whatever_the_method() {
    let of_groups = ["/apis", "/apis/", "/apis/apps", "/apis/apps/"];
    assert!(of_groups.into_iter().all(is_of_groups));
    assert!(!["/api", "/apis/apps/v1", "/apis/apps//", "/apisx"].into_iter().any(is_of_groups));
}
