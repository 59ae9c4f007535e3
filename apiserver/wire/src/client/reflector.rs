//! A reflector: keeps a cache equal to a collection of the server, by a list and a watch, and tells of each change.

use super::{Backoff, Client, ClientError};
use crate::gvr::Gvr;
use crate::meta::Meta;
use crate::process::Shutdown;
use crate::status::Status;
use crate::watch::{EventType, Frame};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use tokio::sync::watch;

/// Objects in one page of the first list.
const PAGE_OBJECTS: u32 = 500;

/// Which objects to reflect.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Of which resource.
    pub gvr: Gvr,
    /// In which namespace, or in all.
    pub namespace: Option<String>,
    /// What else to ask for, as it stands in a query: `fieldSelector=spec.nodeName%3Da`.
    pub query: String,
}

impl Selection {
    /// All objects of a resource.
    #[must_use]
    pub fn all(gvr: Gvr) -> Self {
        Self { gvr, namespace: None, query: String::new() }
    }
}

/// What happened to an object.
#[derive(Clone, Debug)]
pub enum Change {
    /// It came or changed: the object now, and before if there was one.
    Applied(Arc<Value>, Option<Arc<Value>>),
    /// It went: the last that was seen of it.
    Deleted(Arc<Value>),
}

impl Change {
    /// The object, now or at its end.
    #[must_use]
    pub fn object(&self) -> &Arc<Value> {
        match self {
            Self::Applied(object, _) | Self::Deleted(object) => object,
        }
    }
}

type Listener = Box<dyn Fn(&Change) + Send + Sync>;

/// A collection as the reflector knows it. Keys are `namespace/name`, or `name`.
pub struct Cache {
    objects: RwLock<BTreeMap<String, Arc<Value>>>,
    listeners: RwLock<Vec<Listener>>,
    synced: watch::Sender<bool>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("objects", &self.read().len()).finish_non_exhaustive()
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self { objects: RwLock::default(), listeners: RwLock::default(), synced: watch::Sender::new(false) }
    }
}

impl Cache {
    /// One object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Arc<Value>> {
        self.read().get(key).cloned()
    }

    /// All objects that are in a namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<Value>> {
        let start = format!("{namespace}/");
        self.read()
            .range(start.clone()..)
            .take_while(|(key, _)| key.starts_with(&start))
            .map(|(_, o)| Arc::clone(o))
            .collect()
    }

    /// All objects.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Value>> {
        self.read().values().cloned().collect()
    }

    /// Calls `listener` for each change from now on, in order, and for each object that is there now. It must be
    /// quick: it is called where the watch is read. Adding a key to a [`super::WorkQueue`] is what it is for.
    pub fn on_change(&self, listener: impl Fn(&Change) + Send + Sync + 'static) {
        // Held from before the look at what is there: a change meanwhile is in that, or is told when this is let go.
        let mut listeners = self.listeners.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for object in self.all() {
            listener(&Change::Applied(object, None));
        }
        listeners.push(Box::new(listener));
    }

    /// Waits until the first list is in.
    pub async fn synced(&self) {
        let mut synced = self.synced.subscribe();
        if synced.wait_for(|synced| *synced).await.is_err() {
            tracing::debug!("a cache ended before it was in step");
        }
    }

    /// Whether the first list is in.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Arc<Value>>> {
        self.objects.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Arc<Value>>> {
        self.objects.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn apply(&self, object: Value) {
        let object = Arc::new(object);
        let before = self.write().insert(Meta::of(&object).key(), Arc::clone(&object));
        let same =
            before.as_ref().is_some_and(|b| Meta::of(b).resource_version() == Meta::of(&object).resource_version());
        if !same {
            self.tell(&Change::Applied(object, before));
        }
    }

    fn remove(&self, object: Value) {
        self.write().remove(&Meta::of(&object).key());
        self.tell(&Change::Deleted(Arc::new(object)));
    }

    fn replace(&self, objects: Vec<Value>) {
        let listed: std::collections::BTreeSet<String> = objects.iter().map(|o| Meta::of(o).key()).collect();
        let gone: Vec<Arc<Value>> =
            self.read().iter().filter(|(key, _)| !listed.contains(*key)).map(|(_, o)| Arc::clone(o)).collect();
        for object in gone {
            self.remove(Value::clone(&object));
        }
        objects.into_iter().for_each(|object| self.apply(object));
        self.synced.send_replace(true);
    }

    fn tell(&self, change: &Change) {
        let listeners = self.listeners.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        listeners.iter().for_each(|listener| listener(change));
    }
}

