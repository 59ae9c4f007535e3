//! `RuntimeClass`: a pod gets the overhead and the scheduling rules of the class that it names.

use super::{Plugin, forbidden, is_new_pod, items};
use crate::registry::admit::Question;
use crate::schema::quantity::Quantity;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Arc;
use tinyplane_wire::meta::{map_mut, pairs};
use tinyplane_wire::status;

pub(super) struct RuntimeClass;

#[async_trait]
impl Plugin for RuntimeClass {
    fn name(&self) -> &'static str {
        "RuntimeClass"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        is_new_pod(question)
    }

    async fn mutate(&self, question: &Question<'_>, pod: &mut Value) -> status::Result<()> {
        let Some(class) = class(question, pod)? else { return Ok(()) };
        let given = pod["spec"]["overhead"].as_object().is_some_and(|overhead| !overhead.is_empty());
        if let (Some(overhead), false) = (class["overhead"].as_object(), given) {
            match overhead.get("podFixed") {
                Some(fixed) => pod["spec"]["overhead"] = fixed.clone(),
                None => drop(map_mut(&mut pod["spec"]).remove("overhead")),
            }
        }
        schedule(question, pod, &class["scheduling"])
    }

    async fn validate(&self, question: &Question<'_>, pod: &Value) -> status::Result<()> {
        let class = class(question, pod)?;
        let wanted = class.as_ref().map_or(&Value::Null, |class| &class["overhead"]["podFixed"]);
        let given = &pod["spec"]["overhead"];
        let of_class = class.as_ref().filter(|class| class["overhead"].is_object());
        match of_class {
            // Nothing in it is something, too.
            None if !given.is_null() => Err(forbidden(
                question,
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
            )),
            Some(_) if !same(wanted, given) => {
                Err(forbidden(question, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"))
            }
            _ => Ok(()),
        }
    }
}

fn class(question: &Question<'_>, pod: &Value) -> status::Result<Option<Arc<Value>>> {
    let Some(name) = pod["spec"]["runtimeClassName"].as_str() else { return Ok(None) };
    match question.registry.find("node.k8s.io", "runtimeclasses", "", name)? {
        Some(class) => Ok(Some(class)),
        None => Err(forbidden(question, &format!("pod rejected: RuntimeClass \"{name}\" not found"))),
    }
}

/// Two lists of resources that say the same.
fn same(one: &Value, other: &Value) -> bool {
    let amounts = |list: &Value| -> Vec<(String, i128)> {
        let parse = |text: &str| Quantity::parse(text).map(Quantity::nanos).unwrap_or_default();
        pairs(list).map(|(name, text)| (name.to_owned(), parse(text))).collect()
    };
    let (mut one, mut other) = (amounts(one), amounts(other));
    one.sort();
    other.sort();
    one == other
}

fn schedule(question: &Question<'_>, pod: &mut Value, scheduling: &Value) -> status::Result<()> {
    if scheduling.is_null() {
        return Ok(());
    }
    if scheduling["nodeSelector"].is_object() {
        let selector = map_mut(map_mut(&mut pod["spec"]).entry("nodeSelector").or_insert_with(|| json!({})));
        for (key, value) in pairs(&scheduling["nodeSelector"]) {
            match selector.get(key).and_then(Value::as_str) {
                Some(given) if given != value => {
                    let why = format!(
                        "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {given}"
                    );
                    return Err(forbidden(question, &why));
                }
                _ => drop(selector.insert(key.to_owned(), value.into())),
            }
        }
    }
    for wanted in items(&scheduling["tolerations"]) {
        let tolerations = map_mut(&mut pod["spec"]).entry("tolerations").or_insert_with(|| json!([]));
        if let Some(tolerations) = tolerations.as_array_mut().filter(|there| !there.contains(wanted)) {
            tolerations.push(wanted.clone());
        }
    }
    Ok(())
}
