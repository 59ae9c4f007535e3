//! What is counted of dials through gRPC frontends, under the words that upstream's client library has for it.

use crate::grpc;
use crate::packet::{NAMES, Packet};
use crate::stream::StreamError;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What `packet_type` is of an error that no packet belongs to.
const NO_PACKET: &str = "Unknown";

/// From here to the server.
const FROM_CLIENT: &str = "from_client";
/// From the server to here.
const TO_CLIENT: &str = "to_client";

/// The figures of one client. Nothing is global: who dials for the same program shares them.
#[derive(Debug, Default)]
pub struct Numbers {
    failures: [AtomicU64; Reason::WORDS.len()],
    connections: [Level; Status::WORDS.len()],
    sent: [AtomicU64; NAMES.len()],
    heard: [AtomicU64; NAMES.len()],
    /// Streams that broke, by gRPC's code. For what happens rarely.
    errors: Mutex<BTreeMap<&'static str, u64>>,
}

/// A number that rises and falls, and is told of once it has.
#[derive(Debug, Default)]
struct Level {
    now: AtomicI64,
    seen: AtomicBool,
}

/// Why a dial came to nothing after the server was asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The question could not be put.
    Unknown,
    /// It took longer than a dial may.
    Timeout,
    /// Whoever wanted it does not any more.
    Context,
    /// The endpoint was not reached.
    Endpoint,
    /// The server gave it up.
    DialClosed,
    /// The tunnel ended before.
    TunnelClosed,
    /// A connection that is shared took no further stream.
    StreamSetup,
}

impl Reason {
    const WORDS: [&str; 7] = ["unknown", "timeout", "context", "endpoint", "dialclosed", "tunnelclosed", "streamsetup"];
}

/// How far a tunnel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Nothing was asked of the server yet.
    Created,
    /// It has not answered.
    Dialing,
    /// Bytes go to and fro.
    Ok,
    /// This end has ended it.
    Closing,
}

impl Status {
    const WORDS: [&str; 4] = ["created", "dialing", "ok", "closing"];
}

impl Numbers {
    /// Dials that came to nothing, by reason (`endpoint`, `context` …). Only what has happened is told of.
    #[must_use]
    pub fn dial_failures(&self) -> Vec<(&'static str, u64)> {
        happened(&Reason::WORDS, &self.failures)
    }

    /// Tunnels, by status (`created`, `dialing`, `ok`, `closing`). Only statuses are told of that some tunnel has had.
    #[must_use]
    pub fn connections(&self) -> Vec<(&'static str, i64)> {
        let seen =
            Status::WORDS.into_iter().zip(&self.connections).filter(|(_, level)| level.seen.load(Ordering::Relaxed));
        let mut told: Vec<_> = seen.map(|(word, level)| (word, level.now.load(Ordering::Relaxed))).collect();
        told.sort_unstable();
        told
    }

    /// Packets, by type and segment (`from_client`, `to_client`). Only what has happened is told of.
    #[must_use]
    pub fn packets(&self) -> Vec<((&'static str, &'static str), u64)> {
        let both = [(FROM_CLIENT, &self.sent), (TO_CLIENT, &self.heard)];
        let all = both.into_iter().flat_map(|(segment, counts)| {
            happened(&NAMES, counts).into_iter().map(move |(kind, count)| ((kind, segment), count))
        });
        let mut told: Vec<_> = all.collect();
        told.sort_unstable();
        told
    }

    /// Streams that broke, by code of gRPC, type of packet and segment. Only what has happened is told of.
    #[must_use]
    pub fn stream_errors(&self) -> Vec<((&'static str, &'static str, &'static str), u64)> {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.iter().map(|(code, count)| ((*code, NO_PACKET, TO_CLIENT), *count)).collect()
    }

    fn failed(&self, reason: Reason) {
        self.failures[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn broke(&self, code: &'static str) {
        *self.errors.lock().unwrap_or_else(PoisonError::into_inner).entry(code).or_default() += 1;
    }
}

/// Those of some counters that have counted, in the order of their words.
fn happened(words: &[&'static str], counts: &[AtomicU64]) -> Vec<(&'static str, u64)> {
    let counts = counts.iter().map(|count| count.load(Ordering::Relaxed));
    let mut told: Vec<_> = words.iter().copied().zip(counts).filter(|(_, count)| *count > 0).collect();
    told.sort_unstable();
    told
}

/// One dial. Dropping it after the server was asked, and before it is known what came of that, is giving it up.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    numbers: &'a Numbers,
    asked: AtomicBool,
    ended: AtomicBool,
}

impl<'a> Attempt<'a> {
    pub(crate) fn of(numbers: &'a Numbers) -> Self {
        Self { numbers, asked: AtomicBool::new(false), ended: AtomicBool::new(false) }
    }

    /// The server is asked now.
    pub(crate) fn asks(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// There is a connection.
    pub(crate) fn made(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// There is none; no reason is given where nothing was asked of the server, which upstream's library does not count.
    pub(crate) fn failed(&self, reason: Option<Reason>) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(reason) = reason {
            self.numbers.failed(reason);
        }
    }

    /// Time is up.
    pub(crate) fn late(&self) {
        self.failed(Some(Reason::Timeout).filter(|_| self.asked.load(Ordering::Relaxed)));
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.asked.load(Ordering::Relaxed) && !self.ended.load(Ordering::Relaxed) {
            self.numbers.failed(Reason::Context);
        }
    }
}

/// One tunnel, for as long as it is there, and its packets.
#[derive(Debug)]
pub(crate) struct Counted {
    numbers: Arc<Numbers>,
    status: Status,
}

impl Counted {
    pub(crate) fn created(numbers: &Arc<Numbers>) -> Self {
        let counted = Self { numbers: Arc::clone(numbers), status: Status::Created };
        counted.add(1);
        counted
    }

    pub(crate) fn becomes(&mut self, status: Status) {
        self.add(-1);
        self.status = status;
        self.add(1);
    }

    fn add(&self, some: i64) {
        let level = &self.numbers.connections[self.status as usize];
        level.now.fetch_add(some, Ordering::Relaxed);
        level.seen.store(true, Ordering::Relaxed);
    }

    pub(crate) fn sends(&self, packet: &Packet) {
        self.numbers.sent[packet.number()].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sends_data(&self) {
        self.numbers.sent[Packet::DATA].fetch_add(1, Ordering::Relaxed);
    }

    /// What was read: a packet, the end, or a break.
    pub(crate) fn heard(&self, read: &Result<Option<Packet>, StreamError>) {
        match read {
            Ok(Some(packet)) => drop(self.numbers.heard[packet.number()].fetch_add(1, Ordering::Relaxed)),
            Ok(None) => {}
            Err(error) => self.numbers.broke(error.code()),
        }
    }

    /// The server ended the call with a code of its own.
    pub(crate) fn refused(&self, code: u16) {
        self.numbers.broke(grpc::code_name(code));
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.add(-1);
    }
}
