//! How authorization learns of the objects that it goes by.

use serde_json::Value;
use smol_str::SmolStr;
use std::sync::Arc;

/// What became of an object.
#[derive(Debug)]
pub struct Change<T> {
    /// Its resource's plural, such as `clusterroles`.
    pub resource: &'static str,
    /// Its namespace; empty for none.
    pub namespace: SmolStr,
    /// Its name.
    pub name: SmolStr,
    /// What is kept of it; `None` when it is gone.
    pub object: Option<Arc<T>>,
}

/// What an authorizer keeps of an object.
pub trait Kept: Sized + Send + Sync + 'static {
    /// The resources that it goes by: group and plural.
    const RESOURCES: &'static [(&'static str, &'static str)];

    /// Reads an object of one of these resources.
    fn read(resource: &'static str, object: &Value) -> Self;
}

/// Tells of changes. The first answer holds every object that is there.
///
/// Whoever decides asks before it decides, so that a decision knows of every write that was answered before.
pub trait Feed<T>: Send + 'static {
    /// What has changed since the last time. Waits for nothing.
    fn pull(&mut self) -> Vec<Change<T>>;
}

impl<T: Send + Sync + 'static> Feed<T> for Vec<Change<T>> {
    fn pull(&mut self) -> Vec<Change<T>> {
        std::mem::take(self)
    }
}

impl<T: Kept> Change<T> {
    /// That an object is there.
    #[must_use]
    pub fn put(resource: &'static str, object: &Value) -> Self {
        let text = |field: &str| SmolStr::from(object["metadata"][field].as_str().unwrap_or_default());
        let kept = Some(Arc::new(T::read(resource, object)));
        Self { resource, namespace: text("namespace"), name: text("name"), object: kept }
    }
}
