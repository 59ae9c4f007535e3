//! What crosses between two processes of Tinyplane, and how every process talks to the API server.

pub mod client;
pub mod clock;
pub mod gvr;
pub mod head;
pub mod identity;
pub mod ledger;
pub mod meta;
pub mod net;
pub mod process;
pub mod quote;
pub mod selector;
pub mod status;
pub mod streaming;
pub mod turn;
pub mod watch;
pub mod yaml;
