//! `/containerLogs`: a container's log, as text that may go on.

use super::endpoints::Endpoints;
use super::query::Query;
use super::reply::{self, Reply, failure};
use crate::runtime::{ContainerId, LogOptions};
use axum::body::Body;
use futures_util::StreamExt;
use http::StatusCode;
use serde_json::Value;
use std::convert::Infallible;
use std::time::Duration;
use tinyplane_wire::streaming::log_options::PodLogOptions;

impl Endpoints {
    /// `GET /containerLogs/NAMESPACE/POD/CONTAINER`.
    pub(super) async fn container_logs(&self, namespace: &str, pod: &str, container: &str, query: &Query) -> Reply {
        let options = decode(query)?;
        let not_found = |text: String| failure(StatusCode::NOT_FOUND, text);
        let found = self.pods.pod(namespace, pod);
        let found = found.ok_or_else(|| not_found(format!("pod \"{pod}\" does not exist")))?;
        if !declares(&found, container) {
            return Err(not_found(format!("container \"{container}\" not found in pod \"{pod}\"")));
        }
        let id = readable(&found, container, options.previous).map_err(bad_request)?;
        let log = self.runtime.logs(&id, self.log_options(&options)).await;
        let log = log.map_err(|error| bad_request(error.to_string()))?;
        let body = Body::from_stream(log.map(Ok::<_, Infallible>));
        Ok(reply::answer(StatusCode::OK, "text/plain; charset=utf-8", body))
    }

    fn log_options(&self, options: &PodLogOptions) -> LogOptions {
        let seconds = options.since_seconds.and_then(|n| u64::try_from(n).ok());
        let ago = seconds.and_then(|n| self.clock.now().checked_sub(Duration::from_secs(n)));
        LogOptions {
            follow: options.follow,
            tail_lines: options.tail_lines.and_then(|n| u64::try_from(n).ok()),
            since: ago.or(options.since_time),
            timestamps: options.timestamps,
            bytes_max: options.limit_bytes.and_then(|n| u64::try_from(n).ok()),
        }
    }
}

fn bad_request(text: String) -> super::auth::Denied {
    failure(StatusCode::BAD_REQUEST, text)
}

fn decode(query: &Query) -> Result<PodLogOptions, super::auth::Denied> {
    // `tail` is how `tailLines` was once called.
    let tail = query.first("tail").filter(|tail| !tail.is_empty());
    let pairs = query.pairs().filter(|(name, _)| tail.is_none() || *name != "tailLines");
    let tail = tail.filter(|tail| *tail != "all").map(|lines| ("tailLines", lines));
    let options = PodLogOptions::decode(pairs.chain(tail))
        .map_err(|_| bad_request(r#"{"message": "Unable to decode query."}"#.into()))?;
    if options.validate().is_empty() {
        Ok(options)
    } else {
        Err(failure(StatusCode::UNPROCESSABLE_ENTITY, r#"{"message": "Invalid request."}"#))
    }
}

/// True when a pod's specification has a container of this name, of whatever sort.
pub(super) fn declares(pod: &Value, container: &str) -> bool {
    declared(pod, container).is_some()
}

/// A container of a pod's specification.
pub(super) fn declared<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    named(&pod["spec"], ["containers", "initContainers", "ephemeralContainers"], container)
}

fn named<'a>(of: &'a Value, lists: [&str; 3], name: &str) -> Option<&'a Value> {
    lists.iter().filter_map(|list| of[*list].as_array()).flatten().find(|container| container["name"] == name)
}

/// Which container's log is meant, or why there is none to read.
fn readable(pod: &Value, container: &str, previous: bool) -> Result<ContainerId, String> {
    let about =
        format!("container \"{container}\" in pod \"{}\"", pod["metadata"]["name"].as_str().unwrap_or_default());
    let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let status = named(&pod["status"], lists, container).ok_or(format!("{about} is not available"))?;
    let (state, last) = (&status["state"], &status["lastState"]["terminated"]);
    let last = container_id(&last["containerID"]);
    if previous {
        return last.ok_or(format!("previous terminated {about} not found"));
    }
    if state["running"].is_object() {
        return container_id(&status["containerID"]).ok_or(format!("{about} is not available"));
    }
    if state["terminated"].is_object() {
        let own = container_id(&state["terminated"]["containerID"]);
        return own.or(last).ok_or(format!("{about} is terminated"));
    }
    if let Some(last) = last {
        return Ok(last);
    }
    Err(match state["waiting"]["reason"].as_str() {
        Some("ErrImagePull") => format!("{about} is waiting to start: image can't be pulled"),
        Some("ImagePullBackOff") => format!("{about} is waiting to start: trying and failing to pull image"),
        Some(reason) => format!("{about} is waiting to start: {reason}"),
        None => format!("{about} is waiting to start - no logs yet"),
    })
}

/// The bare id of `scheme://id`.
fn container_id(text: &Value) -> Option<ContainerId> {
    let text = text.as_str().filter(|text| !text.is_empty())?;
    Some(ContainerId::new(text.split_once("://").map_or(text, |(_, id)| id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: &Value) -> Value {
        json!({"metadata": {"name": "web"}, "status": {"containerStatuses": [status]}})
    }

    #[test]
    fn the_state_of_a_container_decides_what_can_be_read() {
        let running = pod(&json!({"name": "c", "containerID": "tiny://new", "state": {"running": {}},
            "lastState": {"terminated": {"containerID": "tiny://old"}}}));
        assert_eq!(readable(&running, "c", false).unwrap(), ContainerId::new("new"));
        assert_eq!(readable(&running, "c", true).unwrap(), ContainerId::new("old"));
        let waiting = pod(&json!({"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}}));
        let told = readable(&waiting, "c", false).unwrap_err();
        assert_eq!(told, "container \"c\" in pod \"web\" is waiting to start: ContainerCreating");
        let told = readable(&waiting, "c", true).unwrap_err();
        assert_eq!(told, "previous terminated container \"c\" in pod \"web\" not found");
        let back_off = pod(&json!({"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"containerID": "tiny://old"}}}));
        assert_eq!(readable(&back_off, "c", false).unwrap(), ContainerId::new("old"));
        let told = readable(&waiting, "d", false).unwrap_err();
        assert_eq!(told, "container \"d\" in pod \"web\" is not available");
    }
}
