//! What a write is asked before it is made, and on whose behalf it is made. The plugins live in `admission`.

use super::Registry;
use super::catalog::Resource;
use crate::authn::Caller;
use crate::request::Warnings;
use async_trait::async_trait;
use serde_json::Value;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::status;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// An object is made, or a subresource that is made anew each time.
    Create,
    /// An object, or a part of it, is changed.
    Update,
    /// An object is removed.
    Delete,
    /// A connection to an object is opened.
    Connect,
}

/// A write that is about to be made: what admission is asked about.
pub struct Question<'a> {
    /// What is being done.
    pub operation: Operation,
    /// To what kind of object.
    pub resource: &'a Resource,
    /// To which part of it; empty for the object itself.
    pub subresource: &'a str,
    /// Where.
    pub namespace: &'a str,
    /// To which object; empty where a new one has no name.
    pub name: &'a str,
    /// With what the name begins, where it was made up only for this.
    pub generated: Option<&'a str>,
    /// The object as it is, in the stored version.
    pub old: Option<&'a Value>,
    /// On whose behalf, and how.
    pub intent: &'a Intent<'a>,
    /// For looking at other objects.
    pub registry: &'a Registry,
}

impl<'a> Question<'a> {
    /// What a refusal calls the object. Upstream makes names up behind the plugins that change objects.
    #[must_use]
    pub fn shown(&self) -> &'a str {
        match self.generated {
            Some(base) => base,
            None if self.name.is_empty() => "Unknown",
            None => self.name,
        }
    }
}

/// The rooms of admission, as the registry sees them. They run on every attempt of the optimistic loop.
#[async_trait]
pub trait Admission: Send + Sync {
    /// Changes the object. It is in the stored version.
    ///
    /// # Errors
    /// The write is refused.
    async fn mutate(&self, question: &Question<'_>, object: &mut Value) -> status::Result<()>;

    /// Looks at the object as it will be stored; `Null` for a deletion.
    ///
    /// # Errors
    /// The write is refused.
    async fn validate(&self, question: &Question<'_>, object: &Value) -> status::Result<()>;

    /// The part of the loopback network in which endpoints may lie: this cluster's own. All of it, where there is none.
    fn cluster_net(&self) -> Option<&ClusterNet>;
}

/// On whose behalf a write is made, and how.
#[derive(Clone, Copy)]
pub struct Intent<'a> {
    /// Who wants it.
    pub caller: &'a Caller,
    /// By which name the caller manages what it writes; empty where it tells none. `None` leaves all managers as they
    /// are: for what the server itself changes in somebody's object.
    pub manager: Option<&'a str>,
    /// Where to say what the caller should know.
    pub warnings: &'a Warnings,
    /// Everything but the write itself.
    pub dry_run: bool,
    /// Who is asked.
    pub admission: &'a dyn Admission,
}

/// Nobody is asked: for the API server's own objects.
pub struct Unasked;

#[async_trait]
impl Admission for Unasked {
    async fn mutate(&self, _: &Question<'_>, _: &mut Value) -> status::Result<()> {
        Ok(())
    }

    async fn validate(&self, _: &Question<'_>, _: &Value) -> status::Result<()> {
        Ok(())
    }

    fn cluster_net(&self) -> Option<&ClusterNet> {
        None
    }
}
