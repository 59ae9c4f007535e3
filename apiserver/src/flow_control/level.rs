//! A `PriorityLevelConfiguration`, read once.

use super::{number, text, uid};
use http::HeaderValue;
use serde_json::Value;

/// One level.
#[derive(Clone, Debug)]
pub(super) struct Level {
    pub(super) name: String,
    pub(super) uid: HeaderValue,
    /// Whether its requests run without a limit.
    pub(super) exempt: bool,
    pub(super) shares: u32,
    /// How much of its seats others may borrow, in per cent.
    pub(super) lendable: u32,
    /// How much it may borrow beyond its own seats, in per cent of these; without a limit where it is `None`.
    pub(super) borrowing: Option<u32>,
    /// Its queues; requests are sent away at once where there are none.
    pub(super) queues: Option<Queues>,
}

/// The queues of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Queues {
    /// How many there are.
    pub(super) count: u32,
    /// Among how many a flow chooses.
    pub(super) hand: u32,
    /// How many requests wait in one.
    pub(super) length_max: u32,
}

/// Most queues of a level, whatever its object says.
const QUEUES_MAX: u32 = 10_000;

impl Level {
    pub(super) fn read(object: &Value) -> Self {
        let spec = &object["spec"];
        let exempt = spec["type"] == "Exempt";
        let part = if exempt { &spec["exempt"] } else { &spec["limited"] };
        let response = &part["limitResponse"];
        let queuing = &response["queuing"];
        let queues = (response["type"] == "Queue").then(|| Queues {
            count: or(number(queuing, "queues"), 64).min(QUEUES_MAX),
            hand: or(number(queuing, "handSize"), 8),
            length_max: or(number(queuing, "queueLengthLimit"), 50),
        });
        let shares = part["nominalConcurrencyShares"].as_u64().map(|_| number(part, "nominalConcurrencyShares"));
        Self {
            name: text(&object["metadata"], "name").to_owned(),
            uid: uid(object),
            exempt,
            shares: shares.unwrap_or(if exempt { 0 } else { 30 }),
            lendable: number(part, "lendablePercent").min(100),
            borrowing: part["borrowingLimitPercent"].as_u64().map(|_| number(part, "borrowingLimitPercent")),
            queues,
        }
    }
}

fn or(given: u32, default: u32) -> u32 {
    if given == 0 { default } else { given }
}
