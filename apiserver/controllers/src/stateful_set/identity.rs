//! What makes a pod of a StatefulSet the one of its number: name, labels, host name, volumes.

use super::Scene;
use crate::pods::from_template;
use crate::revisions::REVISION_LABEL;
use serde_json::{Value, json};
use tinyplane_wire::meta::{Meta, map_mut, metadata_mut};

const NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";
const INDEX_LABEL: &str = "apps.kubernetes.io/pod-index";

/// The pod of a number, by the revision that is due for it.
pub(super) fn pod(scene: &Scene<'_>, ordinal: i64) -> Value {
    let (template, revision) = match is_held_back(scene, ordinal) {
        true => (&scene.current_template, &scene.current),
        false => (&scene.set["spec"]["template"], &scene.update),
    };
    let name = scene.name_of(ordinal);
    let mut pod = from_template(scene.set, template);
    let metadata = metadata_mut(&mut pod);
    metadata.remove("generateName");
    metadata.insert("name".into(), name.clone().into());
    let labels = map_mut(metadata.entry("labels").or_insert_with(|| json!({})));
    labels.insert(REVISION_LABEL.into(), revision.clone().into());
    labels.insert(NAME_LABEL.into(), name.clone().into());
    labels.insert(INDEX_LABEL.into(), ordinal.to_string().into());
    let volumes = volumes(scene.set, &pod["spec"]["volumes"], &name);
    let spec = map_mut(&mut pod["spec"]);
    spec.insert("hostname".into(), name.into());
    if let Some(service) = scene.set["spec"]["serviceName"].as_str().filter(|service| !service.is_empty()) {
        spec.insert("subdomain".into(), service.into());
    }
    if !volumes.is_empty() {
        spec.insert("volumes".into(), volumes.into());
    }
    pod
}

/// Whether a number still gets the current revision: below the partition.
fn is_held_back(scene: &Scene<'_>, ordinal: i64) -> bool {
    let strategy = &scene.set["spec"]["updateStrategy"];
    let below = match strategy["rollingUpdate"].is_null() {
        true => scene.set["status"]["currentReplicas"].as_i64().unwrap_or_default(),
        false => partition(scene.set),
    };
    strategy["type"] != "OnDelete" && ordinal < scene.first() + below
}

/// The first number that gets the new revision.
pub(super) fn partition(set: &Value) -> i64 {
    set["spec"]["updateStrategy"]["rollingUpdate"]["partition"].as_i64().unwrap_or_default()
}

/// The volumes of the claims, and those of the template that are none of them.
fn volumes(set: &Value, of_template: &Value, pod: &str) -> Vec<Value> {
    let templates = set["spec"]["volumeClaimTemplates"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut volumes: Vec<Value> = templates
        .iter()
        .map(|template| {
            let name = Meta::of(template).name();
            json!({"name": name, "persistentVolumeClaim": {"claimName": format!("{name}-{pod}")}})
        })
        .collect();
    let own = of_template.as_array().into_iter().flatten();
    let replaced = |volume: &&Value| templates.iter().any(|template| volume["name"] == Meta::of(template).name());
    volumes.extend(own.filter(|volume| !replaced(volume)).cloned());
    volumes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn a_pod_carries_its_number_and_below_the_partition_the_old_revision() {
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web", "uid": "u"},
            "spec": {
                "serviceName": "all", "updateStrategy": {"rollingUpdate": {"partition": 1}},
                "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
                "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"volumes": [
                    {"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}},
                ]}},
            },
        });
        let scene = Scene {
            key: "",
            set: &set,
            now: SystemTime::UNIX_EPOCH,
            current: "web-old".into(),
            update: "web-new".into(),
            current_template: set["spec"]["template"].clone(),
        };
        let made = pod(&scene, 1);
        assert_eq!(
            made["metadata"]["labels"],
            json!({
                "a": "b", REVISION_LABEL: "web-new", NAME_LABEL: "web-1", INDEX_LABEL: "1",
            })
        );
        assert_eq!((&made["metadata"]["name"], &made["spec"]["hostname"]), (&json!("web-1"), &json!("web-1")));
        assert_eq!(made["spec"]["subdomain"], "all");
        assert_eq!(
            made["spec"]["volumes"],
            json!([
                {"name": "data", "persistentVolumeClaim": {"claimName": "data-web-1"}}, {"name": "tmp", "emptyDir": {}},
            ])
        );
        assert_eq!(Meta::of(&pod(&scene, 0)).label(REVISION_LABEL), Some("web-old"));
    }
}
