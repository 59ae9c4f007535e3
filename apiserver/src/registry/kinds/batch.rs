//! Jobs.

use super::template::{CONTAINERS, IMAGES, SELECTOR, containers};
use crate::registry::behaviour::{AGE, Behaviour, FieldLabel, NAME, Scene, column};
use crate::registry::cells::{age, duration, items, name, number, selector};
use crate::registry::warnings;
use serde_json::{Value, json};
use std::time::SystemTime;
use tinyplane_wire::clock;

pub(super) static JOB: Behaviour = Behaviour {
    orphans: true,
    orphans_warning: Some(
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning",
    ),
    fields: &[FieldLabel::Computed("status.successful", |job| number(&job["status"]["succeeded"]).to_string().into())],
    prepare: prepare_job,
    read_back: label_job,
    shares_labels: true,
    warnings: warnings::job,
    columns: &[
        NAME,
        column("Status", "How the job is, in one word."),
        column("Completions", "How many pods have succeeded, of how many should."),
        column("Duration", "How long the job has run, or ran."),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: |job, now| {
        let [containers, images] = containers(&job["spec"]["template"]);
        vec![
            name(job),
            json!(condition(job)),
            json!(completions(job)),
            json!(ran(job, now)),
            age(job, now),
            containers,
            images,
            selector(&job["spec"]["selector"]),
        ]
    },
    ..Behaviour::WITH_STATUS
};

/// A new job selects its pods by labels of its own, unless its author sees to that. What an author has said already
/// stays, and is refused where it does not fit.
fn prepare_job(job: &mut Value, old: Option<&Value>, _: &Scene<'_>) {
    if old.is_some() {
        return;
    }
    if job["spec"]["manualSelector"] != true {
        select_own(job);
    }
    label_job(job);
}

fn select_own(job: &mut Value) {
    let (uid, name) = (job["metadata"]["uid"].clone(), job["metadata"]["name"].clone());
    let labels = [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("job-name", &name),
    ];
    let unsaid = |map: &mut Value, key: &str, value: &Value| {
        if map[key].is_null() {
            map[key] = value.clone();
        }
    };
    for (key, value) in labels {
        unsaid(&mut job["spec"]["template"]["metadata"]["labels"], key, value);
    }
    unsaid(&mut job["spec"]["selector"]["matchLabels"], "batch.kubernetes.io/controller-uid", &uid);
}

/// A job without labels has its template's.
fn label_job(job: &mut Value) {
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    if !labels.is_null() && job["metadata"]["labels"].as_object().is_none_or(serde_json::Map::is_empty) {
        job["metadata"]["labels"] = labels.clone();
    }
}

fn condition(job: &Value) -> &'static str {
    let has =
        |kind: &str| items(&job["status"]["conditions"]).any(|one| one["type"] == kind && one["status"] == "True");
    match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if !job["metadata"]["deletionTimestamp"].is_null() => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions(job: &Value) -> String {
    let succeeded = number(&job["status"]["succeeded"]);
    match (job["spec"]["completions"].as_i64(), number(&job["spec"]["parallelism"])) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, side_by_side) if side_by_side > 1 => format!("{succeeded}/1 of {side_by_side}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

fn ran(job: &Value, now: SystemTime) -> String {
    let time = |field: &str| job["status"][field].as_str().and_then(clock::parse);
    match (time("startTime"), time("completionTime")) {
        (None, _) => String::new(),
        (Some(start), end) => duration(end.unwrap_or(now).duration_since(start).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use crate::registry::tests::World;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn a_job_without_labels_shares_its_templates() {
        let world = World::new().await;
        let of = |name: &str, labels: Value| {
            let pod = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]});
            let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": pod});
            json!({"metadata": {"name": name, "labels": labels}, "spec": {"template": template}})
        };
        let bare = world.create("batch", "jobs", of("bare", json!({}))).await.unwrap();
        assert_eq!(bare["metadata"]["labels"], bare["spec"]["template"]["metadata"]["labels"]);
        assert_eq!(bare["metadata"]["labels"]["job-name"], "bare");
        let said = world.create("batch", "jobs", of("said", json!({"a": "b"}))).await.unwrap();
        assert_eq!(said["metadata"]["labels"], json!({"a": "b"}));
    }
}
