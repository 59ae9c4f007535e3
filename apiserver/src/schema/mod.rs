//! The generated table of the built-in types, and the one model that drives decoding, defaulting, merging and `OpenAPI`.

pub mod amounts;
pub(crate) mod annotated;
pub mod decode;
pub mod default;
pub mod fields;
pub(crate) mod go;
pub mod model;
pub mod openapi;
mod parse;
pub mod quantity;
pub mod raw;
mod rules;
pub(crate) mod spelling;
pub mod strategic;
pub mod structural;

pub use model::{Field, Gvk, ListType, MapType, Model, Scalar, Shape, Slot, Type, TypeId, is_hollow};

use std::sync::LazyLock;

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    parse::table(include_str!("table.txt"), include_str!("defaults.txt"))
        .expect("the checked-in tables parse, as a test shows")
});

/// The model of all built-in types; parsed at first use, about 2 ms, and immutable.
pub fn model() -> &'static Model {
    &MODEL
}
