//! The claims of a StatefulSet's pods: made before their pod, and owned by whom the retention policy says.

use super::{COMPONENT, Scene, StatefulSets};
use crate::kinds;
use serde_json::{Value, json};
use tinyplane_wire::client::ClientError;
use tinyplane_wire::meta::{Meta, map_mut, metadata_mut, pairs};

impl StatefulSets {
    /// Makes the claims of a number that are lacking.
    pub(super) async fn ensure_claims(&self, scene: &Scene<'_>, pod: &str) -> Result<(), ClientError> {
        for template in templates(scene.set) {
            let claim = claim(scene.set, template, pod);
            let meta = Meta::of(&claim);
            if self.claims.get(&meta.key()).is_some() {
                continue;
            }
            let set = Meta::of(scene.set).name();
            match self.context.client.create(&kinds::claims(), Some(meta.namespace()), &claim).await {
                Ok(_) => {
                    let told = format!("create Claim {} Pod {pod} in StatefulSet {set} success", meta.name());
                    self.context.recorder.normal(COMPONENT, scene.set, "SuccessfulCreate", told);
                }
                Err(error) if error.is_already_exists() => {}
                Err(error) => {
                    let told = format!(
                        "create Claim {} for Pod {pod} in StatefulSet {set} failed error: {error}",
                        meta.name()
                    );
                    self.context.recorder.warning(COMPONENT, scene.set, "FailedCreate", told);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Gives the claims of a pod the owners that the retention policy asks for.
    pub(super) async fn own_claims(&self, scene: &Scene<'_>, pod: &Value, goes: bool) -> Result<(), ClientError> {
        let policy = &scene.set["spec"]["persistentVolumeClaimRetentionPolicy"];
        for template in templates(scene.set) {
            let namespace = Meta::of(scene.set).namespace();
            let key = format!("{namespace}/{}-{}", Meta::of(template).name(), Meta::of(pod).name());
            let Some(claim) = self.claims.get(&key) else { continue };
            let by_set = policy["whenDeleted"] == "Delete" && !(goes && policy["whenScaled"] == "Delete");
            let by_pod = policy["whenScaled"] == "Delete" && goes;
            let mut owners = claim["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
            let before = owners.clone();
            for (wished, owner) in [(by_set, scene.set), (by_pod, pod)] {
                let uid = Meta::of(owner).uid();
                owners.retain(|o| o["uid"] != uid);
                if wished {
                    owners.push(reference(owner));
                }
            }
            // Pods of this number that are gone own nothing any more.
            owners.retain(|o| o["kind"] != "Pod" || o["uid"] == Meta::of(pod).uid());
            if owners != before {
                let mut wished = Value::clone(&claim);
                metadata_mut(&mut wished).insert("ownerReferences".into(), owners.into());
                self.context.client.update(&kinds::claims(), None, &wished).await?;
            }
        }
        Ok(())
    }
}

fn reference(owner: &Value) -> Value {
    let meta = Meta::of(owner);
    json!({"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta.name(), "uid": meta.uid()})
}

fn templates(set: &Value) -> impl Iterator<Item = &Value> {
    set["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten()
}

fn claim(set: &Value, template: &Value, pod: &str) -> Value {
    let mut claim = template.clone();
    claim["apiVersion"] = "v1".into();
    claim["kind"] = "PersistentVolumeClaim".into();
    map_mut(&mut claim).remove("status");
    let name = format!("{}-{pod}", Meta::of(template).name());
    let metadata = metadata_mut(&mut claim);
    metadata.insert("name".into(), name.into());
    metadata.insert("namespace".into(), Meta::of(set).namespace().into());
    let labels = map_mut(metadata.entry("labels").or_insert_with(|| json!({})));
    for (key, value) in pairs(&set["spec"]["selector"]["matchLabels"]) {
        labels.insert(key.into(), value.into());
    }
    claim
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_named_after_its_pod_and_found_by_the_selector() {
        let set =
            json!({"metadata": {"name": "web", "namespace": "n"}, "spec": {"selector": {"matchLabels": {"a": "b"}}}});
        let template = json!({"metadata": {"name": "data"}, "spec": {"x": 1}, "status": {"phase": "Pending"}});
        let made = claim(&set, &template, "web-0");
        assert_eq!(made["metadata"], json!({"name": "data-web-0", "namespace": "n", "labels": {"a": "b"}}));
        assert!(made.get("status").is_none());
    }
}
