//! `TaintNodesByCondition`: a new node takes no pods until it was seen to be ready.

use super::{Plugin, is};
use crate::registry::admit::{Operation, Question};
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

    async fn mutate(&self, question: &Question<'_>, node: &mut Value) -> status::Result<()> {
        if !is(question, "", "nodes") || question.operation != Operation::Create || !question.subresource.is_empty() {
            return Ok(());
        }
        let spec = map_mut(map_mut(node).entry("spec").or_insert_with(|| json!({})));
        let taints = spec.entry("taints").or_insert_with(|| json!([]));
        let there = |taint: &Value| taint["key"] == NOT_READY && taint["effect"] == "NoSchedule";
        if let Some(taints) = taints.as_array_mut().filter(|taints| !taints.iter().any(there)) {
            taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
        }
        Ok(())
    }
}
