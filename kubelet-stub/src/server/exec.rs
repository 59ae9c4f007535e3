//! `/exec`, `/attach` and `/run`: commands in containers, and their streams.

use super::endpoints::{Endpoints, PodPath};
use super::logs::declared;
use super::query::Query;
use super::reply::{self, Reply, failure};
use crate::runtime::{ContainerId, Stdio, TerminalSize};
use axum::body::Body;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tinyplane_wire::streaming::handshake::{self, Purpose, Spoken};
use tinyplane_wire::streaming::remote::{self, End, RemoteStreams, Sizes, Wanted};
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Most output of `/run` that is answered; the rest is thrown away.
const RUN_BYTES_MAX: usize = 1024 * 1024;
/// Sizes of a terminal that wait for a program.
const SIZES_MAX: usize = 4;

/// How long it takes until a command begins, or the output of a program that is joined: part of what a runtime is emulated to be, for a
/// real one needs some tens of milliseconds. client-go of Kubernetes 1.32 throws away what arrives over a WebSocket before it has made
/// its streams, which it does once it was told of the upgrade; nothing that it sends says that it has, so there is nothing else to wait on.
pub(super) const BEGINS_AFTER: Duration = Duration::from_millis(10);

/// What is done in the container.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Runs a command of its own.
    Exec(Vec<String>),
    /// Joins the main program.
    Attach,
}

impl Endpoints {
    /// `/exec/…` and `/attach/…`: answers 101 and serves the streams in a task.
    pub(super) fn remote_command(
        &self,
        at: &PodPath<'_>,
        act: Act,
        query: &Query,
        request: Request<Incoming>,
    ) -> Reply {
        let wanted = wanted(query)?;
        let pod = self.pods.pod(at.namespace, at.pod);
        let pod = pod.ok_or_else(|| failure(StatusCode::NOT_FOUND, "pod does not exist"))?;
        let container = self.find_container(&pod, at)?;
        let (spoken, response) = match handshake::accept(request.headers(), Purpose::RemoteCommand) {
            Ok(accepted) => accepted,
            Err(refusal) => return Ok(reply::refused(&refusal)),
        };
        let tty = match act {
            Act::Exec(_) => wanted.tty,
            // A terminal is there or not since the program started; a client can't change that.
            Act::Attach => declared(&pod, at.container).is_some_and(|c| c["tty"] == true),
        };
        let job = Job { container, act, tty };
        let (this, shutdown) = (self.clone(), self.shutdown.clone());
        tokio::spawn(async move {
            let served = async {
                let upgraded = hyper::upgrade::on(request).await.map_err(std::io::Error::other)?;
                this.serve_streams(upgraded, spoken, wanted, job).await
            };
            tokio::select! {
                outcome = served => if let Err(error) = outcome {
                    tracing::debug!(%error, "a remote command's client was lost");
                },
                () = shutdown.cancelled() => {}
            }
        });
        Ok(response.map(|()| Body::empty()))
    }

    fn find_container(&self, pod: &Value, at: &PodPath<'_>) -> Result<ContainerId, super::auth::Denied> {
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        let id = at.uid.is_none_or(|wanted| wanted == uid).then(|| self.pods.container(uid, at.container)).flatten();
        let told = || format!("container not found (\"{}\")", at.container);
        id.ok_or_else(|| failure(StatusCode::INTERNAL_SERVER_ERROR, told()))
    }

    async fn serve_streams(&self, upgraded: Upgraded, spoken: Spoken, wanted: Wanted, job: Job) -> std::io::Result<()> {
        let streams = remote::accept(TokioIo::new(upgraded), spoken, wanted).await?;
        let RemoteStreams { stdin, stdout, stderr, resize, closed, end } = streams;
        let resize = resize.filter(|_| job.tty).map(|from| terminal_sizes(Sizes::of(from), closed.clone()));
        let stdio = Stdio { stdin, stdout, stderr, tty: job.tty, resize };
        let ended = tokio::select! {
            ended = self.run(job, stdio) => ended,
            // Dropping the run ends the command: nobody is left to hear it.
            () = closed.cancelled() => return Ok(()),
        };
        end.tell(&ended).await
    }

    async fn run(&self, job: Job, stdio: Stdio) -> End {
        tokio::time::sleep(BEGINS_AFTER).await;
        match job.act {
            Act::Exec(command) => {
                let told = format!("error executing command [{}]", command.join(" "));
                match self.runtime.exec(&job.container, command, stdio).await {
                    Ok(0) => End::Success,
                    Ok(code) => End::ExitCode(code, format!("{told}, exit code {code}")),
                    Err(error) => End::Failure(format!("error executing command in container: {error}")),
                }
            }
            // How the program ended stands in the pod's status; the streams just end.
            Act::Attach => match self.runtime.attach(&job.container, stdio).await {
                Ok(_) => End::Success,
                Err(error) => End::Failure(format!("error attaching to container: {error}")),
            },
        }
    }

    /// `POST /run/…?cmd=…`: runs a command and answers with what it wrote.
    pub(super) async fn run_command(
        &self,
        at: &PodPath<'_>,
        query: &Query,
    ) -> Result<Response<Body>, super::auth::Denied> {
        let pod = self.pods.pod(at.namespace, at.pod);
        let pod = pod.ok_or_else(|| failure(StatusCode::NOT_FOUND, "pod does not exist"))?;
        let container = self.find_container(&pod, at)?;
        let line = query.first("cmd").unwrap_or_default();
        let command: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let collected = Collected::default();
        let stdio = Stdio {
            stdout: Some(Box::new(collected.clone())),
            stderr: Some(Box::new(collected.clone())),
            ..Stdio::default()
        };
        let failed = |text: String| failure(StatusCode::INTERNAL_SERVER_ERROR, text);
        match self.runtime.exec(&container, command, stdio).await {
            Ok(0) => Ok(reply::answer(StatusCode::OK, "application/json", collected.take())),
            Ok(code) => {
                let output = collected.take();
                let output = String::from_utf8_lossy(&output);
                Err(failed(format!("command '{line}' exited with {code}: {output}")))
            }
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

struct Job {
    container: ContainerId,
    act: Act,
    tty: bool,
}

fn wanted(query: &Query) -> Result<Wanted, super::auth::Denied> {
    let set = |name: &str| query.first(name) == Some("1");
    let tty = set("tty");
    let wanted = Wanted { stdin: set("input"), stdout: set("output"), stderr: set("error") && !tty, tty };
    if wanted.stdin || wanted.stdout || wanted.stderr {
        Ok(wanted)
    } else {
        Err(failure(StatusCode::BAD_REQUEST, "you must specify at least 1 of stdin, stdout, stderr"))
    }
}

fn terminal_sizes(mut sizes: Sizes, closed: CancellationToken) -> mpsc::Receiver<TerminalSize> {
    let (sender, receiver) = mpsc::channel(SIZES_MAX);
    tokio::spawn(async move {
        let tell = async {
            while let Some(size) = sizes.next().await {
                if sender.send(TerminalSize { width: size.width, height: size.height }).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            () = tell => {}
            () = closed.cancelled() => {}
        }
    });
    receiver
}

/// Keeps what is written, up to a limit.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<u8>>>);

impl Collected {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl AsyncWrite for Collected {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, from: &[u8]) -> Poll<std::io::Result<usize>> {
        let mut kept = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let room = RUN_BYTES_MAX.saturating_sub(kept.len()).min(from.len());
        kept.extend_from_slice(&from[..room]);
        Poll::Ready(Ok(from.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
