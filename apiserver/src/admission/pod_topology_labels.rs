//! `PodTopologyLabels`: a pod carries the zone and the region of its node.

use super::{Plugin, is};
use crate::registry::admit::{Operation, Question};
use async_trait::async_trait;
use serde_json::{Value, json};
use tinyplane_wire::meta::{Meta, map_mut, metadata_mut};
use tinyplane_wire::status;

const LABELS: [&str; 2] = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

pub(super) struct PodTopologyLabels;

#[async_trait]
impl Plugin for PodTopologyLabels {
    fn name(&self) -> &'static str {
        "PodTopologyLabels"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        // The moment at which a pod gets its node: when it is bound, or made with one.
        let binds = question.operation == Operation::Update && question.subresource == "binding";
        let made = question.operation == Operation::Create && question.subresource.is_empty();
        (binds || made) && is(question, "", "pods")
    }

    async fn mutate(&self, question: &Question<'_>, pod: &mut Value) -> status::Result<()> {
        let Some(node) = pod["spec"]["nodeName"].as_str().filter(|name| !name.is_empty()) else { return Ok(()) };
        let Some(node) = question.registry.find("", "nodes", "", node)? else { return Ok(()) };
        for key in LABELS {
            let Some(value) = Meta::of(&node).label(key) else { continue };
            let labels = map_mut(metadata_mut(pod).entry("labels").or_insert_with(|| json!({})));
            // What the node says counts, whatever the pod claims.
            labels.insert(key.to_owned(), value.into());
        }
        Ok(())
    }
}
