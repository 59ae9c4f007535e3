//! A cluster comes, stays, comes back, and leaves nothing behind.

use crate::foreground::{alive, up};
use crate::scene::{Kubectl, Running, binary, end, wishes};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tinyplane::{Egress, Member, Mode, Storage};

/// Longest end on a busy machine; a connection that is waited for to close by itself would take longer. How fast an end is,
/// the bench `cluster` says.
const AT_ONCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_reach_nodes_gives_ready_nodes() {
    for (word, egress) in Egress::WORDS {
        let cluster = wishes().egress(egress).start().await.unwrap_or_else(|e| panic!("{word}: {}", e.told()));
        let node = cluster.admin().get("node/node-2").await.expect("node-2 is there");
        assert_eq!(node["status"]["addresses"][0]["type"], "InternalIP", "{word}");
        assert_eq!(cluster.members().len(), if matches!(egress, Egress::Konnectivity(_)) { 5 } else { 3 });
        end(cluster).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_alone_is_a_cluster() {
    let cluster = wishes().nodes(0).controllers(false).start().await.expect("it starts");
    assert_eq!(cluster.members().len(), 1);
    let namespace = cluster.admin().get("ns/kube-system").await.expect("kube-system is there");
    assert_eq!(namespace["status"]["phase"], "Active");
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_cluster_comes_back_the_same() {
    let place = tempfile::tempdir().expect("a folder");
    let wish = || wishes().nodes(1).storage(Storage::Sled).data_dir(place.path());
    let first = wish().start().await.expect("it starts");
    let made = serde_json::json!({"kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"a": "b"}});
    let made = first.admin().create(made).await.expect("it is created");
    let (server, plan) = (first.server(), first.plan().clone());
    let taken = wish().start().await.expect_err("a second start on the same folder is refused").told();
    assert!(taken.contains("runs on"), "{taken}");
    end(first).await;
    let other = wish().nodes(3).start().await.expect_err("another plan is refused").told();
    assert!(other.contains("has 1 nodes, not 3"), "{other}");
    let second = wish().start().await.expect("it starts again");
    assert_eq!((second.server(), second.plan()), (server, &plan));
    let found = second.admin().get("configmap/kept").await.expect("it is still there");
    assert_eq!(found["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    assert_eq!(found["metadata"]["uid"], made["metadata"]["uid"]);
    end(second).await;
}

/// Every file below a folder, with its bytes.
fn files(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("it can be read").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            files(&entry, found);
        } else {
            found.insert(entry.clone(), std::fs::read(&entry).expect("it can be read"));
        }
    }
}

#[test]
fn a_damaged_folder_is_refused_and_left_as_it_is() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("cluster");
    let options = ["--nodes", "1", "--data-dir", folder.to_str().expect("text")];
    up(&options).end();
    for (file, damage) in [
        ("store/sled/db", Some("junk")),
        ("store/last", Some("junk")),
        ("pki/ca.key", Some("junk")),
        ("pki/kubelet-node-1.crt", Some("junk")),
        ("pki/service-account.pub", None),
        ("kubeconfig/node-1", Some("{}")),
        ("tinyplane.json", Some("{")),
        ("ports.json", Some("junk")),
    ] {
        let path = folder.join(file);
        let sound = std::fs::read(&path).expect("it is there");
        match damage {
            Some(text) => std::fs::write(&path, text).expect("it can be written"),
            None => std::fs::remove_file(&path).expect("it can be removed"),
        }
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        files(&folder, &mut before);
        let output = Command::new(binary()).arg("up").args(options).output().expect("tinyplane can be run");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), told.lines().count()), (Some(2), 1), "{file}: {told}");
        let named = file.strip_prefix("store/").map_or(file, |_| "store");
        assert!(told.contains(named) && output.stdout.is_empty(), "{file}: {told}");
        files(&folder, &mut after);
        let changed = before.iter().filter(|(path, bytes)| after.get(*path) != Some(bytes)).map(|(path, _)| path);
        let changed: Vec<_> = changed.collect();
        assert!(changed.is_empty() && before.len() == after.len(), "{file}: {changed:?} of {:?}", after.keys());
        std::fs::write(&path, sound).expect("it can be written");
    }
    let (store, aside) = (folder.join("store"), place.path().join("aside"));
    std::fs::rename(&store, &aside).expect("it can be moved");
    let output = Command::new(binary()).arg("up").args(options).output().expect("tinyplane can be run");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && told.contains("store: it is missing"), "{told}");
    assert!(!store.exists(), "no empty cluster takes its place");
    std::fs::rename(aside, store).expect("it can be moved back");
    up(&options).end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_killed_can_be_brought_back() {
    let cluster = wishes().nodes(1).egress(Egress::Konnectivity(Mode::Grpc)).start().await.expect("it starts");
    for member in [Member::Controllers, Member::Kubelet, Member::KonnectivityAgent(1), Member::KonnectivityServer(1)] {
        cluster.kill(member).await.expect("it can be killed");
        cluster.restart(member).await.unwrap_or_else(|e| panic!("{member}: {}", e.told()));
    }
    cluster.admin().wait("node/node-1", "condition=Ready").await.expect("the node is Ready again");
    cluster.stop().await;
}

#[test]
fn up_says_one_line_of_json_and_ends_at_once_with_all_its_members() {
    let mut cluster = up(&["--nodes", "1"]);
    let (pids, said) = (cluster.pids(), &cluster.said);
    assert_eq!(pids.len(), 5, "{said}");
    assert!(pids.iter().copied().all(alive), "{said}");
    assert!(said["readySeconds"].as_f64().is_some_and(|s| s > 0.0) && said["server"].is_string());
    let folder = cluster.data_dir().to_owned();
    let began = std::time::Instant::now();
    cluster.signal("-TERM");
    let (status, rest, _) = cluster.output();
    assert!(began.elapsed() < AT_ONCE, "it took {:?} to end", began.elapsed());
    assert!(status.success(), "{status}");
    assert_eq!(rest, "", "one line is all that it says");
    assert!(!pids.into_iter().any(alive), "a member outlives its cluster");
    assert!(!folder.exists(), "the temporary folder outlives its cluster");
}

#[test]
fn up_ends_at_once_with_watches_open_and_ends_them() {
    let mut cluster = up(&["--nodes", "1"]);
    let pids = cluster.pids();
    let kubectl = Kubectl::with(&cluster.kubeconfig());
    let watches: Vec<Running> = ["nodes", "namespaces", "events -A", "pods -A", "configmaps -A"]
        .iter()
        .map(|what| {
            let line = format!("get {what} --watch --output-watch-events");
            Running::of(kubectl.command(&line.split_whitespace().collect::<Vec<_>>()).stderr(Stdio::null()))
        })
        .collect();
    let mut watches = watches.into_iter();
    let mut first = watches.next().expect("a watch");
    first.sees("node-1");
    let mut second = watches.next().expect("a watch");
    second.sees("kube-system");
    let began = std::time::Instant::now();
    cluster.signal("-TERM");
    assert!(cluster.ended().success());
    assert!(began.elapsed() < AT_ONCE, "it took {:?} to end", began.elapsed());
    assert!(!pids.into_iter().any(alive), "a member outlives its cluster");
    for watch in [first, second].into_iter().chain(watches) {
        // Whether it calls that a failure is kubectl's own affair: it ends.
        watch.ends();
    }
}

#[test]
fn run_gives_a_command_the_cluster_and_exits_as_it_did() {
    let output = Command::new(binary())
        .args([
            "run",
            "--nodes",
            "0",
            "--no-controllers",
            "--",
            "sh",
            "-c",
            "test -s \"$KUBECONFIG\" && echo $NO_PROXY && exit 7",
        ])
        .output()
        .expect("tinyplane can be run");
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("127.0.0.0/8"));
}

