//! The ConfigMaps and Secrets that a node's pods use: each watched by its name, as long as a pod needs it.

use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tinyplane_wire::client::{Cache, Client, ClientError, Selection, reflect};
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::process::Shutdown;
use tokio::sync::watch;

/// Objects that are watched at most; each takes a stream of the node's one connection. More are read when needed.
const WATCHED_MAX: usize = 64;
/// Longest wait for the first sight of an object.
const SYNC_SECONDS_MAX: u64 = 30;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    ConfigMap,
    Secret,
}

impl Kind {
    /// The kind's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
        }
    }

    fn gvr(self) -> Gvr {
        Gvr::new("", "v1", if self == Self::ConfigMap { "configmaps" } else { "secrets" })
    }
}

/// Why an object can't be had.
#[derive(Debug)]
pub(crate) enum SourceError {
    NotFound,
    /// It is not known within the time whether it is there.
    NotSynced,
    Client(ClientError),
}

impl SourceError {
    /// Upstream's sentence.
    pub(crate) fn told(&self, kind: Kind, name: &str) -> String {
        match self {
            Self::NotFound => format!("{} {name:?} not found", kind.word()),
            Self::NotSynced => format!("failed to sync {} cache: timed out waiting for the condition", kind.word()),
            Self::Client(error) => error.to_string(),
        }
    }
}

type Key = (Kind, String, String);

/// One object's watch, which ends with its last user.
#[derive(Debug)]
pub(crate) struct Watched {
    cache: Arc<Cache>,
    _ends: tokio_util::sync::DropGuard,
}

/// The objects of one node.
#[derive(Debug)]
pub(crate) struct Sources {
    client: Option<Client>,
    shutdown: Shutdown,
    watched: Mutex<HashMap<Key, Weak<Watched>>>,
    changes: Arc<watch::Sender<u64>>,
    #[cfg(test)]
    fixed: HashMap<Key, Arc<Value>>,
}

impl Sources {
    pub(crate) fn new(client: Client, shutdown: &Shutdown) -> Self {
        Self {
            client: Some(client),
            shutdown: shutdown.clone(),
            watched: Mutex::default(),
            changes: Arc::new(watch::Sender::new(0)),
            #[cfg(test)]
            fixed: HashMap::new(),
        }
    }

    /// Objects of a test.
    #[cfg(test)]
    pub(crate) fn fixed(objects: Vec<(Kind, Value)>) -> Self {
        let key = |kind, object: &Value| {
            let meta = tinyplane_wire::meta::Meta::of(object);
            (kind, meta.namespace().to_owned(), meta.name().to_owned())
        };
        Self {
            client: None,
            shutdown: Shutdown::new(),
            watched: Mutex::default(),
            changes: Arc::new(watch::Sender::new(0)),
            fixed: objects.into_iter().map(|(kind, object)| (key(kind, &object), Arc::new(object))).collect(),
        }
    }

    /// Tells when any of the objects changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Begins to watch an object, for as long as the answer is held. `None`: too many are watched.
    pub(crate) fn hold(&self, kind: Kind, namespace: &str, name: &str) -> Option<Arc<Watched>> {
        let client = self.client.as_ref()?;
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, namespace.to_owned(), name.to_owned());
        if let Some(held) = watched.get(&key).and_then(Weak::upgrade) {
            return Some(held);
        }
        watched.retain(|_, held| held.strong_count() > 0);
        if watched.len() >= WATCHED_MAX {
            return None;
        }
        let ends = self.shutdown.child_token();
        let query = format!("fieldSelector=metadata.name%3D{name}");
        let selection = Selection { gvr: kind.gvr(), namespace: Some(namespace.to_owned()), query };
        let cache = reflect(client, selection, &ends);
        let changes = Arc::clone(&self.changes);
        cache.on_change(move |_| changes.send_modify(|count| *count = count.wrapping_add(1)));
        let held = Arc::new(Watched { cache, _ends: ends.drop_guard() });
        watched.insert(key, Arc::downgrade(&held));
        Some(held)
    }

    /// The object as it is now.
    pub(crate) async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Arc<Value>, SourceError> {
        #[cfg(test)]
        if let Some(object) = self.fixed.get(&(kind, namespace.to_owned(), name.to_owned())) {
            return Ok(Arc::clone(object));
        }
        let Some(client) = &self.client else { return Err(SourceError::NotFound) };
        let Some(held) = self.hold(kind, namespace, name) else {
            return match client.get(&kind.gvr(), Some(namespace), name).await {
                Ok(object) => Ok(Arc::new(object)),
                Err(error) if error.is_not_found() => Err(SourceError::NotFound),
                Err(error) => Err(SourceError::Client(error)),
            };
        };
        let synced = tokio::time::timeout(Duration::from_secs(SYNC_SECONDS_MAX), held.cache.synced());
        synced.await.map_err(|_| SourceError::NotSynced)?;
        held.cache.get(&format!("{namespace}/{name}")).ok_or(SourceError::NotFound)
    }
}
