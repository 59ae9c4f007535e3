//! The two strategies: rolling, within what may be missing and what may be too many; or all at once.

use super::Deployments;
use super::sets::{Sets, replicas, wished};
use crate::pods::is_active;
use crate::quantity::share;
use serde_json::Value;
use tinyplane_wire::client::ClientError;
use tinyplane_wire::meta::Meta;

/// How many pods may be too many and how many may be missing while rolling: `maxSurge`, `maxUnavailable`.
pub(super) fn fenceposts(deployment: &Value) -> (i64, i64) {
    let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
    if rolling.is_null() {
        return (0, wished(deployment));
    }
    let surge = share(&rolling["maxSurge"], wished(deployment), true);
    let unavailable = share(&rolling["maxUnavailable"], wished(deployment), false);
    // With neither, nothing could ever move.
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

impl Deployments {
    pub(super) async fn roll(&self, deployment: &Value, sets: &mut Sets) -> Result<(), ClientError> {
        if self.scale_new_up(deployment, sets).await? {
            return Ok(());
        }
        self.scale_old_down(deployment, sets).await
    }

    /// Scales the new set as far as `maxSurge` allows; says whether it did anything.
    async fn scale_new_up(&self, deployment: &Value, sets: &mut Sets) -> Result<bool, ClientError> {
        let (surge, _) = fenceposts(deployment);
        let (wished, total) = (wished(deployment), sets.total());
        let Some(new) = sets.new_set_mut() else { return Ok(false) };
        let now = replicas(new);
        let size = if now >= wished { wished } else { now + (wished + surge - total).clamp(0, wished - now) };
        if size == now {
            return Ok(false);
        }
        self.scale(deployment, new, size).await?;
        Ok(true)
    }

    /// Scales old sets as far as `maxUnavailable` allows: first by pods that do not serve anyhow.
    async fn scale_old_down(&self, deployment: &Value, sets: &mut Sets) -> Result<(), ClientError> {
        let (_, unavailable) = fenceposts(deployment);
        let least = wished(deployment) - unavailable;
        let new_missing = sets.new_set().map_or(0, |new| replicas(new) - available(new));
        let mut may_go = sets.total() - least - new_missing;
        for i in sets.old_indices() {
            let idle = (replicas(&sets.all[i]) - available(&sets.all[i])).clamp(0, may_go.max(0));
            if idle > 0 {
                let size = replicas(&sets.all[i]) - idle;
                self.scale_at(deployment, sets, i, size).await?;
                may_go -= idle;
            }
        }
        let mut may_go = sets.sum("availableReplicas") - least;
        for i in sets.old_indices() {
            let step = replicas(&sets.all[i]).clamp(0, may_go.max(0));
            if step > 0 {
                let size = replicas(&sets.all[i]) - step;
                self.scale_at(deployment, sets, i, size).await?;
                may_go -= step;
            }
        }
        Ok(())
    }

    /// Ends all old pods, and only then begins with new ones.
    pub(super) async fn recreate(&self, deployment: &Value, sets: &mut Sets) -> Result<(), ClientError> {
        let mut ending = false;
        for i in sets.old_indices() {
            if replicas(&sets.all[i]) > 0 {
                ending = true;
                self.scale_at(deployment, sets, i, 0).await?;
            }
        }
        if ending || self.old_pods_live(deployment, sets) {
            return Ok(());
        }
        let size = wished(deployment);
        match sets.new_set_mut() {
            Some(new) if replicas(new) != size => self.scale(deployment, new, size).await,
            _ => Ok(()),
        }
    }

    fn old_pods_live(&self, deployment: &Value, sets: &Sets) -> bool {
        let old: Vec<&str> = sets.old().map(|set| Meta::of(set).uid()).collect();
        self.pods.in_namespace(Meta::of(deployment).namespace()).iter().any(|pod| {
            let ended = !is_active(pod) && !Meta::of(pod).is_deleting();
            !ended && Meta::of(pod).controller().and_then(|o| o["uid"].as_str()).is_some_and(|uid| old.contains(&uid))
        })
    }
}

fn available(set: &Value) -> i64 {
    set["status"]["availableReplicas"].as_i64().unwrap_or_default().min(replicas(set))
}

#[cfg(test)]
mod tests {
    use super::fenceposts;
    use serde_json::json;

    #[test]
    fn surge_rounds_up_and_unavailable_down_and_never_both_to_nothing() {
        let with = |replicas: i64, surge: serde_json::Value, unavailable: serde_json::Value| {
            fenceposts(
                &json!({"spec": {"replicas": replicas, "strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}}),
            )
        };
        assert_eq!(with(3, json!("25%"), json!("25%")), (1, 0));
        assert_eq!(with(10, json!("25%"), json!("25%")), (3, 2));
        assert_eq!(with(1, json!(0), json!("25%")), (0, 1));
        assert_eq!(with(4, json!(2), json!(1)), (2, 1));
    }
}
