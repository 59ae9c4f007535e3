//! `DefaultTolerationSeconds`: a pod stays five minutes on a node that fell silent, unless it says otherwise.

use super::{Plugin, is_written};
use crate::registry::admit::Question;
use async_trait::async_trait;
use serde_json::{Value, json};
use tinyplane_wire::meta::map_mut;
use tinyplane_wire::status;

/// Upstream's default.
const SECONDS: u32 = 300;
const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

pub(super) struct DefaultTolerationSeconds;

#[async_trait]
impl Plugin for DefaultTolerationSeconds {
    fn name(&self) -> &'static str {
        "DefaultTolerationSeconds"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        is_written(question, "", "pods")
    }

    async fn mutate(&self, _question: &Question<'_>, pod: &mut Value) -> status::Result<()> {
        add(pod);
        Ok(())
    }
}

fn add(pod: &mut Value) {
    let spec = map_mut(map_mut(pod).entry("spec").or_insert_with(|| json!({})));
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    let Some(tolerations) = tolerations.as_array_mut() else { return };
    for taint in TAINTS {
        let tolerated = tolerations.iter().any(|toleration| {
            let (key, effect) = (toleration["key"].as_str(), toleration["effect"].as_str());
            key.is_none_or(|key| key.is_empty() || key == taint)
                && effect.is_none_or(|e| e.is_empty() || e == "NoExecute")
        });
        if !tolerated {
            tolerations
                .push(json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tolerated_already_is_left_alone() {
        let mut pod =
            json!({"spec": {"tolerations": [{"key": TAINTS[0], "operator": "Exists", "effect": "NoExecute"}]}});
        add(&mut pod);
        let tolerations = pod["spec"]["tolerations"].as_array().unwrap();
        assert_eq!((tolerations.len(), &tolerations[1]["key"]), (2, &json!(TAINTS[1])));
        let mut all = json!({"spec": {"tolerations": [{"operator": "Exists"}]}});
        add(&mut all);
        assert_eq!(all["spec"]["tolerations"].as_array().unwrap().len(), 1);
    }
}
