//! Parses method, path and query once into a `Call`: what is asked for, before anybody asks who may.

mod path_taken;
mod query;
mod target;
mod unasked;
mod verb;
mod warnings;

pub use path_taken::{PathTaken, TINYPLANE_PATH};
pub use query::Query;
pub(crate) use target::before_slashes;
pub use target::{ResourcePath, Target, names_no_kind};
pub use unasked::{Unasked, unasked};
pub use verb::Verb;
pub(crate) use warnings::WARNINGS_MAX;
pub use warnings::Warnings;

use crate::audit::Ticket;
use crate::authn::Peer;
use crate::authz::Attributes;
use http::{HeaderMap, Method, Request};
use tinyplane_wire::status::{self, Status};

/// A request that was understood. Its body is not part of it: nothing of it is read before the call is permitted.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method as it came.
    pub method: Method,
    /// The path, decoded.
    pub path: String,
    /// The query, decoded.
    pub query: Query,
    /// All headers.
    pub headers: HeaderMap,
    /// What is to be done.
    pub verb: Verb,
    /// What it is to be done to.
    pub target: Target,
    /// By which id the request is known in logs, and to its caller.
    pub ticket: Ticket,
    /// Who is at the other end of the connection.
    pub peer: Peer,
    /// What the caller should be told besides the answer.
    pub warnings: Warnings,
    /// By which path the answer came, where the caller asks.
    pub path_taken: PathTaken,
}

impl Call {
    /// Reads the head of a request.
    ///
    /// # Errors
    /// A 400 when the path's escapes can't be decoded.
    pub fn parse<B>(request: &Request<B>, peer: Peer, ticket: Ticket) -> status::Result<Self> {
        let uri = request.uri();
        let query = Query::parse(uri.query().unwrap_or_default());
        let (verb, target) = target::parse(request.method(), uri.path(), &query)?;
        Ok(Self {
            method: request.method().clone(),
            path: target::decode(uri.path())?,
            query,
            headers: request.headers().clone(),
            verb,
            target,
            ticket,
            peer,
            warnings: Warnings::default(),
            path_taken: PathTaken::default(),
        })
    }

    /// The question that the call puts to authorization.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'_> {
        match &self.target {
            Target::Resource(path) => Attributes::resource(self.verb.as_str(), &path.group, &path.resource)
                .version(&path.version)
                .subresource(path.subresource.as_deref().unwrap_or_default())
                .namespace(path.namespace.as_deref().unwrap_or_default())
                .name(path.name.as_deref().or(path.selected_name.as_deref()).unwrap_or_default())
                .field_selector(self.query.text("fieldSelector")),
            Target::Path => Attributes::path(self.verb.as_str(), &self.path),
        }
    }

    /// The resource that is asked for.
    ///
    /// # Errors
    /// A 404 when the path names none.
    pub fn resource(&self) -> status::Result<&ResourcePath> {
        match &self.target {
            Target::Resource(path) => Ok(path),
            Target::Path => {
                Err(Status::failure(status::Reason::NotFound, "the server could not find the requested resource")
                    .with_details(status::Details::default()))
            }
        }
    }

    /// One header's text; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// True for a call that lasts as long as its caller wants: watches, followed logs and connections.
    #[must_use]
    pub fn is_long_running(&self) -> bool {
        let Target::Resource(path) = &self.target else { return false };
        let streams = ["attach", "exec", "proxy", "log", "portforward"];
        self.verb == Verb::Watch || path.subresource.as_deref().is_some_and(|name| streams.contains(&name))
    }
}

#[cfg(test)]
mod tests;
