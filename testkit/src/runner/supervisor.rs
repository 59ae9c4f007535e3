//! Keeps one member: starts it, tells of its ends, starts it again where that is wished.

use super::{Runner, Spec, Started};
use crate::cluster::plan::{Member, Plan};
use crate::cluster::ports::Whereabouts;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tinyplane_wire::client::Backoff;
use tinyplane_wire::process::{MemberError, ReadyLine};
use tokio::sync::{mpsc, oneshot, watch};

/// Commands that may wait for one member.
const COMMANDS_MAX: usize = 16;
/// A member that lived this long starts its back-off anew.
const STEADY_SECONDS: u64 = 10;

/// What happens to members, for whoever shows it.
#[derive(Clone, Debug)]
pub enum Event {
    /// A member is being started.
    Starting(Member),
    /// A member serves, so long after it was started.
    Ready(Member, Duration),
    /// A member ended by itself, and how.
    Ended(Member, String),
    /// A member could not be started again, and why.
    Failed(Member, String),
}

/// Called with each event.
pub(crate) type Observer = Arc<dyn Fn(&Event) + Send + Sync>;

enum Command {
    Kill(oneshot::Sender<()>),
    Restart(Change, oneshot::Sender<Result<(), MemberError>>),
    Stop(Duration, oneshot::Sender<()>),
}

/// What is to be otherwise when a member starts anew.
type Change = Option<Box<dyn FnOnce(&mut Spec) + Send>>;

/// What a keeper starts its member from.
pub(crate) struct Start {
    pub(crate) spec: Spec,
    /// Where members find each other, now and later.
    pub(crate) whereabouts: Arc<Whereabouts>,
    /// A member that ends by itself is started again.
    pub(crate) restart: bool,
}

/// The way to one member's keeper.
#[derive(Debug)]
pub(crate) struct Kept {
    commands: mpsc::Sender<Command>,
    ready: watch::Receiver<Option<ReadyLine>>,
}

impl Kept {
    /// Starts a member and keeps it.
    pub(crate) async fn start(runner: Arc<dyn Runner>, start: Start, observer: Observer) -> Result<Self, MemberError> {
        let (ready, seen) = watch::channel(None);
        let Start { spec, whereabouts, restart } = start;
        let started = Instant::now();
        let mut keeper = Keeper { runner, spec, whereabouts, restart, observer, ready, current: None, started };
        keeper.begin().await?;
        let (commands, orders) = mpsc::channel(COMMANDS_MAX);
        tokio::spawn(keeper.keep(orders));
        Ok(Self { commands, ready: seen })
    }

    /// What the member last said, or nothing while it is down.
    pub(crate) fn ready(&self) -> Option<ReadyLine> {
        self.ready.borrow().clone()
    }

    /// Kills the member as kill -9 does.
    pub(crate) async fn kill(&self) {
        let (done, wait) = oneshot::channel();
        self.ask(Command::Kill(done), wait).await;
    }

    /// Starts the member anew, on the same address; kills it first if it runs.
    pub(crate) async fn restart(&self) -> Result<(), MemberError> {
        self.restart_changed(None).await
    }

    /// Starts the member anew by another plan, which holds for later starts as well.
    pub(crate) async fn restart_by(&self, plan: Arc<Plan>) -> Result<(), MemberError> {
        self.restart_changed(Some(Box::new(move |spec: &mut Spec| spec.plan = plan))).await
    }

    async fn restart_changed(&self, change: Change) -> Result<(), MemberError> {
        let (done, wait) = oneshot::channel();
        let restarted = self.ask(Command::Restart(change, done), wait).await;
        restarted.unwrap_or_else(|| Err(MemberError::new("the cluster has ended")))
    }

    /// Ends the member, and its keeper.
    pub(crate) async fn stop(&self, within: Duration) {
        let (done, wait) = oneshot::channel();
        self.ask(Command::Stop(within, done), wait).await;
    }

    async fn ask<T>(&self, command: Command, answer: oneshot::Receiver<T>) -> Option<T> {
        self.commands.send(command).await.ok()?;
        answer.await.ok()
    }
}

