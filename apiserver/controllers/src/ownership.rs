//! Adopting what an owner's selector matches, and releasing what it matches no more.

use crate::context::Context;
use serde_json::{Value, json};
use std::sync::Arc;
use tinyplane_wire::client::{Cache, ClientError, Patch};
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::meta::{Meta, controller_reference};
use tinyplane_wire::selector::LabelSelector;

/// Who owns objects of one resource, as owners of another see it.
pub(crate) struct Ownership {
    context: Arc<Context>,
    owners: Gvr,
    gvr: Gvr,
    cache: Arc<Cache>,
}

impl Ownership {
    pub(crate) fn new(context: &Arc<Context>, owners: Gvr, gvr: Gvr) -> Self {
        Self { context: Arc::clone(context), owners, cache: context.cache(&gvr), gvr }
    }

    /// The objects that an owner controls: those it had, without those whose labels have left the selector (they are
    /// released), and with those that match and belong to nobody (they are adopted).
    pub(crate) async fn claim(
        &self,
        owner: &Value,
        selector: &LabelSelector,
        concerns: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Arc<Value>>, ClientError> {
        let meta = Meta::of(owner);
        let (mut mine, mut may_adopt) = (Vec::new(), None);
        for object in self.cache.in_namespace(meta.namespace()) {
            let (matches, object_meta) = (selector.selects(&object), Meta::of(&object));
            match object_meta.controller() {
                Some(controller) if controller["uid"] == meta.uid() => match matches {
                    true if concerns(&object) => mine.push(object),
                    false if !meta.is_deleting() && concerns(&object) => self.release(owner, &object).await?,
                    _ => {}
                },
                None if matches && !meta.is_deleting() && !object_meta.is_deleting() && concerns(&object) => {
                    let may = match may_adopt {
                        Some(may) => may,
                        None => *may_adopt.insert(self.still_there(owner).await?),
                    };
                    if may && let Some(adopted) = self.adopt(owner, &object).await? {
                        mine.push(Arc::new(adopted));
                    }
                }
                _ => {}
            }
        }
        Ok(mine)
    }

    /// Whether the server too knows the owner as it is here: a cache may lag behind its deletion.
    async fn still_there(&self, owner: &Value) -> Result<bool, ClientError> {
        let meta = Meta::of(owner);
        match self.context.client.get(&self.owners, Some(meta.namespace()), meta.name()).await {
            Ok(there) => Ok(Meta::of(&there).uid() == meta.uid() && !Meta::of(&there).is_deleting()),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn adopt(&self, owner: &Value, object: &Value) -> Result<Option<Value>, ClientError> {
        self.patch_references(object, &controller_reference(owner)).await
    }

    async fn release(&self, owner: &Value, object: &Value) -> Result<(), ClientError> {
        self.patch_references(object, &json!({"$patch": "delete", "uid": Meta::of(owner).uid()})).await.map(drop)
    }

    async fn patch_references(&self, object: &Value, reference: &Value) -> Result<Option<Value>, ClientError> {
        let meta = Meta::of(object);
        let patch = json!({"metadata": {"uid": meta.uid(), "ownerReferences": [reference]}});
        let (namespace, patch) = (Some(meta.namespace()), (Patch::Strategic, &patch));
        match self.context.client.patch(&self.gvr, namespace, meta.name(), None, patch).await {
            Ok(patched) => Ok(Some(patched)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
