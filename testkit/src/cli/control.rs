//! `tinyplane kill|restart|logs|fault`: words to a cluster that runs elsewhere, over a Unix socket of its owner.

use super::{Failure, answer};
use crate::cluster::running_under;
use crate::fault::{Order, Outcome};
use crate::{Cluster, Member, Security};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tinyplane_wire::net::{TcpDial, UnixDial, UnixListener, UnixStream, bind_unix};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::task::JoinHandle;

/// Longest line of the control socket, in bytes.
pub(super) const LINE_BYTES_MAX: u64 = 1 << 20;
/// How often a followed log is looked at.
const LOOK_MILLIS: u64 = 100;
/// In the environment of what `tinyplane run` runs: the folder of its cluster, which is then the one that words are said to.
pub(super) const DATA_DIR: &str = "TINYPLANE_DATA_DIR";
/// The socket's name in a cluster's runtime folder.
const SOCKET: &str = "control.sock";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// apiserver, controllers, kubelet, konnectivity-server or konnectivity-agent
    member: Member,
    /// Folder of the cluster; needed where several run
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct LogArguments {
    #[command(flatten)]
    of: Arguments,
    /// Go on as the log grows
    #[arg(short, long)]
    follow: bool,
}

#[derive(Debug, Args)]
pub(super) struct SecureArguments {
    /// strict: the API server verifies kubelets' certificates. open: it does not, as is Kubernetes' default
    checks: Checks,
    /// Folder of the cluster; needed where several run
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// What is checked on the way to a node.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize, Deserialize)]
enum Checks {
    Strict,
    Open,
}

/// A word, and what it is about.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) verb: String,
    member: Option<String>,
    #[serde(default)]
    pub(super) fault: Option<Order>,
    #[serde(default)]
    security: Option<Checks>,
}

impl Request {
    fn to(verb: &str, member: Option<Member>) -> Self {
        Self { verb: verb.into(), member: member.map(|m| m.to_string()), fault: None, security: None }
    }

    /// A word about faults.
    pub(super) fn about(order: Order) -> Self {
        Self { fault: Some(order), ..Self::to("fault", None) }
    }
}

/// What became of a word.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    #[serde(default)]
    data_dir: PathBuf,
    #[serde(default)]
    pub(super) error: Option<String>,
    /// The faults that it was about.
    #[serde(default)]
    pub(super) faults: Vec<Outcome>,
}

impl Answer {
    pub(super) fn of(outcome: Result<Vec<Outcome>, String>) -> Self {
        match outcome {
            Ok(faults) => Self { faults, ..Self::default() },
            Err(error) => Self { error: Some(error), ..Self::default() },
        }
    }

    pub(super) fn line(&self) -> io::Result<Vec<u8>> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        Ok(text)
    }
}

/// Listens for words to a cluster, until dropped.
pub(super) struct Control(JoinHandle<()>);

impl Control {
    pub(super) fn serve(cluster: &Arc<Cluster>) -> io::Result<Self> {
        let listener = bind_unix(&cluster.runtime_dir().join(SOCKET), true)?;
        Ok(Self(tokio::spawn(listen(listener, Arc::downgrade(cluster)))))
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn listen(listener: UnixListener, cluster: Weak<Cluster>) {
    loop {
        let stream = listener.accept().await;
        let Some(cluster) = cluster.upgrade() else { return };
        if let Err(error) = converse(stream, &cluster).await {
            tracing::debug!(%error, "a word to the cluster was cut short");
        }
    }
}

async fn converse(stream: UnixStream, cluster: &Cluster) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reading.take(LINE_BYTES_MAX)).read_line(&mut line).await?;
    let outcome = match serde_json::from_str::<Request>(&line) {
        Ok(request) => obey(request, cluster).await,
        Err(error) => Err(error.to_string()),
    };
    let answer = Answer { data_dir: cluster.data_dir().to_owned(), ..Answer::of(outcome) };
    writing.write_all(&answer.line()?).await
}

