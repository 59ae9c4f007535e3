//! Carries a request, or an upgraded connection, between a client and a node, a pod or a Service.

mod exchange;
mod pump;
mod relay;

pub use exchange::{Backend, send};
pub use pump::pump;
pub use relay::{upgrade, without_hops};
