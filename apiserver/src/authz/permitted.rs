//! The proof that a call may be made. Whoever asks for a `Permitted` can't forget the check.

use super::{Attributes, Authorizer, Decision};
use crate::authn::Caller;
use crate::request::Call;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use tinyplane_wire::status;

/// Something that authorization has let through, and on whose behalf. Reads as the thing itself.
#[derive(Clone)]
pub struct Permitted<T> {
    inner: T,
    caller: Arc<Caller>,
    authorizer: Arc<dyn Authorizer>,
}

/// Asks whether a caller may make a call.
///
/// # Errors
/// The 403, in upstream's words.
pub fn permit(call: Call, caller: Arc<Caller>, authorizer: Arc<dyn Authorizer>) -> status::Result<Permitted<Call>> {
    demand(&*authorizer, &caller, &call.attributes())?;
    Ok(Permitted { inner: call, caller, authorizer })
}

fn demand(authorizer: &dyn Authorizer, caller: &Caller, question: &Attributes<'_>) -> status::Result<()> {
    match authorizer.authorize(caller, question) {
        Decision::Allow => Ok(()),
        Decision::Deny(reason) | Decision::NoOpinion(reason) => Err(question.forbidden(caller, &reason)),
    }
}

impl<T> Permitted<T> {
    /// On whose behalf.
    #[must_use]
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// Of whom further questions are asked.
    #[must_use]
    pub fn authorizer(&self) -> &Arc<dyn Authorizer> {
        &self.authorizer
    }

    /// Whether the same caller may also do this.
    #[must_use]
    pub fn may(&self, question: &Attributes<'_>) -> bool {
        self.authorizer.authorize(&self.caller, question).is_allowed()
    }

    /// Insists that the same caller may also do this.
    ///
    /// # Errors
    /// The 403, in upstream's words.
    pub fn demand(&self, question: &Attributes<'_>) -> status::Result<()> {
        demand(&*self.authorizer, &self.caller, question)
    }

    /// The thing itself.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.inner
    }
}

impl<T> Deref for Permitted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: fmt::Debug> fmt::Debug for Permitted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permitted").field("inner", &self.inner).field("caller", &self.caller).finish_non_exhaustive()
    }
}