async fn obey(request: Request, cluster: &Cluster) -> Result<Vec<Outcome>, String> {
    let member = request.member.as_deref().map(str::parse::<Member>).transpose()?;
    let done = match (request.verb.as_str(), member, request.fault) {
        ("where", ..) => Ok(()),
        ("kill", Some(member), _) => cluster.kill(member).await,
        ("restart", Some(member), _) => cluster.restart(member).await,
        ("secure", ..) => match request.security {
            Some(Checks::Strict) => cluster.secure(Security::strict()).await,
            Some(Checks::Open) => cluster.secure(Security::open()).await,
            None => return Err("how secure it should be is not said".into()),
        },
        ("fault", _, Some(order)) => return cluster.obey(order).await.map_err(|e| e.told()),
        (verb, ..) => return Err(format!("{verb:?} is no word that a cluster knows")),
    };
    done.map(|()| Vec::new()).map_err(|e| e.told())
}

/// Says a word to the cluster that is meant.
pub(super) async fn ask(verb: &str, arguments: Arguments) -> Result<ExitCode, Failure> {
    let socket = find(arguments.data_dir.as_deref()).await?.0;
    done(say_to(&socket, &Request::to(verb, Some(arguments.member))).await)
}

/// Changes what the cluster that is meant checks.
pub(super) async fn secure(arguments: SecureArguments) -> Result<ExitCode, Failure> {
    let socket = find(arguments.data_dir.as_deref()).await?.0;
    let request = Request { security: Some(arguments.checks), ..Request::to("secure", None) };
    done(say_to(&socket, &request).await)
}

fn done(said: io::Result<Answer>) -> Result<ExitCode, Failure> {
    match said.map_err(|e| Failure::later(e.to_string()))?.error {
        None => Ok(ExitCode::SUCCESS),
        Some(error) => Err(Failure::later(error)),
    }
}

/// Prints a member's log.
pub(super) async fn logs(arguments: LogArguments) -> Result<ExitCode, Failure> {
    let folder = match &arguments.of.data_dir {
        Some(folder) => folder.clone(),
        None => find(None).await?.1,
    };
    let path = folder.join("logs").join(format!("{}.log", arguments.of.member));
    let failed = |e: io::Error| Failure::later(format!("{} can't be read: {e}", path.display()));
    let mut file = tokio::fs::File::open(&path).await.map_err(failed)?;
    loop {
        let mut text = Vec::new();
        file.read_to_end(&mut text).await.map_err(failed)?;
        if !text.is_empty() {
            answer(String::from_utf8_lossy(&text).trim_end_matches('\n'));
        }
        if !arguments.follow {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MILLIS)).await;
    }
}

/// Says a word on a control socket.
pub(super) async fn say_to(socket: &Path, request: &Request) -> io::Result<Answer> {
    say_on(UnixDial::to(socket).connect()?, request).await
}

/// Says a word about faults at the control port of a relay.
pub(super) async fn say_at(at: &str, order: Order) -> io::Result<Answer> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, format!("{at:?} is not HOST:PORT"));
    let (host, port) = at.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpDial::from(None).connect_to(host, port.parse().map_err(|_| wrong())?).await?;
    say_on(stream, &Request::about(order)).await
}

async fn say_on(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &Request) -> io::Result<Answer> {
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    stream.write_all(&text).await?;
    let mut line = String::new();
    BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut line).await?;
    Ok(serde_json::from_str(&line)?)
}

/// The socket and the folder of the cluster that is meant: the one in this folder, that of the `tinyplane run` around us, or the only one.
pub(super) async fn find(data_dir: Option<&Path>) -> Result<(PathBuf, PathBuf), Failure> {
    let around = std::env::var_os(DATA_DIR).map(PathBuf::from);
    let wanted = data_dir.or(around.as_deref());
    let wanted = wanted.map(|folder| std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()));
    let mut running = Vec::new();
    for folder in running_under() {
        let socket = folder.join(SOCKET);
        if let Ok(answer) = say_to(&socket, &Request::to("where", None)).await {
            running.push((socket, answer.data_dir));
        }
    }
    if let Some(wanted) = wanted {
        let found = running.into_iter().find(|(_, folder)| *folder == wanted);
        return found.ok_or_else(|| Failure::usage(format!("no cluster runs on {}", wanted.display())));
    }
    match running.len() {
        0 => Err(Failure::usage("no cluster of this user runs here")),
        1 => running.pop().ok_or_else(|| Failure::usage("no cluster of this user runs here")),
        n => {
            let folders: Vec<String> = running.iter().map(|(_, folder)| folder.display().to_string()).collect();
            Err(Failure::usage(format!("{n} clusters run here: say which by --data-dir: {}", folders.join(", "))))
        }
    }
}
