//! `CronJob`s.

use super::template::{CONTAINERS, IMAGES, SELECTOR, containers};
use crate::registry::behaviour::{AGE, Behaviour, Column, NAME, column, count};
use crate::registry::cells::{age, name, selector, since, size};
use serde_json::{Value, json};
use tinyplane_wire::meta::{Meta, dns_label};

/// `CronJob`s.
pub(super) static CRON_JOB: Behaviour = Behaviour {
    warnings,
    columns: &[
        NAME,
        column("Schedule", "When Jobs are made, in the form of cron."),
        column("Timezone", "The time zone of the schedule."),
        Column { kind: "boolean", ..column("Suspend", "Whether no more Jobs are made.") },
        count("Active", "How many of its Jobs run."),
        column("Last Schedule", "Time since a Job was last made."),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let job = &spec["jobTemplate"]["spec"];
        let [names, images] = containers(&job["template"]);
        let last = &status["lastScheduleTime"];
        vec![
            name(object),
            json!(spec["schedule"].as_str().unwrap_or_default()),
            json!(spec["timeZone"].as_str().unwrap_or("<none>")),
            json!(match spec["suspend"].as_bool() {
                Some(true) => "True",
                Some(false) => "False",
                None => "<unset>",
            }),
            json!(size(&status["active"])),
            if last.is_null() { json!("<none>") } else { since(last, now) },
            age(object, now),
            names,
            images,
            selector(&job["selector"]),
        ]
    },
    ..Behaviour::WITH_STATUS
};

fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    let complaints = dns_label(Meta::of(new).name());
    if old.is_none() && !complaints.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [{}]",
            complaints.join(" ")
        ));
    }
    if new["spec"]["schedule"].as_str().is_some_and(|schedule| schedule.contains("TZ")) {
        warnings.push("CRON_TZ or TZ used in spec.schedule is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details".to_owned());
    }
    warnings
}
