//! Carrying one connection between two legs: a frontend and an agent, or an agent's tunnel and its endpoint.

mod buffers;
mod farewell;
mod lane;
mod leg;
mod pump;
pub(crate) mod shared;
mod socket;

pub(crate) use buffers::Buffers;
pub(crate) use farewell::Farewell;
pub(crate) use lane::{lane, opened};
pub(crate) use leg::{Counts, Leg, packets};
pub(crate) use pump::{Moved, pump, pump_timed};
pub(crate) use socket::{Split, socket};

/// How a connection ends as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In order: everything that was sent before is to arrive.
    Closed,
    /// It broke, for this reason.
    Reset(String),
}

/// What became of the end of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// The other direction goes on.
    Half,
    /// This leg can't end one direction alone: the connection ends as a whole.
    Whole,
}

/// A leg takes no more bytes. Why is known to its reading side.
#[derive(Debug)]
pub(crate) struct Refused;
