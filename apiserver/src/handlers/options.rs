//! What a list or a watch is to be like: `ListOptions` in the query, judged as upstream judges them.

use crate::registry::list::Ask as ListAsk;
use crate::registry::watch::WatchAsk;
use crate::request::Query;
use crate::schema::go;
use std::time::Duration;
use tinyplane_wire::status::{self, Cause, Status};

const MATCH: &str = "resourceVersionMatch";
const INITIAL: &str = "sendInitialEvents";

/// Reads the options of a list.
pub(super) fn list(query: &Query) -> status::Result<ListAsk> {
    let mut limit = query.integer("limit")?.unwrap_or_default();
    // What any version will do for comes from upstream's cache, which has no pages.
    if query.text("resourceVersion") == "0" {
        limit = 0;
    }
    query.integer("timeoutSeconds")?;
    judged(list_causes(query))?;
    Ok(ListAsk {
        // Upstream takes a negative limit for none.
        limit: usize::try_from(limit).unwrap_or_default(),
        token: query.text("continue").to_owned(),
        resource_version: query.text("resourceVersion").to_owned(),
        version_match: query.text(MATCH).to_owned(),
    })
}

/// Reads the options of a watch. The old paths below `/watch/` don't say `watch`, and are judged as lists.
pub(super) fn watch(query: &Query) -> status::Result<WatchAsk> {
    query.integer("limit")?;
    let seconds = query.integer("timeoutSeconds")?;
    let (version, said) = (query.text("resourceVersion"), query.flag("watch"));
    judged(if said { watch_causes(query) } else { list_causes(query) })?;
    let from_now = matches!(version, "" | "0") && query.text(MATCH).is_empty();
    Ok(WatchAsk {
        resource_version: version.to_owned(),
        bookmarks: query.flag("allowWatchBookmarks"),
        initial_events: query.optional_flag(INITIAL).or((said && from_now).then_some(true)),
        lasts: seconds.filter(|s| *s != 0).map(|s| Duration::from_secs(u64::try_from(s).unwrap_or_default())),
    })
}

fn judged(causes: Vec<Cause>) -> status::Result<()> {
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid("meta.k8s.io", "ListOptions", "", causes)) }
}

fn forbidden(field: &str, why: &str) -> Cause {
    Cause { reason: "FieldValueForbidden".into(), message: format!("Forbidden: {why}"), field: field.into() }
}

fn unsupported(word: &str, known: &str) -> Cause {
    Cause {
        reason: "FieldValueNotSupported".into(),
        message: format!("Unsupported value: {}: supported values: {known}", go::json_quoted(word)),
        field: MATCH.into(),
    }
}

fn list_causes(query: &Query) -> Vec<Cause> {
    let (word, version) = (query.text(MATCH), query.text("resourceVersion"));
    let mut causes = Vec::new();
    if !word.is_empty() {
        if version.is_empty() {
            causes.push(forbidden(MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
        }
        if !query.text("continue").is_empty() {
            causes.push(forbidden(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
        }
        if !["Exact", "NotOlderThan"].contains(&word) {
            causes.push(unsupported(word, "\"Exact\", \"NotOlderThan\", \"\""));
        }
        if word == "Exact" && version == "0" {
            causes.push(forbidden(MATCH, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
        }
    }
    if query.optional_flag(INITIAL).is_some() {
        causes.push(forbidden(INITIAL, "sendInitialEvents is forbidden for list"));
    }
    causes
}

fn watch_causes(query: &Query) -> Vec<Cause> {
    let (word, initial) = (query.text(MATCH), query.optional_flag(INITIAL));
    let mut causes = Vec::new();
    // What begins with what is there is judged as if it said so.
    let is_set = !word.is_empty() || (initial.is_none() && matches!(query.text("resourceVersion"), "" | "0"));
    if initial.is_some() && word != "NotOlderThan" {
        causes.push(forbidden(MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
    }
    if !word.is_empty() {
        if initial.is_none() {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            causes.push(forbidden(MATCH, why));
        }
        if word != "NotOlderThan" {
            causes.push(unsupported(word, "\"NotOlderThan\""));
        }
    }
    if is_set && !query.text("continue").is_empty() {
        causes.push(forbidden(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
    }
    causes
}
