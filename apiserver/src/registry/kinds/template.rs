//! What Tables show of a workload's pod template, and the kind that is nothing but one.

use crate::registry::behaviour::{Behaviour, Column, Generation, NAME, column, wide};
use crate::registry::{cells, warnings};
use serde_json::{Value, json};

pub(super) const CONTAINERS: Column = wide("Containers", "Names of the containers in the template.");
pub(super) const IMAGES: Column = wide("Images", "Images of the containers in the template.");
pub(super) const SELECTOR: Column = wide("Selector", "Which pods are counted.");

/// The names and the images of a template's containers, each joined by commas.
pub(super) fn containers(template: &Value) -> [Value; 2] {
    ["name", "image"].map(|field| {
        let texts = cells::items(&template["spec"]["containers"]).map(|one| one[field].as_str().unwrap_or_default());
        json!(texts.collect::<Vec<_>>().join(","))
    })
}

/// `PodTemplate`s.
pub(super) static POD_TEMPLATE: Behaviour = Behaviour {
    returns_deleted: true,
    generation: Generation::Everything,
    warnings: warnings::pod_template,
    columns: &[
        NAME,
        column("Containers", "Names of the containers in the template."),
        column("Images", "Images of the containers in the template."),
        column("Pod Labels", "Labels of the pods that are made of it."),
    ],
    cells: |object, _| {
        let [names, images] = containers(&object["template"]);
        vec![cells::name(object), names, images, cells::label_map(&object["template"]["metadata"]["labels"])]
    },
    ..Behaviour::PLAIN
};
