//! The catalog beside what a real server tells of its resources.

use super::*;
use serde_json::Value;

fn get(group: &str, version: &str, plural: &str) -> Arc<Resource> {
    Catalog::builtin().get(&Gvr::new(group, version, plural)).expect(plural).clone()
}

#[test]
fn a_row_says_all_about_its_kind() {
    let deployments = get("apps", "v1", "deployments");
    assert_eq!(deployments.key("default", "web"), "/apps/deployments/default/web");
    assert_eq!(deployments.subresource("scale").unwrap().gvk, Gvk::new("autoscaling", "v1", "Scale"));
    assert_eq!(deployments.subresource("status").unwrap().gvk, deployments.gvk);
    assert!(get("", "v1", "nodes").key("", "n1") == "/core/nodes/n1");
    assert!(!get("", "v1", "namespaces").verbs.has("deletecollection"));
}

#[test]
fn versions_of_a_kind_share_one_folder() {
    assert_eq!(get("events.k8s.io", "v1", "events").folder, get("", "v1", "events").folder);
    assert!(!get("autoscaling", "v1", "horizontalpodautoscalers").is_stored_version());
    let catalog = Catalog::builtin();
    assert_eq!(catalog.of_key("/core/events/default/a").unwrap().gvk, Gvk::new("", "v1", "Event"));
    assert!(catalog.of_key("/core/nothing/a").is_none());
}

/// Compares with the published discovery of Kubernetes 1.36.
#[test]
fn the_table_is_what_discovery_publishes() {
    let shared = option_env!("TINYPLANE_SHARED").unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    for file in ["api-aggregated.json", "apis-aggregated.json"] {
        let path = format!("{shared}/kubernetes-1.36/discovery/{file}");
        let Ok(text) = std::fs::read(&path) else { return eprintln!("passed over: {path} is absent") };
        let document: Value = serde_json::from_slice(&text).unwrap();
        for group in document["items"].as_array().unwrap() {
            for version in group["versions"].as_array().unwrap() {
                let group = group["metadata"]["name"].as_str().unwrap_or_default();
                for row in version["resources"].as_array().unwrap() {
                    let parts = row["subresources"].as_array().into_iter().flatten();
                    let parts = parts.map(|part| format!("{}{}", part["subresource"], part["verbs"]));
                    let parts: Vec<_> = parts.collect();
                    expected.push(format!(
                        "{group} {} {} {} {} {} {} {parts:?}",
                        version["version"].as_str().unwrap(),
                        row["resource"].as_str().unwrap(),
                        row["responseKind"]["kind"].as_str().unwrap(),
                        row["scope"].as_str().unwrap(),
                        row["verbs"],
                        row["shortNames"].as_array().map_or(0, Vec::len),
                    ));
                }
            }
        }
    }
    for row in Catalog::builtin().rows() {
        let verbs = |verbs: Verbs| serde_json::to_string(&verbs.words().collect::<Vec<_>>()).unwrap();
        let parts: Vec<_> =
            row.subresources.iter().map(|part| format!("\"{}\"{}", part.name, verbs(part.verbs))).collect();
        let scope = if row.namespaced { "Namespaced" } else { "Cluster" };
        let (gvk, shorts) = (&row.gvk, row.short_names.len());
        found.push(format!(
            "{} {} {} {} {scope} {} {shorts} {parts:?}",
            gvk.group,
            gvk.version,
            row.plural,
            gvk.kind,
            verbs(row.verbs)
        ));
    }
    assert_eq!(found, expected);
}
