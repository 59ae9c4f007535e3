//! Impersonation: a caller who may, acts as somebody else (`Impersonate-User` and its companions).

mod modes;
mod wanted;

use super::Caller;
use crate::authz::Authorizer;
use crate::metrics::Impersonations;
use crate::request::Call;
use modes::{MODES, Question};
use smol_str::SmolStr;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tinyplane_wire::status;
use wanted::Wanted;

/// Of how many callers it is known by which mode they impersonated last.
const KNOWN_MAX: usize = 10_000;

/// Judges who may act as whom, and remembers which mode let a caller through: that one is asked first the next time, and
/// its refusal is the one that is told.
#[derive(Debug, Default)]
pub struct Impersonation {
    last: Mutex<HashMap<SmolStr, usize>>,
    counted: Arc<Impersonations>,
}

/// On whose behalf a call is made.
#[derive(Clone, Debug)]
pub struct Acting {
    /// The one whom the headers name, or the real caller.
    pub caller: Arc<Caller>,
    /// The verb by which it was allowed, for the audit log; empty where nobody is impersonated, or by `impersonate`.
    pub constraint: &'static str,
}

impl Impersonation {
    /// One that counts what is wanted.
    #[must_use]
    pub fn counted(counted: Arc<Impersonations>) -> Self {
        Self { counted, ..Self::default() }
    }

    /// The caller on whose behalf a call is made: the one that the headers name, if the real one may impersonate all of
    /// it, else the real one.
    ///
    /// # Errors
    /// The 403 of the mode that was asked first; a 400 for groups without a user.
    pub fn act(&self, call: &Call, real: Arc<Caller>, authorizer: &dyn Authorizer) -> status::Result<Acting> {
        let Some(wanted) = Wanted::read(&call.headers)? else { return Ok(Acting { caller: real, constraint: "" }) };
        let began = Instant::now();
        let question = Question { call, real: &real, wanted: &wanted, authorizer, counted: &self.counted };
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).get(&real.name).copied();
        let others = (0..MODES.len()).filter(|at| Some(*at) != last);
        let mut refusal = None;
        for at in last.into_iter().chain(others) {
            match MODES[at].ask(&question) {
                None => {}
                Some(Ok(caller)) => {
                    self.remember(&real.name, at);
                    self.counted.attempted(MODES[at].name(), true, began.elapsed());
                    return Ok(Acting { caller: Arc::new(caller), constraint: MODES[at].constraint() });
                }
                Some(Err(refused)) => {
                    refusal.get_or_insert(refused);
                }
            }
        }
        self.counted.attempted("", false, began.elapsed());
        Err(refusal.expect("the last mode answers for everybody"))
    }

    fn remember(&self, name: &SmolStr, at: usize) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Which mode comes first is a matter of words alone: to forget them all is harmless, and seldom.
        if last.len() >= KNOWN_MAX && !last.contains_key(name) {
            last.clear();
        }
        last.insert(name.clone(), at);
    }
}

#[cfg(test)]
mod tests;
