//! Sets of fields, and the walks over values that server-side apply is made of: collect, compare, merge, remove.
//!
//! What a list or map is at each place is said by the model alone; where the model says nothing, the value says it.
//! The rules are those of `structured-merge-diff`, whose `FieldsV1` is what the sets look like on the wire.

mod born;
mod check;
mod collect;
mod compare;
mod edit;
mod element;
mod fit;
mod merge;
mod place;
mod remove;
mod set;
#[cfg(test)]
mod tests;
mod wire;
mod zero;

pub use born::born;
pub use check::{check, check_held};
pub use collect::collect;
pub use compare::{Difference, compare, same};
pub use edit::edit;
pub use element::Element;
pub use fit::{fit, with_named};
pub use merge::merge;
pub use place::Place;
pub use remove::remove;
pub use set::{Path, Set};
pub use wire::{NotASet, is_plain};
pub use zero::zero;
