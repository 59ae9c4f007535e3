//! A request's walk: its hops, each with what both of its ends say, and what a test may ask of it.

use super::hop::Hop;
use crate::cluster::Mode;
use std::fmt;
use tinyplane_wire::ledger::{Entry, HostKey, Outcome, Tls};

/// One hop of a walk, from one station to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What the end says that dialled; nothing of a client that keeps no ledger.
    pub claimed: Option<Entry>,
    /// What the end says that listened.
    pub observed: Option<Entry>,
}

/// The walk of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The request's `Audit-ID`.
    pub ticket: String,
    /// The request, as the API server took it.
    pub asked: Entry,
    /// Its hops, the first one first.
    pub steps: Vec<Step>,
    /// How many of them led to the API server.
    came_by: usize,
}

impl Walk {
    pub(super) fn new(ticket: String, asked: Entry, steps: Vec<Step>, came_by: usize) -> Self {
        Self { ticket, asked, steps, came_by }
    }

    /// Method and URI.
    #[must_use]
    pub fn request(&self) -> &str {
        self.asked.request.as_deref().unwrap_or_default()
    }

    /// The numbers of the paths that its hops go by: 1 to the API server; 2 or 3 from there, and 4 or 5 where a tunnel
    /// carries that.
    #[must_use]
    pub fn paths(&self) -> Vec<u8> {
        let ends = self.steps.iter().flat_map(|step| [&step.claimed, &step.observed]).flatten();
        let tunnels = ends.filter_map(|end| end.path).filter(|path| [4, 5].contains(path));
        let mut paths: Vec<u8> = tunnels.chain(self.asked.path).chain(self.way().and_then(|way| way.path)).collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    /// The number of the path that it is about: 2 or 3 where the API server went on, else 1.
    #[must_use]
    pub fn path(&self) -> u8 {
        self.way().and_then(|way| way.path).or(self.asked.path).unwrap_or(1)
    }

    /// What the API server says of where it went on to.
    #[must_use]
    pub fn way(&self) -> Option<&Entry> {
        self.steps.get(self.came_by)?.claimed.as_ref()
    }

    /// What the far end of the way says.
    #[must_use]
    pub fn far_end(&self) -> Option<&Entry> {
        self.steps.get(self.came_by..)?.last()?.observed.as_ref()
    }

    /// The node that it came by.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        let ends = self.steps.iter().flat_map(|step| [&step.claimed, &step.observed]).flatten();
        self.way().and_then(|way| way.node.as_deref()).or_else(|| ends.filter_map(|end| end.node.as_deref()).next())
    }

    /// The way out of the API server, where it went on.
    #[must_use]
    pub fn egress(&self) -> Option<&str> {
        self.way()?.egress.as_deref()
    }

    /// The tunnel's agent.
    #[must_use]
    pub fn agent(&self) -> Option<&str> {
        self.steps
            .iter()
            .flat_map(|step| [&step.observed, &step.claimed])
            .flatten()
            .find_map(|end| end.agent.as_deref())
    }

