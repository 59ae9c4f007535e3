//! What kinds exist and how each behaves: the operations on objects, in terms of a store of bytes.

pub mod behaviour;
pub mod catalog;
pub mod cells;
mod kinds;
