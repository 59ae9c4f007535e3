//! Which of the nodes that fit is best: by upstream's scores, each from 0 to 100, with upstream's weights.

use super::affinity::Neighbourhood;
use super::fit::{Amounts, Wishes};
use super::spread::Spread;
use serde_json::Value;

/// Weights of the scores.
const TAINTS: f64 = 3.0;
const NODE_AFFINITY: f64 = 2.0;
const SPREAD: f64 = 2.0;
const POD_AFFINITY: f64 = 2.0;
const FREE: f64 = 1.0;
const BALANCE: f64 = 1.0;

/// A node that fits, with what speaks for it and against it.
pub(super) struct Candidate<'a> {
    pub(super) node: &'a Value,
    /// Pods that are there.
    pub(super) pods: i128,
    taints: f64,
    wished: f64,
    crowd: f64,
    liking: f64,
    free: f64,
    balance: f64,
}

impl<'a> Candidate<'a> {
    #[expect(clippy::cast_precision_loss, reason = "scores are compared, not counted")]
    pub(super) fn of(
        node: &'a Value,
        wishes: &Wishes,
        (allocatable, taken): (&Amounts, &Amounts),
        (pods, siblings): (i128, usize),
        spread: Option<&Spread>,
        neighbours: Option<&Neighbourhood>,
    ) -> Self {
        let share = |name: &str| {
            let all = allocatable.get(name).copied().unwrap_or_default().max(1) as f64;
            let used =
                taken.get(name).copied().unwrap_or_default() + wishes.requests.get(name).copied().unwrap_or_default();
            (used as f64 / all).min(1.0)
        };
        let (cpu, memory) = (share("cpu"), share("memory"));
        Self {
            node,
            pods,
            taints: wishes.unwelcome(node) as f64,
            wished: wishes.preference(node) as f64,
            // Without wishes of its own, a pod is spread over nodes with those of its owner.
            crowd: spread.filter(|s| s.is_soft()).map_or(siblings as f64, |spread| spread.crowd(node)),
            liking: neighbours.map_or(0, |n| n.liking(node)) as f64,
            free: 100.0 * (1.0 - f64::midpoint(cpu, memory)),
            balance: 100.0 * (1.0 - (cpu - memory).abs() / 2.0),
        }
    }
}

/// The place of the best candidate; of equals the one with fewest pods, and of those the first.
pub(super) fn best(candidates: &[Candidate<'_>]) -> Option<usize> {
    let most = |value: fn(&Candidate<'_>) -> f64| candidates.iter().map(value).fold(0.0, f64::max);
    let least = |value: fn(&Candidate<'_>) -> f64| candidates.iter().map(value).fold(f64::INFINITY, f64::min);
    let (taints, wished, crowd) = (most(|c| c.taints), most(|c| c.wished), most(|c| c.crowd));
    let least_crowd = least(|c| c.crowd);
    let least_liking = least(|c| c.liking);
    let liking = candidates.iter().map(|c| c.liking).fold(f64::NEG_INFINITY, f64::max) - least_liking;
    let part = |value: f64, of: f64| if of > 0.0 { 100.0 * value / of } else { 0.0 };
    let score = |c: &Candidate<'_>| {
        TAINTS * (100.0 - part(c.taints, taints))
            + NODE_AFFINITY * part(c.wished, wished)
            + SPREAD * if crowd > 0.0 { part(crowd + least_crowd - c.crowd, crowd) } else { 100.0 }
            + POD_AFFINITY * part(c.liking - least_liking, liking)
            + FREE * c.free
            + BALANCE * c.balance
    };
    let scored = candidates.iter().enumerate().map(|(i, c)| (i, score(c), c.pods));
    let better =
        |a: &(usize, f64, i128), b: &(usize, f64, i128)| b.1.total_cmp(&a.1).then(a.2.cmp(&b.2)).then(a.0.cmp(&b.0));
    scored.min_by(better).map(|(i, ..)| i)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn taints_weigh_more_than_wishes_and_wishes_more_than_room() {
        let node = |taints: Value, label: &str| {
            json!({
                "metadata": {"labels": {"disk": label}}, "spec": {"taints": taints},
                "status": {"allocatable": {"cpu": "4", "memory": "4Gi"}},
            })
        };
        let pod = json!({"spec": {"containers": [], "affinity": {"nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 10, "preference": {
                "matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}],
            }}],
        }}}});
        let wishes = Wishes::of(&pod);
        let full = Amounts::from([("cpu".to_owned(), 3_000)]);
        let stay_away = json!([{"key": "a", "effect": "PreferNoSchedule"}]);
        let nodes = [node(stay_away, "ssd"), node(json!([]), "hdd"), node(json!([]), "ssd")];
        let all = Amounts::from([("cpu".to_owned(), 4_000), ("memory".to_owned(), (4 << 30) * 1_000)]);
        let candidate = |node| Candidate::of(node, &wishes, (&all, &full), (0, 0), None, None);
        let candidates: Vec<Candidate<'_>> = nodes.iter().map(candidate).collect();
        assert_eq!(best(&candidates), Some(2));
        assert_eq!(best(&candidates[..2]), Some(1));
    }
}
