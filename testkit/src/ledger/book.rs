//! The hops of all members, found by what their two ends have in common.

use super::walk::{Step, Walk};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tinyplane_wire::clock;
use tinyplane_wire::ledger::{Entry, Outcome, View};

/// Hops that are kept; of more, the later half.
const ENTRIES_MAX: usize = 400_000;
/// Hops of one walk, on each side of the API server.
const HOPS_MAX: usize = 16;
/// How far apart two ends may say that a hop began, where they have no more in common than their addresses: a relay
/// between them keeps the address that it is dialled from, and not the port.
const APART_MAX: Duration = Duration::from_secs(2);

/// All that was read.
#[derive(Debug, Default)]
pub(crate) struct Book {
    entries: Vec<Entry>,
    by_id: HashMap<String, usize>,
    tickets: HashMap<String, Ticket>,
    /// The tickets in the order in which they came.
    order: Vec<String>,
    by_dial: HashMap<String, Vec<usize>>,
    by_from: HashMap<SocketAddr, Vec<usize>>,
    by_ends: HashMap<(IpAddr, IpAddr), Vec<usize>>,
    after: HashMap<String, Vec<usize>>,
}

/// What bears one ticket.
#[derive(Debug, Default)]
struct Ticket {
    request: Option<usize>,
    ways: Vec<usize>,
}

impl Book {
    /// Every hop, member by member.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The tickets of all requests, in the order in which they were answered.
    pub(crate) fn requests(&self) -> Vec<&str> {
        let asked = |ticket: &&String| self.tickets.get(*ticket).is_some_and(|known| known.request.is_some());
        self.order.iter().filter(asked).map(String::as_str).collect()
    }

    /// Takes in a hop, or more of one that is known. Gives its ticket.
    pub(crate) fn insert(&mut self, entry: Entry) -> Option<String> {
        let ticket = entry.ticket.clone();
        match self.by_id.get(&entry.id) {
            Some(&place) if !entry.id.is_empty() => self.entries[place].tell(entry),
            _ => self.push(entry),
        }
        if self.entries.len() > ENTRIES_MAX {
            self.forget_the_older_half();
        }
        ticket
    }

    fn push(&mut self, entry: Entry) {
        let place = self.entries.len();
        self.by_id.insert(entry.id.clone(), place);
        if let Some(ticket) = &entry.ticket {
            let known = self.tickets.entry(ticket.clone()).or_insert_with(|| {
                self.order.push(ticket.clone());
                Ticket::default()
            });
            match entry.view {
                View::Observed => known.request = Some(place),
                View::Claimed => known.ways.push(place),
            }
        }
        // A request comes from its connection's address, and is none itself.
        if entry.ticket.is_none() || entry.view == View::Claimed {
            if let Some(dial) = &entry.dial {
                self.by_dial.entry(dial.clone()).or_default().push(place);
            }
            if let Some(from) = entry.from {
                self.by_from.entry(from).or_default().push(place);
                if let Some(to) = entry.listener() {
                    self.by_ends.entry((from.ip(), to.ip())).or_default().push(place);
                }
            }
        }
        if let Some(after) = &entry.after {
            self.after.entry(after.clone()).or_default().push(place);
        }
        self.entries.push(entry);
    }

    fn forget_the_older_half(&mut self) {
        let mut entries = std::mem::take(self).entries;
        entries.sort_by(|a, b| a.started.cmp(&b.started));
        for entry in entries.split_off(ENTRIES_MAX / 2) {
            self.push(entry);
        }
    }

    /// The walk of a request: how it came to the API server, and where it went from there.
    pub(crate) fn walk(&self, ticket: &str) -> Option<Walk> {
        let known = self.tickets.get(ticket)?;
        let request = known.request.map(|place| self.entries[place].clone())?;
        let mut steps = self.before(&request);
        let way = known.ways.last().map(|place| &self.entries[*place]);
        let came_by = steps.len();
        steps.extend(way.map(|way| self.behind(way)).unwrap_or_default());
        Some(Walk::new(ticket.to_owned(), request, steps, came_by))
    }

