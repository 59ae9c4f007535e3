//! Which walks are meant: by node, by path, by request.

use super::walk::Walk;
use std::fmt;

/// What a walk has to have; nothing, unless it is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    node: Option<String>,
    path: Option<u8>,
    request: Option<String>,
}

impl Filter {
    /// Every walk.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Those that come by this node.
    #[must_use]
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.node = Some(name.into());
        self
    }

    /// Those by the path of this number.
    #[must_use]
    pub fn path(mut self, number: u8) -> Self {
        self.path = Some(number);
        self
    }

    /// Those whose `Audit-ID` is this, or whose method and URI hold it.
    #[must_use]
    pub fn request(mut self, text: impl Into<String>) -> Self {
        self.request = Some(text.into());
        self
    }

    /// True of a walk that is meant.
    #[must_use]
    pub fn admits(&self, walk: &Walk) -> bool {
        let by_request = |text: &String| walk.ticket == *text || walk.request().contains(text.as_str());
        self.node.as_ref().is_none_or(|name| walk.node() == Some(name))
            && self.path.is_none_or(|number| walk.paths().contains(&number))
            && self.request.as_ref().is_none_or(by_request)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a request {:?}", self.request.as_deref().unwrap_or_default())?;
        if let Some(number) = self.path {
            write!(f, " by path {number}")?;
        }
        if let Some(node) = &self.node {
            write!(f, " by {node}")?;
        }
        Ok(())
    }
}