    /// TLS from end to end, as who dialled had it: the API server on paths 2 and 3, the client on path 1, where that keeps
    /// a ledger. `None` where there is no TLS.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        match (self.way(), self.steps.first()) {
            (Some(way), _) => way.tls.as_ref(),
            (None, Some(Step { claimed: Some(claimed), .. })) => claimed.tls.as_ref(),
            (None, _) => self.steps.last()?.observed.as_ref()?.tls.as_ref(),
        }
    }

    /// The key of the node's SSH server, as the API server had it: which one, and the file of known hosts in which it stood,
    /// where that was asked for. `None` on other ways.
    #[must_use]
    pub fn host_key(&self) -> Option<&HostKey> {
        self.way()?.host_key.as_ref()
    }

    /// Whom the client certificate names, as who was shown it saw it; `None` where none was.
    #[must_use]
    pub fn certificate(&self) -> Option<&str> {
        let seen = if self.way().is_some() { self.far_end() } else { self.steps.last()?.observed.as_ref() };
        seen?.certificate.as_deref()
    }

    /// Its stations, the first one first. Of clients only those are named that keep a ledger.
    #[must_use]
    pub fn stations(&self) -> Vec<Hop<'_>> {
        let mut stations = Vec::new();
        if let Some(caller) = self.steps.first().and_then(|step| step.claimed.as_ref()).filter(|_| self.came_by > 0) {
            stations.push(match &caller.node {
                Some(node) => Hop::Pod(node),
                None => Hop::Member(&caller.member),
            });
        }
        for step in &self.steps[..self.came_by] {
            stations.extend(step.observed.as_ref().map(|observed| self.station(observed)));
        }
        if stations.last() != Some(&Hop::Apiserver) {
            stations.push(Hop::Apiserver);
        }
        match self.egress() {
            Some("direct") => stations.push(Hop::Direct),
            Some("ssh") => stations.push(Hop::Ssh),
            _ => {}
        }
        for step in &self.steps[self.came_by..] {
            let Some(observed) = &step.observed else { continue };
            let station = self.station(observed);
            if stations.last() != Some(&station) {
                stations.push(station);
            }
        }
        stations
    }

    fn station<'a>(&self, observed: &'a Entry) -> Hop<'a> {
        let node = observed.node.as_deref();
        match (observed.path, node) {
            (Some(1), _) => Hop::Apiserver,
            (Some(2), Some(node)) => Hop::Kubelet(node),
            (Some(4), _) => Hop::Ssh,
            (Some(5), _) if observed.agent.as_ref() == Some(&observed.member) => Hop::Agent(&observed.member),
            (Some(5), _) if self.egress() == Some("konnectivity-http-connect") => {
                Hop::Tunnel { mode: Mode::HttpConnect }
            }
            (Some(5), _) => Hop::Tunnel { mode: Mode::Grpc },
            (_, Some(node)) => Hop::Pod(node),
            (_, None) => Hop::Service,
        }
    }

    /// True when it is over, and everything that is known to have happened is written down by both ends.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let over = |end: &Option<Entry>| end.as_ref().is_some_and(|end| end.ended.is_some());
        let failed = |step: &Step| step.claimed.as_ref().is_some_and(|claimed| claimed.outcome == Outcome::Failed);
        // A member's connection to the API server goes on; a pod's is over with its call.
        let came = &self.steps[..self.came_by];
        let came_over = came.len() < 2 || came.iter().all(|step| over(&step.claimed) && over(&step.observed));
        self.asked.ended.is_some()
            && came_over
            && self.steps[self.came_by..]
                .iter()
                .all(|step| over(&step.claimed) && (over(&step.observed) || failed(step)))
    }

    /// Why its ends do not agree; `None` where each hop behind the API server is told by both of its ends, and where
    /// what they say of addresses, TLS, certificates and bytes fits together.
    #[must_use]
    pub fn disagreement(&self) -> Option<String> {
        for (place, step) in self.steps.iter().enumerate() {
            match (&step.claimed, &step.observed) {
                (Some(claimed), Some(observed)) => {
                    if let Some(why) = differ(claimed, observed) {
                        return Some(format!("{} → {}: {why}", claimed.member, observed.member));
                    }
                }
                // A client that keeps no ledger.
                (None, Some(_)) if place < self.came_by => {}
                (claimed, observed) => {
                    let who = claimed.as_ref().or(observed.as_ref()).map_or("nobody", |end| end.member.as_str());
                    return Some(format!("one end alone, {who}, tells of a hop"));
                }
            }
        }
        let came = &self.steps[..self.came_by];
        let caller = came.first().and_then(|step| step.claimed.as_ref()).filter(|claimed| claimed.tls.is_some());
        let whole_ways = [
            (caller, came.last().and_then(|step| step.observed.as_ref())),
            (self.way().filter(|way| way.path == Some(2)), self.far_end()),
        ];
        let shown = |end: &Entry| (end.tls.as_ref().map(|tls| tls.version.clone()), end.certificate.clone());
        let differs = |(near, far): (Option<&Entry>, Option<&Entry>)| near.map(shown) != far.map(shown);
        whole_ways
            .into_iter()
            .filter(|(near, far)| near.is_some() && far.is_some())
            .any(differs)
            .then(|| "the two ends of the whole way say different things of TLS or the client's certificate".into())
    }

    /// Insists on the stations, each one and in this order.
    ///
    /// # Panics
    /// When the walk is another one.
    #[track_caller]
    pub fn assert_path(&self, stations: &[Hop<'_>]) -> &Self {
        assert_eq!(self.stations(), stations, "the stations of {self}");
        self
    }

    /// Insists that the walk does not come by a station.
    ///
    /// # Panics
    /// When it does.
    #[track_caller]
    pub fn assert_never(&self, station: Hop<'_>) -> &Self {
        assert!(!self.stations().contains(&station), "it came by {station}: {self}");
        self
    }

    /// Insists that both ends of every hop agree.
    ///
    /// # Panics
    /// When they do not, or one of them says nothing.
    #[track_caller]
    pub fn assert_witnessed(&self) -> &Self {
        if let Some(why) = self.disagreement() {
            panic!("{why}: {self}");
        }
        self
    }
}

/// What two ends of a hop say that does not fit.
fn differ(claimed: &Entry, observed: &Entry) -> Option<String> {
    if let (Some(from), Some(seen)) = (claimed.from, observed.from)
        && from.ip() != seen.ip()
    {
        return Some(format!("it came from {from}, and was seen from {seen}"));
    }
    if claimed.outcome != observed.outcome {
        return Some(format!("{:?} at one end and {:?} at the other", claimed.outcome, observed.outcome));
    }
    if let (Some(one), Some(other)) = (&claimed.tls, &observed.tls)
        && (one.version != other.version || claimed.certificate != observed.certificate)
    {
        return Some("they say different things of TLS or the client's certificate".into());
    }
    if let (Some(seen), Some(shown)) = (&claimed.host_key, &observed.host_key)
        && seen.fingerprint != shown.fingerprint
    {
        return Some(format!(
            "the host's key is {} at one end and {} at the other",
            seen.fingerprint, shown.fingerprint
        ));
    }
    if let (Some(one), Some(other)) = (claimed.connection, observed.connection)
        && one != other
    {
        return Some(format!("it is connection {one} at one end and {other} at the other"));
    }
    // What was sent need not have arrived; more can't have, where all of it is told.
    for (way, sender, receiver) in [("on", claimed, observed), ("back", observed, claimed)] {
        let over = sender.ended.is_some() && receiver.ended.is_some() && !sender.at_least;
        if let (true, Some(sent), Some(received)) = (over, sender.sent, receiver.received)
            && received > sent
        {
            return Some(format!("{sent} bytes were sent {way}, and {received} arrived"));
        }
    }
    None
}

impl fmt::Display for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stations: Vec<String> = self.stations().iter().map(ToString::to_string).collect();
        writeln!(f, "{} ({}): {}", self.request(), self.ticket, stations.join(" → "))?;
        for end in self.steps.iter().flat_map(|step| [&step.claimed, &step.observed]) {
            match end {
                Some(end) => writeln!(f, "  {}", serde_json::to_string(end).unwrap_or_default())?,
                None => writeln!(f, "  nothing from the other end")?,
            }
        }
        Ok(())
    }
}
