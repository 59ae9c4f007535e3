//! What the stories share: a cluster of this workspace's own binary, and kubectl.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tinyplane::{Builder, Cluster, RunnerChoice};

/// Longest that a story waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Wishes for a cluster whose members are processes of the binary that was built with this test, or tasks of this
/// process where `TINYPLANE_RUNNER` says `in-process`: the same bodies on both.
pub(crate) fn wishes() -> Builder {
    let runner = match std::env::var("TINYPLANE_RUNNER").as_deref() {
        Ok("in-process") => RunnerChoice::InProcess,
        _ => RunnerChoice::ProcessesOf(binary()),
    };
    Cluster::builder().runner(runner)
}

/// The binary that was built with this test, or the copy of it that a run as another user names.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("TINYPLANE_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_tinyplane").into()).into()
}

/// The kubectl that `TINYPLANE_KUBECTL` names, else every one on PATH, once each.
pub(crate) fn kubectls() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os("TINYPLANE_KUBECTL") {
        return vec![named.into()];
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> =
        std::env::split_paths(&path).map(|f| f.join("kubectl")).filter(|f| f.is_file()).collect();
    found.dedup();
    assert!(!found.is_empty(), "no kubectl on PATH: ./test installs one");
    found
}

/// A kubectl that speaks to one cluster.
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: tempfile::TempDir,
}

impl Kubectl {
    /// The first kubectl.
    pub(crate) fn of(cluster: &Cluster) -> Self {
        Self::at(&kubectls()[0], cluster)
    }

    pub(crate) fn at(program: &Path, cluster: &Cluster) -> Self {
        Self::by(program, cluster.kubeconfig("admin"))
    }

    /// The first kubectl, with a kubeconfig.
    pub(crate) fn with(kubeconfig: &Path) -> Self {
        Self::by(&kubectls()[0], kubeconfig.to_owned())
    }

    fn by(program: &Path, kubeconfig: PathBuf) -> Self {
        Self {
            program: program.to_owned(),
            kubeconfig,
            home: tempfile::tempdir().expect("a folder for kubectl's cache"),
        }
    }

    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(&self.program);
        command.env("KUBECONFIG", &self.kubeconfig).env("HOME", self.home.path()).args(arguments).stdin(Stdio::null());
        command
    }

    /// As `command`, on a terminal of 24 lines and 80 columns whose keys are the command's standard input.
    pub(crate) fn on_a_terminal(&self, line: &str) -> Command {
        let mut command = Command::new("script");
        let typed = format!("stty rows 24 cols 80; {} {line}", self.program.display());
        command.args(["--quiet", "--return", "--command", &typed, "/dev/null"]).stdin(Stdio::piped());
        command.env("KUBECONFIG", &self.kubeconfig).env("HOME", self.home.path());
        command
    }

    /// Creates what a manifest says.
    #[track_caller]
    pub(crate) fn create(&self, manifest: &str) {
        told("create -f -", &self.feed(&["create", "-f", "-"], manifest.as_bytes()));
    }

    /// A folder of its own, for files of the story.
    pub(crate) fn folder(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn output(&self, line: &str) -> Output {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        self.command(&arguments).output().expect("kubectl can be run")
    }

    /// Runs, and gives what was printed; the story ends where it fails.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> String {
        told(line, &self.output(line))
    }

    /// As `run`, with arguments that hold spaces.
    #[track_caller]
    pub(crate) fn run_with(&self, arguments: &[&str]) -> String {
        told(&arguments.join(" "), &self.command(arguments).output().expect("kubectl can be run"))
    }

    /// Runs with something on standard input.
    #[track_caller]
    pub(crate) fn feed(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl can be run");
        child.stdin.take().expect("it has a pipe").write_all(input).expect("kubectl reads");
        child.wait_with_output().expect("kubectl ends")
    }

    /// Runs, and gives what it complained of; the story ends where it succeeds.
    #[track_caller]
    pub(crate) fn fails(&self, line: &str) -> String {
        let output = self.output(line);
        assert!(!output.status.success(), "kubectl {line} should fail: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Runs again and again until what it prints is as wished; the state that is waited for has no watch of its own.
    #[track_caller]
    pub(crate) fn until(&self, line: &str, wished: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let output = self.output(line);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            if output.status.success() && wished(&text) {
                return text;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "kubectl {line} did not come to what is wished; the last was:\n{text}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

/// A command that is spoken with while it runs, and is killed when the story ends.
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: String,
}

impl Running {
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the command can be run");
        let (input, output) = (child.stdin.take(), child.stdout.take().expect("it has a pipe"));
        let (told, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if told.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, input, lines, seen: String::new() }
    }

    /// Sends text to its standard input.
    pub(crate) fn types(&mut self, text: &str) {
        let input = self.input.as_mut().expect("the command was given a pipe");
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).expect("the command reads");
    }

    /// Sends a line, and waits until it comes back.
    #[track_caller]
    pub(crate) fn echoes(&mut self, line: &str) {
        self.types(&format!("{line}\n"));
        assert_eq!(self.sees(line), line);
    }

    /// Waits for a line with a text in it, and gives it.
    #[track_caller]
    pub(crate) fn sees(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => self.seen.push_str(&(line + "\n")),
                Err(_) => panic!("{text:?} was not seen in\n{}", self.seen),
            }
        }
    }

    /// Says no more to it and waits for its end, while what it prints is taken.
    #[track_caller]
    pub(crate) fn ends(mut self) -> ExitStatus {
        self.input = None;
        let until = Instant::now() + PATIENCE;
        while self.lines.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
        assert!(Instant::now() < until, "the command does not end");
        self.child.wait().expect("it can be waited for")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            self.child.wait().expect("a killed child can be waited for");
        }
    }
}

#[track_caller]
fn told(line: &str, output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "kubectl {line}: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Ends a cluster, and the story with it when a member logged what should never happen.
pub(crate) async fn end(cluster: Cluster) {
    let report = cluster.stop().await;
    assert_eq!(report.unexpected_errors(), [] as [String; 0]);
}
