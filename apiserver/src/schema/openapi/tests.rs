//! Our documents against those of a real 1.36 server, where those are at hand.

use super::*;
use crate::schema::model;
use std::{collections::BTreeMap, fs, path::PathBuf};

/// The folder of a real server's documents; none in a checkout of this repository alone.
pub(super) fn reference_folder() -> Option<PathBuf> {
    let shared = std::env::var_os("TINYPLANE_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let folder = shared.join("kubernetes-1.36");
    if !folder.is_dir() {
        println!("PASSED OVER: no documents of a real server in {}", folder.display());
        return None;
    }
    Some(folder)
}

pub(super) fn read(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What a real server's discovery says that it serves in a group version.
fn discovered(list: &Value) -> GroupVersion {
    let name = list["groupVersion"].as_str().unwrap();
    let (group, version) = name.split_once('/').unwrap_or(("", name));
    let mut resources: BTreeMap<String, Resource> = BTreeMap::new();
    let rows: Vec<&Value> = list["resources"].as_array().unwrap().iter().collect();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or("").to_owned();
    for row in rows.iter().filter(|row| !text(row, "name").contains('/')) {
        let resource = Resource {
            plural: text(row, "name"),
            kind: text(row, "kind"),
            namespaced: row["namespaced"] == true,
            verbs: strings(&row["verbs"]),
            returns_deleted: false,
            subresources: Vec::new(),
            custom: None,
        };
        resources.insert(resource.plural.clone(), resource);
    }
    for row in rows {
        let full = text(row, "name");
        let Some((plural, below)) = full.split_once('/') else { continue };
        let own = |word: &str, of: &str| if row.get(word).is_some() { text(row, word) } else { of.to_owned() };
        // A few subresources stand in discovery without the resource that they hang from.
        resources.get_mut(plural).unwrap().subresources.push(Subresource {
            name: below.to_owned(),
            kind: (own("group", group), own("version", version), text(row, "kind")),
            verbs: strings(&row["verbs"]),
        });
    }
    GroupVersion { group: group.to_owned(), version: version.to_owned(), resources: resources.into_values().collect() }
}

/// The document of every group version that a real server has on by default: ours and its own.
pub(super) fn documents() -> Vec<(String, Value, Value)> {
    let Some(folder) = reference_folder() else { return Vec::new() };
    let (texts, mut all) = (Texts::unpack(), Vec::new());
    for entry in fs::read_dir(folder.join("openapi/v3")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let name = file.strip_suffix("_openapi.json").unwrap();
        let list = folder.join(format!("discovery/{name}.json"));
        let is_group_version =
            name.starts_with("api__") || name.starts_with("apis__") && name.matches("__").count() == 2;
        if is_group_version && list.exists() {
            let group_version = discovered(&read(list));
            let ours = document(model(), &texts, &group_version);
            all.push((group_version.path(), ours, read(folder.join("openapi/v3").join(&file))));
        }
    }
    assert!(all.len() > 20, "{} documents were found", all.len());
    all
}

/// Without prose, with every lone reference in the same form, and lists (all of them sets) in one order.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(entries) => {
            let only_reference = entries.keys().all(|name| matches!(name.as_str(), "allOf" | "description"));
            if let (true, Some(inner)) = (only_reference, entries.get("allOf").and_then(|all| all.get(0))) {
                return normal(inner);
            }
            entries
                .iter()
                .filter(|(name, value)| *name != "description" || !value.is_string())
                .map(|(name, value)| match name.as_str() {
                    "items" | "additionalProperties" => (name.clone(), normal(&without_default(value))),
                    _ => (name.clone(), normal(value)),
                })
                .collect::<Map<_, _>>()
                .into()
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(normal).collect();
            items.sort_by_key(ToString::to_string);
            items.into()
        }
        other => other.clone(),
    }
}

/// A running server says what stands in a list where nothing is said; the documents at hand leave that out.
fn without_default(item: &Value) -> Value {
    let mut item = item.clone();
    if let Some(fields) = item.as_object_mut().filter(|fields| fields.contains_key("default")) {
        fields.remove("default");
    }
    item
}

