//! `DefaultIngressClass`: an Ingress that names no class gets the cluster's default.

use super::{Plugin, is_new};
use crate::registry::admit::Question;
use async_trait::async_trait;
use serde_json::Value;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::status::{self, Status};

const DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
/// How classes were named before they were objects.
const OLD_WAY: &str = "kubernetes.io/ingress.class";

pub(super) struct DefaultIngressClass;

#[async_trait]
impl Plugin for DefaultIngressClass {
    fn name(&self) -> &'static str {
        "DefaultIngressClass"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        is_new(question, "networking.k8s.io", "ingresses")
    }

    async fn mutate(&self, question: &Question<'_>, ingress: &mut Value) -> status::Result<()> {
        if !ingress["spec"]["ingressClassName"].is_null() || Meta::of(ingress).annotation(OLD_WAY).is_some() {
            return Ok(());
        }
        let classes = question.registry.find_all("networking.k8s.io", "ingressclasses", "")?;
        let defaults = classes.iter().filter(|class| Meta::of(class).annotation(DEFAULT) == Some("true"));
        // Of several the newest, and of those of one second the first by name.
        let newest = defaults.min_by_key(|class| {
            let made = class["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
            (std::cmp::Reverse(made), Meta::of(class).name())
        });
        if let Some(class) = newest {
            match ingress.get_mut("spec").and_then(Value::as_object_mut) {
                Some(spec) => drop(spec.insert("ingressClassName".into(), Meta::of(class).name().into())),
                None => return Err(Status::bad_request("an Ingress has a spec")),
            }
        }
        Ok(())
    }
}
