//! Objects for the room that connects: read like anybody else's, from the registry.

use super::connect::Lookup;
use crate::registry::{Registry, encoding};
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::status;

#[async_trait]
impl Lookup for Registry {
    async fn get(&self, gvr: &Gvr, namespace: Option<&str>, name: &str) -> status::Result<Arc<Value>> {
        let resource = self.resource(gvr)?;
        let entry = Self::get(self, &resource, namespace.unwrap_or_default(), name)?;
        encoding::parse(&entry).map(Arc::new)
    }
}
