//! However a cluster or its start ends, no member is left; and what a member does when it is asked twice.

use crate::foreground::{Up, alive, processes_on, signal, until, up};
use crate::scene::{Kubectl, Running, binary};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tinyplane::{Cluster, RunnerChoice};

/// `tinyplane up` in a folder, whose temporary files are in another.
fn up_in(folder: &Path, temporary: &Path) -> Command {
    let mut command = Command::new(binary());
    command.arg("up").arg("--data-dir").arg(folder).args(["--nodes", "1"]).env("TMPDIR", temporary);
    command
}

fn nothing_is_left(folder: &Path) {
    until("the end of every member", || processes_on(folder).is_empty());
}

#[test]
fn members_end_with_a_parent_that_is_killed() {
    let mut cluster = up(&["--nodes", "1", "--no-restart"]);
    let (pids, folder) = (cluster.pids(), cluster.data_dir().to_owned());
    cluster.signal("-KILL");
    cluster.ended();
    until("the end of every member", || !pids.iter().copied().any(alive));
    std::fs::remove_dir_all(folder).expect("what a killed parent leaves can be removed");
}

#[test]
fn a_parent_that_is_killed_or_told_to_end_while_it_starts_leaves_no_member() {
    for name in ["-KILL", "-TERM", "-INT"] {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("cluster");
        let mut starting = Up::begun(up_in(&folder, place.path()));
        // Its own command line names the folder as well.
        until("a first member", || processes_on(&folder).len() > 1);
        starting.signal(name);
        let (status, said, told) = starting.output();
        assert_eq!(status.success(), name != "-KILL", "{name}: {told}");
        assert_eq!(said, "", "{name}: it is not ready");
        nothing_is_left(&folder);
        // What was begun can be used: the start that was cut short has left a whole folder, or none.
        let mut command = Command::new(binary());
        command.arg("up").arg("--data-dir").arg(&folder).args(["--nodes", "1"]);
        Up::ready(command).end();
    }
}

#[test]
fn a_temporary_folder_is_gone_when_a_start_is_told_to_end() {
    let place = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(binary());
    command.args(["up", "--nodes", "1"]).env("TMPDIR", place.path());
    let mut starting = Up::begun(command);
    until("a first member", || processes_on(place.path()).len() > 1);
    starting.signal("-TERM");
    assert!(starting.ended().success());
    nothing_is_left(place.path());
    assert_eq!(std::fs::read_dir(place.path()).expect("it can be read").count(), 0);
}

/// A program that is `tinyplane`, but for one member, which complains and ends.
fn broken(place: &Path, member: &str) -> PathBuf {
    let program = place.join("tinyplane");
    let text = format!(
        "#!/bin/sh\nif [ \"$1\" = {member} ]; then echo \"tinyplane: it is broken\" >&2; exit 2; fi\nexec {} \"$@\"\n",
        binary().display()
    );
    std::fs::write(&program, text).expect("it can be written");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("it can be made a program");
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_fails_in_the_middle_of_a_start_takes_the_others_along() {
    for member in ["apiserver", "controllers", "kubelet", "konnectivity-server", "konnectivity-agent"] {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("cluster");
        let runner = RunnerChoice::ProcessesOf(broken(place.path(), member));
        let wish = Cluster::builder().nodes(1).data_dir(&folder).runner(runner);
        let told = wish.start().await.expect_err("a member is broken").told();
        assert!(told.starts_with(&format!("{member} did not start")) && told.contains("it is broken"), "{told}");
        assert_eq!(processes_on(&folder), [] as [u64; 0], "{member}: another outlives a failed start");
    }
}

#[test]
fn the_first_signal_drains_an_agent_and_the_second_ends_it() {
    let cluster = up(&["--nodes", "1", "--no-restart"]);
    let kubectl = Kubectl::with(&cluster.kubeconfig());
    kubectl.run("run web --image=nginx");
    kubectl.run("wait pod/web --for=condition=Ready --timeout=60s");
    let mut cat = Running::of(kubectl.command(&["exec", "-i", "web", "--", "cat"]).stdin(Stdio::piped()));
    cat.echoes("before");
    let agent = cluster.member("konnectivity-agent")["pid"].as_u64().expect("a process");
    let log = cluster.data_dir().join("logs").join("konnectivity-agent.log");
    let logged = |text: &str| std::fs::read_to_string(&log).unwrap_or_default().contains(text);
    signal(agent, "-TERM");
    until("the agent's asking for no further dials", || logged("asking for no further dials"));
    // What is open goes on, and while there is no other agent, new connections are taken as well.
    cat.echoes("while it drains");
    assert_eq!(kubectl.run("exec web -- echo hello"), "hello\n");
    assert!(alive(agent));
    signal(agent, "-TERM");
    until("the end of the agent", || !alive(agent));
    assert!(!cat.ends().success(), "the stream was cut");
    let told = kubectl.fails("exec web -- echo hello");
    assert!(told.contains("No agent available"), "{told}");
    cluster.end();
}
