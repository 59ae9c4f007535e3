//! `TaintNodesByCondition`: a new node takes no pods until it was seen to be ready.

use super::{Plugin, is_new};
use crate::registry::admit::Question;
use async_trait::async_trait;
use serde_json::{Value, json};
use tinyplane_wire::meta::map_mut;
use tinyplane_wire::status;

const NOT_READY: &str = "node.kubernetes.io/not-ready";

pub(super) struct TaintNodesByCondition;

#[async_trait]
impl Plugin for TaintNodesByCondition {
    fn name(&self) -> &'static str {
        "TaintNodesByCondition"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        is_new(question, "", "nodes")
    }

    async fn mutate(&self, _question: &Question<'_>, node: &mut Value) -> status::Result<()> {
        let spec = map_mut(map_mut(node).entry("spec").or_insert_with(|| json!({})));
        let taints = spec.entry("taints").or_insert_with(|| json!([]));
        let there = |taint: &Value| taint["key"] == NOT_READY && taint["effect"] == "NoSchedule";
        if let Some(taints) = taints.as_array_mut().filter(|taints| !taints.iter().any(there)) {
            taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
        }
        Ok(())
    }
}
