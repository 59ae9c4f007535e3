//! Faults of links: values that say how the bytes of a connection are hurt.

mod board;
mod injected;
#[cfg(feature = "cli")]
mod orders;
mod riders;
mod words;

pub use board::FaultError;
pub(crate) use board::{Board, Meeting, Met, Placed, Seen};
pub use injected::{Healed, Injected};
#[cfg(feature = "cli")]
pub(crate) use orders::{Order, Outcome};
pub(crate) use riders::Rider;

use crate::relay::{Kind as Link, Place};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// One byte in so many is changed by [`Fault::corrupt`], on average, unless told otherwise.
const CORRUPT_ONE_IN_BYTES: u64 = 1_000;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards whoever was dialled.
    Server,
    /// Towards whoever dialled.
    Client,
}

impl Direction {
    /// The other way.
    pub(crate) const fn back(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Latency { delay: Duration, jitter: Duration },
    Bandwidth { bytes_per_second: u64 },
    Blackhole,
    Reset,
    HalfOpen,
    Slice { bytes: usize },
    Corrupt { one_in_bytes: u64 },
    ManInTheMiddle { pair: Option<(PathBuf, PathBuf)> },
}

/// A fault of a link: what it does, in which direction, to how many of the connections. Faults are values; several of
/// them may be on one link at the same time.
///
/// Which connections are bitten is drawn from the seed and from the number of a connection on its link, counted from the
/// injection: the same seed bites the same ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fault {
    pub(crate) kind: Kind,
    pub(crate) towards: Option<Direction>,
    pub(crate) probability: f64,
    pub(crate) seed: u64,
    pub(crate) after_bytes: u64,
}

impl Fault {
    const fn of(kind: Kind) -> Self {
        Self { kind, towards: None, probability: 1.0, seed: 0, after_bytes: 0 }
    }

    /// Every byte comes later by `delay`, in each direction.
    #[must_use]
    pub const fn latency(delay: Duration) -> Self {
        Self::of(Kind::Latency { delay, jitter: Duration::ZERO })
    }

    /// Bytes pass at this rate at most.
    #[must_use]
    pub const fn bandwidth(bytes_per_second: u64) -> Self {
        Self::of(Kind::Bandwidth { bytes_per_second })
    }

    /// Nothing passes, and nobody is told: of existing connections bytes and ends stay on the way, and new ones come to
    /// nothing. What stayed on the way passes when it heals, as TCP sends again.
    #[must_use]
    pub const fn blackhole() -> Self {
        Self::of(Kind::Blackhole)
    }

    /// Connections end with a TCP reset: existing ones at once, new ones as soon as they are there. Towards one end only,
    /// the other is told nothing and waits.
    #[must_use]
    pub const fn reset() -> Self {
        Self::of(Kind::Reset)
    }

    /// The end of a connection is not told to the other side, which goes on waiting; what it sends is lost.
    #[must_use]
    pub const fn half_open() -> Self {
        Self::of(Kind::HalfOpen)
    }

    /// Bytes come in pieces of so many at most.
    #[must_use]
    pub const fn slice(bytes: usize) -> Self {
        Self::of(Kind::Slice { bytes })
    }

    /// One bit of one byte in a thousand is turned over, at places drawn from the seed.
    #[must_use]
    pub const fn corrupt() -> Self {
        Self::of(Kind::Corrupt { one_in_bytes: CORRUPT_ONE_IN_BYTES })
    }

    /// Somebody ends TLS with a certificate of another authority, reads, and dials on with TLS. New connections only: into
    /// one that exists nobody can step.
    #[must_use]
    pub const fn man_in_the_middle() -> Self {
        Self::of(Kind::ManInTheMiddle { pair: None })
    }

    /// Of a latency: each piece is later by up to this much more, drawn from the seed; their order stays.
    #[must_use]
    pub fn jitter(mut self, most: Duration) -> Self {
        if let Kind::Latency { jitter, .. } = &mut self.kind {
            *jitter = most;
        }
        self
    }

    /// Of a corruption: one byte in so many, on average.
    #[must_use]
    pub fn one_in(mut self, bytes: u64) -> Self {
        if let Kind::Corrupt { one_in_bytes } = &mut self.kind {
            *one_in_bytes = bytes.max(1);
        }
        self
    }

    /// Of a man in the middle: he presents this client certificate (files of PEM), and else none.
    #[must_use]
    pub fn presenting(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        if let Kind::ManInTheMiddle { pair } = &mut self.kind {
            *pair = Some((certificate.into(), key.into()));
        }
        self
    }

    /// In one direction only.
    #[must_use]
    pub const fn towards(mut self, direction: Direction) -> Self {
        self.towards = Some(direction);
        self
    }

    /// For this share of the connections, from 0 to 1.
    #[must_use]
    pub const fn with_probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Draws from this seed.
    #[must_use]
    pub const fn seeded(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Leaves a connection alone until so many bytes have passed in the direction that is hurt.
    #[must_use]
    pub const fn after_bytes(mut self, bytes: u64) -> Self {
        self.after_bytes = bytes;
        self
    }

    /// Refuses a link on which it makes no sense: a man in the middle, where nobody speaks TLS. `on_a_socket`: the server is
    /// reached over a Unix socket.
    pub(crate) fn fits(&self, link: &Place, on_a_socket: bool) -> Result<(), FaultError> {
        let carries = match link.kind {
            Link::ApiserverToSsh => "SSH",
            Link::ApiserverToKonnectivity if on_a_socket => "plain HTTP over a Unix socket",
            _ => return Ok(()),
        };
        match self.kind {
            Kind::ManInTheMiddle { .. } => Err(FaultError::NoTls { link: link.to_string(), carries }),
            _ => Ok(()),
        }
    }

    pub(crate) fn is_towards(&self, direction: Direction) -> bool {
        self.towards.is_none_or(|towards| towards == direction)
    }
}
