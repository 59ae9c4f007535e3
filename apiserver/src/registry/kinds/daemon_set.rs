//! `DaemonSet`s: their columns, and the annotation in which the template's generation survives.

use super::template::{CONTAINERS, IMAGES, SELECTOR, containers};
use crate::registry::behaviour::{AGE, Behaviour, NAME, Part, Scene, column, count};
use crate::registry::cells::{age, label_map, name, number, selector};
use crate::registry::warnings;
use crate::validation::is_same_template;
use serde_json::{Value, json};
use std::borrow::Cow;
use tinyplane_wire::meta::{Meta, map_mut, metadata_mut};

/// Where the template's generation stands since it left the spec.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// `DaemonSet`s.
pub(super) static DAEMON_SET: Behaviour = Behaviour {
    blank: |set| {
        let annotations = metadata_mut(set).entry("annotations").or_insert_with(|| json!({}));
        annotations[TEMPLATE_GENERATION] = "0".into();
    },
    prepare: count_templates,
    warnings: warnings::daemon_set,
    columns: &[
        NAME,
        count("Desired", "Nodes that should run the pod."),
        count("Current", "Nodes that run the pod and should."),
        count("Ready", "Nodes whose pod is ready."),
        count("Up-to-date", "Nodes that run the pod of the current template."),
        count("Available", "Nodes whose pod has been ready for long enough."),
        column("Node Selector", "Labels that a node must have."),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let [names, images] = containers(&spec["template"]);
        vec![
            name(object),
            json!(number(&status["desiredNumberScheduled"])),
            json!(number(&status["currentNumberScheduled"])),
            json!(number(&status["numberReady"])),
            json!(number(&status["updatedNumberScheduled"])),
            json!(number(&status["numberAvailable"])),
            label_map(&spec["template"]["spec"]["nodeSelector"]),
            age(object, now),
            names,
            images,
            selector(&spec["selector"]),
        ]
    },
    ..Behaviour::WITH_STATUS
};

/// The server alone counts the changes of the template.
fn count_templates(new: &mut Value, old: Option<&Value>, scene: &Scene<'_>) {
    let generation = match old {
        None => template_generation(new).max(1),
        Some(old) if scene.part == Part::Main && has_another_template(new, old) => template_generation(old) + 1,
        Some(old) => template_generation(old),
    };
    let annotations = metadata_mut(new).entry("annotations").or_insert_with(|| json!({}));
    map_mut(annotations).insert(TEMPLATE_GENERATION.to_owned(), json!(generation.to_string()));
}

/// Whether upstream holds another template.
pub(in crate::registry) fn has_another_template(new: &Value, old: &Value) -> bool {
    !is_same_template(&new["spec"]["template"], &old["spec"]["template"])
}

fn template_generation(object: &Value) -> i64 {
    Meta::of(object).annotation(TEMPLATE_GENERATION).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The metadata of an object without the object. Upstream takes it from its type without versions, in which the template's generation
/// is a field of the spec still.
pub(crate) fn lone_metadata(object: &Value) -> Cow<'_, Value> {
    let metadata = &object["metadata"];
    let is_of_apps = object["apiVersion"].as_str().is_some_and(|version| version.starts_with("apps/"));
    if !is_of_apps || object["kind"] != "DaemonSet" || metadata["annotations"][TEMPLATE_GENERATION].is_null() {
        return Cow::Borrowed(metadata);
    }
    let mut metadata = metadata.clone();
    let annotations = map_mut(&mut metadata["annotations"]);
    annotations.remove(TEMPLATE_GENERATION);
    if annotations.is_empty() {
        map_mut(&mut metadata).remove("annotations");
    }
    Cow::Owned(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::kinds::at;

    #[test]
    fn lone_metadata_does_not_count_templates() {
        let set = |annotations: Value| json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d", "annotations": annotations}});
        let counted = set(json!({TEMPLATE_GENERATION: "1"}));
        assert_eq!(*lone_metadata(&counted), json!({"name": "d"}));
        let more = set(json!({TEMPLATE_GENERATION: "1", "mine": "x"}));
        assert_eq!(lone_metadata(&more)["annotations"], json!({"mine": "x"}));
        let mut other = counted.clone();
        other["kind"] = "Deployment".into();
        assert_eq!(*lone_metadata(&other), other["metadata"]);
    }

    #[test]
    fn changes_of_the_template_alone_are_counted() {
        let prepare = DAEMON_SET.prepare;
        let mut made = json!({"spec": {"template": {"spec": {"hostNetwork": true}}}});
        prepare(&mut made, None, &at(Part::Main));
        assert_eq!(Meta::of(&made).annotation(TEMPLATE_GENERATION), Some("1"));

        let mut same = made.clone();
        same["metadata"]["annotations"] = json!({"mine": "x"});
        same["spec"]["minReadySeconds"] = json!(1);
        prepare(&mut same, Some(&made), &at(Part::Main));
        assert_eq!(same["metadata"]["annotations"], json!({"mine": "x", TEMPLATE_GENERATION: "1"}));

        let mut changed = made.clone();
        changed["spec"]["template"]["spec"]["hostNetwork"] = json!(false);
        prepare(&mut changed, Some(&made), &at(Part::Main));
        assert_eq!(Meta::of(&changed).annotation(TEMPLATE_GENERATION), Some("2"));
    }
}
