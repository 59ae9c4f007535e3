//! SPDY/3.1, as Kubernetes' clients and kubelets speak it: framing, and sessions of streams.

mod dictionary;
mod frame;
mod inbound;
mod pump;
mod session;
mod stream;
#[cfg(test)]
mod tests;

pub use frame::{Decoder, Encoder, Frame, FrameError};
pub use session::{Incoming, Role, Session};
pub use stream::Stream;

/// Why a stream was reset, as far as we tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ResetCode {
    /// The peer broke the protocol.
    ProtocolError = 1,
    /// There is no such stream.
    InvalidStream = 2,
    /// There are too many streams.
    RefusedStream = 3,
    /// Nobody reads or writes it any more.
    Cancel = 5,
}
