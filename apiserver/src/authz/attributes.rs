//! The question put to authorization: a verb, and what it is done to.

use crate::authn::Caller;
use tinyplane_wire::status::Status;

/// A question. Verbs go beyond those of calls: `impersonate`, `bind`, `escalate`, `approve`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// The verb.
    pub verb: &'a str,
    /// What it is done to.
    pub on: On<'a>,
}

/// What a question is about. Empty texts stand for what is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On<'a> {
    /// A resource.
    Resource {
        /// API group; empty for the core group.
        group: &'a str,
        /// Version. No rule asks for it.
        version: &'a str,
        /// Plural in lower case.
        resource: &'a str,
        /// Part of the object.
        subresource: &'a str,
        /// Namespace; empty for the whole cluster.
        namespace: &'a str,
        /// The object's name.
        name: &'a str,
        /// The field selector of a list or watch. Only the node authorizer asks for it.
        field_selector: &'a str,
    },
    /// A path that is no resource.
    Path(&'a str),
}

impl<'a> Attributes<'a> {
    /// A question about a resource in the whole cluster; add what is known.
    #[must_use]
    pub fn resource(verb: &'a str, group: &'a str, resource: &'a str) -> Self {
        let on =
            On::Resource { group, version: "", resource, subresource: "", namespace: "", name: "", field_selector: "" };
        Self { verb, on }
    }

    /// A question about a path.
    #[must_use]
    pub fn path(verb: &'a str, path: &'a str) -> Self {
        Self { verb, on: On::Path(path) }
    }

    /// With a version.
    #[must_use]
    pub fn version(mut self, value: &'a str) -> Self {
        if let On::Resource { version, .. } = &mut self.on {
            *version = value;
        }
        self
    }

    /// With a subresource.
    #[must_use]
    pub fn subresource(mut self, value: &'a str) -> Self {
        if let On::Resource { subresource, .. } = &mut self.on {
            *subresource = value;
        }
        self
    }

    /// In a namespace.
    #[must_use]
    pub fn namespace(mut self, value: &'a str) -> Self {
        if let On::Resource { namespace, .. } = &mut self.on {
            *namespace = value;
        }
        self
    }

    /// About one object.
    #[must_use]
    pub fn name(mut self, value: &'a str) -> Self {
        if let On::Resource { name, .. } = &mut self.on {
            *name = value;
        }
        self
    }

    /// With the field selector of a list or watch.
    #[must_use]
    pub fn field_selector(mut self, value: &'a str) -> Self {
        if let On::Resource { field_selector, .. } = &mut self.on {
            *field_selector = value;
        }
        self
    }

    /// The 403 in upstream's words. `reason` may be empty.
    #[must_use]
    pub fn forbidden(&self, caller: &Caller, reason: &str) -> Box<Status> {
        let user = &caller.name;
        match self.on {
            On::Path(path) => {
                let why = with_reason(format!("User \"{user}\" cannot {} path \"{path}\"", self.verb), reason);
                Status::forbidden("", "", "", &why)
            }
            On::Resource { group, resource, subresource, namespace, name, .. } => {
                let part = if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
                let place = if namespace.is_empty() {
                    "at the cluster scope".to_owned()
                } else {
                    format!("in the namespace \"{namespace}\"")
                };
                let why = format!(
                    "User \"{user}\" cannot {} resource \"{resource}{part}\" in API group \"{group}\" {place}",
                    self.verb
                );
                Status::forbidden(group, resource, name, &with_reason(why, reason))
            }
        }
    }
}

fn with_reason(why: String, reason: &str) -> String {
    if reason.is_empty() { why } else { format!("{why}: {reason}") }
}
