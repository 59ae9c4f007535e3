//! Members that are cut off from others: who notices, when, and that they come back.

use crate::links::{GIVEN_UP, WAITED, bites, late, pod};
use crate::scene::{Kubectl, PATIENCE, end, wishes};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tinyplane::{Direction, Egress, Fault, Link, Member, Storage};

/// A pod comes to run on the first node.
fn runs(kubectl: &Kubectl, name: &str) {
    kubectl.run_with(&["run", name, "--image=nginx", "--overrides={\"spec\":{\"nodeName\":\"node-1\"}}"]);
    kubectl.run(&format!("wait pod/{name} --for=condition=Ready --timeout=60s"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_tunnel_exec_fails_and_nodes_stay_ready() {
    let cluster = wishes().nodes(1).links(true).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    pod(&kubectl);
    // An agent that believes nobody but the cluster's authority is as good as gone.
    let link = Link::AgentToKonnectivity("konnectivity-agent");
    let middle = cluster.inject(link, Fault::man_in_the_middle()).await.expect("a fault");
    let cut = cluster.inject(link, Fault::reset()).await.expect("a fault");
    kubectl.until("get nodes", |_| cut.times() > 0);
    cut.heal().await.at_least(1);
    let began = Instant::now();
    let told = kubectl.fails("exec web -- echo hello");
    assert!(told.contains("No agent available"), "{told}");
    assert!(began.elapsed() < GIVEN_UP, "{:?}", began.elapsed());
    kubectl.until("get node node-1", |text| text.contains(" Ready ") && middle.times() > 0);
    middle.heal().await.at_least(1);
    kubectl.until("exec web -- echo hello", |text| text == "hello\n");
    // Nobody tells the server that the agent died: it believes in it until it heals.
    let hidden = cluster.inject(link, Fault::half_open().towards(Direction::Server)).await.expect("a fault");
    cluster.kill(Member::KonnectivityAgent(1)).await.expect("it is killed");
    let told = kubectl.fails("logs web --request-timeout=3s");
    assert!(WAITED.iter().any(|text| told.contains(text)), "{told}");
    hidden.heal().await.at_least(1);
    cluster.restart(Member::KonnectivityAgent(1)).await.expect("it comes back");
    kubectl.until("exec web -- echo hello", |text| text == "hello\n");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_is_marked_and_comes_back() {
    let grace = Duration::from_secs(15);
    let wished = wishes().nodes(2).egress(Egress::Direct).links(true).node_monitor_grace_period(grace);
    let cluster = wished.start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    runs(&kubectl, "web");
    // Hurt a little, it beats all the same.
    for fault in [late(), Fault::slice(7), Fault::bandwidth(50_000)] {
        let slow = cluster.inject(Link::NodeToApiserver("node-1"), fault).await.expect("a fault");
        kubectl.run("label node node-1 seen=yes --overwrite");
        kubectl.until("get node node-1", |text| text.contains(" Ready ") && slow.times() > 0);
        slow.heal().await.at_least(1);
    }
    // Hurt more, it comes back: its kubelet runs the next pod.
    for (number, fault) in [Fault::reset(), Fault::corrupt().one_in(20).seeded(7)].into_iter().enumerate() {
        let hurt = cluster.inject(Link::NodeToApiserver("node-1"), fault).await.expect("a fault");
        kubectl.run(&format!("label node node-1 seen=again-{number} --overwrite"));
        kubectl.until("get nodes", |_| hurt.times() > 0);
        hurt.heal().await.at_least(1);
        runs(&kubectl, &format!("after-{number}"));
    }
    let middle = cluster.inject(Link::NodeToApiserver("node-1"), Fault::man_in_the_middle()).await.expect("a fault");
    let cut = cluster.inject(Link::NodeToApiserver("node-1"), Fault::reset()).await.expect("a fault");
    kubectl.until("get nodes", |_| cut.times() > 0);
    cut.heal().await.at_least(1);
    kubectl.until("get nodes", |_| middle.times() > 0);
    assert_eq!(middle.heal().await.at_least(1).read(), "", "a kubelet believes the cluster's authority alone");
    runs(&kubectl, "after-all");
    let began = Instant::now();
    let dark = cluster.inject(Link::NodeToApiserver("node-1"), Fault::blackhole()).await.expect("a fault");
    let way = cluster.inject(Link::ApiserverToKubelet(Link::EVERY), Fault::blackhole()).await.expect("a fault");
    let mut logs = kubectl.command(&["logs", "web"]);
    let logs = logs.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("kubectl can be run");
    let admin = cluster.admin();
    admin.wait("node/node-1", "condition=Ready=Unknown").await.expect("the node is marked");
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert!(kubectl.run("get node node-2").contains(" Ready "), "the other node is none of it");
    // A dial to a kubelet that is not answered is given up as Go gives it up.
    let output = logs.wait_with_output().expect("kubectl ends");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains(":10250: i/o timeout"), "{told}");
    way.heal().await.at_least(1);
    dark.heal().await.at_least(1);
    admin.wait("node/node-1", "condition=Ready").await.expect("the node comes back");
    kubectl.until("exec web -- echo hello", |text| text == "hello\n");
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn controllers_that_are_cut_off_do_their_work_later() {
    let cluster = wishes().nodes(1).egress(Egress::Direct).links(true).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    for (name, fault) in [("dark", Fault::blackhole()), ("reset", Fault::reset()), ("late", late())] {
        let hurt = cluster.inject(Link::ControllersToApiserver, fault).await.expect("a fault");
        kubectl.run(&format!("create deployment {name} --image=nginx"));
        kubectl.until("get deployments", |_| hurt.times() > 0);
        if name != "late" {
            let told = kubectl.run(&format!("get deployment {name} -o jsonpath={{.status.observedGeneration}}"));
            assert_eq!(told, "", "{name}: nobody saw it");
        }
        hurt.heal().await.at_least(1);
        kubectl.run(&format!("rollout status deployment/{name} --timeout=60s"));
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nobody_tells_is_seen_when_the_link_heals() {
    let wished = wishes().nodes(1).egress(Egress::Direct).storage(Storage::Sled).links(true);
    let cluster = wished.start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    pod(&kubectl);
    let ends = [
        (Link::ClientToApiserver, Member::Apiserver, vec!["get", "pods", "--watch"]),
        (Link::ApiserverToKubelet("node-1"), Member::Kubelet, vec!["logs", "web", "--follow"]),
    ];
    for (link, member, line) in ends {
        let mut command = kubectl.command(&line);
        let mut follows = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("kubectl can be run");
        // It has begun when it has printed something.
        let mut first = [0];
        std::io::Read::read_exact(follows.stdout.as_mut().expect("it has a pipe"), &mut first).expect("it prints");
        let hidden = cluster.inject(link, Fault::half_open().towards(Direction::Client)).await.expect("a fault");
        cluster.kill(member).await.expect("it is killed");
        bites(&hidden, &link.to_string());
        assert!(follows.try_wait().expect("it can be asked").is_none(), "{link}: it was told");
        hidden.heal().await.at_least(1);
        let ended = tokio::task::spawn_blocking(move || follows.wait_with_output());
        tokio::time::timeout(PATIENCE, ended)
            .await
            .expect("it ends in time")
            .expect("it is waited for")
            .expect("it ends");
        cluster.restart(member).await.expect("it comes back");
        kubectl.until("logs web", |text| text == "served\n");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_told_of_its_servers_end_finds_out_by_itself() {
    let wished = wishes().nodes(1).egress(Egress::Direct).storage(Storage::Sled).links(true);
    let cluster = wished.start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    runs(&kubectl, "before");
    let link = Link::NodeToApiserver("node-1");
    let hidden = cluster.inject(link, Fault::half_open().towards(Direction::Client)).await.expect("a fault");
    cluster.kill(Member::Apiserver).await.expect("it is killed");
    bites(&hidden, &link.to_string());
    cluster.restart(Member::Apiserver).await.expect("it comes back");
    // Its watch of pods stands on a connection that is dead: its own pings tell it so within 45 s.
    runs(&kubectl, "after");
    hidden.heal().await.at_least(1);
    runs(&kubectl, "healed");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_server_whose_end_nobody_tells_is_waited_for_no_longer_than_was_said() {
    let cluster = wishes().nodes(1).egress(Egress::Ssh).links(true).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    pod(&kubectl);
    let link = Link::ApiserverToSsh("node-1");
    let hidden = cluster.inject(link, Fault::half_open().towards(Direction::Client)).await.expect("a fault");
    cluster.kill(Member::Kubelet).await.expect("it is killed");
    bites(&hidden, &link.to_string());
    let began = Instant::now();
    let told = kubectl.fails("logs web --request-timeout=3s");
    assert!(WAITED.iter().any(|text| told.contains(text)), "{told}");
    assert!(began.elapsed() < GIVEN_UP, "{:?}", began.elapsed());
    hidden.heal().await.at_least(1);
    cluster.restart(Member::Kubelet).await.expect("it comes back");
    kubectl.until("logs web", |text| text == "served\n");
    cluster.stop().await;
}
