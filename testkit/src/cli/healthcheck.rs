//! `tinyplane healthcheck TARGET`: whether a member is well, told by the exit code, as a container without a shell asks.

use super::{EXIT_FAILED, Failure, say};
use clap::Args;
use http::{Method, Uri};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tinyplane_wire::client::Client;
use tinyplane_wire::net::{Dial, Stream, TcpDial};
use tinyplane_wire::process::told;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How the check calls itself to the API server.
const USER_AGENT: &str = concat!("tinyplane-healthcheck/", env!("CARGO_PKG_VERSION"));
/// Longest wait for an answer, unless told otherwise.
const WAIT_SECONDS: u64 = 4;
/// How much of an answer is read: its first line.
const ANSWER_BYTES_MAX: u64 = 1024;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// tcp://HOST:PORT to connect to, http://HOST:PORT/PATH to get, or with --kubeconfig a /PATH of the API server
    target: Uri,
    /// Who asks the API server, and where it is
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// A condition that the object at the path has to have, such as a node's Ready
    #[arg(long, value_name = "TYPE", requires = "kubeconfig")]
    condition: Option<String>,
    /// Ask again until all is well, for this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(arguments.wait);
    loop {
        let checked = tokio::time::timeout(Duration::from_secs(WAIT_SECONDS), check(&arguments)).await;
        let why = match checked {
            Ok(Ok(())) => return Ok(ExitCode::SUCCESS),
            Ok(Err(Unwell(why))) => why,
            Err(_) => format!("no answer within {WAIT_SECONDS} s"),
        };
        if tokio::time::Instant::now() >= deadline {
            say(&why);
            return Ok(ExitCode::from(EXIT_FAILED));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// How soon it is asked again.
const AGAIN: Duration = Duration::from_millis(250);

/// What is wrong.
struct Unwell(String);

impl<E: std::error::Error> From<E> for Unwell {
    fn from(error: E) -> Self {
        Self(told(&error))
    }
}

async fn check(arguments: &Arguments) -> Result<(), Unwell> {
    let target = &arguments.target;
    if let Some(kubeconfig) = &arguments.kubeconfig {
        return of_apiserver(kubeconfig, target.path(), arguments.condition.as_deref()).await;
    }
    let (Some(host), Some(port)) = (target.host(), target.port_u16()) else {
        return Err(Unwell(format!("{target} names no host and port, and there is no --kubeconfig")));
    };
    let stream = TcpDial::from(None).dial(host, port).await?;
    match target.scheme_str() {
        Some("tcp") => Ok(()),
        Some("http") => of_endpoint(stream, target).await,
        _ => Err(Unwell(format!("{target} is neither tcp:// nor http://"))),
    }
}

/// Asks in the plainest form of HTTP, and takes 200 for an answer.
async fn of_endpoint(mut stream: Box<dyn Stream>, target: &Uri) -> Result<(), Unwell> {
    let host = target.authority().map(ToString::to_string).unwrap_or_default();
    stream.write_all(format!("GET {} HTTP/1.0\r\nHost: {host}\r\n\r\n", target.path()).as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    match answer.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(Unwell(format!("{target}: {}", answer.lines().next().unwrap_or("no answer")))),
    }
}

async fn of_apiserver(kubeconfig: &Path, path: &str, condition: Option<&str>) -> Result<(), Unwell> {
    let client = Client::from_kubeconfig(kubeconfig, None, USER_AGENT)?;
    let Some(condition) = condition else {
        let answer = client.connection().request(Method::GET, path)?.send().await?;
        return match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(Unwell(format!("{path}: {status}"))),
        };
    };
    let object = client.request(Method::GET, path, None).await?;
    let conditions = object["status"]["conditions"].as_array();
    match conditions.into_iter().flatten().find(|found| found["type"] == condition) {
        Some(found) if found["status"] == "True" => Ok(()),
        found => Err(Unwell(format!("{path}: {condition}: {}", found.unwrap_or(&Value::Null)["message"]))),
    }
}