/// Starts to reflect, until shutdown.
#[must_use]
pub fn reflect(client: &Client, selection: Selection, shutdown: &Shutdown) -> Arc<Cache> {
    let cache = Arc::new(Cache::default());
    let (client, reflected, shutdown) = (client.clone(), Arc::clone(&cache), shutdown.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = keep_in_step(&client, &selection, &reflected) => {}
        }
    });
    cache
}

async fn keep_in_step(client: &Client, selection: &Selection, cache: &Cache) {
    let (mut failures, mut version) = (0, None);
    let backoff = Backoff { first: std::time::Duration::from_millis(20), most: std::time::Duration::from_secs(5) };
    loop {
        match follow(client, selection, cache, &mut version).await {
            Ok(true) => {
                failures = 0;
                continue;
            }
            Ok(false) => tracing::debug!(resource = %selection.gvr, "a watch ended before it told of anything"),
            Err(error) => {
                if error.is_expired() {
                    version = None;
                }
                tracing::debug!(%error, resource = %selection.gvr, failures, "a watch ended");
            }
        }
        failures += 1;
        tokio::time::sleep(backoff.after(failures)).await;
    }
}

/// Lists if it has to, then watches until the server ends the watch. Whether that told of anything.
async fn follow(
    client: &Client,
    selection: &Selection,
    cache: &Cache,
    version: &mut Option<String>,
) -> Result<bool, ClientError> {
    let namespace = selection.namespace.as_deref();
    let mut was_told = false;
    let from = match version.take() {
        Some(from) => from,
        None => {
            let (objects, listed) = list(client, selection).await?;
            cache.replace(objects);
            listed
        }
    };
    *version = Some(from.clone());
    let query = join(&format!("resourceVersion={from}&allowWatchBookmarks=true"), &selection.query);
    let mut frames = client.watch(&selection.gvr, namespace, &query).await?;
    while let Some(Frame { event, object }) = frames.next().await? {
        was_told = true;
        if event == EventType::Error {
            let status = serde_json::from_value::<Status>(object)?;
            return Err(ClientError::Status(Box::new(status)));
        }
        *version = Some(Meta::of(&object).resource_version().to_owned());
        match event {
            EventType::Added | EventType::Modified => cache.apply(object),
            EventType::Deleted => cache.remove(object),
            EventType::Bookmark | EventType::Error => {}
        }
    }
    Ok(was_told)
}

async fn list(client: &Client, selection: &Selection) -> Result<(Vec<Value>, String), ClientError> {
    let (mut objects, mut next) = (Vec::new(), String::new());
    loop {
        let query = join(&format!("limit={PAGE_OBJECTS}{next}"), &selection.query);
        let mut page = client.list(&selection.gvr, selection.namespace.as_deref(), &query).await?;
        let (api_version, kind) = (page["apiVersion"].clone(), item_kind(&page));
        if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
            objects.extend(items.into_iter().map(|item| with_kind(item, &api_version, &kind)));
        }
        match page["metadata"]["continue"].as_str() {
            Some(token) if !token.is_empty() => next = format!("&continue={token}"),
            _ => return Ok((objects, Meta::of(&page).resource_version().to_owned())),
        }
    }
}

/// The items of a typed list name neither their kind nor their version; a watch's objects do.
fn with_kind(mut item: Value, api_version: &Value, kind: &str) -> Value {
    let map = crate::meta::map_mut(&mut item);
    map.entry("kind").or_insert_with(|| kind.into());
    map.entry("apiVersion").or_insert_with(|| api_version.clone());
    item
}

fn item_kind(list: &Value) -> String {
    list["kind"].as_str().unwrap_or_default().trim_end_matches("List").to_owned()
}

fn join(a: &str, b: &str) -> String {
    if b.is_empty() { a.to_owned() } else { format!("{a}&{b}") }
}
