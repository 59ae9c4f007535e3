//! What crosses the wire: bodies as values, objects as bytes, and the forms that a client may ask for.

pub mod accept;
pub mod body;
pub(crate) mod custom;
pub mod depth;
pub mod doubles;
pub mod gzip;
mod media;
pub(crate) mod mismatch;
pub mod partial;
pub mod pieces;
pub mod protobuf;
pub mod spelled;
pub(crate) mod surrogates;
pub mod table;
pub mod yaml;
