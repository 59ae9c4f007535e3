//! One request's event, as it grows, and as `audit.k8s.io/v1 Event`.

use super::policy::Judged;
use super::{AuditLog, Format, Level, Stage};
use crate::authn::Caller;
use crate::codec::body;
use crate::request::{Call, ResourcePath, Target, Verb};
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::once;
use http::{HeaderMap, Response, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tinyplane_wire::meta::Meta;

/// The most of a long-running request's failure that is read, in bytes: a Status has room, and a backend's page waits not.
const FAILURE_BYTES_MAX: u64 = 64 * 1024;

/// A request that is logged.
pub struct Pending {
    log: Arc<AuditLog>,
    rule: Judged,
    event: Event,
    creates: bool,
    content_type: String,
    sent: Arc<Mutex<Vec<u8>>>,
}

/// Whatever an event tells, in upstream's order.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    kind: &'static str,
    api_version: &'static str,
    level: Level,
    #[serde(rename = "auditID")]
    audit_id: String,
    stage: Stage,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: &'static str,
    user: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    impersonated_user: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    authentication_metadata: Value,
    #[serde(rename = "sourceIPs")]
    source_ips: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    user_agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_ref: Option<ObjectRef>,
    #[serde(skip_serializing_if = "Value::is_null")]
    response_status: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    request_object: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    response_object: Value,
    request_received_timestamp: String,
    stage_timestamp: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, String>,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRef {
    #[serde(skip_serializing_if = "String::is_empty")]
    resource: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    uid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    api_group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    resource_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    subresource: String,
}

impl Pending {
    pub(super) fn new(log: Arc<AuditLog>, rule: Judged, call: &Call, uri: &Uri, caller: &Caller) -> Self {
        let received = log.clock.timestamp_micro();
        let object_ref = match &call.target {
            Target::Resource(path) => Some(object_ref(path)),
            Target::Path => None,
        };
        let event = Event {
            kind: "Event",
            api_version: "audit.k8s.io/v1",
            level: rule.level,
            audit_id: call.ticket.to_string(),
            stage: Stage::RequestReceived,
            request_uri: uri.path_and_query().map_or_else(|| call.path.clone(), ToString::to_string),
            verb: call.verb.as_str(),
            user: caller.user_info(),
            impersonated_user: Value::Null,
            authentication_metadata: Value::Null,
            source_ips: source_ips(call),
            user_agent: call.header("user-agent").to_owned(),
            object_ref,
            response_status: Value::Null,
            request_object: Value::Null,
            response_object: Value::Null,
            request_received_timestamp: received.clone(),
            stage_timestamp: received,
            annotations: BTreeMap::new(),
        };
        let content_type = call.header("content-type").to_owned();
        Self { log, rule, event, creates: call.verb == Verb::Create, content_type, sent: Arc::default() }
    }

    /// Notes as whom the caller acts, and the verb that allowed it where that is a constrained one.
    pub fn impersonates(&mut self, caller: &Caller, constraint: &str) {
        self.event.impersonated_user = caller.user_info();
        if !constraint.is_empty() {
            self.event.authentication_metadata = serde_json::json!({"impersonationConstraint": constraint});
        }
    }

    /// Notes what authorization said, and why.
    pub fn decided(&mut self, allowed: bool, reason: String) {
        let decision = if allowed { "allow" } else { "forbid" };
        self.event.annotations.insert("authorization.k8s.io/decision", decision.to_owned());
        self.event.annotations.insert("authorization.k8s.io/reason", reason);
    }

    /// Notes what was told the log while the call was served.
    pub fn notes(&mut self, notes: impl IntoIterator<Item = (&'static str, String)>) {
        self.event.annotations.extend(notes);
    }

    /// The body of the request, listened to as it is read, where the event tells of it.
    pub fn listen(&self, body: Body) -> Body {
        let wanted = self.rule.level >= Level::Request || self.creates;
        if !wanted || body.is_end_stream() {
            return body;
        }
        Body::new(Heard { inner: body, sent: Arc::clone(&self.sent) })
    }

    /// Logs the event at a stage, unless that is omitted. False where it was lost.
    pub(super) fn log(&self, stage: Stage) -> bool {
        if self.rule.omit_stages.contains(&stage) {
            return true;
        }
        let mut event = self.event.clone();
        event.stage = stage;
        if stage != Stage::RequestReceived {
            event.stage_timestamp = self.log.clock.timestamp_micro();
        }
        let line = match self.log.sink.format() {
            Format::Json => serde_json::to_string(&event).unwrap_or_default(),
            Format::Legacy => event.legacy(),
        };
        self.log.write(line)
    }

    /// Logs what became of the request. The answer is passed on; of a long-running one the end is logged when it comes.
    pub async fn finish(mut self, response: Response<Body>, long_running: bool) -> Response<Body> {
        self.hear();
        let code = response.status().as_u16();
        self.event.response_status = json!({"metadata": {}, "code": code});
        if long_running && code < 400 {
            self.log(Stage::ResponseStarted);
            let closing = Closing(self);
            return response.map(|inner| Body::new(Held { inner, _closing: closing }));
        }
        // What a backend answers may have no end, and is not ours to keep.
        let bytes = response.body().size_hint().exact();
        let is_bounded = bytes.is_some_and(|bytes| !long_running || bytes <= FAILURE_BYTES_MAX);
        let wants_body = is_bounded && (self.rule.level == Level::RequestResponse || code >= 400);
        let response = if wants_body { self.read(response, code).await } else { response };
        self.log(Stage::ResponseComplete);
        response
    }

    /// Logs that serving the request panicked.
    pub fn panicked(mut self, told: &str) {
        self.hear();
        self.event.response_status =
            json!({"metadata": {}, "status": "Failure", "reason": "InternalError", "message": told, "code": 500});
        self.log(Stage::Panic);
    }

    /// Takes over what was sent, as far as it was read.
    fn hear(&mut self) {
        let sent = std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(object) = decoded(&self.content_type, sent.into()) else { return };
        if let Some(reference) = self.event.object_ref.as_mut().filter(|_| self.creates) {
            let meta = Meta::of(&object);
            let fill = |field: &mut String, value: &str| {
                if field.is_empty() {
                    value.clone_into(field);
                }
            };
            fill(&mut reference.name, meta.name());
            fill(&mut reference.namespace, meta.namespace());
            fill(&mut reference.uid, meta.uid());
            fill(&mut reference.resource_version, meta.resource_version());
        }
        if self.rule.level >= Level::Request {
            self.event.request_object = self.shown(object);
        }
    }

    async fn read(&mut self, response: Response<Body>, code: u16) -> Response<Body> {
        let (head, body) = response.into_parts();
        let bytes = match body.collect().await {
            Ok(collected) => collected.to_bytes(),
            // As broken as it was.
            Err(error) => return Response::from_parts(head, Body::from_stream(once(ready(Err::<Bytes, _>(error))))),
        };
        if let Some(object) = decoded_answer(&head.headers, &bytes) {
            if object["kind"] == "Status" {
                let mut status = json!({"metadata": {}});
                for field in ["status", "message", "reason", "details"] {
                    if !object[field].is_null() {
                        status[field] = object[field].clone();
                    }
                }
                status["code"] = code.into();
                self.event.response_status = status;
            }
            if self.rule.level == Level::RequestResponse {
                self.event.response_object = self.shown(object);
            }
        }
        Response::from_parts(head, Body::from(bytes))
    }

    fn shown(&self, mut object: Value) -> Value {
        if self.rule.omit_managed_fields {
            let strip = |object: &mut Value| {
                if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.remove("managedFields");
                }
            };
            object.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten().for_each(strip);
            strip(&mut object);
        }
        object
    }
}

/// Logs the end of a long-running answer when it is dropped.
pub struct Closing(Pending);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.log(Stage::ResponseComplete);
    }
}

