//! `Priority`: turns the name of a `PriorityClass` into the number that scheduling goes by.

use super::{Plugin, forbidden, is, is_new_pod};
use crate::registry::admit::{Operation, Question};
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::status;

const GROUP: &str = "scheduling.k8s.io";

pub(super) struct Priority;

#[async_trait]
impl Plugin for Priority {
    fn name(&self) -> &'static str {
        "Priority"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        let changes = question.operation == Operation::Update && question.subresource.is_empty();
        is_new_pod(question) || (changes && is(question, "", "pods"))
    }

    async fn mutate(&self, question: &Question<'_>, pod: &mut Value) -> status::Result<()> {
        if let Some(old) = question.old {
            for field in ["priority", "preemptionPolicy"] {
                if pod["spec"][field].is_null() && !old["spec"][field].is_null() {
                    pod["spec"][field] = old["spec"][field].clone();
                }
            }
            return Ok(());
        }
        let class = match pod["spec"]["priorityClassName"].as_str() {
            None | Some("") => default_class(question)?,
            Some(name) => match question.registry.find(GROUP, "priorityclasses", "", name)? {
                Some(class) => Some(class),
                None => return Err(forbidden(question, &format!("no PriorityClass with name {name} was found"))),
            },
        };
        let (number, policy) = match &class {
            Some(class) => (class["value"].as_i64().unwrap_or_default(), class["preemptionPolicy"].as_str()),
            None => (0, None),
        };
        if let Some(given) = pod["spec"]["priority"].as_i64().filter(|given| *given != number) {
            let why = format!(
                "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {number} from the given PriorityClass name"
            );
            return Err(forbidden(question, &why));
        }
        if let Some(class) = &class {
            pod["spec"]["priorityClassName"] = Meta::of(class).name().into();
        }
        pod["spec"]["priority"] = number.into();
        let policy = policy.unwrap_or("PreemptLowerPriority");
        if let Some(given) = pod["spec"]["preemptionPolicy"].as_str().filter(|given| *given != policy) {
            let why = format!(
                "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
            );
            return Err(forbidden(question, &why));
        }
        pod["spec"]["preemptionPolicy"] = policy.into();
        Ok(())
    }
}

/// The class of pods that name none; of several the lowest.
fn default_class(question: &Question<'_>) -> status::Result<Option<Arc<Value>>> {
    let classes = question.registry.find_all(GROUP, "priorityclasses", "")?;
    let defaults = classes.into_iter().filter(|class| class["globalDefault"].as_bool() == Some(true));
    Ok(defaults.min_by_key(|class| class["value"].as_i64()))
}
