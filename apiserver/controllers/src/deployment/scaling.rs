//! A change of a Deployment's size: one set takes it whole; during a roll-out all take their share.

use super::Deployments;
use super::rolling::fenceposts;
use super::sets::{Sets, remembered_max, remembered_size, replicas, wished};
use serde_json::Value;
use std::sync::Arc;
use tinyplane_wire::client::ClientError;

/// Whether a set was scaled for another size than the Deployment has now.
pub(super) fn is_due(deployment: &Value, sets: &Sets) -> bool {
    let active = sets.all.iter().filter(|set| replicas(set) > 0);
    active.filter_map(|set| remembered_size(set)).any(|size| size != wished(deployment))
}

impl Deployments {
    /// Scales the sets for the Deployment's size.
    pub(super) async fn scale_for_size(&self, deployment: &Value, sets: &mut Sets) -> Result<(), ClientError> {
        let active: Vec<usize> = (0..sets.all.len()).filter(|i| replicas(&sets.all[*i]) > 0).collect();
        let only = match active.as_slice() {
            [] => sets.new_index().or(sets.all.len().checked_sub(1)),
            [only] => Some(*only),
            _ => None,
        };
        if let Some(only) = only {
            return self.scale_at(deployment, sets, only, wished(deployment)).await;
        }
        if active.is_empty() {
            return Ok(());
        }
        if sets.new_set().is_some_and(|new| is_saturated(deployment, new)) {
            for i in sets.old_indices() {
                if replicas(&sets.all[i]) > 0 {
                    self.scale_at(deployment, sets, i, 0).await?;
                }
            }
            return Ok(());
        }
        if deployment["spec"]["strategy"]["type"] == "Recreate" {
            return Ok(());
        }
        let sizes: Vec<Share> = active
            .iter()
            .map(|i| Share { size: replicas(&sets.all[*i]), max: remembered_max(&sets.all[*i]) })
            .collect();
        for (at, size) in shares(deployment, &sizes) {
            self.scale_at(deployment, sets, active[at], size).await?;
        }
        Ok(())
    }

    pub(super) async fn scale_at(
        &self,
        deployment: &Value,
        sets: &mut Sets,
        i: usize,
        size: i64,
    ) -> Result<(), ClientError> {
        let mut set = Arc::clone(&sets.all[i]);
        self.scale(deployment, &mut set, size).await?;
        sets.all[i] = set;
        Ok(())
    }
}

/// A set that has all pods it should have.
fn is_saturated(deployment: &Value, set: &Value) -> bool {
    let all = wished(deployment);
    replicas(set) == all
        && remembered_size(set) == Some(all)
        && set["status"]["availableReplicas"].as_i64().unwrap_or_default() == all
}

/// The size of an active set, and the most pods that there could be when it got it.
struct Share {
    size: i64,
    max: Option<i64>,
}

/// The new size of each active set (given from the oldest to the newest): in proportion to what it has, the rest to
/// the first in turn. The largest gets first; of equals the newest when growing, the oldest when shrinking.
fn shares(deployment: &Value, sets: &[Share]) -> Vec<(usize, i64)> {
    let all = wished(deployment);
    let (surge, _) = fenceposts(deployment);
    let room = if all > 0 { all + surge } else { 0 };
    let to_add = room - sets.iter().map(|set| set.size).sum::<i64>();
    let mut turns: Vec<usize> = (0..sets.len()).collect();
    if to_add > 0 {
        turns.reverse();
    }
    turns.sort_by_key(|i| -sets[*i].size);
    let (mut added, mut sizes) = (0, Vec::new());
    for i in turns {
        let fraction = fraction(&sets[i], all, surge, room);
        let left = to_add - added;
        let share = if to_add > 0 { fraction.min(left) } else { fraction.max(left) };
        let share = if left == 0 || to_add == 0 { 0 } else { share };
        added += share;
        sizes.push((i, sets[i].size + share));
    }
    if let Some((_, first)) = sizes.first_mut().filter(|_| to_add != 0) {
        *first = (*first + to_add - added).max(0);
    }
    sizes
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "sizes are far below 2^52")]
fn fraction(set: &Share, all: i64, surge: i64, room: i64) -> i64 {
    if all == 0 {
        return -set.size;
    }
    let before = set.max.filter(|max| *max > 0).unwrap_or(all + surge);
    (set.size as f64 * room as f64 / before as f64).round() as i64 - set.size
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scaled(from: i64, to: i64, sizes: &[i64]) -> Vec<i64> {
        let rolling = json!({"maxSurge": 3, "maxUnavailable": 2});
        let deployment = json!({"spec": {"replicas": to, "strategy": {"rollingUpdate": rolling}}});
        let sets: Vec<Share> = sizes.iter().map(|&size| Share { size, max: Some(from + 3) }).collect();
        let mut told = vec![0; sizes.len()];
        for (i, size) in shares(&deployment, &sets) {
            told[i] = size;
        }
        told
    }

    #[test]
    fn sets_take_their_share_of_a_new_size() {
        assert_eq!(scaled(10, 15, &[8, 5]), [11, 7], "the example of the documentation");
        assert_eq!(scaled(10, 5, &[8, 5]), [5, 3]);
        assert_eq!(scaled(10, 10, &[8, 5]), [8, 5]);
        assert_eq!(scaled(10, 0, &[8, 5]), [0, 0]);
    }
}
