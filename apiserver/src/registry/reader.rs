//! A parsed view of one resource that stays in step with the store: for authorization, authentication, admission.

use super::Registry;
use crate::store::contract::{EventKind, Range, Revision, Store};
use crate::store::entry::Entry;
use crate::store::watchers::Watcher;
use imbl::OrdMap;
use serde_json::Value;
use smol_str::SmolStr;
use std::sync::{Arc, Mutex, PoisonError};

/// The objects as of one moment, by namespace and name. Cheap to clone.
pub type View<T> = OrdMap<(SmolStr, SmolStr), Arc<T>>;

/// A view of one resource, each object made into a `T` once. Reading asks the store what is new; nothing runs beside.
pub struct Reader<T> {
    store: Arc<dyn Store>,
    folder: SmolStr,
    make: Box<dyn Fn(&Value) -> T + Send + Sync>,
    followed: Mutex<Option<Followed<T>>>,
}

struct Followed<T> {
    watcher: Watcher,
    view: View<T>,
}

impl Registry {
    /// A view of a resource in its stored version. `make` says what to keep of an object.
    ///
    /// # Panics
    /// When the catalog has no such resource: readers are made for built-in ones.
    pub fn reader<T>(
        &self,
        group: &str,
        plural: &str,
        make: impl Fn(&Value) -> T + Send + Sync + 'static,
    ) -> Reader<T> {
        let catalog = self.catalog();
        let resource = catalog.any_version(group, plural).expect("readers are made for built-in resources");
        Reader {
            store: self.store().clone(),
            folder: resource.folder.clone(),
            make: Box::new(make),
            followed: Mutex::new(None),
        }
    }
}

impl<T> Reader<T> {
    /// All objects, as of now: what was answered to a writer before is in it.
    pub fn view(&self) -> View<T> {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(followed) = followed.as_mut()
            && self.catch_up(followed)
        {
            return followed.view.clone();
        }
        let (snapshot, watcher) = loop {
            let snapshot = self.store.snapshot();
            if let Ok(watcher) = self.store.watch(Range::under(&self.folder), snapshot.revision()) {
                break (snapshot, watcher);
            }
        };
        let mut view = View::new();
        for entry in snapshot.range(&Range::under(&self.folder), None) {
            self.put(&mut view, entry);
        }
        let mut fresh = Followed { watcher, view };
        self.catch_up(&mut fresh);
        followed.insert(fresh).view.clone()
    }

    /// One object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        self.view().get(&(namespace.into(), name.into())).cloned()
    }

    /// Takes in what happened. False when the history was lost.
    fn catch_up(&self, followed: &mut Followed<T>) -> bool {
        loop {
            match followed.watcher.ready() {
                Ok(None) => return true,
                Ok(Some(batch)) => {
                    for event in batch.events.iter() {
                        if event.kind == EventKind::Deleted {
                            followed.view.remove(&self.names(&event.entry));
                        } else {
                            self.put(&mut followed.view, &event.entry);
                        }
                    }
                }
                Err(_) => return false,
            }
        }
    }

    fn put(&self, view: &mut View<T>, entry: &Entry) {
        match serde_json::from_slice(&entry.bytes()) {
            Ok(object) => drop(view.insert(self.names(entry), Arc::new((self.make)(&object)))),
            Err(error) => {
                tracing::error!(key = %entry.key, %error, "a stored object can't be read, and does not count");
            }
        }
    }

    fn names(&self, entry: &Entry) -> (SmolStr, SmolStr) {
        let rest = entry.key.get(self.folder.len()..).unwrap_or_default();
        let (namespace, name) = rest.split_once('/').unwrap_or(("", rest));
        (namespace.into(), name.into())
    }
}

/// The revision that a text on the wire means; `None` for what is none.
#[must_use]
pub fn revision(text: &str) -> Option<Revision> {
    text.parse().ok().map(Revision)
}