impl Event {
    /// The line of format `legacy`.
    fn legacy(&self) -> String {
        let groups = |user: &Value| match user["groups"].as_array() {
            None => "<none>".to_owned(),
            Some(groups) => {
                let told: Vec<String> = groups.iter().map(ToString::to_string).collect();
                format!("{:?}", told.join(","))
            }
        };
        let text = |value: &Value, otherwise: &str| value.as_str().unwrap_or(otherwise).to_owned();
        let object = self.object_ref.as_ref();
        let namespace = object.map(|o| o.namespace.as_str()).filter(|n| !n.is_empty()).unwrap_or("<none>");
        let code = self.response_status["code"].as_u64().map_or_else(|| "<deferred>".to_owned(), |c| c.to_string());
        let (acting, as_groups) = match &self.impersonated_user {
            Value::Null => ("<self>".to_owned(), "<lookup>".to_owned()),
            user => (text(&user["username"], ""), groups(user)),
        };
        format!(
            "{} AUDIT: id={:?} stage=\"{:?}\" ip={:?} method={:?} user={:?} groups={} as={:?} asgroups={} user-agent={:?} namespace={:?} uri={:?} response=\"{}\"",
            self.request_received_timestamp,
            self.audit_id,
            self.stage,
            self.source_ips.first().map_or("<unknown>", String::as_str),
            self.verb,
            text(&self.user["username"], "<none>"),
            groups(&self.user),
            acting,
            as_groups,
            self.user_agent,
            namespace,
            self.request_uri,
            code
        )
    }
}

