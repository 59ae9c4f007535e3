//! The numbers of an Indexed Job's pods: how they are told to a pod, and how they stand in a status.

use crate::pods::from_template;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tinyplane_wire::meta::{Meta, map_mut, metadata_mut};

/// Annotation and label with the index of a pod.
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// The index of a pod.
pub(super) fn index_of(pod: &Value) -> Option<usize> {
    Meta::of(pod).annotation(INDEX)?.parse().ok()
}

/// A pod of the Job, with its index and with the finalizer that keeps it until it is counted.
pub(super) fn pod(job: &Value, index: Option<usize>, finalizer: &str) -> Value {
    let mut pod = from_template(job, &job["spec"]["template"]);
    if let Some(index) = index {
        mark_index(&mut pod, Meta::of(job).name(), index);
    }
    let finalizers = metadata_mut(&mut pod).entry("finalizers").or_insert_with(|| json!([]));
    if let Some(finalizers) = finalizers.as_array_mut()
        && !finalizers.iter().any(|f| f == finalizer)
    {
        finalizers.push(finalizer.into());
    }
    pod
}

/// Tells a pod its index, in every way in which upstream tells it.
fn mark_index(pod: &mut Value, job: &str, index: usize) {
    let text = index.to_string();
    let metadata = metadata_mut(pod);
    metadata.insert("generateName".into(), format!("{job}-{index}-").into());
    for field in ["annotations", "labels"] {
        map_mut(metadata.entry(field).or_insert_with(|| json!({}))).insert(INDEX.into(), text.clone().into());
    }
    pod["spec"]["hostname"] = format!("{job}-{index}").into();
    let variable = json!({
        "name": "JOB_COMPLETION_INDEX",
        "valueFrom": {"fieldRef": {"fieldPath": format!("metadata.labels['{INDEX}']")}},
    });
    for field in ["containers", "initContainers"] {
        // Not by index: that would write a null where there is no such list.
        let containers = pod["spec"].get_mut(field).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            match container.get_mut("env").and_then(Value::as_array_mut) {
                Some(env) => env.push(variable.clone()),
                None => container["env"] = json!([variable]),
            }
        }
    }
}

/// Numbers as upstream writes completed indexes: `0,2-4`.
pub(super) fn ranges(numbers: &BTreeSet<usize>) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for &n in numbers {
        match parts.last_mut() {
            Some((_, end)) if *end + 1 == n => *end = n,
            _ => parts.push((n, n)),
        }
    }
    let told = |(a, b): &(usize, usize)| match b - a {
        0 => a.to_string(),
        1 => format!("{a},{b}"),
        _ => format!("{a}-{b}"),
    };
    parts.iter().map(told).collect::<Vec<_>>().join(",")
}

/// Reads what `ranges` writes; numbers from `limit` on are left out.
pub(super) fn read_ranges(text: &str, limit: usize) -> BTreeSet<usize> {
    let mut numbers = BTreeSet::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) {
            numbers.extend(first..limit.min(last.saturating_add(1)));
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_told_as_ranges() {
        assert_eq!(ranges(&[0, 2, 3, 4, 7, 8].into()), "0,2-4,7,8");
        assert_eq!(ranges(&[].into()), "");
        assert_eq!(read_ranges("0,2-4,7,8", 8), [0, 2, 3, 4, 7].into());
        assert_eq!(read_ranges("0-99999999999", 2), [0, 1].into());
    }

    #[test]
    fn a_pod_is_held_until_it_is_counted() {
        let job = json!({"metadata": {"name": "j"}, "spec": {"template": {"metadata": {"finalizers": ["mine"]}, "spec": {"containers": [{}]}}}});
        let pod = pod(&job, Some(3), "hold");
        assert_eq!(pod["metadata"]["finalizers"], json!(["mine", "hold"]));
        assert_eq!((index_of(&pod), &pod["spec"]["hostname"]), (Some(3), &json!("j-3")));
    }
}
