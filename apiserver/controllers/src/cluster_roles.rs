//! Writes into aggregated ClusterRoles the rules of those that they select.

use crate::context::Context;
use crate::control_loop::{After, Reconcile, run};
use crate::kinds;
use serde_json::Value;
use std::sync::Arc;
use tinyplane_wire::client::{Cache, Client, ClientError, WorkQueue};
use tinyplane_wire::meta::Meta;
use tinyplane_wire::selector::LabelSelector;

pub(crate) fn start(context: &Arc<Context>) {
    let queue = Arc::new(WorkQueue::new());
    let roles = context.cache(&kinds::cluster_roles());
    let (all, waiting) = (Arc::clone(&roles), Arc::clone(&queue));
    roles.on_change(move |_| {
        let aggregated = all.all().into_iter().filter(|role| role["aggregationRule"].is_object());
        aggregated.for_each(|role| waiting.add(Meta::of(&role).name()));
    });
    let client = context.client.clone();
    run(context, &queue, vec![Arc::clone(&roles)], Aggregate { client, roles });
}

struct Aggregate {
    client: Client,
    roles: Arc<Cache>,
}

impl Reconcile for Aggregate {
    const NAME: &'static str = "clusterrole-aggregation";

    async fn reconcile(&self, name: &str) -> Result<After, ClientError> {
        let Some(role) = self.roles.get(name) else { return Ok(After::Rest) };
        let Some(selectors) = role["aggregationRule"]["clusterRoleSelectors"].as_array() else {
            return Ok(After::Rest);
        };
        let rules = collected(name, selectors, &self.roles.all());
        if rules != role["rules"] && !(role["rules"].is_null() && rules == Value::Array(Vec::new())) {
            let mut wished = Value::clone(&role);
            wished["rules"] = rules;
            self.client.update(&kinds::cluster_roles(), None, &wished).await?;
        }
        Ok(After::Rest)
    }
}

/// The rules of all selected roles, by selector and name, each once.
fn collected(own: &str, selectors: &[Value], roles: &[Arc<Value>]) -> Value {
    let mut rules: Vec<Value> = Vec::new();
    for selector in selectors.iter().filter_map(|selector| LabelSelector::from_object(selector).ok().flatten()) {
        for role in roles.iter().filter(|role| Meta::of(role).name() != own && selector.selects(role)) {
            for rule in role["rules"].as_array().into_iter().flatten() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    rules.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_are_collected_once_and_never_from_the_role_itself() {
        let role = |name: &str, rules: Value| {
            Arc::new(json!({"metadata": {"name": name, "labels": {"into": "view"}}, "rules": rules}))
        };
        let roles = [role("a", json!([1, 2])), role("b", json!([2, 3])), role("view", json!([9]))];
        let selectors = [json!({"matchLabels": {"into": "view"}})];
        assert_eq!(collected("view", &selectors, &roles), json!([1, 2, 3]));
    }
}
