//! PUT of a whole object.

use super::{Ask, Handlers};
use crate::registry::behaviour::Part;
use crate::registry::update::Target;
use axum::body::Body;
use http::{Response, StatusCode};
use tinyplane_wire::status;

impl Handlers {
    pub(super) async fn update(&self, ask: &Ask<'_>, body: Body) -> status::Result<Response<Body>> {
        self.replace(ask, body, "", Part::Main).await
    }

    /// Replaces an object, or a part of it that is sent as the whole object.
    pub(super) async fn replace(
        &self,
        ask: &Ask<'_>,
        body: Body,
        subresource: &str,
        part: Part,
    ) -> status::Result<Response<Body>> {
        let mut object = ask.object(body, "UpdateOptions").await?;
        ask.place(&mut object)?;
        ask.named(&mut object)?;
        let target = Target {
            resource: &ask.resource,
            namespace: ask.namespace,
            name: ask.name,
            subresource,
            part,
            replaces: true,
        };
        let intent = self.intent(ask)?;
        let mut change = |old: Option<&serde_json::Value>| {
            if subresource.is_empty() {
                self.check_escalation(ask, &object, old)?;
            }
            Ok(object.clone())
        };
        let updated = self.registry.update(&target, &intent, &mut change).await?;
        let code = if updated.created { StatusCode::CREATED } else { StatusCode::OK };
        self.answer(ask, code, &updated.object)
    }
}
