//! What a test's tunnel holds when nothing goes through it, and that it holds no more afterwards.

use crate::member::Member;
use crate::rig::{DEADLINE, Rig, eventually, place};
use crate::streams::SERVED;
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use tinyplane_wire::net::Dial;
use tokio::time::{Interval, MissedTickBehavior};

/// Gauges that say who is there, not what goes on.
const PRESENCE: [&str; 5] = [
    "server_ready_backend_connections",
    "server_ready_backends",
    "server_grpc_connections{service_method=\"Connect\"}",
    "agent_open_server_connections",
    "agent_known_server_count",
];

/// Between two looks: the kernel's tables are long while many tests run.
const LOOK: Duration = Duration::from_millis(10);

/// Looks in a row that have to be alike before they count as rest.
const ALIKE: usize = 4;

/// The state of a listening socket, in the tables of the kernel.
const LISTENS: &str = "0A";
const UNIX_LISTENS: &str = "00010000";

/// Tasks of a test's runtime, and open descriptors of its connections. Endpoints' acceptors count as neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rest {
    tasks: usize,
    sockets: usize,
}

impl Rest {
    /// What there is now. A runtime is a test's own; of the process' descriptors those count that have an end at the
    /// test's addresses or at its sockets' paths.
    fn now(folder: &Path) -> Self {
        let ours = descriptors();
        let tcp = table("/proc/self/net/tcp");
        let net = &hexadecimal(place(0))[2..];
        // The table has what all tests have closed in the last minute: most lines are read no further.
        let near = tcp.iter().filter(|line| line.contains(net)).filter_map(|line| Tcp::read(line));
        let mine: Vec<_> = near.filter(|one| ours.contains(one.inode)).collect();
        let served = hexadecimal(place(SERVED));
        let acceptors = mine.iter().filter(|one| one.state == LISTENS && one.local.starts_with(&served)).count();
        let carried = mine.iter().filter(|one| one.state != LISTENS && one.touches(net)).count();
        let unix = table("/proc/self/net/unix");
        let unix = unix.iter().filter(|line| is_unix_connection(line, folder, &ours)).count();
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        Self { tasks: tasks.saturating_sub(acceptors), sockets: carried + unix }
    }

    /// What there is once nothing changes any more.
    pub(crate) async fn of(folder: &Path) -> Self {
        let mut looks = looks();
        let (mut last, mut alike) = (Self::now(folder), 0);
        while alike < ALIKE {
            looks.tick().await;
            let now = Self::now(folder);
            alike = if now == last { alike + 1 } else { 0 };
            last = now;
        }
        last
    }
}

/// Looks that leave what is looked at its time, however long each takes.
fn looks() -> Interval {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}

struct Tcp<'a> {
    local: &'a str,
    remote: &'a str,
    state: &'a str,
    inode: &'a str,
}

impl<'a> Tcp<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let fields: Vec<_> = line.split_whitespace().collect();
        Some(Self { local: fields.get(1)?, remote: fields.get(2)?, state: fields.get(3)?, inode: fields.get(9)? })
    }

    /// Whether an end is in this net: the address without its last number, which the table writes first.
    fn touches(&self, net: &str) -> bool {
        [self.local, self.remote].iter().any(|end| end.get(2..8) == Some(net))
    }
}

fn is_unix_connection(line: &str, folder: &Path, ours: &HashSet<String>) -> bool {
    let fields: Vec<_> = line.split_whitespace().collect();
    let [_, _, _, flags, _, _, inode, path] = fields[..] else { return false };
    flags != UNIX_LISTENS && Path::new(path).starts_with(folder) && ours.contains(inode)
}

/// An address as the table of the kernel writes it.
fn hexadecimal(address: IpAddr) -> String {
    let IpAddr::V4(address) = address else { panic!("tests live on the loopback network") };
    format!("{:08X}", u32::from_le_bytes(address.octets()))
}

fn table(path: &str) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().skip(1).map(str::to_owned).collect()
}

/// The inodes of the process' sockets.
fn descriptors() -> HashSet<String> {
    let Ok(folder) = std::fs::read_dir("/proc/self/fd") else { return HashSet::new() };
    let target = |entry: std::fs::DirEntry| std::fs::read_link(entry.path()).ok()?.to_str().map(str::to_owned);
    let inode = |target: String| Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    folder.filter_map(Result::ok).filter_map(target).filter_map(inode).collect()
}

impl Rig {
    /// Waits until nothing is left of what went through the tunnel: no gauge of its ends is up, and no more tasks run
    /// and sockets are open than when it was new.
    pub(crate) async fn is_at_rest(&self, dial: Box<dyn Dial>, members: &[&Member]) {
        drop(dial);
        for member in members {
            let down = async || {
                let (_, page) = member.get("/metrics").await;
                gauges(&page).into_iter().all(|(name, value)| value == 0 || is_presence(name))
            };
            eventually("gauges fell to 0", down).await;
        }
        let before = self.before.get().expect("the rig was complete once");
        let mut looks = looks();
        let mut now = Rest::now(self.dir.path());
        let waited = async {
            while now.tasks > before.tasks || now.sockets > before.sockets {
                looks.tick().await;
                now = Rest::now(self.dir.path());
            }
        };
        if tokio::time::timeout(DEADLINE, waited).await.is_err() {
            panic!("something is left over: there was {before:?}, and is {now:?}");
        }
    }
}

fn is_presence(gauge: &str) -> bool {
    PRESENCE.iter().any(|name| gauge == *name || gauge.split('{').next() == Some(name))
}

/// The gauges of a page, without the prefix that all names have.
fn gauges(page: &str) -> Vec<(&str, i64)> {
    let names: HashSet<_> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" gauge")).collect();
    page.lines()
        .filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            let known = names.contains(name.split('{').next()?);
            let name = name.strip_prefix("konnectivity_network_proxy_").filter(|_| known)?;
            Some((name, value.parse().ok()?))
        })
        .collect()
}
