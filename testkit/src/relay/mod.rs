//! Relays: what stands on the links of a cluster, carries their connections, and hurts them as it is told.

mod carry;
mod end;
mod link;
mod middle;
mod pump;
mod route;
#[cfg(test)]
mod tests;

pub use link::Link;
pub(crate) use link::{Kind, Place};
pub(crate) use middle::Middle;
pub use middle::MiddleError;
pub(crate) use route::{Front, Onward, Opened};
