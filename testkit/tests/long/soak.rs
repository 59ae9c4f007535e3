//! Streams of every sort, while members are killed by a seed: no wrong byte, no stuck request, nothing left over.

use crate::rest::Rest;
use crate::scene::{Kubectl, wishes};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngCore, SeedableRng};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tinyplane::{Cluster, Egress, Member, Mode, Storage};

/// How long members are killed for, in seconds, unless `TINYPLANE_SOAK_SECONDS` says otherwise.
const SOAK_SECONDS: u64 = 600;
/// Between one kill and the next.
const CALM: Duration = Duration::from_secs(4);
/// Servers and agents of the tunnel: one may be dead, and another stands in for it.
const SERVERS: u8 = 3;
const AGENTS: u8 = 2;
/// Of ten kills, those of the tunnel's ends.
const TUNNELS_IN_TEN: u32 = 7;
/// What a request may take: nothing is stuck.
const REQUEST: Duration = Duration::from_secs(60);
/// Longest wait until all is as before.
const RECOVERY: Duration = Duration::from_secs(90);
/// Largest input of one exec.
const BYTES_MAX: usize = 300_000;
/// Descriptors that a member may hold more than before: connections that are kept for the next request.
const DESCRIPTORS_MORE: usize = 24;

/// What the workers of a soak share.
struct Course {
    over: AtomicBool,
    done: AtomicU64,
    failed: AtomicU64,
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_survive_members_that_die_and_leave_nothing() {
    let seed = std::env::var("TINYPLANE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random::<u64>);
    eprintln!("TINYPLANE_SEED={seed}");
    let place = tempfile::tempdir().expect("a folder");
    let mode = if seed.is_multiple_of(2) { Mode::Grpc } else { Mode::HttpConnect };
    let wish = wishes().storage(Storage::Sled).data_dir(place.path()).egress(Egress::Konnectivity(mode));
    let wish = wish.konnectivity_servers(SERVERS).agents(AGENTS);
    let cluster = wish.start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    kubectl.run("create deployment web --image=nginx --replicas=4");
    kubectl.run("expose deployment web --port=80");
    kubectl.run("rollout status deployment/web --timeout=60s");
    kubectl.run("run box --image=busybox -- sleep 100000");
    kubectl.run("wait pod/box --for=condition=Ready --timeout=60s");
    kubectl.run("exec box -- echo warm");
    let (before, rest) = (descriptors(&cluster), Rest::of(&cluster).await);
    let course = Arc::new(Course { over: false.into(), done: 0.into(), failed: 0.into() });
    let workers: Vec<_> = (0..4)
        .map(|i| {
            let (kubectl, course) = (Kubectl::of(&cluster), Arc::clone(&course));
            std::thread::spawn(move || work(&kubectl, &course, StdRng::seed_from_u64(seed ^ i)))
        })
        .collect();
    kill_by_turns(&cluster, StdRng::seed_from_u64(seed)).await;
    course.over.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.join().expect("no worker met a wrong byte or a stuck request");
    }
    let (done, failed) = (course.done.load(Ordering::Relaxed), course.failed.load(Ordering::Relaxed));
    eprintln!("{done} streams were right, {failed} were refused or cut while members were dead");
    assert!(done > failed, "most streams should get through");
    kubectl.until("exec box -- echo back", |text| text == "back\n");
    kubectl.until("get deployment web -o jsonpath={.status.readyReplicas}", |text| text == "4");
    kubectl.until("get --raw /api/v1/namespaces/default/services/web:80/proxy/", |text| text.contains("nginx"));
    rest.of_the_tunnel().returns(&cluster).await;
    let began = Instant::now();
    while let Some((member, now)) =
        descriptors(&cluster).into_iter().find(|(m, now)| *now > before[m] + DESCRIPTORS_MORE)
    {
        assert!(began.elapsed() < RECOVERY, "{member} held {} descriptors and now {now}", before[&member]);
        tokio::task::yield_now().await;
    }
    let report = cluster.stop().await;
    let panics: Vec<_> = report.unexpected_errors().iter().filter(|line| line.contains("panicked")).collect();
    assert!(panics.is_empty(), "{panics:?}");
}

async fn kill_by_turns(cluster: &Cluster, mut random: StdRng) {
    let members: Vec<Member> = cluster.members().iter().map(|m| m.member).collect();
    let mut calm = tokio::time::interval(CALM);
    let (tunnel, others): (Vec<Member>, Vec<Member>) = members
        .into_iter()
        .partition(|member| matches!(member, Member::KonnectivityServer(_) | Member::KonnectivityAgent(_)));
    let told = std::env::var("TINYPLANE_SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let (soak, began) = (Duration::from_secs(told.unwrap_or(SOAK_SECONDS)), Instant::now());
    while began.elapsed() < soak {
        calm.tick().await;
        let among = if random.random_ratio(TUNNELS_IN_TEN, 10) { &tunnel } else { &others };
        let member = *among.choose(&mut random).expect("a cluster has members");
        cluster.kill(member).await.expect("it can be killed");
        if random.random_bool(0.5) {
            calm.tick().await;
        }
        cluster.restart(member).await.expect("it comes back");
    }
}

/// Execs that echo what they were fed, logs, and the proxies, until the soak is over.
fn work(kubectl: &Kubectl, course: &Course, mut random: StdRng) {
    while !course.over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let right = match random.random_range(0..5) {
            0 => {
                let mut bytes = vec![0; random.random_range(1..BYTES_MAX)];
                random.fill_bytes(&mut bytes);
                echoed(kubectl, &bytes)
            }
            1 => kubectl.output("logs deployment/web --tail=1").status.success(),
            2 => kubectl.output("get --raw /api/v1/nodes/node-1/proxy/healthz").status.success(),
            3 => summed(kubectl, random.random_range(1..BYTES_MAX), random.next_u32()),
            _ => {
                let page = kubectl.output("get --raw /api/v1/namespaces/default/services/web:80/proxy/");
                let text = String::from_utf8_lossy(&page.stdout);
                assert!(!page.status.success() || text.contains("</html>"), "half a page: {text}");
                page.status.success()
            }
        };
        assert!(began.elapsed() < REQUEST, "a request was stuck for {:?}", began.elapsed());
        if right { &course.done } else { &course.failed }.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether an exec of `cat` succeeded; then it gave back every byte.
fn echoed(kubectl: &Kubectl, bytes: &[u8]) -> bool {
    let input = kubectl.folder().join("input");
    std::fs::write(&input, bytes).expect("a file");
    let input = std::fs::File::open(&input).expect("the file");
    let output = kubectl.command(&["exec", "-v=4", "-i", "box", "--", "cat"]).stdin(input).output();
    let output = output.expect("kubectl can be run");
    assert!(bytes.starts_with(&output.stdout), "what came back is not what was sent");
    succeeded(&output, bytes.len())
}

/// Whether an exec that says much succeeded; then it brought every byte, as the sum that the far end made of them says.
fn summed(kubectl: &Kubectl, bytes: usize, number: u32) -> bool {
    let file = format!("/tmp/said-{number}");
    let script = format!("head -c {bytes} /dev/urandom > {file}; cat {file}; md5sum {file} >&2; rm {file}");
    let output = kubectl.command(&["exec", "-v=4", "box", "--", "sh", "-c", &script]).output();
    let output = output.expect("kubectl can be run");
    if !succeeded(&output, bytes) {
        return false;
    }
    let heard = kubectl.folder().join("heard");
    std::fs::write(&heard, &output.stdout).expect("a file");
    let sum = Command::new("md5sum").arg(&heard).output().expect("coreutils");
    let sum = String::from_utf8_lossy(&sum.stdout[..32]).into_owned();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let told_nothing = by_spdy(&output) && !told.contains(&file);
    assert!(told.contains(&sum) || told_nothing, "other bytes came than were sent: {told}");
    true
}

/// Whether an exec that was to bring so many bytes did. Over SPDY, on which kubectl falls back when a WebSocket was refused, it takes
/// any connection that breaks for a success, whoever broke it: there a byte that is missing is a stream that was cut.
fn succeeded(output: &Output, bytes: usize) -> bool {
    let (whole, success) = (output.stdout.len() == bytes, output.status.success());
    assert!(!success || whole || by_spdy(output), "an exec that succeeded lost bytes");
    success && whole
}

/// Whether kubectl says, with `-v=4`, that it fell back on SPDY.
fn by_spdy(output: &Output) -> bool {
    String::from_utf8_lossy(&output.stderr).contains("RemoteCommand fallback")
}

fn descriptors(cluster: &Cluster) -> BTreeMap<Member, usize> {
    let open = |pid: u32| std::fs::read_dir(PathBuf::from(format!("/proc/{pid}/fd"))).map_or(0, Iterator::count);
    cluster.members().into_iter().map(|m| (m.member, m.pid.map_or(0, open))).collect()
}
