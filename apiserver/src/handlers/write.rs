//! PUT and PATCH of an object, of its status, and of whatever else of it has a path of its own: the one place where
//! what was sent, whole or as a patch, is laid over what is there.

use super::patch::{self, Patch};
use super::{Ask, Handlers};
use crate::codec::body;
use crate::registry::behaviour::Part;
use crate::registry::create;
use crate::registry::managers::{self, Versions, Writer};
use crate::registry::update::Target;
use crate::registry::{encoding, no_such_resource};
use crate::request::Verb;
use crate::schema::fields::Set;
use crate::schema::{self, raw};
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::Value;
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::meta::{Meta, metadata_mut};
use tinyplane_wire::status::{self, Reason, Status};

/// How an object is seen at a path, and what is taken of what is written there.
pub(super) struct View<'a> {
    /// The subresource; empty for the object itself.
    pub(super) subresource: &'a str,
    /// The part of the object that may change.
    pub(super) part: Part,
    /// The kind that is read and written.
    pub(super) gvk: &'a Gvk,
    /// Another object that stands for it, where it is not shown as it is.
    pub(super) other: Option<Other>,
    /// Takes from the new object, as it is seen, what may change in the old one.
    pub(super) take: Option<Take>,
}

impl<'a> View<'a> {
    /// An object that is seen as it is.
    pub(super) fn of(ask: &'a Ask<'_>, subresource: &'a str, part: Part) -> Self {
        Self { subresource, part, gvk: &ask.resource.gvk, other: None, take: None }
    }
}

/// Takes from a new object what a subresource may change in the old one.
pub(super) type Take = fn(subresource: &str, old: &Value, new: &Value) -> Value;

