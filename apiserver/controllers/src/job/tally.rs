//! Counts the pods of a Job, each once: a pod that ended is kept by a finalizer until the status tells of it.

use super::indexes::{index_of, ranges, read_ranges};
use super::{FINALIZER, is_indexed, number};
use crate::pods::{has_ended, is_active, is_ready};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tinyplane_wire::meta::{Meta, map_mut};

/// Pods that wait in the status to lose their finalizer; more wait for the next turn.
const UNCOUNTED_MAX: usize = 500;

/// The pods of a Job, by what became of them, and the counts of those that are gone.
pub(super) struct Tally {
    pub(super) active: Vec<Arc<Value>>,
    /// Failed pods that are still there.
    pub(super) failed: Vec<Arc<Value>>,
    pub(super) terminating: usize,
    /// Counted for good: they have no finalizer any more.
    counted: (usize, usize),
    /// Uids that the status is to tell of before their finalizer is taken away.
    uncounted: (BTreeSet<String>, BTreeSet<String>),
    indexes: Option<BTreeSet<usize>>,
    /// Pods whose finalizer may go as soon as the status is written.
    pub(super) to_release: Vec<Arc<Value>>,
}

impl Tally {
    /// Counts. When the Job is `over`, pods that still run count as failed.
    pub(super) fn of(job: &Value, pods: &[Arc<Value>], over: bool) -> Self {
        let status = &job["status"];
        let count = |field: &str| usize::try_from(status[field].as_i64().unwrap_or_default()).unwrap_or_default();
        let uids = |field: &str| -> BTreeSet<String> {
            let listed = status["uncountedTerminatedPods"][field].as_array().into_iter().flatten();
            listed.filter_map(Value::as_str).map(Into::into).collect()
        };
        let indexes = is_indexed(job).then(|| {
            read_ranges(status["completedIndexes"].as_str().unwrap_or_default(), number(job, "completions", 1))
        });
        let mut tally = Self {
            active: pods.iter().filter(|pod| is_active(pod)).cloned().collect(),
            failed: pods.iter().filter(|pod| pod["status"]["phase"] == "Failed").cloned().collect(),
            terminating: pods.iter().filter(|pod| Meta::of(pod).is_deleting() && !has_ended(pod)).count(),
            counted: (count("succeeded"), count("failed")),
            uncounted: (uids("succeeded"), uids("failed")),
            indexes,
            to_release: Vec::new(),
        };
        tally.settle(pods);
        for pod in pods.iter().filter(|pod| is_held(pod)) {
            if tally.uncounted.0.len() + tally.uncounted.1.len() >= UNCOUNTED_MAX {
                break;
            }
            tally.count(job, pod, over);
        }
        tally
    }

    /// Pods of which the status told, and that have lost their finalizer since, are counted.
    fn settle(&mut self, pods: &[Arc<Value>]) {
        let held: BTreeSet<&str> = pods.iter().filter(|pod| is_held(pod)).map(|pod| Meta::of(pod).uid()).collect();
        let before = (self.uncounted.0.len(), self.uncounted.1.len());
        self.uncounted.0.retain(|uid| held.contains(uid.as_str()));
        self.uncounted.1.retain(|uid| held.contains(uid.as_str()));
        if self.indexes.is_none() {
            self.counted.0 += before.0 - self.uncounted.0.len();
        }
        self.counted.1 += before.1 - self.uncounted.1.len();
    }

    fn count(&mut self, job: &Value, pod: &Arc<Value>, over: bool) {
        let uid = Meta::of(pod).uid().to_owned();
        let succeeded = pod["status"]["phase"] == "Succeeded";
        if !succeeded && !is_failed(job, pod) && !over {
            return;
        }
        self.to_release.push(Arc::clone(pod));
        if self.uncounted.0.contains(&uid) || self.uncounted.1.contains(&uid) {
            return;
        }
        let valid = |index: &usize| *index < number(job, "completions", 1);
        match (&mut self.indexes, succeeded) {
            (Some(indexes), true) => indexes.extend(index_of(pod).filter(valid)),
            (None, true) => drop(self.uncounted.0.insert(uid)),
            (Some(_), false) if !index_of(pod).is_some_and(|index| valid(&index)) => {}
            (_, false) => drop(self.uncounted.1.insert(uid)),
        }
    }

    pub(super) fn succeeded(&self) -> usize {
        self.indexes.as_ref().map_or(self.counted.0 + self.uncounted.0.len(), BTreeSet::len)
    }

    pub(super) fn failures(&self) -> usize {
        self.counted.1 + self.uncounted.1.len()
    }

    /// True when every pod that ended is counted for good.
    pub(super) fn is_settled(&self) -> bool {
        self.to_release.is_empty() && self.uncounted.0.is_empty() && self.uncounted.1.is_empty()
    }