struct Keeper {
    runner: Arc<dyn Runner>,
    spec: Spec,
    whereabouts: Arc<Whereabouts>,
    restart: bool,
    observer: Observer,
    ready: watch::Sender<Option<ReadyLine>>,
    current: Option<Box<dyn Started>>,
    started: Instant,
}

impl Keeper {
    async fn begin(&mut self) -> Result<(), MemberError> {
        let member = self.spec.member;
        (self.observer)(&Event::Starting(member));
        self.started = Instant::now();
        self.spec.ports = self.whereabouts.now();
        let started = self.runner.start(&self.spec).await?;
        self.whereabouts
            .learn(member, &started.ready().addresses)
            .map_err(|e| MemberError::because(format!("where {member} listens can't be told"), e))?;
        self.ready.send_replace(Some(started.ready().clone()));
        self.current = Some(started);
        (self.observer)(&Event::Ready(member, self.started.elapsed()));
        Ok(())
    }

    async fn keep(mut self, mut orders: mpsc::Receiver<Command>) {
        let backoff = Backoff { first: Duration::from_millis(50), most: Duration::from_secs(10) };
        let (mut failures, mut due) = (0, None::<tokio::time::Instant>);
        loop {
            let again = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = orders.recv() => match order {
                    None => return self.end(Duration::ZERO).await,
                    Some(Command::Stop(within, done)) => {
                        self.end(within).await;
                        // Whoever waits finds nothing held any more: not the folder, nor its lock.
                        drop(self);
                        answer(done, ());
                        return;
                    }
                    Some(Command::Kill(done)) => {
                        if let Some(mut current) = self.current.take() {
                            current.kill().await;
                            self.ready.send_replace(None);
                            due = self.told("killed".into(), &mut failures, backoff);
                        }
                        answer(done, ());
                    }
                    Some(Command::Restart(change, done)) => {
                        if let Some(change) = change {
                            change(&mut self.spec);
                        }
                        self.end(Duration::ZERO).await;
                        due = None;
                        answer(done, self.begin().await);
                    }
                },
                () = misled(&self.spec, &self.whereabouts), if self.current.is_some() => {
                    self.end(Duration::ZERO).await;
                    due = Some(tokio::time::Instant::now());
                }
                how = ended(&mut self.current) => {
                    self.current = None;
                    self.ready.send_replace(None);
                    due = self.told(how, &mut failures, backoff);
                }
                () = again => {
                    due = None;
                    if let Err(error) = self.begin().await {
                        (self.observer)(&Event::Failed(self.spec.member, error.told()));
                        failures += 1;
                        due = Some(tokio::time::Instant::now() + backoff.after(failures));
                    }
                }
            }
        }
    }

    /// Tells of an end, and says when to start again.
    fn told(&self, how: String, failures: &mut u32, backoff: Backoff) -> Option<tokio::time::Instant> {
        (self.observer)(&Event::Ended(self.spec.member, how));
        if self.started.elapsed() > Duration::from_secs(STEADY_SECONDS) {
            *failures = 0;
        }
        *failures += 1;
        self.restart.then(|| tokio::time::Instant::now() + backoff.after(*failures))
    }

    async fn end(&mut self, within: Duration) {
        self.ready.send_replace(None);
        match self.current.take() {
            Some(mut current) if within.is_zero() => current.kill().await,
            Some(mut current) => current.stop(within).await,
            None => {}
        }
    }
}

/// Answers whoever gave an order, if they still wait.
fn answer<T>(waiting: oneshot::Sender<T>, outcome: T) {
    if waiting.send(outcome).is_err() {
        tracing::debug!("nobody waits for the outcome of an order any more");
    }
}

/// Waits until a member that was told at its start where another one listens was told wrong.
async fn misled(spec: &Spec, whereabouts: &Whereabouts) {
    match spec.member {
        Member::KonnectivityAgent(_) => whereabouts.agents_moved_from(spec.ports.agents).await,
        _ => std::future::pending().await,
    }
}

async fn ended(current: &mut Option<Box<dyn Started>>) -> String {
    match current {
        Some(started) => started.ended().await,
        None => std::future::pending().await,
    }
}
