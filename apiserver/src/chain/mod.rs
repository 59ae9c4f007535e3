//! The one place where the order of a request's rooms is written.
//!
//! ticket → call → caller → audit → impersonation → a seat → permission → endpoint or handler → response. Around all of it: a
//! panic is a 500, a call that is not long-running has a deadline, a long-running answer ends when the member ends, and
//! every answer is counted. No byte of a body is read before `Permitted<Call>` exists.

mod body;
mod deadline;
mod written;

use crate::audit::{AuditLog, Pending, Ticket};
use crate::authn::{Acting, Authenticator, Impersonation, Peer, strip_credentials};
use crate::authz::{Authorizer, Permitted, permit};
use crate::codec::accept;
use crate::discovery;
use crate::endpoints::Endpoints;
use crate::flow_control::{Class, FlowControl};
use crate::metrics::{Counted, FieldValidation, InFlight, Metrics, RequestLabels};
use crate::registry::no_such_resource;
use crate::request::{self, Call, PathTaken, ResourcePath, TINYPLANE_PATH, Target, Warnings};
use crate::respond;
use async_trait::async_trait;
use axum::body::Body;
use futures_util::FutureExt;
use http::header::{ACCEPT, CACHE_CONTROL, HeaderName, WARNING};
use http::{HeaderValue, Method, Request, Response};
use http_body::Body as _;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::head;
use tinyplane_wire::ledger::Asked;
use tinyplane_wire::process::Shutdown;
use tinyplane_wire::status::{self, Reason, Status};

/// How long a call may take that is not long-running, if nothing else is said.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The headers that tell how a request was classified.
const FLOW_SCHEMA: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
const PRIORITY_LEVEL: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");

/// The header that carries the ticket.
pub const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// What serves the resources, behind all checks of the chain.
#[async_trait]
pub trait Serve: Send + Sync + 'static {
    /// Serves a call. The request carries the body, and the extension by which a connection is upgraded.
    ///
    /// # Errors
    /// The failure, which becomes the response.
    async fn serve(&self, call: Permitted<Call>, request: Request<Body>) -> status::Result<Response<Body>>;

    /// Whether anything is served in this group and version. What is not, is no path of ours.
    fn knows(&self, group: &str, version: &str) -> bool;

    /// Whether a path leads to a resource, and a part of it, that is served. Only what is makes labels of metrics.
    fn serves(&self, path: &ResourcePath) -> bool {
        self.knows(&path.group, &path.version)
    }
}

/// The rooms, in the hands of the one that knows their order.
pub struct Chain {
    /// Who calls.
    pub authenticator: Arc<Authenticator>,
    /// As whom.
    pub impersonation: Impersonation,
    /// Who may.
    pub authorizer: Arc<dyn Authorizer>,
    /// Who runs now, and who waits.
    pub flow_control: Arc<FlowControl>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is logged, where somebody wants it.
    pub audit: Option<Arc<AuditLog>>,
    /// What is no resource: discovery, health, version.
    pub endpoints: Endpoints,
    /// What is.
    pub handlers: Arc<dyn Serve>,
    /// The member's time.
    pub clock: Clock,
    /// How long a call may take that is not long-running.
    pub call_timeout: Duration,
    /// Told to end.
    pub shutdown: Shutdown,
}