    /// Indexes that neither succeeded nor are tried now.
    pub(super) fn free_indexes(&self, job: &Value, count: usize) -> Vec<Option<usize>> {
        let Some(indexes) = &self.indexes else { return vec![None; count] };
        let tried: BTreeSet<usize> = self.active.iter().filter_map(|pod| index_of(pod)).collect();
        let free = (0..number(job, "completions", 1)).filter(|i| !tried.contains(i) && !indexes.contains(i));
        free.take(count).map(Some).collect()
    }

    /// Writes the counts into a status.
    pub(super) fn write(&self, status: &mut Value) {
        let status = map_mut(status);
        let mut uncounted = json!({});
        for (field, uids) in [("succeeded", &self.uncounted.0), ("failed", &self.uncounted.1)] {
            if !uids.is_empty() {
                uncounted[field] = json!(uids);
            }
        }
        status.insert("uncountedTerminatedPods".into(), uncounted);
        status.insert("terminating".into(), self.terminating.into());
        status.insert("ready".into(), self.active.iter().filter(|pod| is_ready(pod)).count().into());
        let succeeded = self.indexes.as_ref().map_or(self.counted.0, BTreeSet::len);
        for (field, count) in [("active", self.active.len()), ("succeeded", succeeded), ("failed", self.counted.1)] {
            match count {
                0 => drop(status.remove(field)),
                count => drop(status.insert(field.into(), count.into())),
            }
        }
        match self.indexes.as_ref().map(ranges).filter(|text| !text.is_empty()) {
            Some(text) => drop(status.insert("completedIndexes".into(), text.into())),
            None => drop(status.remove("completedIndexes")),
        }
    }
}

/// Whether the finalizer still keeps a pod.
pub(super) fn is_held(pod: &Value) -> bool {
    Meta::of(pod).finalizers().any(|finalizer| finalizer == FINALIZER)
}

/// A pod on its way out counts as failed, unless the Job waits until it has really ended.
fn is_failed(job: &Value, pod: &Value) -> bool {
    let going = Meta::of(pod).is_deleting() && job["spec"]["podReplacementPolicy"] != "Failed";
    pod["status"]["phase"] == "Failed" || (going && pod["status"]["phase"] != "Succeeded")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(uid: &str, phase: &str, held: bool) -> Arc<Value> {
        let finalizers = if held { json!([FINALIZER]) } else { json!([]) };
        Arc::new(json!({"metadata": {"uid": uid, "finalizers": finalizers}, "status": {"phase": phase}}))
    }

    #[test]
    fn a_pod_is_counted_once_however_often_one_looks() {
        let mut job = json!({"spec": {"completions": 2}, "status": {}});
        let ended = [pod("a", "Succeeded", true), pod("b", "Failed", true), pod("c", "Running", true)];
        let tally = Tally::of(&job, &ended, false);
        assert_eq!((tally.succeeded(), tally.failures(), tally.active.len()), (1, 1, 1));
        assert_eq!(tally.to_release.len(), 2);
        tally.write(&mut job["status"]);
        assert_eq!(job["status"]["uncountedTerminatedPods"], json!({"succeeded": ["a"], "failed": ["b"]}));
        assert!(job["status"].get("succeeded").is_none(), "not before the finalizer is gone");

        let half = [pod("a", "Succeeded", false), pod("b", "Failed", true), pod("c", "Running", true)];
        let tally = Tally::of(&job, &half, false);
        assert_eq!((tally.succeeded(), tally.failures()), (1, 1));
        tally.write(&mut job["status"]);
        assert_eq!(job["status"]["uncountedTerminatedPods"], json!({"failed": ["b"]}));
        assert_eq!(job["status"]["succeeded"], 1);

        let gone = [pod("c", "Running", true)];
        let tally = Tally::of(&job, &gone, false);
        assert_eq!((tally.succeeded(), tally.failures(), tally.is_settled()), (1, 1, true));
        let over = Tally::of(&job, &gone, true);
        assert_eq!((over.failures(), over.to_release.len()), (2, 1), "what still runs when all is over has failed");
    }

    #[test]
    fn indexes_succeed_once() {
        let job = json!({"spec": {"completions": 3, "completionMode": "Indexed"}, "status": {"completedIndexes": "0"}});
        let with = |index: &str| {
            Arc::new(json!({
                "metadata": {"uid": index, "finalizers": [FINALIZER], "annotations": {super::super::indexes::INDEX: index}},
                "status": {"phase": "Succeeded"},
            }))
        };
        let tally = Tally::of(&job, &[with("0"), with("2"), with("7")], false);
        assert_eq!(tally.succeeded(), 2);
        assert_eq!(tally.free_indexes(&job, 5), [Some(1)]);
    }
}