#[test]
fn a_wrong_flag_or_file_is_refused_with_one_sentence() {
    for (arguments, part) in [
        (vec!["up", "--egress", "tcp"], "konnectivity-http-connect"),
        (vec!["up", "--data-dir", "/proc"], "not a folder of Tinyplane"),
        (vec!["up", "--kubeconfig", "/nowhere/kubeconfig"], "/nowhere/kubeconfig can't be used"),
        (vec!["run", "--kubeconfig", "/proc/kubeconfig", "--", "true"], "/proc/kubeconfig can't be used"),
        (vec!["up", "--nodes", "99999"], "99999 nodes are more than one cluster can have"),
        (vec!["up", "--nodes", "-1"], "invalid value '-1' for '--nodes <N>'"),
        (vec!["apiserver", "--tls-cert-file", "/nowhere"], ""),
        (vec!["apiserver", "--audit-policy-file", "/nowhere"], "invalid value '/nowhere' for '--audit-policy-file"),
        (vec!["controllers", "--kubeconfig", "/nowhere"], "/nowhere"),
        (vec!["fly"], "fly"),
    ] {
        let output =
            Command::new(binary()).args(&arguments).stdin(Stdio::null()).output().expect("tinyplane can be run");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(part), "{arguments:?}: {told}");
    }
}
