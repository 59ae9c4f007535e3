//! POST of an object to its collection.

use super::answer::value;
use super::{Ask, Handlers};
use crate::registry::managers::folded;
use crate::reviews::Reviews;
use axum::body::Body;
use http::{Response, StatusCode};
use tinyplane_wire::status;

impl Handlers {
    pub(super) async fn create(&self, ask: &Ask<'_>, body: Body) -> status::Result<Response<Body>> {
        let mut object = ask.object(&ask.resource.gvk, body).await?;
        ask.place(&mut object)?;
        if Reviews::answers(&ask.path.group, &ask.path.resource) {
            self.registry.manage_new(&ask.resource, self.intent(ask).manager, &mut object);
            folded::unfold(&mut object);
            let answer = self.reviews.create(ask.call.caller(), &ask.path.resource, ask.namespace, object)?;
            return value(ask, StatusCode::CREATED, &answer);
        }
        if ask.path.group.is_empty() && ask.path.resource == "bindings" {
            let pod = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            return self.bind(ask, &pod, object).await;
        }
        self.check_escalation(ask, &object, None)?;
        let intent = self.intent(ask);
        let created = self.registry.create(&ask.resource, ask.namespace, object, &intent).await?;
        self.answer(ask, StatusCode::CREATED, &created)
    }
}
