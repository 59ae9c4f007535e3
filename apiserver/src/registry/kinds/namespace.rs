//! Namespaces: active until they are deleted, and there until nothing is left in them.

use crate::registry::behaviour::{
    AGE, Behaviour, Deletion, FieldLabel, Generation, Grammar, NAME, Part, Scene, column,
};
use crate::registry::cells::{age, name};
use serde_json::{Value, json};

pub(super) static NAMESPACE: Behaviour = Behaviour {
    name: Grammar::Label,
    fields: &[FieldLabel::Path("status.phase")],
    generation: Generation::None,
    returns_deleted: true,
    deletion: Deletion::Emptied,
    prepare,
    columns: &[NAME, column("Status", "Whether the namespace is active or on its way out."), AGE],
    cells: |namespace, now| vec![name(namespace), namespace["status"]["phase"].clone(), age(namespace, now)],
    ..Behaviour::WITH_STATUS
};

fn prepare(namespace: &mut Value, old: Option<&Value>, scene: &Scene<'_>) {
    match old {
        None => {
            namespace["status"] = json!({"phase": "Active"});
            let finalizers = namespace["spec"]["finalizers"].as_array().cloned().unwrap_or_default();
            if !finalizers.iter().any(|name| name == "kubernetes") {
                let all: Vec<Value> = finalizers.into_iter().chain([json!("kubernetes")]).collect();
                namespace["spec"]["finalizers"] = all.into();
            }
            let name = namespace["metadata"]["name"].clone();
            namespace["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
        }
        // Only the finalize subresource takes finalizers from the spec.
        Some(old) if scene.part == Part::Main => {
            namespace["spec"]["finalizers"] = old["spec"]["finalizers"].clone();
            if namespace["spec"]["finalizers"].is_null() {
                namespace["spec"] = json!({});
            }
        }
        Some(_) => {}
    }
}
