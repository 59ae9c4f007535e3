//! The small plugins that are off by default: always yes, always no, always pull, and two about tolerations and topology.

use super::{Plugin, forbidden, is_new_pod, is_written, items};
use crate::registry::admit::Question;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tinyplane_wire::meta::map_mut;
use tinyplane_wire::status;

/// Lets everything through.
pub(super) struct AlwaysAdmit;

#[async_trait]
impl Plugin for AlwaysAdmit {
    fn name(&self) -> &'static str {
        "AlwaysAdmit"
    }

    fn concerns(&self, _question: &Question<'_>) -> bool {
        false
    }
}

/// Lets nothing through.
pub(super) struct AlwaysDeny;

#[async_trait]
impl Plugin for AlwaysDeny {
    fn name(&self) -> &'static str {
        "AlwaysDeny"
    }

    fn concerns(&self, _question: &Question<'_>) -> bool {
        true
    }

    async fn mutate(&self, question: &Question<'_>, _object: &mut Value) -> status::Result<()> {
        Err(forbidden(question, "admission control is denying all modifications"))
    }

    async fn validate(&self, question: &Question<'_>, _object: &Value) -> status::Result<()> {
        Err(forbidden(question, "admission control is denying all modifications"))
    }
}

const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Has every image pulled at every start.
pub(super) struct AlwaysPullImages;

#[async_trait]
impl Plugin for AlwaysPullImages {
    fn name(&self) -> &'static str {
        "AlwaysPullImages"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        is_written(question, "", "pods")
    }

    async fn mutate(&self, _question: &Question<'_>, pod: &mut Value) -> status::Result<()> {
        for field in CONTAINERS {
            for container in pod["spec"].get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
                container["imagePullPolicy"] = json!("Always");
            }
        }
        Ok(())
    }
}

/// Tolerates the taints of nodes that are kept for an extended resource, on behalf of pods that ask for it.
pub(super) struct ExtendedResourceToleration;

#[async_trait]
impl Plugin for ExtendedResourceToleration {
    fn name(&self) -> &'static str {
        "ExtendedResourceToleration"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        is_written(question, "", "pods")
    }

    async fn mutate(&self, _question: &Question<'_>, pod: &mut Value) -> status::Result<()> {
        let mut names = BTreeSet::new();
        for field in ["initContainers", "containers"] {
            for container in items(&pod["spec"][field]) {
                let requests = container["resources"]["requests"].as_object().into_iter().flatten();
                names.extend(requests.map(|(name, _)| name.clone()).filter(|name| is_extended(name)));
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        let tolerations = map_mut(&mut pod["spec"]).entry("tolerations").or_insert_with(|| json!([]));
        let Some(tolerations) = tolerations.as_array_mut() else { return Ok(()) };
        for name in names {
            let wanted = json!({"key": name, "operator": "Exists"});
            let there = tolerations.iter().any(|one| one["key"] == wanted["key"] && one["operator"] == "Exists");
            if !there {
                tolerations.push(wanted);
            }
        }
        Ok(())
    }
}

/// True for a resource that has a domain, and that not Kubernetes' own.
pub(super) fn is_extended(name: &str) -> bool {
    let native = name.split_once('/').is_none_or(|(domain, _)| domain.ends_with("kubernetes.io"));
    !native && !name.starts_with("requests.")
}

/// Required anti-affinity goes by host name alone.
pub(super) struct LimitPodHardAntiAffinityTopology;

#[async_trait]
impl Plugin for LimitPodHardAntiAffinityTopology {
    fn name(&self) -> &'static str {
        "LimitPodHardAntiAffinityTopology"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        is_new_pod(question)
    }

    async fn validate(&self, question: &Question<'_>, pod: &Value) -> status::Result<()> {
        let terms = &pod["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        match items(terms).find(|term| term["topologyKey"] != "kubernetes.io/hostname") {
            None => Ok(()),
            Some(term) => {
                let key = term["topologyKey"].as_str().unwrap_or_default();
                let why = format!(
                    "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {key} but only key kubernetes.io/hostname is allowed"
                );
                Err(forbidden(question, &why))
            }
        }
    }
}
