//! Who calls: from the `Peer` at the other end of a connection, and what it brings along, to a `Caller`.

mod caller;
mod peer;

pub use caller::{
    ANONYMOUS, Caller, GROUP_ALL_SERVICE_ACCOUNTS, GROUP_AUTHENTICATED, GROUP_MASTERS, GROUP_UNAUTHENTICATED,
};
pub use peer::{Peer, Presented};
