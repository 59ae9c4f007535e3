//! GET of what is not stored but found out: how the server's components are.

use super::list::selection;
use super::{Ask, Handlers, options};
use crate::registry::create::Object;
use crate::registry::selection::Selection;
use axum::body::Body;
use futures_util::future::join_all;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tinyplane_wire::status::{self, Status};

/// The name under which upstream tells of its first store.
const STORE: &str = "etcd-0";

impl Handlers {
    pub(super) async fn component(&self, ask: &Ask<'_>) -> status::Result<Response<Body>> {
        match self.found_out(ask.name).await {
            Some(mut object) => {
                // An item of a list says neither.
                object["kind"] = ask.resource.gvk.kind.as_str().into();
                object["apiVersion"] = ask.resource.gvk.api_version().into();
                self.answer(ask, StatusCode::OK, &Object::Value(object))
            }
            // By its kind: upstream has no store here that would know the resource.
            None => Err(Status::not_found("", "componentstatus", ask.name)),
        }
    }

    /// All of them. Of a list's options only what selects counts.
    pub(super) async fn components(&self, ask: &Ask<'_>) -> status::Result<Response<Body>> {
        let accept = ask.accept()?;
        accept.demand_shape(true, || ask.go_type("List"))?;
        options::list(&ask.call.query)?;
        let Selection { labels, fields, .. } = selection(ask)?;
        let names = self.components.addresses.map(|(name, _)| name).into_iter().chain([STORE]);
        let named = |name: &&str| {
            labels.matches(|_| None) && fields.matches(|field| if field == "metadata.name" { *name } else { "" })
        };
        let found = join_all(names.filter(named).map(|name| self.found_out(name))).await;
        self.listed(ask, accept, &json!({}), found.into_iter().flatten().collect())
    }

    /// How a component is.
    async fn found_out(&self, name: &str) -> Option<Value> {
        let (is_healthy, said) = if name == STORE {
            // Its answers come out of this process: who hears this, hears it.
            (true, "ok".to_owned())
        } else {
            let (_, at) = self.components.addresses.into_iter().find(|(known, _)| *known == name)?;
            let found = self.components.ask(at).await;
            (found.is_healthy, found.said)
        };
        let status = if is_healthy { "True" } else { "False" };
        let mut condition = json!({"type": "Healthy", "status": status});
        if !said.is_empty() {
            condition["message"] = said.into();
        }
        Some(json!({"metadata": {"name": name}, "conditions": [condition]}))
    }
}
