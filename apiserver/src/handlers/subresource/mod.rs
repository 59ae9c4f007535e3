//! The parts of objects that have paths of their own, connections aside.

mod binding;
mod eviction;
mod parts;
mod scale;

use super::answer::value;
use super::write::View;
use super::{Ask, Handlers};
use crate::registry::admit::{Operation, Question};
use crate::registry::behaviour::Part;
use crate::registry::managers::{self, Versions, Writer, folded};
use crate::request::Verb;
use crate::reviews::TokenIssuer;
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::Value;
use tinyplane_wire::status;

impl Handlers {
    pub(super) async fn subresource(
        &self,
        ask: &Ask<'_>,
        subresource: &str,
        body: Body,
    ) -> status::Result<Response<Body>> {
        match (subresource, ask.call.verb) {
            ("scale", _) => self.scale(ask, body).await,
            (_, Verb::Get) => self.get(ask),
            ("status", Verb::Update | Verb::Patch) => {
                self.write(ask, body, &View::of(ask, subresource, Part::Status)).await
            }
            ("binding", _) => {
                let binding = self.sent(ask, subresource, body).await?;
                self.bind(ask, ask.name, binding).await
            }
            ("eviction", _) => {
                let eviction = self.sent(ask, subresource, body).await?;
                self.evict(ask, eviction).await
            }
            ("token", _) => {
                let mut request = self.sent(ask, subresource, body).await?;
                let seconds = &mut request["spec"]["expirationSeconds"];
                if seconds.is_null() {
                    *seconds = TokenIssuer::EXPIRATION_SECONDS.into();
                }
                let gvk = ask.resource.subresource(subresource).map_or(&ask.resource.gvk, |part| &part.gvk);
                let writer = Writer {
                    manager: &ask.options.manager,
                    subresource,
                    now: &self.registry.clock().timestamp(),
                    versions: &Versions::alone(gvk),
                    resets: None,
                };
                managers::record(&writer, None, &mut request);
                folded::unfold(&mut request);
                self.admit_part(ask, ask.name, &mut request).await?;
                ask.demand_place()?;
                let tokens = self.tokens.as_ref().ok_or_else(crate::registry::no_such_resource)?;
                let issued = tokens.create(ask.namespace, ask.name, request)?;
                value(ask, StatusCode::CREATED, &issued)
            }
            _ => {
                let view = View { take: Some(parts::taken), ..View::of(ask, subresource, Part::Other) };
                self.write(ask, body, &view).await
            }
        }
    }

    /// Asks admission for something to be made that is no object of its own: a binding, an eviction, a token.
    async fn admit_part(&self, ask: &Ask<'_>, name: &str, part: &mut Value) -> status::Result<()> {
        let intent = self.intent(ask);
        let question = Question {
            operation: Operation::Create,
            resource: &ask.resource,
            subresource: ask.path.subresource.as_deref().unwrap_or_default(),
            namespace: ask.namespace,
            name,
            generated: None,
            old: None,
            intent: &intent,
            registry: &self.registry,
        };
        self.admission.mutate(&question, part).await?;
        self.admission.validate(&question, part).await
    }

    /// The body as an object of the subresource's kind, at the path's place.
    async fn sent(&self, ask: &Ask<'_>, subresource: &str, body: Body) -> status::Result<Value> {
        let known = ask.resource.subresource(subresource).ok_or_else(crate::registry::no_such_resource)?;
        let mut object = ask.object(&known.gvk, body).await?;
        ask.place(&mut object)?;
        Ok(object)
    }
}