    /// The hops by which a request came, the first one first.
    fn before(&self, request: &Entry) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut observed = request.after.as_ref().and_then(|id| self.by_id.get(id)).map(|place| &self.entries[*place]);
        while let Some(here) = observed.filter(|_| steps.len() < HOPS_MAX) {
            let claimed = self.other_end(here);
            steps.push(Step { claimed: claimed.cloned(), observed: Some(here.clone()) });
            let after = claimed.and_then(|claimed| claimed.after.as_ref());
            observed = after.and_then(|id| self.by_id.get(id)).map(|place| &self.entries[*place]);
        }
        steps.reverse();
        steps
    }

    /// The hops behind the API server, the first one first.
    fn behind(&self, way: &Entry) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut claimed = Some(way);
        while let Some(here) = claimed.filter(|_| steps.len() < HOPS_MAX) {
            let observed = self.other_end(here);
            steps.push(Step { claimed: Some(here.clone()), observed: observed.cloned() });
            let on = observed.and_then(|observed| self.after.get(&observed.id)).and_then(|places| places.last());
            claimed = on.map(|place| &self.entries[*place]).filter(|entry| entry.view == View::Claimed);
        }
        steps
    }

    /// What the other end of a hop says of it.
    fn other_end(&self, entry: &Entry) -> Option<&Entry> {
        let others = |places: Option<&Vec<usize>>| -> Vec<&Entry> {
            let found = places.into_iter().flatten().map(|place| &self.entries[*place]);
            found.filter(|other| other.view != entry.view && other.outcome != Outcome::Lost).collect()
        };
        if let Some(dial) = &entry.dial
            && let Some(found) = same(entry, others(self.by_dial.get(dial)))
        {
            return Some(found);
        }
        let from = entry.from?;
        if let Some(found) = nearest(entry, others(self.by_from.get(&from))) {
            return Some(found);
        }
        let to = entry.listener()?;
        let alone = |other: &&Entry| {
            // Not one that has a nearer other end itself.
            other.from.is_some_and(|from| {
                let ends = self.by_from.get(&from).into_iter().flatten();
                ends.map(|place| &self.entries[*place]).all(|end| end.view == other.view)
            })
        };
        let near = others(self.by_ends.get(&(from.ip(), to.ip()))).into_iter().filter(alone).collect();
        nearest(entry, near).filter(|found| apart(entry, found) <= APART_MAX)
    }
}

/// Of hops with the same number of a dial the one that is meant: a dial that one server could not begin is begun at the
/// next, under its number, and a frontend's number is its own choice. The tunnel's number of the connection tells, else
/// the place; else the later one.
fn same<'a>(entry: &Entry, mut others: Vec<&'a Entry>) -> Option<&'a Entry> {
    let led_to = |one: &Entry, other: &Entry| one.to == other.to || one.tunnel.as_ref() == Some(&other.to);
    let connection = |other: &&Entry| entry.connection.is_some() && other.connection == entry.connection;
    let place = |other: &&Entry| led_to(entry, other) || led_to(other, entry);
    for tells in [&connection as &dyn Fn(&&Entry) -> bool, &place] {
        let fitting: Vec<_> = others.iter().copied().filter(tells).collect();
        if !fitting.is_empty() {
            others = fitting;
        }
    }
    others.pop()
}

fn nearest<'a>(entry: &Entry, mut others: Vec<&'a Entry>) -> Option<&'a Entry> {
    if others.len() < 2 {
        return others.pop();
    }
    others.into_iter().min_by_key(|other| apart(entry, other))
}

/// How far apart two beginnings are.
fn apart(one: &Entry, other: &Entry) -> Duration {
    let at = |entry: &Entry| -> SystemTime { clock::parse(&entry.started).unwrap_or(UNIX_EPOCH) };
    let (one, other) = (at(one), at(other));
    one.duration_since(other).unwrap_or_else(|before| before.duration())
}

#[cfg(test)]
mod tests;
