//! Mistakes in Jobs and CronJobs, and what their authors are told.

use super::super::{create, update, update_part};
use super::{container, told};
use serde_json::{Value, json};

const NOTHING: [&str; 0] = [];

fn job(spec: &Value) -> Value {
    let mine = json!({
        "controller-uid": "u", "job-name": "a",
        "batch.kubernetes.io/controller-uid": "u", "batch.kubernetes.io/job-name": "a",
    });
    let pod = json!({"restartPolicy": "Never", "dnsPolicy": "ClusterFirst", "containers": [container("main")]});
    let mut job = json!({
        "metadata": {"name": "a", "uid": "u"},
        "spec": {
            "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}},
            "template": {"metadata": {"labels": mine}, "spec": pod},
        },
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        job["spec"][field] = value.clone();
    }
    job
}

fn created(job: &Value) -> Vec<String> {
    told(&create("batch", "Job", job, None))
}

fn updated(new: &Value, old: &Value) -> Vec<String> {
    told(&update("batch", "Job", new, old, None))
}

#[test]
fn a_job_has_the_labels_that_are_made_for_it() {
    assert_eq!(created(&job(&json!({}))), NOTHING);
    let mut other = job(&json!({}));
    other["spec"]["template"]["metadata"]["labels"] = json!({"batch.kubernetes.io/controller-uid": "u"});
    other["spec"]["selector"]["matchLabels"]["app"] = json!("x");
    let causes = created(&other);
    let lacks =
        |label: &str, value: &str| format!("spec.template.metadata.labels[{label}]: Required value: must be '{value}'");
    assert_eq!(
        causes[..3],
        [lacks("controller-uid", "u"), lacks("job-name", "a"), lacks("batch.kubernetes.io/job-name", "a")]
    );
    assert!(causes[3].ends_with("`selector` not auto-generated"), "{causes:?}");
    assert!(causes[4].starts_with("spec.template.metadata.labels: Invalid value:"), "{causes:?}");
    assert_eq!(causes.len(), 5, "{causes:?}");
    let long = json!({"completionMode": "Indexed", "completions": 11});
    let mut long = job(&long);
    long["metadata"]["name"] = "n".repeat(61).into();
    assert!(created(&long).iter().any(|cause| cause.contains("will not able to create pod")));
}

#[test]
fn a_struct_with_nothing_in_it_changes_a_jobs_template() {
    let old = job(&json!({}));
    let mut new = old.clone();
    new["spec"]["template"]["spec"]["affinity"] = json!({});
    let causes = updated(&new, &old);
    assert!(causes.len() == 1 && causes[0].starts_with("spec.template: Invalid value: "), "{causes:?}");
    let mut new = old.clone();
    new["spec"]["template"]["spec"]["tolerations"] = json!([]);
    assert_eq!(updated(&new, &old), NOTHING, "a list with nothing in it is as none");
}

#[test]
fn a_job_keeps_the_labels_that_were_made_for_it() {
    let mut old = job(&json!({"manualSelector": true}));
    old["spec"]["template"]["metadata"]["labels"] = json!({"batch.kubernetes.io/controller-uid": "x"});
    old["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"] = json!("x");
    let mut new = old.clone();
    assert_eq!(updated(&new, &old), NOTHING);
    new["spec"]["manualSelector"] = json!(false);
    // It never had the labels with a prefix, which are not missed then.
    assert_eq!(
        updated(&new, &old),
        [
            "spec.template.metadata.labels[controller-uid]: Required value: must be 'u'",
            "spec.template.metadata.labels[job-name]: Required value: must be 'a'",
            "spec.selector: Invalid value: {\"matchLabels\":{\"batch.kubernetes.io/controller-uid\":\"x\"}}: `selector` not auto-generated",
        ]
    );
}

#[test]
fn limits_of_indexes_need_indexes() {
    assert_eq!(
        created(&job(&json!({"backoffLimitPerIndex": 1, "successPolicy": {"rules": [{"succeededCount": 1}]}}))),
        [
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
            "spec.successPolicy: Invalid value: {\"Rules\":[{\"SucceededIndexes\":null,\"SucceededCount\":1}]}: requires indexed completion mode"
        ]
    );
    let indexed = |more: &Value| {
        let mut spec = json!({"completionMode": "Indexed", "completions": 3});
        more.as_object().into_iter().flatten().for_each(|(field, value)| spec[field] = value.clone());
        created(&job(&spec))
    };
    assert_eq!(
        indexed(&json!({"maxFailedIndexes": 4})),
        [
            "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
            "spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions"
        ]
    );
    assert_eq!(
        indexed(&json!({"completions": 100_001, "parallelism": 20_000, "backoffLimitPerIndex": 1})),
        [
            "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
            "spec.parallelism: Invalid value: 20000: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index"
        ]
    );
    assert_eq!(
        indexed(&json!({"successPolicy": {"rules": [{"succeededIndexes": "0-1", "succeededCount": 4}, {}]}})),
        [
            "spec.successPolicy.rules[0].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of specified completions)",
            "spec.successPolicy.rules[0].succeededCount: Invalid value: 4: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)",
            "spec.successPolicy.rules[1]: Required value: at least one of succeededCount or succeededIndexes must be specified"
        ]
    );
    assert_eq!(
        indexed(&json!({"managedBy": "me"})),
        ["spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")"]
    );
}

#[test]
fn a_policy_on_failures_says_which_and_what_follows() {
    let with = |rule: Value| created(&job(&json!({"podFailurePolicy": {"rules": [rule]}})));
    let codes = |values: Value| json!({"containerName": "main", "operator": "In", "values": values});
    assert_eq!(with(json!({"action": "FailJob", "onExitCodes": codes(json!([1, 42]))})), NOTHING);
    let at = "spec.podFailurePolicy.rules[0]";
    assert_eq!(
        with(json!({"action": "FailIndex", "onExitCodes": codes(json!([2, 0, 2]))})),
        [
            format!("{at}.action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set"),
            format!("{at}.onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator"),
            format!("{at}.onExitCodes.values[2]: Duplicate value: 2"),
            format!("{at}.onExitCodes.values: Invalid value: [2,0,2]: must be ordered"),
        ]
    );
    assert_eq!(
        with(json!({"onPodConditions": [{"type": "DisruptionTarget"}]})),
        [
            format!("{at}.action: Required value: valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]"),
            format!("{at}.onPodConditions[0].status: Required value: valid values: [\"False\" \"True\" \"Unknown\"]"),
        ]
    );
    assert_eq!(
        with(json!({"action": "Count"})),
        [format!("{at}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required")]
    );
    let mut restarts = job(&json!({
        "podReplacementPolicy": "TerminatingOrFailed",
        "podFailurePolicy": {"rules": [{"action": "Ignore", "onExitCodes": codes(json!([1]))}]},
    }));
    restarts["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure".into();
    assert_eq!(
        created(&restarts),
        [
            "spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\"",
            "spec.template.spec.restartPolicy: Invalid value: \"OnFailure\": only \"Never\" is supported when podFailurePolicy is specified"
        ]
    );
}

#[test]
fn of_a_suspended_job_only_where_its_pods_go_may_change() {
    let mut old = job(&json!({"suspend": true}));
    old["status"]["conditions"] = json!([{"type": "Suspended", "status": "True"}]);
    let mut new = old.clone();
    new["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
    new["spec"]["template"]["spec"]["nodeSelector"] = json!({"a": "b"});
    new["spec"]["template"]["metadata"]["annotations"] = json!({"a": "b"});
    new["spec"]["template"]["spec"]["affinity"] = json!({"nodeAffinity": {}});
    assert_eq!(updated(&new, &old), NOTHING);
    let mut running = old.clone();
    running["spec"]["suspend"] = false.into();
    let causes = updated(&new, &running);
    assert!(causes.len() == 1 && causes[0].starts_with("spec.template: "), "{causes:?}");
    let mut unsuspended = old.clone();
    unsuspended["status"]["active"] = 1.into();
    assert_eq!(updated(&new, &unsuspended).len(), 1);
    unsuspended["status"] = json!({});
    assert_eq!(updated(&new, &unsuspended).len(), 1);
    new["spec"]["template"]["spec"]["containers"][0]["image"] = "other".into();
    let causes = updated(&new, &old);
    assert!(causes.len() == 1 && causes[0].starts_with("spec.template.spec: "), "{causes:?}");
}

#[test]
fn a_job_is_not_held_against_a_selector_that_is_none() {
    let mut odd = job(&json!({}));
    odd["spec"]["manualSelector"] = true.into();
    odd["spec"]["selector"] = json!({"matchLabels": {"a b": "c"}});
    let causes = told(&create("batch", "Job", &odd, None));
    assert!(causes.len() == 1 && causes[0].starts_with("spec.selector.matchLabels: "), "{causes:?}");
}

#[test]
fn an_indexed_job_grows_with_its_parallelism() {
    let of = |completions: i64, parallelism: i64| {
        job(&json!({"completionMode": "Indexed", "completions": completions, "parallelism": parallelism}))
    };
    assert_eq!(updated(&of(4, 4), &of(3, 3)), NOTHING);
    assert_eq!(
        updated(&of(4, 3), &of(3, 3)),
        ["spec.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism"]
    );
}

#[test]
fn a_cron_job_makes_the_selectors_of_its_jobs() {
    let template = job(&json!({}))["spec"]["template"].clone();
    let cron = |zone: &str, more: Value| {
        let mut spec = json!({"template": template});
        more.as_object().into_iter().flatten().for_each(|(field, value)| spec[field] = value.clone());
        let spec = json!({"schedule": "* * * * *", "timeZone": zone, "concurrencyPolicy": "Allow", "jobTemplate": {"spec": spec}});
        told(&create("batch", "CronJob", &json!({"metadata": {"name": "a"}, "spec": spec}), None))
    };
    assert_eq!(cron("Europe/Berlin", json!({})), NOTHING);
    assert_eq!(
        cron(
            "Eu rope",
            json!({"selector": {"matchLabels": {"a": "b"}, "matchExpressions": []}, "manualSelector": true})
        ),
        [
            "spec.timeZone: Invalid value: \"Eu rope\": unknown time zone Eu rope",
            "spec.jobTemplate.spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: `selector` will be auto-generated",
            "spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \"nil\", \"false\""
        ]
    );
}

#[test]
fn what_changes_in_the_status_of_a_job_is_true() {
    let of = |spec: Value, status: Value| {
        let mut job = job(&spec);
        job["status"] = status;
        job
    };
    let told = |spec: Value, old: Value, new: Value| {
        told(&update_part("batch", "Job", "status", &of(spec.clone(), new), &of(spec, old)))
    };
    let when =
        |types: &[&str]| json!(types.iter().map(|kind| json!({"type": kind, "status": "True"})).collect::<Vec<_>>());
    let (start, end) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
    let done =
        json!({"startTime": start, "completionTime": end, "conditions": when(&["SuccessCriteriaMet", "Complete"])});
    assert_eq!(told(json!({}), json!({"startTime": start, "active": 1}), done.clone()), NOTHING);
    assert_eq!(
        told(json!({}), json!({"startTime": start}), json!({"active": 1, "conditions": when(&["Complete"])})),
        [
            "status.completionTime: Required value: completionTime is required for Complete jobs",
            "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
            "status.active: Invalid value: 1: active>0 is invalid for finished job",
            "status.startTime: Required value: startTime is required for finished job",
            "status.startTime: Invalid value: null: field is immutable for unsuspended job once set",
        ]
    );
    assert_eq!(
        told(
            json!({}),
            json!({"failed": 1}),
            json!({"completionTime": end, "ready": 1, "conditions": when(&["Failed"])})
        ),
        [
            "status.completionTime: Invalid value: \"2026-01-01T00:00:01Z\": cannot set completionTime when there is no Complete=True condition",
            "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition",
            "status.startTime: Required value: startTime is required for finished job",
            "status.ready: Invalid value: 1: cannot set more ready pods than active",
            "status.failed: Invalid value: 0: cannot decrease the failed counter",
        ]
    );
    assert_eq!(
        told(json!({}), json!({}), json!({"active": -1})),
        ["status.active: Invalid value: -1: must be greater than or equal to 0"]
    );
    assert_eq!(
        told(json!({}), done, json!({"startTime": start, "conditions": when(&["SuccessCriteriaMet"])})),
        ["status.conditions: Invalid value: cannot disable the terminal Complete=True condition"]
    );
    let indexed = json!({"completionMode": "Indexed", "completions": 9, "parallelism": 1, "backoffLimitPerIndex": 1});
    assert_eq!(
        told(indexed, json!({}), json!({"completedIndexes": "0-2,4,9", "failedIndexes": "3-5"})),
        [
            "status.completedIndexes: Invalid value: \"0-2,4,9\": error parsing completedIndexes: too large index: \"9\"",
            "status.failedIndexes: Invalid value: \"3-5\": failedIndexes and completedIndexes overlap at index: 4",
        ]
    );
    let negative = "must be greater than or equal to 0";
    assert_eq!(
        told(json!({}), json!({}), json!({"active": -1})),
        [format!("status.active: Invalid value: -1: {negative}")]
    );
    assert_eq!(
        told(json!({}), json!({}), json!({"uncountedTerminatedPods": {"succeeded": ["a", ""], "failed": ["a"]}})),
        [
            "status.uncountedTerminatedPods.succeeded[1]: Invalid value: \"\": must not be empty",
            "status.uncountedTerminatedPods.failed[0]: Duplicate value: \"a\"",
        ]
    );
}
