//! Sockets: the only room that opens one. Every dial binds its member's own address as source.

mod cluster_net;
mod counted;
pub mod detour;
mod dial;
mod first_call;
mod keepalive;
mod listen;
mod netlink;
mod reserve;
mod routes;
mod unix;
mod unix_stream;

pub use cluster_net::{ClusterNet, ClusterNetError};
pub use counted::{Counted, counted};
pub use dial::{Dial, Dialled, Stream, TcpDial, Way};
pub use first_call::FirstCall;
pub use keepalive::keep_alive;
pub use listen::{Accepted, Bound, Listener, PORT_ALIAS_OFFSET, Sources, bind, port_alias};
pub use reserve::{Reserved, reserve};
pub use routes::{Route, remove_default_route, set_routes};
pub use unix::{UnixDial, UnixListener, bind_unix};
pub use unix_stream::{UnixReadHalf, UnixStream, UnixWriteHalf};
