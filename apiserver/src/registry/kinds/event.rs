//! Events.

use crate::registry::behaviour::{Behaviour, Column, FieldLabel, Grammar, Judged, NAME, column, wide};
use crate::registry::cells::{name, number, since};
use serde_json::{Value, json};
use std::time::SystemTime;

const COLUMNS: &[Column] = &[
    column("Last Seen", "Time since the event was seen last."),
    column("Type", "How grave it is."),
    column("Reason", "Why it happened, in one word."),
    column("Object", "What it is about."),
    wide("Subobject", "The part of the object that it is about."),
    wide("Source", "Who saw it."),
    column("Message", "What happened."),
    wide("First Seen", "Time since the event was seen first."),
    wide("Count", "How often it was seen."),
    Column { priority: 1, ..NAME },
];

pub(super) static EVENT: Behaviour = Behaviour {
    name: Grammar::PathSegment,
    metadata_judged: Judged::Last,
    fields: &[
        FieldLabel::Path("involvedObject.kind"),
        FieldLabel::Path("involvedObject.namespace"),
        FieldLabel::Path("involvedObject.name"),
        FieldLabel::Path("involvedObject.uid"),
        FieldLabel::Path("involvedObject.apiVersion"),
        FieldLabel::Path("involvedObject.resourceVersion"),
        FieldLabel::Path("involvedObject.fieldPath"),
        FieldLabel::Path("reason"),
        FieldLabel::Path("reportingComponent"),
        FieldLabel::Computed("source", |event| {
            let by = [&event["source"]["component"], &event["reportingComponent"]];
            by.into_iter().filter_map(Value::as_str).find(|text| !text.is_empty()).unwrap_or_default().into()
        }),
        FieldLabel::Path("type"),
    ],
    create_on_update: true,
    owns_nothing: true,
    columns: COLUMNS,
    cells,
    ..Behaviour::PLAIN
};

fn cells(event: &Value, now: SystemTime) -> Vec<Value> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let or = |first: &Value, second: &Value| if first.is_null() { second.clone() } else { first.clone() };
    let first = or(&event["firstTimestamp"], &event["eventTime"]);
    let (last, seen) = if event["series"].is_object() {
        (event["series"]["lastObservedTime"].clone(), number(&event["series"]["count"]))
    } else {
        (or(&event["lastTimestamp"], &first), number(&event["count"]).max(i64::from(event["count"].is_null())))
    };
    let object = &event["involvedObject"];
    let about = match text(&object["name"]) {
        name if name.is_empty() => text(&object["kind"]).to_lowercase(),
        name => format!("{}/{name}", text(&object["kind"]).to_lowercase()),
    };
    let source = [text(&event["source"]["component"]), text(&event["source"]["host"])];
    let source = match &source {
        [component, host] if component.is_empty() && host.is_empty() => {
            [text(&event["reportingComponent"]), text(&event["reportingInstance"])]
        }
        _ => source,
    };
    let source: Vec<String> = source.into_iter().filter(|part| !part.is_empty()).collect();
    vec![
        since(&last, now),
        json!(text(&event["type"])),
        json!(text(&event["reason"])),
        json!(about),
        json!(text(&object["fieldPath"])),
        json!(source.join(", ")),
        json!(text(&event["message"]).trim()),
        since(&first, now),
        json!(seen),
        name(event),
    ]
}