impl Chain {
    /// Answers a request, whatever it is.
    pub async fn answer(&self, request: Request<Body>, peer: Peer) -> Response<Body> {
        let (began, is_head) = (Instant::now(), request.method() == Method::HEAD);
        let path_taken = PathTaken::asked(request.headers(), &peer);
        let mut trail = Trail { path_taken, ..Trail::default() };
        let ticket = Ticket::new(request.headers().get(&AUDIT_ID));
        trail.asked = written::begin(&peer, &ticket, &request);
        let pretty =
            respond::wants_pretty(&request::Query::parse(request.uri().query().unwrap_or_default()), request.headers());
        let accept = request.headers().get(ACCEPT).cloned();
        let failure = |status: &Status| respond::failure(status, accept::of_failure(accept.as_ref()), pretty);
        let served = AssertUnwindSafe(self.walk(request, peer, ticket.clone(), &mut trail));
        let served = served.catch_unwind().await;
        let mut response = match served {
            Ok(Ok(response)) => response,
            Ok(Err(status)) => {
                if status.reason == Reason::InternalError {
                    tracing::error!(audit_id = %ticket, message = %status.message, "a call failed");
                }
                let refused = (status.reason == Reason::Forbidden && !trail.permitted) || trail.unlike;
                if refused { respond::unguessed(failure(&status)) } else { failure(&status) }
            }
            Err(panic) => {
                tracing::error!(audit_id = %ticket, panic = panic_text(&*panic), "a call panicked");
                if let Some(pending) = trail.audit.take() {
                    pending.panicked(panic_text(&*panic));
                }
                failure(&Status::internal("the server panicked while it served the call"))
            }
        };
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(ticket.as_str()) {
            headers.insert(AUDIT_ID, id);
        }
        if trail.labels.is_some() {
            respond::set_if_absent(headers, CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        }
        if let Some(Ok(path)) = trail.path_taken.text().map(HeaderValue::from_str) {
            headers.insert(TINYPLANE_PATH, path);
        }
        for warning in trail.warnings.header_values() {
            if let Ok(value) = HeaderValue::from_str(&warning).or_else(|_| HeaderValue::from_bytes(warning.as_bytes()))
            {
                headers.append(WARNING, value);
            }
        }
        if let Some(class) = trail.class {
            headers.insert(FLOW_SCHEMA, class.schema_uid);
            headers.insert(PRIORITY_LEVEL, class.level_uid);
        }
        if let Some(mut pending) = trail.audit {
            pending.notes(trail.warnings.notes());
            response = pending.finish(response, trail.long_running).await;
        }
        let took = began.elapsed();
        if let Some(labels) = trail.labels {
            let counted = Counted {
                code: response.status().as_u16(),
                took,
                waited: trail.waited,
                answer_bytes: response.body().size_hint().exact(),
                long_running: trail.long_running,
                terminated: trail.terminated,
                field_validation: trail.field_validation,
            };
            self.metrics.requests.count(&labels, counted);
        }
        if let Some(asked) = trail.asked {
            response = written::answered(asked, response, trail.long_running, (began, took));
        }
        if is_head { head::without_body(response) } else { response }
    }

    /// The order of the rooms.
    async fn walk(
        &self,
        mut request: Request<Body>,
        peer: Peer,
        ticket: Ticket,
        trail: &mut Trail,
    ) -> status::Result<Response<Body>> {
        if request::names_no_kind(request.uri().path()) {
            return Ok(respond::no_kind(request.uri()));
        }
        let mut call = Call::parse(&request, peer, ticket)?;
        (call.warnings, call.path_taken) = (trail.warnings.clone(), trail.path_taken.clone());
        let labels = trail.labels.insert(RequestLabels::of(&call, self.is_served(&call))).clone();
        let long_running = call.is_long_running();
        trail.long_running = long_running;
        trail.field_validation = FieldValidation::of(&call);
        let asked = Instant::now();
        let caller = self.authenticator.caller(&call);
        let took = asked.elapsed();
        self.metrics.callers.count(caller.as_ref().ok().map(|caller| caller.name.as_str()), took);
        self.metrics.filters.authenticated(took);
        if let Some(log) = &self.audit {
            let nobody = Arc::default();
            trail.audit = log.begin(&call, request.uri(), caller.as_ref().unwrap_or(&nobody))?;
            if trail.audit.is_some() {
                call.warnings.take_notes();
            }
        }
        let real = caller?;
        let acting = self.impersonation.act(&call, Arc::clone(&real), &*self.authorizer);
        trail.unlike = acting.is_err();
        let Acting { caller, constraint } = acting?;
        if let Some(asked) = &mut trail.asked {
            asked.by(&caller.name);
        }
        if let Some(pending) = &mut trail.audit {
            if !Arc::ptr_eq(&real, &caller) {
                pending.impersonates(&caller, constraint);
            }
            request = request.map(|body| pending.listen(body));
        }
        let call_timeout = deadline::of(&call, self.call_timeout)?;
        let asked = Instant::now();
        let leave = self.flow_control.admit(&call, &caller, &mut trail.class).await;
        trail.waited = asked.elapsed();
        self.metrics.filters.waited(trail.waited);
        // It is given back when the answer is known, or a watch has begun.
        let Ok(_leave) = leave else {
            trail.terminated = true;
            return Ok(respond::too_many_requests());
        };
        strip_credentials(&mut call.headers);
        strip_credentials(request.headers_mut());
        let asked = Instant::now();
        let permitted = permit(call, caller, Arc::clone(&self.authorizer));
        self.metrics.filters.authorized(permitted.is_ok(), asked.elapsed());
        if let Some(pending) = &mut trail.audit {
            let reason = permitted.as_ref().map(|call| self.authorizer.explain(call.caller(), &call.attributes()));
            pending.decided(permitted.is_ok(), reason.unwrap_or_default());
        }
        let call = permitted?;
        trail.permitted = true;
        if long_running {
            let open = self.metrics.requests.open(&labels);
            let response = self.serve(call, request).await?;
            return Ok(response.map(|inner| body::until(inner, self.shutdown.clone(), open)));
        }
        let _in_flight = InFlight::begin(Arc::clone(&self.metrics), call.verb.is_read_only());
        tokio::select! {
            biased;
            served = self.serve(call, request) => served,
            () = self.clock.sleep(call_timeout) => {
                trail.terminated = true;
                let told = "Timeout: request did not complete within the allotted timeout";
                Err(Status::failure(Reason::Timeout, told))
            }
        }
    }

    /// Whether a call asks for a resource that is served.
    fn is_served(&self, call: &Call) -> bool {
        matches!(&call.target, Target::Resource(path) if self.handlers.serves(path))
    }

    async fn serve(&self, call: Permitted<Call>, request: Request<Body>) -> status::Result<Response<Body>> {
        match &call.target {
            // For what may be asked slashes in front are one, and for what is there they are not.
            _ if call.path.starts_with("//") => Ok(respond::page_not_found()),
            Target::Path => self.endpoints.serve(&call).await,
            Target::Resource(path) if !self.handlers.knows(&path.group, &path.version) => {
                match discovery::is_of_router(&self.endpoints.catalog.load(), &call.path) {
                    true => Err(no_such_resource()),
                    false => Ok(respond::page_not_found()),
                }
            }
            Target::Resource(_) if call.verb.is_read_only() || call.is_long_running() => {
                self.handlers.serve(call, request).await
            }
            Target::Resource(_) => self.write(call, request).await,
        }
    }

    /// A write goes on to its end when its client goes away or its time is over, as upstream's does: nothing that belongs
    /// together is left half done.
    async fn write(&self, call: Permitted<Call>, request: Request<Body>) -> status::Result<Response<Body>> {
        let handlers = Arc::clone(&self.handlers);
        let written = tokio::spawn(async move { handlers.serve(call, request).await }).await;
        written.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(error) => Err(Status::internal(error.to_string())),
        })
    }
}

/// What is known of a request when its answer is made, however far it got.
#[derive(Default)]
struct Trail {
    labels: Option<RequestLabels>,
    class: Option<Class>,
    audit: Option<Pending>,
    warnings: Warnings,
    path_taken: PathTaken,
    /// What is written down of it, where that is wished.
    asked: Option<Asked>,
    waited: Duration,
    /// Whether it got as far as to be served.
    permitted: bool,
    /// Whether its caller could not act as he wishes.
    unlike: bool,
    long_running: bool,
    terminated: bool,
    field_validation: Option<FieldValidation>,
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("something that is no text")
}

#[cfg(test)]
mod header_tests;
#[cfg(test)]
pub(crate) mod tests;
