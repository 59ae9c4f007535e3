//! Unix sockets, for what stays on one machine.

use super::dial::{Dial, Stream};
use super::listen::wait_over;
use super::unix_stream::UnixStream;
use async_trait::async_trait;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::path::{Path, PathBuf};

/// Longest path of a Unix socket on Linux, in bytes.
const PATH_BYTES_MAX: usize = 107;

/// A listener on a Unix socket, which removes its file when it ends.
#[derive(Debug)]
pub struct UnixListener {
    inner: tokio::net::UnixListener,
    path: PathBuf,
}

impl UnixListener {
    /// The next connection. A moment's shortage of descriptors is waited over, as by [`Listener`](super::Listener).
    pub async fn accept(&self) -> UnixStream {
        loop {
            let accepted = self.inner.accept().await.and_then(|(stream, _)| UnixStream::accepted(stream.into_std()?));
            match accepted {
                Ok(stream) => return stream,
                Err(error) => wait_over(&error).await,
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixListener {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "the socket's file was gone already");
        }
    }
}

/// Listens on a Unix socket, open to its owner and group. A file in the way is removed when that is asked for.
///
/// # Errors
/// When the path is too long for a socket, is taken, or can't be made.
pub fn bind_unix(path: &Path, delete_existing: bool) -> io::Result<UnixListener> {
    if path.as_os_str().len() > PATH_BYTES_MAX {
        let told =
            format!("{} is longer than the {PATH_BYTES_MAX} bytes that a Unix socket's path may have", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, told));
    }
    if delete_existing {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    let inner = tokio::net::UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o770))?;
    Ok(UnixListener { inner, path: path.to_owned() })
}

/// Connects to one Unix socket, whatever host and port are asked for: what listens there knows where to go on.
#[derive(Clone, Debug)]
pub struct UnixDial {
    path: PathBuf,
}

impl UnixDial {
    /// Dials the socket at `path`.
    #[must_use]
    pub fn to(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it leads.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Connects.
    ///
    /// # Errors
    /// As `connect(2)`.
    ///
    /// # Panics
    /// Where there is no runtime.
    pub fn connect(&self) -> io::Result<UnixStream> {
        // A Unix socket connects at once, or not at all.
        let connect = || {
            let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
            socket.connect(&SockAddr::unix(&self.path)?)?;
            UnixStream::of(socket.into())
        };
        connect().map_err(|e| io::Error::new(e.kind(), format!("dial unix {}: {e}", self.path.display())))
    }
}

#[async_trait]
impl Dial for UnixDial {
    async fn dial(&self, _host: &str, _port: u16) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.connect()?))
    }
}
