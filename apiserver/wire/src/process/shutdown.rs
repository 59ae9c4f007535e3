//! How a member learns that it should end: a signal, or the end of its lifeline.

use std::io;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Whether the member hangs on a lifeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifeline {
    /// Standard input is the read end of a pipe whose write end the parent holds: at its end, the member ends. The
    /// kernel closes it however the parent dies, kill -9 included.
    Stdin,
    /// The member ends by signals alone.
    None,
}

/// A word to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A signal, by its name. Some members are asked twice: the first one means that no more work is wanted.
    Signal(&'static str),
    /// The parent is gone, or wants the member to be.
    LifelineEnded,
}

impl Order {
    /// The order in words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Signal(name) => name,
            Self::LifelineEnded => "the end of its lifeline",
        }
    }
}

/// The words to end, one after the other.
#[derive(Debug)]
pub struct Orders {
    terminate: Signal,
    interrupt: Signal,
    lifeline: Lifeline,
}

impl Orders {
    /// Hears signals from now on.
    ///
    /// # Errors
    /// When signal handlers can't be installed.
    pub fn listen(lifeline: Lifeline) -> io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, lifeline })
    }

    /// Waits for SIGTERM, SIGINT or the end of the lifeline, and says which it was. Dropping it loses nothing.
    pub async fn next(&mut self) -> Order {
        let lifeline = self.lifeline;
        let end = async {
            match lifeline {
                Lifeline::Stdin => until_stdin_ends().await,
                Lifeline::None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Order::Signal("SIGTERM"),
            _ = self.interrupt.recv() => Order::Signal("SIGINT"),
            () = end => Order::LifelineEnded,
        }
    }
}

/// Opens the pipe anew, for tokio's own stdin reads in a thread that would outlive everything else.
async fn until_stdin_ends() {
    match tokio::net::unix::pipe::OpenOptions::new().open_receiver("/dev/stdin") {
        Ok(mut pipe) => {
            let mut unheard = [0; 64];
            while pipe.read(&mut unheard).await.is_ok_and(|n| n > 0) {}
        }
        Err(error) => tracing::error!(%error, "standard input is no lifeline: it has to be a pipe"),
    }
}

/// Raises the limit of open descriptors to what the system allows, since each watch and each stream takes one.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open descriptors stays as it is");
    }
}
