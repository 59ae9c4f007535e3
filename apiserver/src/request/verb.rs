//! What a call does: the verbs of resources, and the methods of everything else.

use http::Method;
use std::fmt;

/// A verb, as rules of authorization name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Reads one object, or a path.
    Get,
    /// Reads a collection.
    List,
    /// Follows a collection.
    Watch,
    /// Makes an object.
    Create,
    /// Replaces an object.
    Update,
    /// Changes an object.
    Patch,
    /// Removes an object, or asks to delete a path.
    Delete,
    /// Removes a collection.
    DeleteCollection,
    /// `HEAD` of a path that is no resource.
    Head,
    /// `POST` to a path that is no resource.
    Post,
    /// `PUT` of a path that is no resource.
    Put,
    /// `OPTIONS`, which nothing here answers.
    Options,
    /// Any other method. Nothing here answers it.
    Other,
}

impl Verb {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Head => "head",
            Self::Post => "post",
            Self::Put => "put",
            Self::Options => "options",
            Self::Other => "other",
        }
    }

    /// The verb of a path that is no resource: its method in lower case.
    #[must_use]
    pub fn of_path(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }

    /// The verb of a resource, as long as nothing is known but the method.
    #[must_use]
    pub fn of_resource(method: &Method) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Get,
            Method::POST => Self::Create,
            Method::PUT => Self::Update,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }

    /// True for verbs that change nothing.
    #[must_use]
    pub const fn is_read_only(self) -> bool {
        matches!(self, Self::Get | Self::List | Self::Watch | Self::Head | Self::Options)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
