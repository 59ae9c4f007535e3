//! What members hold while nobody asks anything of them, and that a story leaves no more.

use crate::scene::PATIENCE;
use http::Method;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tinyplane::{Cluster, Member};
use tinyplane_wire::net::TcpDial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Interval, MissedTickBehavior};

/// Gauges of the tunnel's ends that count what goes on, and so are 0 when nothing does.
const GOING_ON: [&str; 7] = [
    "konnectivity_network_proxy_server_established_connections",
    "konnectivity_network_proxy_server_pending_backend_dials",
    "konnectivity_network_proxy_server_http_connections",
    "konnectivity_network_proxy_server_grpc_connections{service_method=\"Proxy\"}",
    "konnectivity_network_proxy_server_full_receive_channels{service_method=\"Connect\"}",
    "konnectivity_network_proxy_agent_open_endpoint_connections",
    "konnectivity_network_proxy_agent_full_receive_channels",
];

/// Between two looks at what members hold.
const LOOK: Duration = Duration::from_millis(100);

/// Looks in a row that have to be alike before they count as rest.
const ALIKE: usize = 5;

/// Connections to the API server that its clients make with their first write, and keep: each a descriptor, and two tasks
/// at most.
const KEPT_MAX: usize = 4;

/// What one member holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    tasks: usize,
    /// Only of members that are processes: in one process descriptors are everybody's.
    descriptors: usize,
    going_on: usize,
}

/// What every member holds.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Rest(BTreeMap<Member, Held>);

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (member, held) in &self.0 {
            writeln!(f, "{member}: {held:?}")?;
        }
        Ok(())
    }
}

/// Looks that leave what is looked at its time, however long each takes.
fn looks() -> Interval {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}

impl Rest {
    /// What members hold once that does not change any more.
    pub(crate) async fn of(cluster: &Cluster) -> Self {
        let mut looks = looks();
        let (mut last, mut alike) = (Self::now(cluster).await, 0);
        let steady = async {
            while alike < ALIKE {
                looks.tick().await;
                let now = Self::now(cluster).await;
                alike = if now == last { alike + 1 } else { 0 };
                last = now;
            }
        };
        tokio::time::timeout(PATIENCE, steady).await.expect("a cluster that nobody uses comes to rest");
        last
    }

    /// Waits until nothing goes on, and no member holds more than this.
    pub(crate) async fn returns(&self, cluster: &Cluster) {
        let mut looks = looks();
        let mut now = Self::now(cluster).await;
        let waited = async {
            while !now.is_within(self) {
                looks.tick().await;
                now = Self::now(cluster).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waited).await.is_err() {
            panic!("something is left over: there was\n{self:?}and is\n{now:?}");
        }
    }

    /// The tunnel's ends alone.
    pub(crate) fn of_the_tunnel(mut self) -> Self {
        self.0.retain(|member, _| matches!(member, Member::KonnectivityServer(_) | Member::KonnectivityAgent(_)));
        self
    }

    fn is_within(&self, before: &Self) -> bool {
        before.0.iter().all(|(member, before)| {
            let Some(now) = self.0.get(member) else { return false };
            let kept = if *member == Member::Apiserver { KEPT_MAX } else { 0 };
            now.going_on == 0 && now.tasks <= before.tasks + 2 * kept && now.descriptors <= before.descriptors + kept
        })
    }

    async fn now(cluster: &Cluster) -> Self {
        let mut all = BTreeMap::new();
        for view in cluster.members() {
            let page = match view.member {
                Member::Apiserver => of_the_api_server(cluster).await,
                _ => match view.addresses.get("health") {
                    Some(at) => page(*at).await.unwrap_or_default(),
                    None => continue,
                },
            };
            let number = |name: &str| {
                let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
                line.and_then(|value| value.parse::<usize>().ok()).unwrap_or_default()
            };
            let of_its_own = view.pid.is_some_and(|pid| pid != std::process::id());
            let held = Held {
                tasks: number("tinyplane_tasks"),
                descriptors: match view.pid.filter(|_| of_its_own) {
                    Some(pid) => number("process_open_fds").saturating_sub(random_devices(pid)),
                    None => 0,
                },
                going_on: GOING_ON.iter().map(|name| number(name)).sum(),
            };
            all.insert(view.member, held);
        }
        Self(all)
    }
}

/// Descriptors of the kernel's random numbers: a static program opens the device with the first that it needs, and keeps it.
fn random_devices(pid: u32) -> usize {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.filter(|one| std::fs::read_link(one.path()).is_ok_and(|to| to.as_os_str() == "/dev/urandom")).count()
}

async fn of_the_api_server(cluster: &Cluster) -> String {
    let request = cluster.admin().client().connection().request(Method::GET, "/metrics").expect("a path");
    match request.send().await {
        Ok(answer) => answer.text().await.unwrap_or_default(),
        Err(_) => String::new(),
    }
}

/// A member's own figures.
async fn page(at: std::net::SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpDial::from(None).connect(at).await?;
    stream.write_all(format!("GET /metrics HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
