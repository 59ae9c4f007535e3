//! Profiles of AppArmor that a new pod says in annotations of an earlier day: its containers get them as fields.

use crate::registry::behaviour::Scene;
use crate::registry::cells::items;
use serde_json::{Value, json};
use tinyplane_wire::meta::Meta;

const ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";
/// Longest path of a profile on a node.
const LOCAL_BYTES_MAX: usize = 4_095;

/// What an annotation means as a field; nothing, where it means nothing or could not stand there.
pub(in crate::registry) fn profile(annotation: &str) -> Option<Value> {
    match annotation {
        "unconfined" => Some(json!({"type": "Unconfined"})),
        "runtime/default" => Some(json!({"type": "RuntimeDefault"})),
        other => {
            let local = other.strip_prefix("localhost/").filter(|local| !local.is_empty())?;
            Some(json!({"type": "Localhost", "localhostProfile": local}))
        }
    }
}

/// Whether a profile could stand in a field.
fn is_valid(profile: &Value) -> bool {
    let local = profile["localhostProfile"].as_str().unwrap_or_default();
    local.trim() == local && local.len() <= LOCAL_BYTES_MAX
}

/// Gives each container the profile that an annotation says for it, unless it or its pod has that one.
pub(super) fn follow_annotations(pod: &mut Value, scene: &Scene<'_>) {
    if pod["spec"]["os"]["name"] == "windows" || !pod["metadata"]["annotations"].is_object() {
        return;
    }
    let of_pod = pod["spec"]["securityContext"]["appArmorProfile"].clone();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for at in 0..items(&pod["spec"][list]).count() {
            let container = &pod["spec"][list][at];
            let key = format!("{ANNOTATION}{}", container["name"].as_str().unwrap_or_default());
            let Some(annotation) = Meta::of(pod).annotation(&key) else { continue };
            if !container["securityContext"]["appArmorProfile"].is_null() {
                continue;
            }
            let profile = profile(annotation).filter(is_valid);
            if profile.as_ref() == Some(&of_pod) {
                continue;
            }
            let told = "deprecated since v1.30; use the \"appArmorProfile\" field instead";
            scene.warnings.add(format!("metadata.annotations[{key}]: {told}"));
            if let Some(profile) = profile {
                pod["spec"][list][at]["securityContext"]["appArmorProfile"] = profile;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::behaviour::Part;
    use crate::registry::kinds::at;

    #[test]
    fn containers_get_the_profiles_of_annotations_and_their_authors_are_told() {
        let mut pod = json!({
            "metadata": {"annotations": {
                format!("{ANNOTATION}a"): "localhost/x", format!("{ANNOTATION}b"): "runtime/default",
                format!("{ANNOTATION}c"): "odd", format!("{ANNOTATION}d"): "unconfined",
            }},
            "spec": {
                "securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}},
                "containers": [
                    {"name": "a"}, {"name": "b"}, {"name": "c"},
                    {"name": "d", "securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}},
                ],
            },
        });
        let scene = at(Part::Main);
        let before = pod.clone();
        follow_annotations(&mut pod, &scene);
        let mut wanted = before;
        wanted["spec"]["containers"][0]["securityContext"] =
            json!({"appArmorProfile": {"type": "Localhost", "localhostProfile": "x"}});
        assert_eq!(pod, wanted);
        let told = scene.warnings.header_values();
        let of = |name: &str| told.iter().any(|one| one.contains(&format!("metadata.annotations[{ANNOTATION}{name}]")));
        assert_eq!(["a", "b", "c", "d"].map(of), [true, false, true, false]);
    }
}
