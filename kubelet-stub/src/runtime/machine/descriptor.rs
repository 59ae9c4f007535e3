//! What a file descriptor leads to, for reading and for writing.

use super::log::{Log, LogSink};
use super::pipe::{PipeReader, PipeWriter};
use crate::runtime::files::{Device, Errno, How, OpenFile, Opened, Place};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes that one read of a file, or of an endless device, gives.
const READ_BYTES_MAX: usize = 64 << 10;

/// Where a program reads from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Nothing,
    Zero,
    Random,
    Pipe(PipeReader),
    File(Arc<OpenFile>),
}

/// Where a program writes to.
#[derive(Clone, Debug)]
pub(crate) enum Sink {
    Nothing,
    /// `/dev/full`.
    Full,
    Pipe(PipeWriter),
    File(Arc<OpenFile>),
    Log(LogSink),
}

/// One descriptor.
#[derive(Clone, Debug)]
pub(crate) enum Fd {
    Source(Source),
    Sink(Sink),
    Both(Arc<OpenFile>),
}

/// A program's descriptors.
pub(crate) type Fds = BTreeMap<u32, Fd>;

impl Fd {
    pub(crate) fn source(&self) -> Option<Source> {
        match self {
            Self::Source(source) => Some(source.clone()),
            Self::Both(file) => Some(Source::File(file.clone())),
            Self::Sink(_) => None,
        }
    }

    pub(crate) fn sink(&self) -> Option<Sink> {
        match self {
            Self::Sink(sink) => Some(sink.clone()),
            Self::Both(file) => Some(Sink::File(file.clone())),
            Self::Source(_) => None,
        }
    }
}

impl Source {
    /// The next bytes; none at the end.
    pub(crate) async fn read(&self, most: usize) -> Result<Vec<u8>, Errno> {
        let most = most.min(READ_BYTES_MAX);
        match self {
            Self::Nothing => Ok(Vec::new()),
            Self::Zero => Ok(vec![0; most]),
            Self::Random => {
                let mut bytes = vec![0; most];
                rand::RngCore::fill_bytes(&mut rand::rng(), &mut bytes);
                Ok(bytes)
            }
            Self::Pipe(pipe) => Ok(pipe.read(most).await),
            Self::File(file) => file.read(most),
        }
    }

    /// The next bytes up to and with a delimiter, or `most` of them; nothing beyond is taken.
    pub(crate) async fn read_until(&self, delimiter: u8, most: usize) -> Result<Vec<u8>, Errno> {
        match self {
            Self::Pipe(pipe) => Ok(pipe.read_until(delimiter, most).await),
            Self::File(file) => file.read_until(delimiter, most),
            Self::Nothing | Self::Zero | Self::Random => self.read(most).await,
        }
    }
}

impl Sink {
    /// Writes all of it.
    pub(crate) async fn write(&self, data: &[u8]) -> Result<(), Errno> {
        match self {
            Self::Nothing => Ok(()),
            Self::Full => Err(Errno::NoSpace),
            Self::Pipe(pipe) => pipe.write(data).await,
            Self::File(file) => file.write(data),
            Self::Log(log) => {
                log.write(data).await;
                Ok(())
            }
        }
    }
}

/// Opens a path for a program with these descriptors.
pub(crate) fn open_fd(place: &Place, fds: &Fds, log: &Arc<Log>, path: &str, how: How) -> Result<Fd, Errno> {
    match place.open(path, how)? {
        Opened::File(file) if how.read && how.write => Ok(Fd::Both(Arc::new(file))),
        Opened::File(file) if how.write => Ok(Fd::Sink(Sink::File(Arc::new(file)))),
        Opened::File(file) => Ok(Fd::Source(Source::File(Arc::new(file)))),
        Opened::Device(device) => device_fd(device, fds, log, how.write),
    }
}

/// What an opened device reads from or writes to.
fn device_fd(device: Device, fds: &Fds, log: &Arc<Log>, write: bool) -> Result<Fd, Errno> {
    let own = |number: u32| fds.get(&number).cloned().ok_or(Errno::NotFound);
    Ok(match device {
        Device::Stdin => own(0)?,
        Device::Stdout => own(1)?,
        Device::Stderr => own(2)?,
        Device::MainStdout => Fd::Sink(Sink::Log(log.stdout())),
        Device::MainStderr => Fd::Sink(Sink::Log(log.stderr())),
        Device::Full if write => Fd::Sink(Sink::Full),
        Device::Null | Device::Zero | Device::Random | Device::Full if write => Fd::Sink(Sink::Nothing),
        Device::Null => Fd::Source(Source::Nothing),
        Device::Zero | Device::Full => Fd::Source(Source::Zero),
        Device::Random => Fd::Source(Source::Random),
    })
}
