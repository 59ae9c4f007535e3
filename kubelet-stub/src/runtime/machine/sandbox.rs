//! What the containers of one pod share: its name, its volumes, and the ports that something listens on.

use crate::runtime::contract::PodNetwork;
use crate::runtime::files::{Errno, Inode, Node, Quota, SANDBOX_BYTES_MAX};
use crate::runtime::io::Duplex;
use crate::runtime::spec::{SandboxSpec, Volume};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tinyplane_wire::clock::Clock;
use tokio_util::sync::CancellationToken;

/// Bytes that wait in each direction of a connection within a pod.
const CONNECTION_BYTES_MAX: usize = 64 << 10;

/// Takes a connection to a port and serves it, on a task of its own.
pub(crate) type Handler = Arc<dyn Fn(Box<dyn Duplex>, SocketAddr) + Send + Sync>;

#[derive(Default)]
struct State {
    volumes: BTreeMap<String, Node>,
    /// Who serves a port; the last that came is asked, so a program goes before a declared port's page.
    ports: HashMap<u16, Vec<(u64, Handler)>>,
    listeners: HashMap<u16, CancellationToken>,
    last_guard: u64,
}

/// A pod's sandbox.
pub(crate) struct Sandbox {
    pub(crate) spec: SandboxSpec,
    pub(crate) network: Arc<dyn PodNetwork>,
    pub(crate) quota: Arc<Quota>,
    clock: Clock,
    gone: CancellationToken,
    state: Mutex<State>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// Serves a port until it is dropped.
pub(crate) struct PortGuard {
    sandbox: Arc<Sandbox>,
    port: u16,
    id: u64,
}

impl Drop for PortGuard {
    fn drop(&mut self) {
        let mut state = self.sandbox.lock();
        if let Some(handlers) = state.ports.get_mut(&self.port) {
            handlers.retain(|(id, _)| *id != self.id);
            if handlers.is_empty() {
                state.ports.remove(&self.port);
                if let Some(listener) = state.listeners.remove(&self.port) {
                    listener.cancel();
                }
            }
        }
    }
}

impl Sandbox {
    pub(crate) fn new(spec: SandboxSpec, network: Arc<dyn PodNetwork>, clock: Clock) -> Arc<Self> {
        let quota = Quota::new(SANDBOX_BYTES_MAX);
        Arc::new(Self { spec, network, quota, clock, gone: CancellationToken::new(), state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every listener.
    pub(crate) fn close(&self) {
        self.gone.cancel();
        let mut state = self.lock();
        state.ports.clear();
        state.volumes.clear();
    }

    /// A volume's root; an empty directory that all may write to, where it was never set.
    pub(crate) fn volume(&self, name: &str) -> Result<Node, Errno> {
        let mut state = self.lock();
        if let Some(node) = state.volumes.get(name) {
            return Ok(node.clone());
        }
        let node = Inode::directory(&self.quota, 0o777, self.clock.now())?;
        state.volumes.insert(name.to_owned(), node.clone());
        Ok(node)
    }

    /// Replaces a volume's content at once. A file whose bytes are the same stays the same file.
    pub(crate) fn set_volume(&self, name: &str, files: &Volume) -> Result<(), Errno> {
        let now = self.clock.now();
        let root = self.volume(name)?;
        let fresh = Inode::directory(&self.quota, 0o777, now)?;
        for (path, file) in files {
            let mut at = fresh.clone();
            let mut names: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
            let last = names.pop().ok_or(Errno::Invalid)?;
            if last == ".." || names.contains(&"..") {
                return Err(Errno::Invalid);
            }
            for part in names {
                let next = match at.entry(part)? {
                    Some(next) => next,
                    None => Inode::directory(&self.quota, 0o755, now)?,
                };
                at.change(now, |entries| {
                    entries.insert(part.to_owned(), next.clone());
                    Ok(())
                })?;
                at = next;
            }
            let node = Inode::file(&self.quota, file.bytes.to_vec(), file.mode, now)?;
            at.change(now, |entries| {
                entries.insert(last.to_owned(), node);
                Ok(())
            })?;
        }
        let entries = fresh.entries()?;
        root.change(now, |current| {
            *current = entries.into_iter().collect();
            Ok(())
        })
    }

    /// Serves a port within the pod and, where the network lets it, at the pod's address.
    pub(crate) async fn serve(self: &Arc<Self>, port: u16, handler: Handler) -> PortGuard {
        let (id, first) = {
            let mut state = self.lock();
            state.last_guard += 1;
            let id = state.last_guard;
            let handlers = state.ports.entry(port).or_default();
            handlers.push((id, handler));
            (id, handlers.len() == 1)
        };
        let guard = PortGuard { sandbox: self.clone(), port, id };
        if first {
            self.listen(port).await;
        }
        guard
    }

    /// True when something serves a port.
    pub(crate) fn serves(&self, port: u16) -> bool {
        self.lock().ports.contains_key(&port)
    }

    async fn listen(self: &Arc<Self>, port: u16) {
        let mut open = match self.network.listen(&self.spec, port).await {
            Ok(open) => open,
            Err(error) => {
                tracing::warn!(pod = %self.spec.name, port, %error, "a pod's port does not listen");
                return;
            }
        };
        let cancel = self.gone.child_token();
        self.lock().listeners.insert(port, cancel.clone());
        let sandbox = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = cancel.cancelled() => return,
                    accepted = open.listener.accept() => accepted,
                };
                let (Ok((stream, peer)), Some(sandbox)) = (accepted, sandbox.upgrade()) else { return };
                match sandbox.handler(port) {
                    Some(handler) => handler(stream, peer),
                    None => drop(stream),
                }
            }
        });
    }

    fn handler(&self, port: u16) -> Option<Handler> {
        self.lock().ports.get(&port).and_then(|handlers| handlers.last()).map(|(_, handler)| handler.clone())
    }

    /// Connects to a port from within the pod.
    pub(crate) fn connect(&self, port: u16) -> io::Result<Box<dyn Duplex>> {
        let handler = self.handler(port).ok_or_else(|| {
            let message = format!("dial tcp4 127.0.0.1:{port}: connect: connection refused");
            io::Error::new(io::ErrorKind::ConnectionRefused, message)
        })?;
        let (near, far) = tokio::io::duplex(CONNECTION_BYTES_MAX);
        handler(Box::new(far), SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
        Ok(Box::new(near))
    }
}
