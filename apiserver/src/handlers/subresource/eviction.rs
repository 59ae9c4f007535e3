//! `eviction`: a deletion that budgets may refuse.

use super::super::answer::value;
use super::super::delete::of_eviction;
use super::super::{Ask, Handlers};
use crate::registry::encoding;
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tinyplane_wire::meta::Meta;
use tinyplane_wire::selector::LabelSelector;
use tinyplane_wire::status::{self, Cause, Details, Reason, Status};

/// Seconds after which a refused eviction may be tried again.
const RETRY_SECONDS: u32 = 10;

impl Handlers {
    pub(super) async fn evict(&self, ask: &Ask<'_>, eviction: &Value) -> status::Result<Response<Body>> {
        let named = Meta::of(eviction).name();
        if !named.is_empty() && named != ask.name {
            return Err(Status::bad_request("name in URL does not match name in Eviction object"));
        }
        let entry = self.registry.get(&ask.resource, ask.namespace, ask.name)?;
        let pod = encoding::parse(&entry)?;
        let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed" | "Pending"));
        if !ended && !Meta::of(&pod).is_deleting() {
            self.ask_budgets(ask, &pod)?;
        }
        let intent = self.intent(ask)?;
        self.registry.delete(&ask.resource, ask.namespace, ask.name, &of_eviction(eviction)?, &intent).await?;
        let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
        value(ask, StatusCode::CREATED, &success)
    }

    fn ask_budgets(&self, ask: &Ask<'_>, pod: &Value) -> status::Result<()> {
        let budgets = self.registry.find_all("policy", "poddisruptionbudgets", ask.namespace)?;
        let selects = |budget: &&Value| {
            LabelSelector::from_object(&budget["spec"]["selector"]).ok().flatten().is_some_and(|s| s.selects(pod))
        };
        let concerned: Vec<&Value> = budgets.iter().filter(selects).collect();
        match concerned.as_slice() {
            [] => Ok(()),
            [budget] if budget["status"]["disruptionsAllowed"].as_i64().unwrap_or_default() > 0 => Ok(()),
            [budget] => {
                let name = Meta::of(budget).name();
                let told = format!(
                    "The disruption budget {name} needs {} healthy pods and has {} currently",
                    budget["status"]["desiredHealthy"].as_i64().unwrap_or_default(),
                    budget["status"]["currentHealthy"].as_i64().unwrap_or_default()
                );
                let details = Details {
                    causes: vec![Cause { reason: "DisruptionBudget".into(), message: told, field: String::new() }],
                    retry_after_seconds: RETRY_SECONDS,
                    ..Details::default()
                };
                let told = "Cannot evict pod as it would violate the pod's disruption budget.";
                Err(Status::failure(Reason::TooManyRequests, told).with_details(details))
            }
            _ => Err(Status::internal(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            )),
        }
    }
}
