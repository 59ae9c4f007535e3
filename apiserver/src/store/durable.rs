//! The store on a disk: one thread decides the writes that wait, makes them durable together, and then shows them.

use super::contract::{
    CommitError, Committed, CompactError, Event, EventKind, Key, Range, Revision, RevisionError, Store, Unavailable,
    Write,
};
use super::entry::{Attributes, Describe};
use super::journal::{Batch, Head, Journal, JournalError, Record, decode, encode, superseded};
use super::limits::Limits;
use super::log::Log;
use super::published::Published;
use super::snapshot::Snapshot;
use super::stage::{Stage, committed};
use super::watchers::Watcher;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tokio::sync::{mpsc, oneshot};

/// Writers that were answered together mostly write again together: for so long the next of them are waited for, so that
/// they are made durable together again. A lone writer never waits.
const GATHERING: Duration = Duration::from_micros(300);

/// As long as that brings more of them, it is done again, so often at most: sled wakes all its threads for each flush.
const GATHERINGS_MAX: usize = 4;

/// With so many nobody waits for more: others of a crowd are served while these are made durable.
const GROUP_ENOUGH: usize = 16;

/// A store whose answered writes survive the process. Reads and watches are served from memory.
pub struct DurableStore {
    published: Arc<Published>,
    queue: mpsc::Sender<Request>,
    failure: Arc<OnceLock<Arc<str>>>,
    committer: Option<JoinHandle<()>>,
}

/// What the committer is asked for.
enum Request {
    Write(Write, oneshot::Sender<Result<Committed, CommitError>>),
    Compact(Revision, oneshot::Sender<Result<(), CompactError>>),
    Close(oneshot::Sender<()>),
}

impl DurableStore {
    /// Reads a journal and starts its committer.
    pub(super) fn start(
        mut journal: impl Journal,
        describe: &Arc<dyn Describe>,
        limits: Limits,
        clock: Clock,
    ) -> Result<Self, JournalError> {
        let mut stage = Stage::new(limits);
        let events = replay(&mut journal, &mut stage, describe)?;
        let mut log = Log::new(journal.head().floor);
        log.append(&events, clock.now());
        let published = Published::new(stage.map.clone(), stage.revision, log, limits);
        let (queue, requests) = mpsc::channel(limits.commit_queue_max);
        let failure = Arc::new(OnceLock::new());
        let committer =
            Committer { journal, stage, published: published.clone(), failure: failure.clone(), clock, requests };
        let thread = std::thread::Builder::new()
            .name("store-committer".into())
            .spawn(move || committer.run())
            .map_err(|error| JournalError::Disk(format!("its thread did not start: {error}")))?;
        Ok(Self { published, queue, failure, committer: Some(thread) })
    }

    fn available(&self) -> Result<(), Unavailable> {
        match self.failure.get() {
            Some(cause) => Err(Unavailable::Failed { cause: cause.clone() }),
            // A committer that is gone, however it went, has dropped its end of the queue.
            None if self.published.is_closed() || self.queue.is_closed() => Err(Unavailable::Closed),
            None => Ok(()),
        }
    }

    /// Why the committer did not take a request, or ended without an answer.
    fn gone(&self) -> Unavailable {
        self.available().err().unwrap_or(Unavailable::Closed)
    }
}

impl Drop for DurableStore {
    /// The folder is free once the store is gone: whoever opens it next, in this process too, finds it so.
    fn drop(&mut self) {
        // The committer ends when nobody can ask it for anything.
        self.queue = mpsc::channel(1).0;
        if self.committer.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's committer panicked");
        }
    }
}

#[async_trait::async_trait]
impl Store for DurableStore {
    fn snapshot(&self) -> Snapshot {
        self.published.snapshot()
    }

    fn snapshot_at(&self, revision: Revision) -> Result<Snapshot, RevisionError> {
        self.published.snapshot_at(revision)
    }

    fn revision(&self) -> Revision {
        self.published.revision()
    }

