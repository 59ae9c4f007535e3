//! `eviction`: a deletion that budgets may refuse.

use super::super::answer::value;
use super::super::delete::of_eviction;
use super::super::{Ask, Handlers};
use crate::registry::admit::{Intent, Unasked};
use crate::registry::behaviour::Part;
use crate::registry::delete::Options;
use crate::registry::encoding;
use crate::registry::managers::SERVER;
use crate::registry::update::Target;
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use tinyplane_wire::meta::{Meta, map_mut};
use tinyplane_wire::selector::LabelSelector;
use tinyplane_wire::status::{self, Cause, Details, Reason, Status};

/// Seconds after which an eviction may be tried again that came before the budget was worked out.
const RETRY_SECONDS: u32 = 10;
/// How often an eviction is tried that others' writes to the pod get in the way of.
const TRIES_MAX: u32 = 20;
/// Most evictions that a budget may wait for.
const DISRUPTED_PODS_MAX: usize = 2_000;

const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

impl Handlers {
    pub(super) async fn evict(&self, ask: &Ask<'_>, mut eviction: Value) -> status::Result<Response<Body>> {
        if Meta::of(&eviction).name() != ask.name {
            return Err(Status::bad_request("name in URL does not match name in Eviction object"));
        }
        self.admit_part(ask, ask.name, &mut eviction).await?;
        ask.demand_place()?;
        self.registry.get(&ask.resource, ask.namespace, ask.name)?;
        let options = of_eviction(&eviction)?;
        let mut intent = self.intent(ask);
        intent.dry_run |= eviction["deleteOptions"]["dryRun"].as_array().is_some_and(|words| !words.is_empty());
        for attempt in 1.. {
            match self.try_to_evict(ask, options.clone(), &intent).await {
                Err(Refusal::Changed(_)) if attempt < TRIES_MAX => {}
                Err(Refusal::Changed(status) | Refusal::Final(status)) => return Err(status),
                Ok(()) => break,
            }
        }
        let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
        value(ask, StatusCode::CREATED, &success)
    }

    async fn try_to_evict(&self, ask: &Ask<'_>, mut options: Options, intent: &Intent<'_>) -> Result<(), Refusal> {
        let entry = self.registry.get(&ask.resource, ask.namespace, ask.name)?;
        let pod = encoding::parse(&entry)?;
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        let is_over = matches!(phase, "Succeeded" | "Failed") || Meta::of(&pod).is_deleting();
        let is_pending = phase == "Pending" && !is_over;
        let unready_of = if is_over || is_pending { None } else { self.ask_budgets(ask, &pod, intent).await? };
        // What goes without counting may become ready, and count, until it is deleted.
        let guarded = (is_pending || unready_of.is_some()) && options.resource_version.is_none();
        if guarded {
            options.resource_version = Some(Meta::of(&pod).resource_version().to_owned());
        }
        let deleted = async {
            if !intent.dry_run {
                self.tell_disruption(ask, &mut options, intent).await?;
            }
            self.registry.delete(&ask.resource, ask.namespace, ask.name, &options, intent).await.map(drop)
        };
        deleted.await.map_err(|status| match unready_of {
            _ if !guarded || status.code != 409 => Refusal::Final(status),
            Some(budget) => Refusal::Final(being_processed(&budget)),
            None => Refusal::Changed(status),
        })
    }

    /// Takes one disruption from the budget that guards the pod, if one does. The name of the budget which lets a pod go
    /// that is not ready.
    async fn ask_budgets(&self, ask: &Ask<'_>, pod: &Value, intent: &Intent<'_>) -> status::Result<Option<String>> {
        let budgets = self.registry.find_all("policy", "poddisruptionbudgets", ask.namespace)?;
        let selects = |budget: &&Value| {
            LabelSelector::from_object(&budget["spec"]["selector"]).ok().flatten().is_some_and(|s| s.selects(pod))
        };
        let concerned: Vec<&Value> = budgets.iter().map(|budget| &**budget).filter(selects).collect();
        let budget = match concerned.as_slice() {
            [] => return Ok(None),
            [budget] => *budget,
            _ => {
                return Err(Status::failure(
                    Reason::Unknown,
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                ));
            }
        };
        if !is_ready(pod) && lets_unready_go(budget) {
            return Ok(Some(Meta::of(budget).name().to_owned()));
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
        // The server writes this, whoever evicts.
        let own = Intent { admission: &Unasked, manager: Some(SERVER), ..*intent };
        self.registry.update(&target, &own, &mut change).await.map(|_| None)
    }

    /// Writes into the pod's status why it is about to go. A resource version that the deletion demands becomes that of
    /// this write.
    async fn tell_disruption(&self, ask: &Ask<'_>, options: &mut Options, intent: &Intent<'_>) -> status::Result<()> {
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
            options.admit(&ask.resource, ask.name, &pod)?;
            let conditions = map_mut(&mut pod["status"]).entry("conditions").or_insert_with(|| json!([]));
            if let Some(conditions) = conditions.as_array_mut() {
                conditions.retain(|one| one["type"] != "DisruptionTarget");
                conditions.push(condition.clone());
            }
            Ok(pod)
        };
        let own = Intent { admission: &Unasked, manager: None, ..*intent };
        let told = self.registry.update(&target, &own, &mut change).await?.object.value()?;
        if let Some(version) = &mut options.resource_version {
            Meta::of(&told).resource_version().clone_into(version);
        }
        Ok(())
    }
}

