//! What of a pod changes by a path of its own: what it may use, and containers that are added while it runs.

use super::field::{Errors, child, index, list, same, text};
use super::{internal, pod, quality};
use serde_json::Value;
use tinyplane_wire::meta::Meta;

/// Pods with this annotation are a node's own.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// How upstream prints a path that it made of nothing.
const NOWHERE: &str = "[]";

/// Containers may be added, and stay then as they are.
pub(super) fn check_ephemeral(new: &Value, old: &Value, errors: &mut Errors) {
    if Meta::of(old).annotation(MIRROR).is_some() {
        return errors.forbidden(NOWHERE, "static pods do not support ephemeral containers");
    }
    pod::check(new, errors);
    let now = list(&new["spec"]["ephemeralContainers"]);
    for before in list(&old["spec"]["ephemeralContainers"]) {
        if errors.is_full() {
            break;
        }
        let name = text(&before["name"]);
        let what = match now.iter().find(|one| one["name"] == before["name"]) {
            None => "removed\n".to_owned(),
            Some(one) if !same(one, before) => {
                format!("changed\n{}", internal::diff("EphemeralContainer", before, one))
            }
            Some(_) => continue,
        };
        let told = format!("existing ephemeral containers {name:?} may not be {what}");
        errors.forbidden("spec.ephemeralContainers", &told);
    }
}

/// Amounts of processor and memory may change, in a pod that stays of its class.
pub(super) fn check_resize(new: &Value, old: &Value, errors: &mut Errors) {
    if Meta::of(old).annotation(MIRROR).is_some() {
        return errors.forbidden(NOWHERE, "static pods cannot be resized");
    }
    if old["spec"]["os"]["name"] == "windows" {
        return errors.forbidden(NOWHERE, "windows pods cannot be resized");
    }
    pod::check(new, errors);
    let (was, is) = (quality::of(&old["spec"]), quality::of(&new["spec"]));
    if was != is {
        let before = text(&new["status"]["qosClass"]);
        errors.invalid_text("spec", before, "Pod QOS Class may not change as a result of resizing");
    }
    let mut in_order = true;
    for field in ["containers", "initContainers"] {
        in_order &= check_order(new, old, field, errors);
    }
    if !in_order {
        return;
    }
    for field in ["initContainers", "containers"] {
        for (at, (now, before)) in list(&new["spec"][field]).iter().zip(list(&old["spec"][field])).enumerate() {
            if field == "initContainers" && before["restartPolicy"] != "Always" {
                if !same(now, before) {
                    errors.forbidden("spec", "resources for non-sidecar init containers are immutable");
                }
                continue;
            }
            let path = child(&index(&child("spec", field), at), "resources");
            for (which, one) in [("requests", "resource requests"), ("limits", "resource limits")] {
                if names(&before["resources"][which]).any(|name| now["resources"][which][name].is_null()) {
                    errors.forbidden(child(&path, which), &format!("{one} cannot be removed"));
                }
            }
        }
    }
    for (now, before) in list(&new["spec"]["containers"]).iter().zip(list(&old["spec"]["containers"])) {
        if !same(&others(now), &others(before)) {
            errors.forbidden("spec", "only cpu and memory resources are mutable");
        }
    }
}

/// Whether the containers of a list are those that were there.
fn check_order(new: &Value, old: &Value, field: &str, errors: &mut Errors) -> bool {
    let (now, before) = (list(&new["spec"][field]), list(&old["spec"][field]));
    let path = child("spec", field);
    if now.len() != before.len() {
        errors.forbidden(path, &format!("{field} may not be added or removed on resize"));
        return false;
    }
    let mut in_order = true;
    for (at, _) in now.iter().zip(before).enumerate().filter(|(_, (now, before))| now["name"] != before["name"]) {
        let told = format!("{field} may not be renamed or reordered on resize");
        errors.forbidden(child(&index(&path, at), "name"), &told);
        in_order = false;
    }
    in_order
}

fn names(amounts: &Value) -> impl Iterator<Item = &String> {
    amounts.as_object().into_iter().flat_map(|amounts| amounts.keys())
}

/// A container without what may change of it, and without claims, which upstream leaves aside as well.
fn others(container: &Value) -> Value {
    let mut rest = container.clone();
    if let Some(resources) = rest["resources"].as_object_mut() {
        resources.remove("claims");
        for which in ["requests", "limits"] {
            if let Some(amounts) = resources.get_mut(which).and_then(Value::as_object_mut) {
                amounts.retain(|name, _| !matches!(name.as_str(), "cpu" | "memory"));
            }
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(check: fn(&Value, &Value, &mut Errors), new: &Value, old: &Value) -> Vec<String> {
        let mut errors = Errors::default();
        check(new, old, &mut errors);
        errors.into_causes().into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    fn pod(containers: &Value, ephemeral: &Value) -> Value {
        let spec = json!({
            "restartPolicy": "Always", "dnsPolicy": "ClusterFirst",
            "containers": containers, "ephemeralContainers": ephemeral,
        });
        json!({"metadata": {"name": "p"}, "spec": spec, "status": {"qosClass": "Burstable"}})
    }

    fn container(name: &str, resources: &Value) -> Value {
        json!({
            "name": name, "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File",
            "resources": resources,
        })
    }

    #[test]
    fn a_resize_changes_processor_and_memory_alone() {
        let sized = |resources: Value| pod(&json!([container("c", &resources)]), &json!([]));
        let old = sized(json!({"requests": {"cpu": "1", "memory": "1Gi"}}));
        let of = |new: &Value| told(check_resize, new, &old);
        assert_eq!(of(&sized(json!({"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"cpu": "3"}}))), [""; 0]);
        assert_eq!(
            of(&sized(json!({"requests": {"cpu": "1"}}))),
            ["spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"]
        );
        assert_eq!(
            of(&sized(json!({"requests": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}}))),
            ["spec: Forbidden: only cpu and memory resources are mutable"]
        );
        let same = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(
            of(&sized(json!({"requests": same, "limits": same}))),
            ["spec: Invalid value: \"Burstable\": Pod QOS Class may not change as a result of resizing"]
        );
        let two = pod(&json!([container("c", &json!({"requests": same})), container("d", &json!({}))]), &json!([]));
        assert_eq!(of(&two), ["spec.containers: Forbidden: containers may not be added or removed on resize"]);
    }

    #[test]
    fn ephemeral_containers_are_added_and_stay_as_they_are() {
        let with = |ephemeral: Value| pod(&json!([container("c", &json!({}))]), &ephemeral);
        let one = |name: &str, image: &str| json!({"name": name, "image": image, "imagePullPolicy": "Always", "terminationMessagePolicy": "File"});
        let old = with(json!([one("e", "i")]));
        let of = |new: Value| told(check_ephemeral, &with(new), &old);
        assert_eq!(of(json!([one("e", "i"), one("f", "i")])), [""; 0]);
        assert_eq!(
            of(json!([one("e", "i"), one("c", "i")])),
            ["spec.ephemeralContainers[1].name: Duplicate value: \"c\""]
        );
        let kept = |what: &str| {
            format!("spec.ephemeralContainers: Forbidden: existing ephemeral containers \"e\" may not be {what}\n")
        };
        assert_eq!(of(json!([])), [kept("removed")]);
        let differ = "@@ -1,6 +1,6 @@\n {\n  \"Name\": \"e\",\n- \"Image\": \"i\",\n+ \"Image\": \"j\",\n  \"Command\": null,\n  \"Args\": null,\n  \"WorkingDir\": \"\",\n";
        assert_eq!(of(json!([one("e", "j")])), [kept("changed") + differ]);
    }
}