/// Every place where two values differ, as `path: ours, theirs`.
fn differences(path: &str, ours: &Value, theirs: &Value, into: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let names: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for name in names {
                let of = |side: &Map<String, Value>| side.get(name).cloned().unwrap_or(Value::Null);
                differences(&format!("{path}/{name}"), &of(ours), &of(theirs), into);
            }
        }
        (ours, theirs) if ours == theirs => {}
        (ours, theirs) => into.push(format!("{path}: ours {ours}, theirs {theirs}")),
    }
}

/// Where a real server's schemas differ from ours, and why that is right.
const EXCEPTIONS: &[(&str, &str)] =
    &[("/enum: ours [", "a running server counts values up, the documents at hand were written without them")];

#[test]
fn every_schema_of_a_real_server_is_ours() {
    let mut found = Vec::new();
    for (path, ours, theirs) in documents() {
        let schemas = |document: &Value| normal(&document["components"]["schemas"]);
        differences(&path, &schemas(&ours), &schemas(&theirs), &mut found);
    }
    found.retain(|line| !EXCEPTIONS.iter().any(|(place, _)| line.contains(place)));
    found.sort();
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

/// What a client looks at in a path: per method the action, kind, id and parameters, and the schemas of its body.
fn outline(item: &Value) -> Value {
    let names = |of: &Value| {
        let all = of["parameters"].as_array().into_iter().flatten().filter_map(|one| one["name"].as_str());
        all.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut outline = Map::new();
    let shared = names(item);
    for (method, operation) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
        let mut body =
            operation["requestBody"]["content"].as_object().into_iter().flatten().map(|(_, body)| body.clone());
        let answer = operation["responses"]["200"]["content"]["application/json"]["schema"].clone();
        // Some kinds answer a deletion with the object, most with a Status; no client chooses by it.
        let answer = if operation["x-kubernetes-action"] == "delete" { Value::Null } else { answer };
        let mut parameters = [shared.clone(), names(operation)].concat();
        parameters.sort();
        parameters.dedup();
        let one = json!({
            "action": operation["x-kubernetes-action"], "kind": operation["x-kubernetes-group-version-kind"],
            "id": operation["operationId"], "parameters": parameters, "answer": answer,
            "body": body.next_back(), "tags": operation["tags"],
        });
        outline.insert(method.clone(), one);
    }
    normal(&Value::Object(outline))
}

#[test]
fn every_path_of_a_real_server_is_ours() {
    let mut found = Vec::new();
    for (_, ours, theirs) in documents() {
        let outlines = |document: &Value| {
            let paths = document["paths"].as_object().unwrap().iter();
            paths.map(|(path, item)| (path.clone(), outline(item))).collect::<Map<_, _>>()
        };
        let (ours, theirs) = (outlines(&ours), outlines(&theirs));
        differences("", &ours.into(), &theirs.into(), &mut found);
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

#[test]
fn what_is_no_resource_is_told_as_a_real_server_tells_it() {
    let Some(folder) = reference_folder() else { return };
    let groups = documents().into_iter().filter_map(|(path, _, _)| Some(path.strip_prefix("apis/")?.to_owned()));
    let group = |path: String| path.split('/').next().unwrap().to_owned();
    let served: Vec<GroupVersion> =
        groups.map(|path| GroupVersion { group: group(path), ..GroupVersion::default() }).collect();
    let (texts, mut found) = (Texts::unpack(), Vec::new());
    for root in roots::all(&served) {
        let path = root.path();
        let file = folder.join(format!("openapi/v3/{}_openapi.json", path.replace('/', "__")));
        // Those of the issuer are of a running server alone.
        if matches!(root, Root::Issuer | Root::Keys) {
            continue;
        }
        let ours = Subject::Root(root).document(model(), &texts);
        differences(&path, &normal(&ours), &normal(&read(file)), &mut found);
    }
    // A running server knows its version.
    found.retain(|line| !line.contains("/info/version: "));
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_index_names_each_document_by_its_hash() {
    let group_version = GroupVersion {
        group: "apps".to_owned(),
        version: "v1".to_owned(),
        resources: vec![Resource {
            plural: "deployments".to_owned(),
            kind: "Deployment".to_owned(),
            namespaced: true,
            verbs: vec!["get".to_owned(), "patch".to_owned()],
            returns_deleted: false,
            subresources: Vec::new(),
            custom: None,
        }],
    };
    let one = OpenApi::new(model(), vec![group_version.clone()]);
    let document = one.v3("apis/apps/v1").unwrap();
    let index: Value = serde_json::from_slice(&one.index().bytes).unwrap();
    let address = format!("/openapi/v3/apis/apps/v1?hash={}", document.hash);
    assert_eq!(index["paths"]["apis/apps/v1"], json!({"serverRelativeURL": address}));
    let all: Vec<&String> = index["paths"].as_object().unwrap().keys().collect();
    let roots = [".well-known/openid-configuration", "api", "apis", "apis/apps", "apis/apps/v1", "openid/v1/jwks"];
    assert_eq!(all, [&roots[..], &["version"]].concat());
    let parsed: Value = serde_json::from_slice(&document.bytes).unwrap();
    let patch = &parsed["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    let parameters = patch["parameters"].as_array().unwrap();
    assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"));
    assert!(one.v3("apis/none/v1").is_none());

    let mut more = group_version;
    more.resources[0].verbs.push("delete".to_owned());
    let other = OpenApi::new(model(), vec![more]);
    assert_ne!(other.index().hash, one.index().hash, "another document has another hash");
}

/// A document of one core kind of which everything can be done that is done with one object.
fn document_of(plural: &str, kind: &str, returns_deleted: bool) -> Value {
    let resource = Resource {
        plural: plural.to_owned(),
        kind: kind.to_owned(),
        namespaced: true,
        verbs: vec!["get".to_owned(), "delete".to_owned()],
        returns_deleted,
        subresources: Vec::new(),
        custom: None,
    };
    document(
        model(),
        &Texts::unpack(),
        &GroupVersion { group: String::new(), version: "v1".to_owned(), resources: vec![resource] },
    )
}

#[test]
fn what_lists_and_maps_hold_by_value_has_a_default() {
    let document = document_of("pods", "Pod", false);
    let schemas = &document["components"]["schemas"];
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let container = "io.k8s.api.core.v1.Container";
    for (name, field, word, expected) in [
        ("io.k8s.api.core.v1.PodSpec", "containers", "items", json!({"allOf": [reference(container)], "default": {}})),
        (container, "args", "items", json!({"type": "string", "default": ""})),
        (
            "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
            "labels",
            "additionalProperties",
            json!({"type": "string", "default": ""}),
        ),
        // What Go writes as it likes has none.
        (
            "io.k8s.api.core.v1.ResourceRequirements",
            "limits",
            "additionalProperties",
            reference("io.k8s.apimachinery.pkg.api.resource.Quantity"),
        ),
    ] {
        assert_eq!(schemas[name]["properties"][field][word], expected, "{name}.{field}");
    }
}

#[test]
fn values_that_are_counted_up_and_unions_are_told() {
    let document = document_of("pods", "Pod", false);
    let core = |name: &str| &document["components"]["schemas"][format!("io.k8s.api.core.v1.{name}")];
    let restart = &core("PodSpec")["properties"]["restartPolicy"];
    assert_eq!(normal(restart), json!({"type": "string", "enum": ["Always", "Never", "OnFailure"]}));
    let claims = core("PersistentVolumeClaimSpec")["properties"]["accessModes"]["items"]["enum"].as_array().unwrap();
    assert_eq!(claims.len(), 4);
    let members = json!({"localhostProfile": "LocalhostProfile"});
    let union = json!([{"discriminator": "type", "fields-to-discriminateBy": members}]);
    assert_eq!(core("SeccompProfile")["x-kubernetes-unions"], union);
}

#[test]
fn a_document_of_custom_resources_tells_less() {
    let scale = Subresource {
        name: "scale".to_owned(),
        kind: ("autoscaling".to_owned(), "v1".to_owned(), "Scale".to_owned()),
        verbs: vec!["get".to_owned()],
    };
    let custom = Custom { schema: Value::Null, list_kind: "BookList".to_owned(), selectable: Vec::new() };
    let resource = Resource {
        plural: "books".to_owned(),
        kind: "Book".to_owned(),
        namespaced: false,
        verbs: ["get", "list", "watch", "delete"].map(str::to_owned).to_vec(),
        returns_deleted: false,
        subresources: vec![scale],
        custom: Some(custom),
    };
    let group_version =
        GroupVersion { group: "example.com".to_owned(), version: "v1".to_owned(), resources: vec![resource] };
    assert!(!roots::all(std::slice::from_ref(&group_version)).contains(&Root::Group("example.com".to_owned())));
    let document = document(model(), &Texts::unpack(), &group_version);
    assert_eq!(document["components"].as_object().unwrap().keys().collect::<Vec<_>>(), ["schemas"]);
    let paths = document["paths"].as_object().unwrap();
    assert!(!paths.contains_key("/apis/example.com/v1/"));
    // Upstream says of all paths what the resource is.
    let read = &paths["/apis/example.com/v1/books/{name}/scale"]["get"];
    assert_eq!(read["x-kubernetes-group-version-kind"]["kind"], "Book");
    let schemas = &document["components"]["schemas"];
    let kinds = &schemas["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"]["x-kubernetes-group-version-kind"];
    assert_eq!(*kinds, published::everywhere("DeleteOptions", published::Among::Clients));
    assert_eq!(schemas.get("io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent"), None);
}

#[test]
fn v2_takes_no_custom_kind_for_one_of_upstreams() {
    for (group, kind) in [("example.com", "Quantity"), ("a.networking.k8s.io", "WatchEvent")] {
        let nullable = json!({"type": "object", "properties": {"a": {"type": "string", "nullable": true}}});
        let custom = Custom { schema: nullable, list_kind: format!("{kind}List"), selectable: Vec::new() };
        let resource = Resource {
            plural: "ones".to_owned(),
            kind: kind.to_owned(),
            namespaced: false,
            verbs: vec!["get".to_owned()],
            returns_deleted: false,
            subresources: Vec::new(),
            custom: Some(custom),
        };
        let group_version =
            GroupVersion { group: group.to_owned(), version: "v1".to_owned(), resources: vec![resource] };
        let name = custom::name(&group_version, kind);
        let written = swagger::write(model(), std::iter::once(document(model(), &Texts::unpack(), &group_version)));
        let written: Value = serde_json::from_str(&written.json).unwrap();
        let definition = &written["definitions"][&name];
        assert_eq!(definition["properties"]["a"], json!({}), "{name}");
        assert_eq!(definition["x-kubernetes-group-version-kind"].as_array().map(Vec::len), Some(1), "{name}");
    }
}

#[test]
fn who_deletes_is_answered_the_object_or_a_status() {
    for (plural, kind, returns_deleted, answered) in [
        ("pods", "Pod", true, "io.k8s.api.core.v1.Pod"),
        ("secrets", "Secret", false, "io.k8s.apimachinery.pkg.apis.meta.v1.Status"),
        // It is answered, which upstream does not tell.
        ("namespaces", "Namespace", true, "io.k8s.apimachinery.pkg.apis.meta.v1.Status"),
    ] {
        let document = document_of(plural, kind, returns_deleted);
        let path = format!("/api/v1/namespaces/{{namespace}}/{plural}/{{name}}");
        let responses = &document["paths"][path]["delete"]["responses"];
        let schema = json!({"$ref": format!("#/components/schemas/{answered}")});
        for code in ["200", "202"] {
            assert_eq!(responses[code]["content"]["application/json"]["schema"], schema, "{code} of {plural}");
        }
    }
}

#[test]
fn every_definition_of_v2_is_a_real_servers() {
    let Some(folder) = reference_folder() else { return };
    let theirs = read(folder.join("openapi/swagger.json"));
    let written = swagger::write(model(), documents().into_iter().map(|(_, ours, _)| ours));
    let ours: Value = serde_json::from_str(&written.json).unwrap();
    assert!(ours["paths"].as_object().unwrap().len() > 100);
    let mut found = Vec::new();
    for (name, schema) in ours["definitions"].as_object().unwrap() {
        differences(name, &normal(schema), &normal(&theirs["definitions"][name]), &mut found);
    }
    // Theirs is of the whole source tree: these two name the group versions that are off as well.
    let everywhere =
        |line: &String| line.contains("DeleteOptions/x-kubernetes") || line.contains("WatchEvent/x-kubernetes");
    found.retain(|line| !everywhere(line) && !EXCEPTIONS.iter().any(|(place, _)| line.contains(place)));
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}
