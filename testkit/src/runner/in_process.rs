//! Members as tasks of this process: each on a runtime of its own, so that killing one leaves nothing of it behind.
//! They meet over the same sockets as processes do.

use super::member_log::MemberLog;
use super::{Runner, Spec, Started, configs};
use async_trait::async_trait;
use std::thread;
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::process::{MemberError, ReadyLine, Running, Shutdown};
use tokio::sync::{oneshot, watch};
use tracing::dispatcher::{self, Dispatch};

/// Longest wait for the tasks of a member that was killed to be dropped.
const DROP_SECONDS_MAX: u64 = 2;

/// Runs each member on threads of this process.
#[derive(Debug)]
pub(crate) struct InProcess;

#[async_trait]
impl Runner for InProcess {
    async fn start(&self, spec: &Spec) -> Result<Box<dyn Started>, MemberError> {
        let name = spec.member.to_string();
        let log = MemberLog::open(&spec.folder.log(&name))
            .map_err(|e| MemberError::because(format!("the log of {name} can't be written"), e))?;
        let (shutdown, kill) = (Shutdown::new(), Shutdown::new());
        let (ready, starting) = oneshot::channel();
        let (end, ended) = watch::channel(None);
        let (lived, life) = (spec.clone(), Life { shutdown: shutdown.clone(), kill: kill.clone() });
        thread::Builder::new()
            .name(name.clone())
            .spawn(move || {
                let how = dispatcher::with_default(&log, || live(&lived, &life, ready));
                // Whoever waits finds nothing held any more: not the folder, nor its lock.
                drop(lived);
                end.send_replace(Some(how));
            })
            .map_err(|e| MemberError::because(format!("no thread for {name}"), e))?;
        let ready = ReadyLine { ready: name.clone(), pid: std::process::id(), addresses: Addresses::new() };
        let mut member = Member { ready, shutdown, kill, ended };
        let started = tokio::select! {
            started = starting => started.unwrap_or_else(|_| Err(MemberError::new("it ended before it was ready"))),
            () = spec.give_up.cancelled() => Err(MemberError::new("it was given up")),
        };
        match started {
            Ok(addresses) => member.ready.addresses = addresses,
            Err(error) => {
                member.kill().await;
                return Err(MemberError::because(format!("{name} did not start"), error));
            }
        }
        Ok(Box::new(member))
    }
}

struct Life {
    shutdown: Shutdown,
    kill: Shutdown,
}

type Addresses = std::collections::BTreeMap<String, std::net::SocketAddr>;

/// Runs a member from its start to its end, and says how it ended. All its tasks are gone when this returns.
fn live(spec: &Spec, life: &Life, ready: oneshot::Sender<Result<Addresses, MemberError>>) -> String {
    let log = dispatcher::get_default(Dispatch::clone);
    let built = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(spec.member.to_string())
        // The thread is the member's alone, and ends with it: nothing is to be put back.
        .on_thread_start(move || std::mem::forget(dispatcher::set_default(&log)))
        .enable_all()
        .build();
    let runtime = match built {
        Ok(runtime) => runtime,
        Err(error) => {
            let told = format!("no runtime: {error}");
            drop(ready.send(Err(MemberError::new(told.clone()))));
            return told;
        }
    };
    let how = runtime.block_on(async {
        let started = tokio::select! {
            started = configs::start(spec, Clock::system(), life.shutdown.clone()) => started,
            () = life.kill.cancelled() => return "killed".into(),
        };
        let Running { addresses, task } = match started {
            Ok(running) => running,
            Err(error) => {
                let told = error.told();
                drop(ready.send(Err(error)));
                return told;
            }
        };
        drop(ready.send(Ok(addresses)));
        tokio::select! {
            ended = task => match ended {
                Ok(Ok(())) => "it ended by itself".to_owned(),
                Ok(Err(error)) => error.told(),
                Err(error) => error.to_string(),
            },
            () = life.kill.cancelled() => "killed".into(),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(DROP_SECONDS_MAX));
    how
}

#[derive(Debug)]
struct Member {
    ready: ReadyLine,
    shutdown: Shutdown,
    kill: Shutdown,
    ended: watch::Receiver<Option<String>>,
}

impl Member {
    async fn end(&mut self) -> String {
        match self.ended.wait_for(Option::is_some).await {
            Ok(how) => how.clone().unwrap_or_default(),
            Err(_) => "its thread is gone".into(),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill.cancel();
    }
}

#[async_trait]
impl Started for Member {
    fn ready(&self) -> &ReadyLine {
        &self.ready
    }

    async fn ended(&mut self) -> String {
        self.end().await
    }

    async fn kill(&mut self) {
        self.kill.cancel();
        self.end().await;
    }

    async fn stop(&mut self, within: Duration) {
        self.shutdown.cancel();
        if tokio::time::timeout(within, self.end()).await.is_err() {
            self.kill().await;
        }
    }
}
