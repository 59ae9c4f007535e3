//! Links that are hurt: what a person sees, within which time, and that everything recovers when they heal.
//!
//! Each link meets each fault here or in `cut_off`, which has what needs a member to die or a node to be marked: half-open
//! links whose connections last, and all that befalls the link from a node to the API server.

use crate::middle::UNKNOWN;
use crate::scene::{Kubectl, PATIENCE, end, wishes};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tinyplane::{Cluster, Direction, Egress, Fault, Injected, Link, Mode};

/// Longest that kubectl is told to wait.
const TOLD: Duration = Duration::from_secs(3);
/// Longest until kubectl has come to its end by that, on a busy machine.
pub(crate) const GIVEN_UP: Duration = Duration::from_secs(20);

/// What a command comes to.
enum Sees {
    /// It succeeds, and not before this time.
    Works(Duration),
    /// It fails with one of these texts.
    Fails(&'static [&'static str]),
}

/// A fault on a link, and what is seen of it.
struct Case<'a> {
    link: Link<'a>,
    fault: Fault,
    sees: Sees,
    /// Whether connections that exist are reset first, where they last and the fault is one of new ones.
    anew: bool,
}

impl Case<'_> {
    const fn anew(mut self) -> Self {
        self.anew = true;
        self
    }
}

const AT_ONCE: Duration = Duration::ZERO;
/// The words of a client that waited for nothing.
pub(crate) const WAITED: &[&str] = &["timeout", "Timeout", "deadline exceeded", "timed out"];
/// The words of a connection that was cut off, or gave nothing that makes sense.
const CUT: &[&str] = &["reset by peer", "EOF", "broken pipe", "closed", "stream error", "error reading"];

const fn works<'a>(link: Link<'a>, fault: Fault) -> Case<'a> {
    Case { link, fault, sees: Sees::Works(AT_ONCE), anew: false }
}

const fn fails<'a>(link: Link<'a>, fault: Fault, texts: &'static [&'static str]) -> Case<'a> {
    Case { link, fault, sees: Sees::Fails(texts), anew: false }
}

/// Waits until a fault has bitten: an end that is hidden comes by a moment after kubectl has gone.
pub(crate) fn bites(injected: &Injected, case: &str) {
    let began = Instant::now();
    while injected.times() == 0 {
        assert!(began.elapsed() < PATIENCE, "{case}: it bites nobody");
        std::thread::yield_now();
    }
}

/// Hurts, looks, heals, and looks again. `line` has to cross every link of the cases.
async fn hold(cluster: &Cluster, kubectl: &Kubectl, line: &str, cases: Vec<Case<'_>>) {
    let healthy = kubectl.run(line);
    let impatient = format!("--request-timeout={}s {line}", TOLD.as_secs());
    for Case { link, fault, sees, anew } in cases {
        let case = format!("{fault} on {link}");
        let injected = cluster.inject(link, fault).await.unwrap_or_else(|e| panic!("{case}: {}", e.told()));
        if anew {
            let cut = cluster.inject(link, Fault::reset()).await.unwrap_or_else(|e| panic!("{case}: {}", e.told()));
            bites(&cut, &case);
            cut.heal().await.at_least(1);
            bites(&injected, &case);
        }
        let (began, output) = (Instant::now(), kubectl.output(&impatient));
        let (took, told) = (began.elapsed(), String::from_utf8_lossy(&output.stderr).into_owned());
        assert!(took < GIVEN_UP, "{case}: it took {took:?}: {told}");
        match sees {
            Sees::Works(least) => {
                assert!(output.status.success(), "{case}: {told}");
                assert_eq!(String::from_utf8_lossy(&output.stdout), healthy, "{case}");
                assert!(took >= least, "{case}: it took {took:?} only");
            }
            Sees::Fails(texts) => {
                assert_eq!(output.status.code(), Some(1), "{case}: {told}");
                assert!(texts.is_empty() || texts.iter().any(|text| told.contains(text)), "{case}: {told}");
            }
        }
        bites(&injected, &case);
        injected.heal().await.at_least(1);
        assert_eq!(kubectl.until(line, |text| text == healthy), healthy, "{case}");
    }
}