/// An object that stands for another one.
pub(super) struct Other {
    /// Shows it.
    pub(super) show: fn(object: &Value, versions: &Versions<'_>) -> Value,
    /// Shows it as it is answered.
    pub(super) answer: fn(object: &Value, versions: &Versions<'_>) -> Value,
    /// Refuses it, or lays it back.
    pub(super) put: fn(old: &Value, new: &Value, versions: &Versions<'_>) -> status::Result<Value>,
}

/// What was sent.
enum Sent {
    Whole(Value),
    Patch(Patch),
    /// A patch that says nothing: that is told once there is an object to lay it over.
    Unreadable(Box<Status>),
}

impl Handlers {
    /// Changes an object as it is seen through a view.
    pub(super) async fn write(&self, ask: &Ask<'_>, body: Body, view: &View<'_>) -> status::Result<Response<Body>> {
        let sent = if ask.call.verb == Verb::Update {
            let read = ask.object(view.gvk, body).await;
            let mut object = read.map_err(|refused| undecoded(ask, view, refused))?;
            ask.place(&mut object)?;
            ask.named(&object)?;
            Sent::Whole(object)
        } else {
            match Patch::read(ask, body).await {
                Err(status) if !patch::applies(ask.call) && [400, 422].contains(&status.code) => {
                    Sent::Unreadable(status)
                }
                read => Sent::Patch(read?),
            }
        };
        ask.demand_place()?;
        let applies = matches!(sent, Sent::Patch(Patch::Apply(_)));
        let target = Target {
            resource: &ask.resource,
            namespace: ask.namespace,
            name: ask.name,
            subresource: view.subresource,
            part: view.part,
            replaces: matches!(sent, Sent::Whole(_)),
            creates: applies,
            manages: applies || view.other.is_some() || view.take.is_some(),
        };
        let intent = self.intent(ask);
        let resets = match view.other {
            None => managers::resets(&ask.resource, view.part, view.subresource),
            Some(_) => None,
        };
        let mut change = |old: Option<&Value>| {
            if old.is_none() && (view.subresource.is_empty() || creates_by_parts(ask, view)) {
                self.demand_create(ask)?;
            }
            let new = self.laid(ask, view, &sent, old, resets.as_ref())?;
            if view.subresource.is_empty() {
                self.check_escalation(ask, &new, old)?;
            }
            Ok(new)
        };
        let updated = self.registry.update(&target, &intent, &mut change).await?;
        let code = if updated.created { StatusCode::CREATED } else { StatusCode::OK };
        match &view.other {
            None => self.answer(ask, code, &updated.object),
            Some(other) => {
                let object = encoding::serve(&ask.resource, updated.object.value()?);
                let catalog = self.registry.catalog();
                self.scale_of(ask, code, &(other.answer)(&object, &Versions::of(&catalog, &ask.resource)))
            }
        }
    }

    /// What was sent, laid over the current object. The current resource version stands in it: only one that was sent
    /// can be another one, and binds the caller.
    fn laid(
        &self,
        ask: &Ask<'_>,
        view: &View<'_>,
        sent: &Sent,
        old: Option<&Value>,
        resets: Option<&Set>,
    ) -> status::Result<Value> {
        let catalog = self.registry.catalog();
        let family = Versions::of(&catalog, &ask.resource);
        let alone = view.other.as_ref().map(|_| Versions::alone(view.gvk));
        let now = self.registry.clock().timestamp();
        let writer = Writer {
            manager: &ask.options.manager,
            subresource: view.subresource,
            now: &now,
            versions: alone.as_ref().unwrap_or(&family),
            resets,
        };
        let other;
        let seen = match (&view.other, old) {
            (Some(shown), Some(old)) => {
                other = (shown.show)(old, &family);
                Some(&other)
            }
            (_, old) => old,
        };
        let mut new = match (sent, seen) {
            (Sent::Whole(object), _) => object.clone(),
            (Sent::Unreadable(status), _) => return Err(status.clone()),
            (Sent::Patch(Patch::Apply(config)), seen) => applied(ask, view, &writer, config, seen)?,
            (Sent::Patch(_), None) => return Err(no_such_resource()),
            (Sent::Patch(patch), Some(seen)) => patch.laid(ask, view.gvk, seen)?,
        };
        if matches!(sent, Sent::Patch(_)) {
            ask.place(&mut new)?;
            ask.named(&new)?;
        }
        match (&view.other, view.take, old) {
            (Some(shown), _, Some(old)) => {
                if !matches!(sent, Sent::Patch(Patch::Apply(_))) {
                    managers::record(&writer, seen, &mut new);
                }
                (shown.put)(old, &new, &family)
            }
            (None, Some(take), Some(old)) => {
                // An author owns all that was changed, also what is not taken: upstream looks at it before that.
                if !matches!(sent, Sent::Patch(Patch::Apply(_))) {
                    create::default(&ask.resource, &mut new);
                    create::record_settled(&ask.resource, &mut new, |new| managers::record(&writer, Some(old), new));
                }
                let mut taken = take(view.subresource, old, &new);
                let metadata = metadata_mut(&mut taken);
                for field in ["resourceVersion", "uid", "managedFields", "generateName"] {
                    match &new["metadata"][field] {
                        Value::Null if field == "uid" => {}
                        Value::Null => drop(metadata.remove(field)),
                        given => drop(metadata.insert(field.into(), given.clone())),
                    }
                }
                Ok(taken)
            }
            (_, _, None) if !view.subresource.is_empty() && !creates_by_parts(ask, view) => Err(no_such_resource()),
            _ => Ok(new),
        }
    }

    /// Insists that the caller may create what is not there.
    fn demand_create(&self, ask: &Ask<'_>) -> status::Result<()> {
        let mut question = ask.call.attributes();
        question.verb = Verb::Create.as_str();
        ask.call.demand(&question)
    }
}

/// What is told of a body that can't be read. Upstream knows no scale among the kinds of definitions, whatever is wrong with it.
fn undecoded(ask: &Ask<'_>, view: &View<'_>, refused: Box<Status>) -> Box<Status> {
    if ask.resource.custom.is_none() || view.other.is_none() || refused.reason != Reason::BadRequest {
        return refused;
    }
    let (version, kind) = (&view.gvk.version, &view.gvk.kind);
    let told = format!("no kind is registered for the type {version}.{kind} in scheme \"pkg/runtime/scheme.go:111\"");
    Status::bad_request(told)
}

/// Whether a write of this part creates an object that is not there: a status does, of what an update creates.
fn creates_by_parts(ask: &Ask<'_>, view: &View<'_>) -> bool {
    view.part == Part::Status && ask.resource.behaviour.create_on_update
}

/// What an apply makes of the object that is there, or of nothing.
fn applied(
    ask: &Ask<'_>,
    view: &View<'_>,
    writer: &Writer<'_>,
    config: &patch::apply::Config,
    seen: Option<&Value>,
) -> status::Result<Value> {
    if seen.is_none() && !view.subresource.is_empty() && !creates_by_parts(ask, view) {
        return Err(no_such_resource());
    }
    let force = ask.options.force;
    let unconvertible = |what: &str, of: &str| {
        let told = "to proper version: request to convert CR to an invalid group/version: autoscaling/v1";
        Status::failure(Reason::Unknown, format!("{what} ({of}) {told}"))
    };
    // The scale of a custom object is what upstream can't convert, and finds only where it has to.
    let of_custom = seen.filter(|_| view.other.is_some() && ask.resource.custom.is_some());
    if of_custom.is_some_and(|scale| scale["metadata"]["managedFields"].is_null()) {
        let what = "failed to create manager for existing fields: failed to convert live object";
        return Err(unconvertible(what, "/; autoscaling/v1, Kind=Scale"));
    }
    let raws = ask.resource.raws();
    let meant = seen.map(|seen| raw::unfolded(schema::model(), raws, seen));
    let made = managers::apply(writer, meant.as_deref(), &config.object, force).map_err(|refused| refused.status())?;
    if of_custom.is_some() && made.changed {
        return Err(unconvertible("failed to convert new object", &managers::named(&config.object)));
    }
    config.judge(ask)?;
    let uid = Meta::of(&made.object).uid();
    if seen.is_none() && !uid.is_empty() {
        let why = format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
        return Err(Status::conflict(&ask.resource.gvk.group, &ask.resource.plural, ask.name, &why));
    }
    // Where nothing but managers is new, raw JSON stays as it was written.
    if let (Some(seen), Some(_), false) = (seen, raws, made.changed) {
        let mut kept = seen.clone();
        metadata_mut(&mut kept).remove("managedFields");
        if let Some(managers) = made.object["metadata"].get("managedFields") {
            metadata_mut(&mut kept).insert("managedFields".into(), managers.clone());
        }
        return Ok(kept);
    }
    body::complete(view.gvk, ask.custom(view.gvk), made.object).map_err(|error| {
        let (of, gvk) = (managers::named(&config.object), view.gvk);
        let why = patch::as_laid_over(&error.to_string());
        let what = format!(
            "{}, Kind={}",
            if gvk.group.is_empty() { format!("/{}", gvk.version) } else { gvk.api_version() },
            gvk.kind
        );
        let told = format!("unable to convert unstructured object to {what}: {why}");
        Status::failure(Reason::Unknown, format!("failed to convert new object ({of}) to proper version: {told}"))
    })
}
