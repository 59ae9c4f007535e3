//! What a pod refers to by name in its own namespace.

use serde_json::Value;
use smol_str::SmolStr;
use tinyplane_wire::meta::Meta;

/// An object that a pod refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reference {
    /// Its resource's plural.
    pub(super) kind: &'static str,
    pub(super) namespace: SmolStr,
    pub(super) name: SmolStr,
}

/// Secrets, ConfigMaps, claims and the service account of a pod. A template's fields are known by their names, which
/// mean the same in every place where they occur: environment, volumes, image pull secrets.
pub(super) fn references(pod: &Value) -> Vec<Reference> {
    let meta = Meta::of(pod);
    let mut found = Found { namespace: meta.namespace().into(), references: Vec::new() };
    let spec = &pod["spec"];
    found.add("serviceaccounts", &spec["serviceAccountName"]);
    for secret in spec["imagePullSecrets"].as_array().into_iter().flatten() {
        found.add("secrets", &secret["name"]);
    }
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        if volume["ephemeral"].is_object() {
            let claim = format!("{}-{}", meta.name(), volume["name"].as_str().unwrap_or_default());
            found.add("persistentvolumeclaims", &Value::String(claim));
        }
        found.walk(volume);
    }
    for containers in ["initContainers", "containers", "ephemeralContainers"] {
        for container in spec[containers].as_array().into_iter().flatten() {
            found.walk(&container["env"]);
            found.walk(&container["envFrom"]);
        }
    }
    found.references
}

struct Found {
    namespace: SmolStr,
    references: Vec<Reference>,
}

impl Found {
    fn add(&mut self, kind: &'static str, name: &Value) {
        let Some(name) = name.as_str().filter(|name| !name.is_empty()) else { return };
        let reference = Reference { kind, namespace: self.namespace.clone(), name: name.into() };
        if !self.references.contains(&reference) {
            self.references.push(reference);
        }
    }

    fn walk(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Object(map) => {
                for (field, value) in map {
                    match field.as_str() {
                        "secretName" => self.add("secrets", value),
                        "secretKeyRef" | "secretRef" | "secret" | "nodePublishSecretRef" => {
                            self.add("secrets", &value["name"]);
                        }
                        "configMapKeyRef" | "configMapRef" | "configMap" => self.add("configmaps", &value["name"]),
                        "claimName" => self.add("persistentvolumeclaims", value),
                        _ => {}
                    }
                    self.walk(value);
                }
            }
            _ => {}
        }
    }
}
