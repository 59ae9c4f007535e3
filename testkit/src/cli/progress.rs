//! Progress on stderr: what is starting and how long it took; a spinner only on a terminal.

use super::say;
use crate::Event;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Shows what happens to members.
#[derive(Clone)]
pub(super) struct Progress {
    spinner: Option<ProgressBar>,
    up: Arc<AtomicBool>,
}

impl Progress {
    pub(super) fn new() -> Self {
        let spinner = std::io::stderr().is_terminal().then(|| {
            let spinner = ProgressBar::new_spinner();
            spinner.set_style(ProgressStyle::default_spinner());
            spinner.enable_steady_tick(Duration::from_millis(80));
            spinner
        });
        Self { spinner, up: Arc::default() }
    }

    /// Everything is ready: from now on there is a line only for what goes wrong, and for its mending.
    pub(super) fn done(&self) {
        self.up.store(true, Ordering::Relaxed);
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }

    pub(super) fn observe(&self, event: &Event) {
        let up = self.up.load(Ordering::Relaxed);
        match event {
            Event::Starting(member) if !up => self.now(&format!("starting {member}")),
            Event::Starting(_) => {}
            Event::Ready(member, took) if up => self.line(&format!("{member} is back after {} ms", took.as_millis())),
            Event::Ready(member, took) => self.line(&format!("{member:<20} ready in {:>4} ms", took.as_millis())),
            Event::Ended(member, how) => self.line(&format!("{member} ended ({how})")),
            Event::Failed(member, why) => self.line(&format!("{member} does not come back: {why}")),
        }
    }

    fn now(&self, text: &str) {
        match &self.spinner {
            Some(spinner) => spinner.set_message(text.to_owned()),
            None => say(text),
        }
    }

    fn line(&self, text: &str) {
        match &self.spinner {
            Some(spinner) if !spinner.is_finished() => spinner.println(text),
            _ => say(text),
        }
    }
}