    async fn commit(&self, write: Write) -> Result<Committed, CommitError> {
        self.available()?;
        let (answer, answered) = oneshot::channel();
        self.queue.send(Request::Write(write, answer)).await.map_err(|_| self.gone())?;
        answered.await.map_err(|_| self.gone())?
    }

    fn watch(&self, range: Range, after: Revision) -> Result<Watcher, RevisionError> {
        self.published.watch(&range, after)
    }

    async fn compact(&self, revision: Revision) -> Result<(), CompactError> {
        self.available()?;
        let (answer, answered) = oneshot::channel();
        self.queue.send(Request::Compact(revision, answer)).await.map_err(|_| self.gone())?;
        answered.await.map_err(|_| self.gone())?
    }

    fn works(&self) -> Result<(), Unavailable> {
        self.available()
    }

    async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.queue.send(Request::Close(answer)).await.is_ok() {
            // An error says that the thread has ended, which is what was asked for.
            let _ = answered.await;
        }
    }
}

/// Reads a journal to its end, for nothing but to know that it can be read.
pub(super) fn verify(journal: &mut impl Journal) -> Result<(), JournalError> {
    struct Nothing;
    impl Describe for Nothing {
        fn describe(&self, _: &Key, _: &[u8]) -> Attributes {
            Attributes::default()
        }
    }
    let describe: Arc<dyn Describe> = Arc::new(Nothing);
    replay(journal, &mut Stage::new(Limits::default()), &describe).map(drop)
}

/// Brings an empty stage to where the journal ends. Answers the events above the journal's floor.
fn replay(
    journal: &mut impl Journal,
    stage: &mut Stage,
    describe: &Arc<dyn Describe>,
) -> Result<Vec<Arc<Event>>, JournalError> {
    let Head { floor, last } = journal.head();
    let mut events = Vec::new();
    stage.revision = floor;
    let forms = stage.forms.clone();
    journal.replay(&mut |revision, bytes| {
        let corrupt = |what: &str| JournalError::Corrupt(format!("the record of revision {revision} {what}"));
        if revision > last || (revision > floor && revision != stage.revision.next()) {
            return Err(corrupt("is out of order"));
        }
        let record = decode(revision, bytes, describe, &forms).ok_or_else(|| corrupt("cannot be read"))?;
        let (kind, entry, previous) = match record {
            Record::Put(entry) => {
                let previous = stage.map.get(entry.key.as_str()).cloned();
                let kind = if previous.is_some() { EventKind::Updated } else { EventKind::Created };
                (kind, if let Some(previous) = &previous { entry.after(previous) } else { entry }, previous)
            }
            Record::Delete(key) => {
                let previous = stage.map.get(key.as_str()).cloned().ok_or_else(|| corrupt("deletes nothing"))?;
                (EventKind::Deleted, previous.tombstone(revision), Some(previous))
            }
        };
        let event = Event { revision, kind, entry: Arc::new(entry), previous };
        stage.apply(&event);
        if revision > floor {
            events.push(Arc::new(event));
        } else {
            stage.revision = floor;
        }
        Ok(())
    })?;
    if stage.revision != last {
        return Err(JournalError::Corrupt(format!("it ends at revision {} instead of {last}", stage.revision)));
    }
    Ok(events)
}

/// The thread that owns the journal.
struct Committer<J> {
    journal: J,
    stage: Stage,
    published: Arc<Published>,
    failure: Arc<OnceLock<Arc<str>>>,
    clock: Clock,
    requests: mpsc::Receiver<Request>,
}