fn object_ref(path: &ResourcePath) -> ObjectRef {
    ObjectRef {
        resource: path.resource.to_string(),
        namespace: path.namespace.as_deref().unwrap_or_default().to_owned(),
        name: path.name.as_deref().unwrap_or_default().to_owned(),
        api_group: path.group.to_string(),
        api_version: path.version.to_string(),
        subresource: path.subresource.as_deref().unwrap_or_default().to_owned(),
        ..ObjectRef::default()
    }
}

/// Where a request came from: what proxies say, then the connection's other end.
fn source_ips(call: &Call) -> Vec<String> {
    let forwarded = call.header("x-forwarded-for").split(',').map(str::trim);
    let mut addresses: Vec<String> =
        forwarded.filter(|one| one.parse::<std::net::IpAddr>().is_ok()).map(str::to_owned).collect();
    let peer = call.peer.address.ip().to_string();
    if addresses.last() != Some(&peer) {
        addresses.push(peer);
    }
    addresses
}

/// A body as a value: JSON, or what can be made into it. Patches are JSON or YAML under names of their own.
fn decoded(content_type: &str, bytes: Bytes) -> Option<Value> {
    if bytes.is_empty() {
        return None;
    }
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let known = match media {
        "application/apply-patch+yaml" | "application/yaml" => "application/yaml",
        "application/vnd.kubernetes.protobuf" => media,
        _ => "application/json",
    };
    serde_json::from_slice(&body::as_json(known, bytes, None).ok()?.json).ok()
}

fn decoded_answer(headers: &HeaderMap, bytes: &Bytes) -> Option<Value> {
    let kind = headers.get(http::header::CONTENT_TYPE)?.to_str().ok()?;
    if headers.contains_key(http::header::CONTENT_ENCODING) {
        return None;
    }
    decoded(kind, bytes.clone())
}

/// A body that is listened to.
struct Heard {
    inner: Body,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl HttpBody for Heard {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever reads the body stops there too, and refuses the request.
            if sent.len() + data.len() <= body::BODY_BYTES_MAX {
                sent.extend_from_slice(data);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A body whose end is logged.
struct Held {
    inner: Body,
    _closing: Closing,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
