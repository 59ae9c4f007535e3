//! What a member of this process logs: into a file, as a process's goes, and to whoever listens where it was started.

use super::open_log;
use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use tinyplane_wire::clock::Clock;
use tracing::dispatcher::{self, Dispatch};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, NoSubscriber, Subscriber};
use tracing::{Event, Level, Metadata};

/// What is written into the file: this and what matters more.
const LEVEL: Level = Level::INFO;

/// The subscriber of a member's own threads.
pub(super) struct MemberLog {
    file: Mutex<File>,
    clock: Clock,
    /// The subscriber where the member was started, if there is one. It hears all that it wants.
    listener: Dispatch,
}

impl MemberLog {
    /// Opens a member's log. What an earlier one of this name has written stays.
    pub(super) fn open(path: &Path) -> io::Result<Dispatch> {
        let file = Mutex::new(open_log(path)?);
        let listener = dispatcher::get_default(Dispatch::clone);
        Ok(Dispatch::new(Self { file, clock: Clock::system(), listener }))
    }
}

impl Subscriber for MemberLog {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.listener.is::<NoSubscriber>().then(|| LEVEL.into())
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        (metadata.is_event() && *metadata.level() <= LEVEL) || self.listener.enabled(metadata)
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        if *metadata.level() <= LEVEL {
            let mut line = format!("{} {:>5} {}:", self.clock.timestamp_micro(), metadata.level(), metadata.target());
            event.record(&mut Fields(&mut line));
            line.push('\n');
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            // There is nobody to tell: the report finds what could be written.
            drop(file.write_all(line.as_bytes()));
        }
        if self.listener.enabled(metadata) {
            self.listener.event(event);
        }
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.listener.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.listener.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.listener.record_follows_from(span, follows);
    }

    fn enter(&self, span: &Id) {
        self.listener.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.listener.exit(span);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.listener.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        self.listener.try_close(id)
    }
}

/// Writes the fields of an event behind its head: the message, then the others by name.
struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let told = match field.name() {
            "message" => format!(" {value:?}"),
            name => format!(" {name}={value:?}"),
        };
        self.0.push_str(&told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/member.log");
        let log = MemberLog::open(&path).unwrap();
        dispatcher::with_default(&log, || {
            tracing::info_span!("nobody listens").in_scope(|| tracing::error!(code = 7, "it broke"));
            tracing::debug!("a detail");
        });
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(" ERROR ") && text.ends_with(": it broke code=7\n"), "{text}");
        assert_eq!(text.lines().count(), 1);
    }
}
