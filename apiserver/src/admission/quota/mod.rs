//! `ResourceQuota`: what a namespace may hold in all, counted exactly.
//!
//! A write is charged to the quota's status before it is made, by compare-and-set, as upstream does it: of many
//! writers at once exactly as many get through as there is room for. What goes away is given back by the controller
//! of quotas, which counts anew; so is what was charged for a write that failed afterwards.

mod scopes;
#[cfg(test)]
mod tests;
mod usage;

use super::pod_resources::{Amounts, add, amounts};
use super::{Plugin, forbidden};
use crate::registry::admit::{Intent, Question, Unasked};
use crate::registry::behaviour::Part;
use crate::registry::managers::SERVER;
use crate::registry::update::Target;
use crate::schema::quantity::Quantity;
use async_trait::async_trait;
use serde_json::{Map, Value};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use tinyplane_wire::meta::{Meta, map_mut};
use tinyplane_wire::status::{self, Status};
use tokio::sync::Mutex;

/// Namespaces share this many turns: writers of one namespace are charged one after the other, so that they do not
/// waste each other's compare-and-set.
const TURNS: usize = 64;

/// The plugin.
pub(super) struct ResourceQuota {
    turns: [Mutex<()>; TURNS],
}

impl Default for ResourceQuota {
    fn default() -> Self {
        Self { turns: std::array::from_fn(|_| Mutex::new(())) }
    }
}

#[async_trait]
impl Plugin for ResourceQuota {
    fn name(&self) -> &'static str {
        "ResourceQuota"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        !question.namespace.is_empty() && usage::is_counted(question)
    }

    async fn validate(&self, question: &Question<'_>, object: &Value) -> status::Result<()> {
        if !question.registry.has_any("", "resourcequotas", question.namespace) {
            return Ok(());
        }
        // A name that is taken is refused by the store a moment later: it must not be charged.
        if question.old.is_none() && question.registry.get(question.resource, question.namespace, question.name).is_ok()
        {
            return Ok(());
        }
        let mut hasher = DefaultHasher::new();
        question.namespace.hash(&mut hasher);
        let turn = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or_default();
        let _turn = self.turns[turn].lock().await;
        let charge = Charge::of(question, object)?;
        let quotas = question.registry.find_all("", "resourcequotas", question.namespace)?;
        let mut changed = Vec::new();
        for quota in &quotas {
            if charge.against(question, quota)?.is_some() {
                changed.push(Meta::of(quota).name().to_owned());
            }
        }
        if question.intent.dry_run {
            return Ok(());
        }
        for name in changed {
            charge_one(question, &name, &charge).await?;
        }
        Ok(())
    }
}

/// What a write adds to what a namespace holds.
struct Charge<'a> {
    object: &'a Value,
    now: Amounts,
    /// The object as it was, and what it held; `None` for a new object.
    before: Option<(&'a Value, Amounts)>,
}

impl<'a> Charge<'a> {
    fn of(question: &Question<'a>, object: &'a Value) -> status::Result<Self> {
        let now = usage::of(question, object);
        let negative: Vec<&str> =
            now.iter().filter(|(_, amount)| amount.signum() < 0).map(|(name, _)| name.as_str()).collect();
        if !negative.is_empty() {
            let why = format!("quota usage is negative for resource(s): {}", negative.join(","));
            return Err(forbidden(question, &why));
        }
        Ok(Self { object, now, before: question.old.map(|old| (old, usage::of(question, old))) })
    }

    /// The usage of a quota with this write; `None` where it does not change.
    fn against(&self, question: &Question<'_>, quota: &Value) -> status::Result<Option<Amounts>> {
        let name = Meta::of(quota).name();
        let hard = amounts(&quota["status"]["hard"]);
        let concerned: Vec<&String> = hard.keys().filter(|limited| usage::counts(question, limited)).collect();
        if concerned.is_empty() || !scopes::match_all(question, quota, self.object) {
            return Ok(None);
        }
        if let Some(missing) = usage::unspecified(question, self.object, &concerned) {
            return Err(forbidden(question, &format!("failed quota: {name}: must specify {missing}")));
        }
        let used = amounts(&quota["status"]["used"]);
        if concerned.iter().any(|limited| !used.contains_key(*limited)) {
            let names: Vec<&str> = concerned.iter().map(|name| name.as_str()).collect();
            let why = format!("status unknown for quota: {name}, resources: {}", names.join(","));
            return Err(forbidden(question, &why));
        }
        let requested = self.added(question, quota, &hard);
        if requested.is_empty() {
            return Ok(None);
        }
        let mut after = used.clone();
        add(&mut after, &requested);
        let exceeded: Vec<&String> = requested.keys().filter(|limited| after[*limited] > hard[*limited]).collect();
        if exceeded.is_empty() {
            return Ok(Some(after));
        }
        let tell = |list: &Amounts| {
            let told = exceeded.iter().filter_map(|name| Some(format!("{name}={}", list.get(*name)?)));
            told.collect::<Vec<_>>().join(",")
        };
        let why = format!(
            "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
            tell(&requested),
            tell(&used),
            tell(&hard)
        );
        Err(forbidden(question, &why))
    }

    /// What is added to what the quota limits: more than nothing of each.
    fn added(&self, question: &Question<'_>, quota: &Value, hard: &Amounts) -> Amounts {
        let before = self.before.as_ref().filter(|(old, _)| scopes::match_all(question, quota, old));
        let zero = Quantity::of(0);
        let mut added = Amounts::new();
        for (name, amount) in self.now.iter().filter(|(name, _)| hard.contains_key(*name)) {
            let held = before.and_then(|(_, held)| held.get(name)).copied().unwrap_or(zero);
            let more = amount.minus(held);
            if more > zero {
                added.insert(name.clone(), more);
            }
        }
        added
    }
}

/// Writes the new usage into one quota's status.
async fn charge_one(question: &Question<'_>, name: &str, charge: &Charge<'_>) -> status::Result<()> {
    let resource = question.registry.builtin("", "resourcequotas");
    let target = Target {
        resource: &resource,
        namespace: question.namespace,
        name,
        subresource: "status",
        part: Part::Status,
        replaces: false,
        creates: false,
        manages: false,
    };
    let mut change = |quota: Option<&Value>| {
        let quota = quota.ok_or_else(crate::registry::no_such_resource)?;
        let mut new = quota.clone();
        if let Some(used) = charge.against(question, quota)? {
            let used: Map<String, Value> =
                used.into_iter().map(|(name, amount)| (name, amount.to_string().into())).collect();
            map_mut(&mut new["status"]).insert("used".into(), used.into());
        }
        Ok(new)
    };
    let own = Intent { admission: &Unasked, manager: Some(SERVER), ..*question.intent };
    match question.registry.update(&target, &own, &mut change).await {
        Ok(_) => Ok(()),
        // It was removed meanwhile: nothing is limited by it any more.
        Err(status) if status.reason == status::Reason::NotFound => Ok(()),
        Err(status) if status.reason == status::Reason::Conflict => Err(crowded(question, &status)),
        Err(status) => Err(status),
    }
}

/// Somebody else kept changing the quota.
fn crowded(question: &Question<'_>, conflict: &Status) -> Box<Status> {
    let meant = &question.resource.gvk;
    Status::conflict(&meant.group, &question.resource.plural, question.name, &conflict.message)
}