/// Why a pod was not evicted.
enum Refusal {
    /// It is not what it was when it was looked at.
    Changed(Box<Status>),
    Final(Box<Status>),
}

impl From<Box<Status>> for Refusal {
    fn from(status: Box<Status>) -> Self {
        Self::Final(status)
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
        return Err(being_processed(meta.name()));
    }
    let allowed = number("disruptionsAllowed");
    if allowed < 0 {
        return forbidden("pdb disruptions allowed is negative");
    }
    if budget["status"]["disruptedPods"].as_object().is_some_and(|pods| pods.len() > DISRUPTED_PODS_MAX) {
        return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
    }
    if allowed == 0 {
        return Err(refused(none_allowed(budget), 0));
    }
    let mut less = budget.clone();
    less["status"]["disruptionsAllowed"] = json!(allowed - 1);
    let disrupted = map_mut(&mut less["status"]).entry("disruptedPods").or_insert_with(|| json!({}));
    map_mut(disrupted).insert(pod.to_owned(), now.into());
    if allowed == 1 {
        deny(map_mut(&mut less["status"]), now);
    }
    Ok(less)
}

/// Notes in a budget's status that nothing more is allowed.
fn deny(status: &mut Map<String, Value>, now: &str) {
    let seen = status.get("observedGeneration").cloned();
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    let Some(conditions) = conditions.as_array_mut() else { return };
    let there = conditions.iter_mut().find(|one| one["type"] == "DisruptionAllowed");
    let since = there.as_ref().filter(|one| one["status"] == "False").map(|one| one["lastTransitionTime"].clone());
    let mut condition = json!({
        "type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": "",
        "lastTransitionTime": since.unwrap_or_else(|| now.into()),
    });
    if let Some(seen) = seen.filter(|seen| *seen != 0) {
        condition["observedGeneration"] = seen;
    }
    match there {
        Some(there) => *there = condition,
        None => conditions.push(condition),
    }
}

/// Why a budget lets nobody go.
fn none_allowed(budget: &Value) -> String {
    let number = |field: &str| budget["status"][field].as_i64().unwrap_or_default();
    let (desired, current) = (number("desiredHealthy"), number("currentHealthy"));
    let name = Meta::of(budget).name();
    let conditions = budget["status"]["conditions"].as_array().into_iter().flatten();
    let told = conditions
        .into_iter()
        .find(|one| one["type"] == "DisruptionAllowed" && one["status"] == "False")
        .map(|one| (one["reason"].as_str().unwrap_or_default(), one["message"].as_str().unwrap_or_default()))
        .filter(|(_, message)| !message.is_empty());
    let none = format!("The disruption budget {name} does not allow evicting pods currently");
    match told {
        // The numbers are of no use then.
        Some(("SyncFailed", message)) => format!("{none} because it failed sync: {message}"),
        _ if current <= desired => {
            format!("The disruption budget {name} needs {desired} healthy pods and has {current} currently")
        }
        Some((reason, message)) => format!("{none} ({reason}): {message}"),
        None => none,
    }
}

fn being_processed(budget: &str) -> Box<Status> {
    refused(format!("The disruption budget {budget} is still being processed by the server."), RETRY_SECONDS)
}

fn refused(why: String, retry_after_seconds: u32) -> Box<Status> {
    let cause = Cause { reason: "DisruptionBudget".into(), message: why, field: String::new() };
    let details = Details { causes: vec![cause], retry_after_seconds, ..Details::default() };
    Status::failure(Reason::TooManyRequests, REFUSED).with_details(details)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_disruption_is_noted_as_such() {
        let budget = json!({
            "metadata": {"name": "b", "generation": 1},
            "status": {"observedGeneration": 1, "disruptionsAllowed": 1},
        });
        let less = allow_one(&budget, "p", "now").unwrap();
        let condition = &less["status"]["conditions"][0];
        assert_eq!((&condition["status"], &condition["reason"]), (&json!("False"), &json!("InsufficientPods")));
        assert_eq!((&condition["observedGeneration"], &condition["message"]), (&json!(1), &json!("")));
    }

    #[test]
    fn a_budget_that_lets_nobody_go_says_why() {
        let told = |desired: i64, current: i64, condition: Value| {
            let status = json!({"desiredHealthy": desired, "currentHealthy": current, "conditions": [condition]});
            none_allowed(&json!({"metadata": {"name": "b"}, "status": status}))
        };
        let because =
            |reason: &str| json!({"type": "DisruptionAllowed", "status": "False", "reason": reason, "message": "m"});
        let none = "The disruption budget b does not allow evicting pods currently";
        assert_eq!(told(2, 1, because("X")), "The disruption budget b needs 2 healthy pods and has 1 currently");
        assert_eq!(told(2, 1, because("SyncFailed")), format!("{none} because it failed sync: m"));
        assert_eq!(told(2, 3, because("X")), format!("{none} (X): m"));
        assert_eq!(told(2, 3, json!({"type": "DisruptionAllowed", "status": "True"})), none);
    }
}
