//! What a program of a container stands on: pipes, descriptors, signals, the process table, its terminal, its log.

mod descriptor;
mod execute;
mod log;
mod pipe;
mod process;
mod sandbox;
mod signal;
mod terminal;

pub(crate) use descriptor::{Fd, Fds, Sink, Source, open_fd};
pub(crate) use execute::{DEFAULT_PATH, FindError, Loaded, execute, find, load};
pub(crate) use log::Log;
pub(crate) use pipe::{PipeReader, PipeWriter, pipe};
pub(crate) use process::{Entry, HELD_BYTES_MAX, Machine, Outcome, Process, Program, Stop};
pub(crate) use sandbox::{Handler, PortGuard, Sandbox};
pub(crate) use signal::{Disposition, Signals, signal_name, signal_number};
pub(crate) use terminal::{LineEditor, Terminal, to_screen};
