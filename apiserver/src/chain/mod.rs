//! The one place where the order of a request's rooms is written.
//!
//! ticket → call → caller → impersonation → permission → endpoint or handler → response. Around all of it: a panic is
//! a 500, a call that is not long-running has a deadline, a long-running answer ends when the member ends. No byte of
//! a body is read before `Permitted<Call>` exists.

mod body;

use crate::audit::Ticket;
use crate::authn::{Authenticator, Peer, impersonate, strip_credentials};
use crate::authz::{Authorizer, Permitted, permit};
use crate::endpoints::Endpoints;
use crate::request::{Call, Target, Warnings};
use crate::respond;
use async_trait::async_trait;
use axum::body::Body;
use futures_util::FutureExt;
use http::header::{CACHE_CONTROL, HeaderName, WARNING};
use http::{HeaderValue, Request, Response};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::process::Shutdown;
use tinyplane_wire::status::{self, Reason, Status};

/// How long a call may take that is not long-running, if nothing else is said.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(60);

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
}

/// The rooms, in the hands of the one that knows their order.
pub struct Chain {
    /// Who calls.
    pub authenticator: Arc<Authenticator>,
    /// Who may.
    pub authorizer: Arc<dyn Authorizer>,
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
        let ticket = Ticket::new(request.headers().get(&AUDIT_ID));
        let pretty = respond::wants_pretty(
            &crate::request::Query::parse(request.uri().query().unwrap_or_default()),
            request.headers(),
        );
        let warnings = Warnings::default();
        let served = AssertUnwindSafe(self.walk(request, peer, ticket.clone(), warnings.clone())).catch_unwind().await;
        let mut response = match served {
            Ok(Ok(response)) => response,
            Ok(Err(status)) => {
                if status.reason == Reason::InternalError {
                    tracing::error!(audit_id = %ticket, message = %status.message, "a call failed");
                }
                respond::failure(&status, pretty)
            }
            Err(panic) => {
                tracing::error!(audit_id = %ticket, panic = panic_text(&*panic), "a call panicked");
                respond::failure(&Status::internal("the server panicked while it served the call"), pretty)
            }
        };
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(ticket.as_str()) {
            headers.insert(AUDIT_ID, id);
        }
        respond::set_if_absent(headers, CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        for warning in warnings.header_values() {
            if let Ok(value) = HeaderValue::from_str(&warning).or_else(|_| HeaderValue::from_bytes(warning.as_bytes()))
            {
                headers.append(WARNING, value);
            }
        }
        response
    }

    /// The order of the rooms.
    async fn walk(
        &self,
        mut request: Request<Body>,
        peer: Peer,
        ticket: Ticket,
        warnings: Warnings,
    ) -> status::Result<Response<Body>> {
        let mut call = Call::parse(&request, peer, ticket)?;
        call.warnings = warnings;
        let caller = self.authenticator.caller(&call)?;
        let caller = impersonate(&call, caller, &*self.authorizer)?;
        strip_credentials(&mut call.headers);
        strip_credentials(request.headers_mut());
        let call = permit(call, caller, Arc::clone(&self.authorizer))?;
        if call.is_long_running() {
            let response = self.serve(call, request).await?;
            return Ok(response.map(|inner| body::until(inner, self.shutdown.clone())));
        }
        tokio::select! {
            biased;
            served = self.serve(call, request) => served,
            () = self.clock.sleep(self.call_timeout) => Err(Status::failure(
                Reason::Timeout,
                "Timeout: request did not complete within the allotted timeout",
            )),
        }
    }

    async fn serve(&self, call: Permitted<Call>, request: Request<Body>) -> status::Result<Response<Body>> {
        match &call.target {
            Target::Path => self.endpoints.serve(&call).await,
            Target::Resource(path) if !self.handlers.knows(&path.group, &path.version) => Ok(respond::page_not_found()),
            Target::Resource(_) => self.handlers.serve(call, request).await,
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("something that is no text")
}

#[cfg(test)]
pub(crate) mod tests;
