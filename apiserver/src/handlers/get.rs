//! GET of one object.

use super::{Ask, Handlers};
use crate::registry::create::Object;
use crate::registry::failure;
use crate::registry::list::parse_version;
use axum::body::Body;
use http::{Response, StatusCode};
use tinyplane_wire::status;

impl Handlers {
    pub(super) fn get(&self, ask: &Ask<'_>) -> status::Result<Response<Body>> {
        ask.demand_place()?;
        let version = ask.call.query.text("resourceVersion");
        if !version.is_empty() {
            let (asked, now) = (parse_version(version)?, self.registry.revision());
            if asked > now {
                return Err(failure::too_large(asked, now));
            }
        }
        let entry = self.registry.get(&ask.resource, ask.namespace, ask.name)?;
        self.answer(ask, StatusCode::OK, &Object::Stored(entry))
    }
}
