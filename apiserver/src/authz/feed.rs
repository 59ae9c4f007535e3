//! How authorization learns of the objects that it goes by.

use serde_json::Value;
use smol_str::SmolStr;
use std::sync::Arc;

/// What became of an object.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its resource's plural, such as `clusterroles`.
    pub resource: &'static str,
    /// Its namespace; empty for none.
    pub namespace: SmolStr,
    /// Its name.
    pub name: SmolStr,
    /// The object; `None` when it is gone.
    pub object: Option<Arc<Value>>,
}

/// Tells of changes. The first answer holds every object that is there.
///
/// Whoever decides asks before it decides, so that a decision knows of every write that was answered before.
pub trait Feed: Send + 'static {
    /// What has changed since the last time. Waits for nothing.
    fn pull(&mut self) -> Vec<Change>;
}

impl Feed for Vec<Change> {
    fn pull(&mut self) -> Vec<Change> {
        std::mem::take(self)
    }
}