pub(crate) fn late() -> Fault {
    Fault::latency(Duration::from_millis(100)).jitter(Duration::from_millis(50)).seeded(7)
}

/// A pod whose log is read over every link to its node.
pub(crate) fn pod(kubectl: &Kubectl) {
    kubectl.run_with(&["run", "web", "--image=busybox", "--", "sh", "-c", "echo served; sleep 3600"]);
    kubectl.run("wait pod/web --for=condition=Ready --timeout=60s");
    kubectl.until("logs web", |text| text == "served\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_of_clients_can_be_hurt() {
    let cluster = wishes().nodes(0).controllers(false).links(true).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    let link = Link::ClientToApiserver;
    let cases = vec![
        Case { link, fault: late(), sees: Sees::Works(Duration::from_millis(400)), anew: false },
        works(link, Fault::bandwidth(100_000)),
        works(link, Fault::slice(1)),
        fails(link, Fault::blackhole(), WAITED),
        fails(link, Fault::blackhole().towards(Direction::Client), WAITED),
        fails(link, Fault::reset(), CUT),
        fails(link, Fault::reset().after_bytes(500).towards(Direction::Client), CUT),
        works(link, Fault::half_open()),
        fails(link, Fault::corrupt().one_in(100).seeded(7), &[]),
        fails(link, Fault::man_in_the_middle(), &["x509: certificate signed by unknown authority"]),
    ];
    hold(&cluster, &kubectl, "get --raw /version", cases).await;
    // Half of the connections, and the same ones for the same seed.
    let injected = cluster.inject(link, Fault::reset().with_probability(0.5).seeded(3)).await.expect("a fault");
    let outcomes: Vec<bool> =
        (0..12).map(|_| kubectl.output("get --raw /version --request-timeout=900ms").status.success()).collect();
    assert!(outcomes.contains(&true), "all fail");
    injected.heal().await.at_least(1);
    end(cluster).await;
}

/// What else befalls a link to a node: half-open where a request has a connection of its own, and a man in the middle.
fn more(link: Link<'_>) -> Vec<Case<'_>> {
    let middle = |texts| fails(link, Fault::man_in_the_middle(), texts);
    match link {
        Link::AgentToKonnectivity(_) => vec![middle(&["No agent available"]).anew()],
        // SSH, and a Unix socket: no TLS that he could end.
        Link::ApiserverToSsh(_) => Vec::new(),
        Link::ApiserverToKonnectivity(_) => vec![works(link, Fault::half_open())],
        _ => vec![works(link, Fault::half_open()), middle(&[UNKNOWN])],
    }
}

/// What becomes of a request to a node when each link on its way is hurt.
async fn hold_links_to_a_node(egress: Egress, links: &[Link<'_>]) {
    let cluster = wishes().nodes(1).egress(egress).links(true).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    pod(&kubectl);
    for &link in links {
        let mut cases = vec![
            works(link, late()),
            works(link, Fault::bandwidth(200_000)),
            works(link, Fault::slice(1)),
            fails(link, Fault::blackhole(), WAITED),
            fails(link, Fault::blackhole().towards(Direction::Client), WAITED),
            fails(link, Fault::reset(), &[]),
            fails(link, Fault::corrupt().one_in(50).seeded(7), &[]),
        ];
        cases.extend(more(link));
        hold(&cluster, &kubectl, "logs web", cases).await;
        // Losing the way to a node is not losing the node.
        let ready = kubectl.run("get node node-1 -o jsonpath={.status.conditions[?(@.type=='Ready')].status}");
        assert_eq!(ready, "True", "{link}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_to_a_kubelet_can_be_hurt() {
    hold_links_to_a_node(Egress::Direct, &[Link::ApiserverToKubelet("node-1")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_behind_the_tunnel_can_be_hurt() {
    hold_links_to_a_node(Egress::Konnectivity(Mode::HttpConnect), &[Link::AgentToNode("node-1")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_of_an_ssh_tunnel_can_be_hurt() {
    hold_links_to_a_node(Egress::Ssh, &[Link::ApiserverToSsh("node-1")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_links_of_the_tunnel_can_be_hurt() {
    let links = [Link::ApiserverToKonnectivity("konnectivity-server"), Link::AgentToKonnectivity(Link::EVERY)];
    hold_links_to_a_node(Egress::Konnectivity(Mode::Grpc), &links).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_from_a_service_to_a_pod_on_another_node_can_be_hurt() {
    let cluster = wishes().nodes(2).links(true).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    let on = |name: &str, node: &str, rest: &[&str]| {
        let place = format!("--overrides={{\"spec\":{{\"nodeName\":\"{node}\"}}}}");
        kubectl.run_with(&[&["run", name, &place][..], rest].concat());
        kubectl.run(&format!("wait pod/{name} --for=condition=Ready --timeout=60s"));
    };
    on("web", "node-1", &["--image=nginx", "--port=80"]);
    on("peer", "node-2", &["--image=busybox", "--", "sleep", "3600"]);
    kubectl.run("expose pod web --port=80");
    let line = "exec peer -- wget -T 2 -qO- http://web";
    kubectl.until(line, |text| text.contains("nginx"));
    let link = Link::NodeToNode("node-1");
    let cases = vec![
        works(link, late()),
        works(link, Fault::bandwidth(200_000)),
        works(link, Fault::slice(1)),
        fails(link, Fault::blackhole(), WAITED),
        fails(link, Fault::reset(), &[]),
    ];
    hold(&cluster, &kubectl, line, cases).await;
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_hurt_only_where_that_was_wished() {
    let cluster = wishes().nodes(0).controllers(false).start().await.expect("it starts");
    let told = cluster.inject(Link::ClientToApiserver, Fault::reset()).await.expect_err("no relays").told();
    assert!(told.contains("--links"), "{told}");
    cluster.stop().await;
    let cluster = wishes().nodes(0).controllers(false).links(true).start().await.expect("it starts");
    let told = cluster.inject(Link::NodeToApiserver("node-1"), Fault::reset()).await.expect_err("no node").told();
    assert!(told.contains("no link node-to-apiserver/node-1"), "{told}");
    end(cluster).await;
}

#[test]
fn faults_are_words_to_a_running_cluster() {
    let mut command = std::process::Command::new(crate::scene::binary());
    let script = "set -e; t=$TINYPLANE; \
        $t fault inject client-to-apiserver latency=5ms,jitter=1ms slice=100; \
        $KUBECTL get --raw /version >/dev/null; \
        $t fault list; $t fault heal 1 --data-dir $TINYPLANE_DATA_DIR; $t fault heal; \
        $t secure open; $KUBECTL get --raw /version >/dev/null; \
        ! $t fault inject moon reset; ! $t fault heal 9; \
        ! $t fault inject agent-to-node reset";
    command.args(["run", "--nodes", "0", "--no-controllers", "--links", "--", "sh", "-c", script]);
    command.env("TINYPLANE", crate::scene::binary()).env("KUBECTL", &crate::scene::kubectls()[0]);
    let output = command.stdin(Stdio::null()).output().expect("tinyplane can be run");
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}{errors}");
    let lines: Vec<Vec<&str>> = told.lines().map(|line| line.split('\t').collect()).collect();
    let shown: Vec<_> = lines.iter().map(|line| (line[0], line[1], line[2])).collect();
    let (late, small) =
        (("1", "client-to-apiserver", "latency=5ms,jitter=1ms"), ("2", "client-to-apiserver", "slice=100"));
    assert_eq!(shown, [late, small, late, small, late, small], "{told}");
    assert!(lines[0][3] == "has bitten 0 times" && lines[2][3] != "has bitten 0 times", "{told}");
    assert!(lines[4][3].starts_with("healed, bit ") && lines[4][3] != "healed, bit 0 times", "{told}");
    for part in ["\"moon\" is no link", "there is no fault 9", "this cluster has no link agent-to-node"] {
        assert!(errors.contains(part), "{part}: {errors}");
    }
}