impl<J: Journal> Committer<J> {
    /// Serves until it is closed, or until the store is dropped.
    fn run(mut self) {
        let (mut closing, mut crowded) = (Vec::new(), false);
        while closing.is_empty() {
            let Some(first) = self.requests.blocking_recv() else { break };
            let mut waiting = vec![first];
            if crowded {
                self.gather();
            }
            while waiting.len() < self.stage.limits.commit_batch_max {
                let Ok(request) = self.requests.try_recv() else { break };
                waiting.push(request);
            }
            crowded = waiting.len() > 1;
            let mut writes = Vec::with_capacity(waiting.len());
            for request in waiting {
                match request {
                    Request::Write(write, answer) => writes.push((write, answer)),
                    Request::Compact(revision, answer) => {
                        self.commit(std::mem::take(&mut writes));
                        // A dropped answer means that nobody waits for it.
                        let _ = answer.send(self.compact(revision));
                    }
                    Request::Close(answer) => closing.push(answer),
                }
            }
            self.commit(writes);
        }
        self.published.close();
        let Self { journal, requests, .. } = self;
        // Whoever still waits in the queue is told so by its dropped answer; then the disk is let go.
        drop(requests);
        if catch_unwind(AssertUnwindSafe(|| drop(journal))).is_err() {
            tracing::error!("the store's journal panicked while it was closed");
        }
        for answer in closing {
            let _ = answer.send(());
        }
    }

    /// Waits for more requests.
    fn gather(&self) {
        let mut known = self.requests.len();
        for _ in 0..GATHERINGS_MAX {
            std::thread::park_timeout(GATHERING);
            let now = self.requests.len();
            if now == known || now >= GROUP_ENOUGH {
                break;
            }
            known = now;
        }
    }

    /// Decides the writes, makes them durable together, shows them, and only then answers: a refusal, too, tells of
    /// a state that must not be lost.
    fn commit(&mut self, writes: Vec<(Write, oneshot::Sender<Result<Committed, CommitError>>)>) {
        let mut events = Vec::with_capacity(writes.len());
        let mut answers = Vec::with_capacity(writes.len());
        for (write, answer) in writes {
            let decided = match self.failure.get() {
                None => self.stage.decide(write),
                Some(cause) => Err(Unavailable::Failed { cause: cause.clone() }.into()),
            };
            if let Ok(event) = &decided {
                events.push(event.clone());
            }
            answers.push((decided, answer));
        }
        let outcome = if events.is_empty() { Ok(()) } else { self.make_durable(&events) };
        for (decided, answer) in answers {
            let answered = match &outcome {
                Ok(()) => decided.map(|event| committed(&event)),
                Err(unavailable) => Err(unavailable.clone().into()),
            };
            // A dropped answer means that the writer no longer waits; the write is made all the same.
            let _ = answer.send(answered);
        }
    }

    fn make_durable(&mut self, events: &[Arc<Event>]) -> Result<(), Unavailable> {
        let now = self.clock.now();
        let (floor, forgotten) = self.published.excess(events, now);
        self.write(Batch {
            puts: events.iter().map(|event| (event.revision, encode(event))).collect(),
            removes: forgotten.iter().flat_map(|event| superseded(event)).collect(),
            head: Head { floor, last: self.stage.revision },
        })?;
        self.published.publish(&self.stage.map, events, now);
        if !forgotten.is_empty() {
            self.published.forget(floor);
        }
        Ok(())
    }

    fn compact(&mut self, floor: Revision) -> Result<(), CompactError> {
        if let Some(cause) = self.failure.get() {
            return Err(Unavailable::Failed { cause: cause.clone() }.into());
        }
        let forgotten = self.published.compactable(floor)?;
        self.write(Batch {
            puts: Vec::new(),
            removes: forgotten.iter().flat_map(|event| superseded(event)).collect(),
            head: Head { floor, last: self.stage.revision },
        })?;
        self.published.forget(floor);
        Ok(())
    }

    /// Makes a batch durable. What cannot be made durable ends the store: nobody knows what the disk holds now.
    fn write(&mut self, batch: Batch) -> Result<(), Unavailable> {
        let journal = &mut self.journal;
        let written = catch_unwind(AssertUnwindSafe(|| {
            journal.append(batch)?;
            journal.sync()
        }));
        let error = match written {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "its journal panicked".to_owned(),
        };
        tracing::error!(error, "the store's disk failed: no more writes are accepted");
        let cause = self.failure.get_or_init(|| error.into()).clone();
        Err(Unavailable::Failed { cause })
    }
}
