//! Clusters and users side by side, and what the machine around a cluster may be like.

use crate::foreground::{Up, up};
use crate::scene::{Kubectl, binary};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest path of a Unix socket on Linux, in bytes.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// A user that every machine has, and the group.
const NOBODY: &str = "65534";

/// `up` of another user, where this one may become somebody else. The binary is copied to where everybody can read it.
#[expect(clippy::print_stderr, reason = "what is passed over is told loudly")]
fn up_as_somebody_else(place: &Path) -> Option<Command> {
    let by_root =
        Command::new("setpriv").args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "true"]).output();
    if !by_root.is_ok_and(|tried| tried.status.success()) {
        eprintln!("PASSED OVER: a second user beside the first: this one can't become another (setpriv)");
        return None;
    }
    let all = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(place, all.clone()).expect("the folder is opened to all");
    let program = place.join("tinyplane");
    std::fs::copy(binary(), &program).expect("the binary is copied");
    std::fs::set_permissions(&program, all).expect("it may be run by all");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(program).args(["up", "--nodes", "1"]);
    command.env("TMPDIR", place).env("HOME", place).current_dir(place);
    Some(command)
}

fn host(cluster: &Up) -> String {
    cluster.said["server"].as_str().expect("a server").rsplit_once(':').expect("a port").0.to_owned()
}

#[test]
fn clusters_and_users_side_by_side_never_collide() {
    let place = tempfile::tempdir().expect("a folder");
    let mine = || {
        let mut command = Command::new(binary());
        command.args(["up", "--nodes", "1"]);
        command
    };
    let commands: Vec<Command> =
        [Some(mine()), Some(mine()), up_as_somebody_else(place.path())].into_iter().flatten().collect();
    // All at the same time: they look for a place in the same moment.
    let starts: Vec<_> = commands.into_iter().map(|command| std::thread::spawn(|| Up::ready(command))).collect();
    let clusters: Vec<Up> = starts.into_iter().map(|start| start.join().expect("it starts")).collect();
    let mut hosts: Vec<String> = clusters.iter().map(host).collect();
    hosts.sort();
    hosts.dedup();
    assert_eq!(hosts.len(), clusters.len(), "two clusters have one address: {hosts:?}");
    let kubectls: Vec<Kubectl> = clusters.iter().map(|cluster| Kubectl::with(&cluster.kubeconfig())).collect();
    for (i, kubectl) in kubectls.iter().enumerate() {
        kubectl.run(&format!("create configmap only-{i}"));
        kubectl.run("run web --image=nginx");
        kubectl.run("wait pod/web --for=condition=Ready --timeout=60s");
        assert_eq!(kubectl.run("exec web -- echo hello"), "hello\n");
    }
    for (i, kubectl) in kubectls.iter().enumerate() {
        let names = kubectl.run("get configmaps -o name");
        for j in 0..clusters.len() {
            assert_eq!(names.contains(&format!("configmap/only-{j}\n")), i == j, "cluster {i} has {names}");
        }
    }
    // One's credentials are nothing in another.
    let server = clusters[1].said["server"].as_str().expect("a server");
    let refused = kubectls[0]
        .fails(&format!("get nodes --server={server} --insecure-skip-tls-verify=true --certificate-authority="));
    assert!(refused.contains("Unauthorized") || refused.contains("must be logged in"), "{refused}");
    // And one's end is not the end of another.
    let mut clusters = clusters.into_iter();
    clusters.next().expect("a first").end();
    for kubectl in &kubectls[1..] {
        assert_eq!(kubectl.run("exec web -- echo still"), "still\n");
    }
    clusters.for_each(Up::end);
}

fn sockets_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("it can be read").filter_map(Result::ok) {
        let kind = entry.file_type().expect("it has a kind");
        if kind.is_dir() {
            found.extend(sockets_below(&entry.path()));
        } else if kind.is_socket() {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn few_descriptors_a_deep_folder_and_a_dead_proxy_are_no_hindrance() {
    let place = tempfile::tempdir().expect("a folder");
    let deep = place.path().join("a-folder-with-a-long-name".repeat(5)).join("and-another-one-in-it");
    assert!(deep.as_os_str().len() > SOCKET_PATH_BYTES_MAX);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -S -n 200 && exec \"$0\" up --nodes 1 --data-dir \"$1\""]).arg(binary()).arg(&deep);
    // Nobody listens on this port, in any address of the machine's own network.
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env(name, "http://127.0.0.1:1");
    }
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    let cluster = Up::ready(command);
    let kubectl = Kubectl::with(&cluster.kubeconfig());
    kubectl.run("run web --image=nginx --port=80");
    kubectl.run("wait pod/web --for=condition=Ready --timeout=60s");
    assert_eq!(kubectl.run("exec web -- echo hello"), "hello\n");
    assert!(kubectl.run_with(&["get", "--raw", "/api/v1/namespaces/default/pods/web:80/proxy/"]).contains("nginx"));
    for pid in cluster.pids() {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("a process has limits");
        let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("one of them");
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[3], words[4], "{pid} could have more descriptors: {line}");
        assert_ne!(words[3], "200", "{pid}: {line}");
    }
    assert_eq!(sockets_below(cluster.data_dir()), [] as [PathBuf; 0]);
    let listening = std::fs::read_to_string("/proc/net/unix").expect("the kernel tells of sockets");
    let paths = listening.lines().filter_map(|line| line.rsplit(' ').next()).filter(|path| path.contains("tinyplane-"));
    assert!(paths.clone().any(|path| path.ends_with("/konnectivity.sock")), "{listening}");
    assert!(paths.clone().all(|path| path.len() <= SOCKET_PATH_BYTES_MAX), "{listening}");
    cluster.end();
}

#[test]
fn a_second_cluster_on_a_folder_is_refused_and_the_first_goes_on() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("cluster");
    let named = folder.to_str().expect("a name of letters");
    let first = up(&["--nodes", "0", "--no-controllers", "--data-dir", named]);
    let mut command = Command::new(binary());
    command.args(["up", "--data-dir", named]);
    let (status, said, told) = Up::begun(command).output();
    assert_eq!((status.code(), said.as_str()), (Some(2), ""), "{told}");
    assert!(told.contains("runs on"), "{told}");
    assert_eq!(Kubectl::with(&first.kubeconfig()).run("get --raw /readyz"), "ok");
    first.end();
}
