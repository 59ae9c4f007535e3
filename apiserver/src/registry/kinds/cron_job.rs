//! `CronJob`s.

use super::template::{CONTAINERS, IMAGES, SELECTOR, containers};
use crate::registry::behaviour::{AGE, Behaviour, Column, NAME, column, count};
use crate::registry::cells::{age, name, selector, since, size};
use crate::registry::warnings;
use serde_json::json;

/// `CronJob`s.
pub(super) static CRON_JOB: Behaviour = Behaviour {
    warnings: warnings::cron_job,
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
