//! `eviction`: a deletion that budgets may refuse.

use super::super::answer::value;
use super::super::delete::of_eviction;
use super::super::{Ask, Handlers};
use crate::registry::admit::{Intent, Unasked};
use crate::registry::behaviour::Part;
use crate::registry::encoding;
use crate::registry::update::Target;
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tinyplane_wire::meta::{Meta, map_mut};
use tinyplane_wire::selector::LabelSelector;
use tinyplane_wire::status::{self, Cause, Details, Reason, Status};

/// Seconds after which an eviction may be tried again that came before the budget was worked out.
const RETRY_SECONDS: u32 = 10;
/// Most evictions that a budget may wait for.
const DISRUPTED_PODS_MAX: usize = 2_000;

const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

impl Handlers {
    pub(super) async fn evict(&self, ask: &Ask<'_>, eviction: &Value) -> status::Result<Response<Body>> {
        let named = Meta::of(eviction).name();
        if !named.is_empty() && named != ask.name {
            return Err(Status::bad_request("name in URL does not match name in Eviction object"));
        }
        let options = of_eviction(eviction)?;
        let entry = self.registry.get(&ask.resource, ask.namespace, ask.name)?;
        let pod = encoding::parse(&entry)?;
        let mut intent = self.intent(ask);
        intent.dry_run |= eviction["deleteOptions"]["dryRun"].as_array().is_some_and(|words| !words.is_empty());
        let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed" | "Pending"));
        if !ended && !Meta::of(&pod).is_deleting() {
            self.ask_budgets(ask, &pod, &intent).await?;
            if !intent.dry_run {
                self.tell_disruption(ask, &intent).await?;
            }
        }
        self.registry.delete(&ask.resource, ask.namespace, ask.name, &options, &intent).await?;
        let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
        value(ask, StatusCode::CREATED, &success)
    }

    /// Takes one disruption from the budget that guards the pod, if one does.
    async fn ask_budgets(&self, ask: &Ask<'_>, pod: &Value, intent: &Intent<'_>) -> status::Result<()> {
        let budgets = self.registry.find_all("policy", "poddisruptionbudgets", ask.namespace)?;
        let selects = |budget: &&Value| {
            LabelSelector::from_object(&budget["spec"]["selector"]).ok().flatten().is_some_and(|s| s.selects(pod))
        };
        let concerned: Vec<&Value> = budgets.iter().map(|budget| &**budget).filter(selects).collect();
        let budget = match concerned.as_slice() {
            [] => return Ok(()),
            [budget] => *budget,
            _ => {
                return Err(Status::failure(
                    Reason::Unknown,
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                ));
            }
        };
        if !is_ready(pod) && lets_unready_go(budget) {
            return Ok(());
        }
        let resource = self.registry.builtin("policy", "poddisruptionbudgets");
        let target = Target {
            resource: &resource,
            namespace: ask.namespace,
            name: Meta::of(budget).name(),
            subresource: "status",
            part: Part::Status,
            replaces: false,
            creates: false,
            manages: false,
        };
        let now = self.registry.clock().timestamp();
        let mut change = |budget: Option<&Value>| {
            let budget = budget.ok_or_else(crate::registry::no_such_resource)?;
            allow_one(budget, ask.name, &now)
        };
        let own = Intent { admission: &Unasked, manager: None, ..*intent };
        self.registry.update(&target, &own, &mut change).await.map(drop)
    }

    /// Writes into the pod's status why it is about to go.
    async fn tell_disruption(&self, ask: &Ask<'_>, intent: &Intent<'_>) -> status::Result<()> {
        let target = Target {
            resource: &ask.resource,
            namespace: ask.namespace,
            name: ask.name,
            subresource: "status",
            part: Part::Status,
            replaces: false,
            creates: false,
            manages: false,
        };
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting", "lastProbeTime": null,
            "lastTransitionTime": self.registry.clock().timestamp(),
        });
        let mut change = |pod: Option<&Value>| {
            let mut pod = pod.ok_or_else(crate::registry::no_such_resource)?.clone();
            let conditions = map_mut(&mut pod["status"]).entry("conditions").or_insert_with(|| json!([]));
            if let Some(conditions) = conditions.as_array_mut() {
                conditions.retain(|one| one["type"] != "DisruptionTarget");
                conditions.push(condition.clone());
            }
            Ok(pod)
        };
        let own = Intent { admission: &Unasked, manager: None, ..*intent };
        self.registry.update(&target, &own, &mut change).await.map(drop)
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

/// Whether a pod that is not ready may go without counting.
fn lets_unready_go(budget: &Value) -> bool {
    let number = |field: &str| budget["status"][field].as_i64().unwrap_or_default();
    let enough = number("currentHealthy") >= number("desiredHealthy") && number("desiredHealthy") > 0;
    budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow" || enough
}

/// The budget with one disruption less.
fn allow_one(budget: &Value, pod: &str, now: &str) -> status::Result<Value> {
    let meta = Meta::of(budget);
    let number = |field: &str| budget["status"][field].as_i64().unwrap_or_default();
    let forbidden = |why: &str| Err(Status::forbidden("policy", "poddisruptionbudget", meta.name(), why));
    if number("observedGeneration") < meta.generation() {
        let why = format!("The disruption budget {} is still being processed by the server.", meta.name());
        return Err(refused(why, RETRY_SECONDS));
    }
    let allowed = number("disruptionsAllowed");
    if allowed < 0 {
        return forbidden("pdb disruptions allowed is negative");
    }
    if budget["status"]["disruptedPods"].as_object().is_some_and(|pods| pods.len() > DISRUPTED_PODS_MAX) {
        return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
    }
    if allowed == 0 {
        let (desired, current) = (number("desiredHealthy"), number("currentHealthy"));
        let name = meta.name();
        let why = format!("The disruption budget {name} needs {desired} healthy pods and has {current} currently");
        return Err(refused(why, 0));
    }
    let mut less = budget.clone();
    less["status"]["disruptionsAllowed"] = json!(allowed - 1);
    let disrupted = map_mut(&mut less["status"]).entry("disruptedPods").or_insert_with(|| json!({}));
    map_mut(disrupted).insert(pod.to_owned(), now.into());
    if allowed == 1 {
        for condition in less.pointer_mut("/status/conditions").and_then(Value::as_array_mut).into_iter().flatten() {
            if condition["type"] == "DisruptionAllowed" {
                condition["status"] = json!("False");
                condition["reason"] = json!("InsufficientPods");
                condition["lastTransitionTime"] = json!(now);
            }
        }
    }
    Ok(less)
}

fn refused(why: String, retry_after_seconds: u32) -> Box<Status> {
    let cause = Cause { reason: "DisruptionBudget".into(), message: why, field: String::new() };
    let details = Details { causes: vec![cause], retry_after_seconds, ..Details::default() };
    Status::failure(Reason::TooManyRequests, REFUSED).with_details(details)
}
