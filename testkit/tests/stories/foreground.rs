//! `tinyplane up` as a child of the story: what it says, and which processes are its members.

use crate::scene::{PATIENCE, binary};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

/// A command that is killed when the story ends early.
pub(crate) struct Up {
    child: Child,
    /// What it said when everything was ready.
    pub(crate) said: Value,
}

impl Drop for Up {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            self.child.wait().expect("a killed child can be waited for");
        }
    }
}

/// `tinyplane up` with these arguments, once everything is ready.
pub(crate) fn up(arguments: &[&str]) -> Up {
    let mut command = Command::new(binary());
    command.arg("up").args(arguments);
    Up::ready(command)
}

impl Up {
    /// Runs a command that becomes `tinyplane up`, until everything is ready.
    pub(crate) fn ready(command: Command) -> Self {
        let mut up = Self::begun(command);
        let mut line = String::new();
        let stdout = up.child.stdout.as_mut().expect("it has a pipe");
        // No more than the line: what comes after it is looked at by the story.
        BufReader::with_capacity(1, stdout).read_line(&mut line).expect("stdout can be read");
        up.said = serde_json::from_str(&line).unwrap_or_else(|e| {
            let mut told = String::new();
            let stderr = up.child.stderr.as_mut().expect("it has a pipe");
            stderr.read_to_string(&mut told).expect("stderr can be read");
            panic!("{line:?} is no JSON: {e}; it complained:\n{told}")
        });
        up
    }

    /// Runs such a command, and waits for nothing.
    pub(crate) fn begun(mut command: Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tinyplane can be run");
        Self { child, said: Value::Null }
    }

    /// The members' processes, as they were when everything was ready.
    pub(crate) fn pids(&self) -> Vec<u64> {
        let members = self.said["members"].as_array().expect("members");
        members.iter().map(|member| member["pid"].as_u64().expect("a process")).collect()
    }

    /// A member, as it was when everything was ready.
    pub(crate) fn member(&self, name: &str) -> &Value {
        let members = self.said["members"].as_array().expect("members");
        members.iter().find(|member| member["name"] == name).unwrap_or_else(|| panic!("no {name}: {}", self.said))
    }

    pub(crate) fn data_dir(&self) -> &Path {
        Path::new(self.said["dataDir"].as_str().expect("a folder"))
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.said["kubeconfig"].as_str().expect("a file").into()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(u64::from(self.child.id()), name);
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }

    /// Waits for its end, and gives all that it said and complained of.
    pub(crate) fn output(&mut self) -> (ExitStatus, String, String) {
        let (mut said, mut told) = (String::new(), String::new());
        self.child.stdout.as_mut().expect("it has a pipe").read_to_string(&mut said).expect("stdout can be read");
        self.child.stderr.as_mut().expect("it has a pipe").read_to_string(&mut told).expect("stderr can be read");
        (self.ended(), said, told)
    }

    /// Ends it as Ctrl-C does, and sees that nothing is left.
    pub(crate) fn end(mut self) {
        self.signal("-TERM");
        let status = self.ended();
        assert!(status.success(), "{status}");
        assert!(!self.pids().into_iter().any(alive), "a member outlives its cluster: {}", self.said);
    }
}

pub(crate) fn signal(pid: u64, name: &str) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status().expect("kill can be run");
    assert!(sent.success());
}

/// Whether a process runs; one that has ended and was not waited for does not.
pub(crate) fn alive(pid: u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !status.is_empty() && !status.contains(") Z ")
}

/// The processes whose command line names a folder: members of the cluster that is in it, and its `up`.
pub(crate) fn processes_on(folder: &Path) -> Vec<u64> {
    let named = folder.to_string_lossy().into_owned();
    let names_it = |pid: &u64| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&named) && alive(*pid)
    };
    let entries = std::fs::read_dir("/proc").expect("/proc can be read").filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(names_it).collect()
}

/// Looks again and again until something holds; what is waited for has no watch.
#[track_caller]
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what} did not come to hold");
        std::thread::yield_now();
    }
}
