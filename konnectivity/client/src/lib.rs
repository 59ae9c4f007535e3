//! The contract of the Konnectivity tunnel: its packets, how they travel, and dialling through it.

mod chunks;
mod connect;
mod driven;
mod failure;
pub mod grpc;
pub mod link;
mod numbers;
pub mod packet;
mod preface;
mod proxy;
mod reusable;
mod route;
pub mod stream;
mod tunnel;

pub use connect::HttpConnectDial;
pub use failure::{is_no_way, is_unconnected, words};
pub use numbers::Numbers;
pub use proxy::GrpcDial;
pub use reusable::ReusableDial;
pub use route::{Route, join_host_port};
