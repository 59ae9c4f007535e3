//! What is done for a permitted call, by verb or subresource.

mod answer;
mod components;
pub mod connect;
mod create;
mod delete;
mod get;
mod list;
mod lookup;
mod options;
mod patch;
mod subresource;
#[cfg(test)]
mod tests;
mod watch;
mod watch_socket;
mod write;
mod write_options;

use crate::authz::{Permitted, escalation};
use crate::chain::Serve;
use crate::codec::accept::{self, Accept, Offer};
use crate::codec::body::{self, Sent};
use crate::codec::gzip;
use crate::egress::Components;
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::registry::admit::{Admission, Intent};
use crate::registry::behaviour::Part;
use crate::registry::catalog::Resource;
use crate::registry::custom::Custom;
use crate::registry::encoded;
use crate::registry::selection::Selection;
use crate::request::{Call, ResourcePath, Verb, before_slashes};
use crate::respond;
use crate::reviews::{Reviews, TokenIssuer};
use crate::schema::go;
use async_trait::async_trait;
use axum::body::Body;
use connect::ConnectContext;
use http::{Method, Request, Response};
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::meta::{Meta, path_segment};
use tinyplane_wire::process::Shutdown;
use tinyplane_wire::status::{self, Reason, Status};
use tinyplane_wire::streaming::handshake::wants_websocket;
use write::View;
use write_options::WriteOptions;

/// Serves every resource of the catalog.
pub struct Handlers {
    /// The objects.
    pub registry: Arc<Registry>,
    /// Who is asked before a write.
    pub admission: Arc<dyn Admission>,
    /// The ways to nodes, pods and Services.
    pub connect: ConnectContext,
    /// What runs beside the server.
    pub components: Components,
    /// Answers to reviews.
    pub reviews: Reviews,
    /// Issues service account tokens, where there is a key to sign them.
    pub tokens: Option<TokenIssuer>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Ends watches over a WebSocket: what is answered by HTTP ends with its connection.
    pub shutdown: Shutdown,
}

/// A call with everything that every verb needs of it.
struct Ask<'a> {
    call: &'a Permitted<Call>,
    path: &'a ResourcePath,
    resource: Arc<Resource>,
    namespace: &'a str,
    name: &'a str,
    options: WriteOptions,
    /// What `Accept` comes to, once it was read.
    accepted: OnceLock<Accept>,
}

#[async_trait]
impl Serve for Handlers {
    async fn serve(&self, call: Permitted<Call>, mut request: Request<Body>) -> status::Result<Response<Body>> {
        let path = call.resource()?;
        let resource = match self.registry.resource(&path.gvr()) {
            // Groups that definitions brought don't know what they don't serve.
            Err(_) if self.registry.catalog().is_of_definitions(&path.group, &path.version) => {
                return Ok(respond::page_not_found());
            }
            found => found?,
        };
        // Nor anything but lists and watches of objects that lie in namespaces, where none is named.
        let named = path.namespace.as_ref().is_some_and(|namespace| !namespace.is_empty());
        let nowhere = !named && !matches!(call.verb, Verb::List | Verb::Watch);
        if resource.custom.is_some() && resource.namespaced && nowhere {
            return Ok(respond::page_not_found());
        }
        let subresource = path.subresource.as_deref().unwrap_or_default();
        let is_too_long = subresource != "proxy" && !before_slashes(&path.subpath).is_empty();
        if is_too_long || is_misplaced(path, &resource) {
            return Err(crate::registry::no_such_resource());
        }
        if path.group.is_empty() && connect::serves(&path.resource, subresource) {
            // Below the old `/watch/` whatever the method was allowed is a watch, and there is none of these.
            if call.verb == Verb::Watch {
                return Err(crate::registry::no_such_resource());
            }
            connect::demand_method(&call, subresource)?;
            let name = path.name.as_deref().filter(|name| !name.is_empty()).ok_or_else(name_required)?;
            demand_place(&resource, path.namespace.as_deref().unwrap_or_default(), name)?;
            return connect::serve(&self.connect, call, request).await;
        }
        let ask = Ask {
            call: &call,
            path,
            namespace: if resource.namespaced { path.namespace.as_deref().unwrap_or_default() } else { "" },
            name: path.name.as_deref().unwrap_or_default(),
            resource,
            options: WriteOptions::plain(&call),
            accepted: OnceLock::new(),
        };
        self.route(&ask, subresource)?;
        if ask.name.is_empty() && !subresource.is_empty() {
            return Err(name_required());
        }
        // What can't be answered is not done.
        ask.accept()?;
        WriteOptions::judge(&call)?;
        if call.verb == Verb::Watch && wants_websocket(request.headers()) {
            let upgrade = hyper::upgrade::on(&mut request);
            let stream = self.dispatch(&ask, subresource, Body::empty()).await?;
            return watch_socket::carry(request.headers(), upgrade, stream, self.shutdown.clone());
        }
        let response = self.dispatch(&ask, subresource, request.into_body()).await?;
        Ok(gzip::compressed(&call.headers, response))
    }

    fn knows(&self, group: &str, version: &str) -> bool {
        self.registry.catalog().rows().any(|row| row.gvk.group == group && row.gvk.version == version)
    }

    fn serves(&self, path: &ResourcePath) -> bool {
        let catalog = self.registry.catalog();
        let part = path.subresource.as_deref();
        catalog.get(&path.gvr()).is_some_and(|row| part.is_none_or(|part| row.subresource(part).is_some()))
    }
}

/// Whether a path leads to something by a namespace that it does not lie in, or to none where it lies in one. What is asked within
/// a namespace is allowed there or not, and so nothing outside may be reached by it.
fn is_misplaced(path: &ResourcePath, resource: &Resource) -> bool {
    let (place, name) = (path.namespace.as_deref().unwrap_or_default(), path.name.as_deref().unwrap_or_default());
    if resource.namespaced {
        return path.namespace.is_none() && !name.is_empty();
    }
    // A namespace lies in itself, as upstream reads paths.
    !place.is_empty() && (resource.plural != "namespaces" || place != name)
}

/// Insists that a path leads to a place where an object may lie: with a namespace where there is room for one (`namespaces//pods/a`
/// has none), and a name that is a step of a path. Lists take no namespace for all, and what is created is judged like any object.
fn demand_place(resource: &Resource, namespace: &str, name: &str) -> status::Result<()> {
    if resource.namespaced && namespace.is_empty() {
        return Err(namespace_required());
    }
    if name.is_empty() {
        return Err(Status::bad_request("Name parameter required."));
    }
    let odd = path_segment(name);
    if odd.is_empty() {
        return Ok(());
    }
    Err(Status::bad_request(format!("Name parameter invalid: {}: {}", go::quote(name), odd.join(";"))))
}

fn name_required() -> Box<Status> {
    Status::bad_request("name must be provided")
}

fn namespace_required() -> Box<Status> {
    Status::bad_request("Namespace parameter required.")
}

impl Handlers {
    /// What upstream judges before a handler is asked: method, letters; and there it is told that a kind is deprecated.
    fn route(&self, ask: &Ask<'_>, subresource: &str) -> status::Result<()> {
        let verbs = if subresource.is_empty() {
            ask.resource.verbs
        } else {
            match (ask.resource.subresource(subresource), &ask.resource.custom) {
                (Some(part), _) => part.verbs,
                (None, Some(_)) => {
                    return Err(Status::not_found(&ask.resource.gvk.group, &ask.resource.plural, ask.name));
                }
                (None, None) => return Err(crate::registry::no_such_resource()),
            }
        };
        if let Some(custom) = &ask.resource.custom {
            self.tell_deprecation(ask, subresource);
            self.demand_conversion(ask, custom)?;
        }
        if ask.resource.custom.is_some() && !subresource.is_empty() && !verbs.has(ask.call.verb.as_str()) {
            let gvk = &ask.resource.gvk;
            return Err(Status::not_supported(&gvk.group, &ask.resource.plural, ask.call.verb.as_str()));
        }
        if ask.call.verb == Verb::Watch && verbs.has("list") && !verbs.has("watch") {
            return Err(self.no_watch(ask));
        }
        let writes_many = matches!(ask.call.verb, Verb::Create | Verb::DeleteCollection);
        let nowhere = ask.resource.namespaced && ask.path.namespace.is_none() && writes_many;
        let created = ask.call.verb == Verb::Create && subresource.is_empty() && !ask.name.is_empty();
        let unnamed =
            subresource.is_empty() && ask.name.is_empty() && matches!(ask.call.verb, Verb::Update | Verb::Patch);
        // Where a kind is only made, nothing leads to one of it, nor to all of it across namespaces.
        let one = ["get", "update", "patch", "delete"].iter().any(|verb| ask.resource.verbs.has(verb));
        let across = ask.resource.namespaced && ask.path.namespace.is_none() && !ask.resource.verbs.has("list");
        if subresource.is_empty() && ((!ask.name.is_empty() && !one) || (ask.name.is_empty() && across)) {
            return Err(crate::registry::no_such_resource());
        }
        if unnamed
            || created
            || (ask.call.method != Method::GET && ask.call.verb == Verb::Watch && ask.resource.custom.is_none())
            || (ask.call.method == Method::HEAD && ask.resource.custom.is_none())
            || !verbs.has(ask.call.verb.as_str())
            || nowhere
        {
            return Err(Status::method_not_allowed());
        }
        if ask.resource.custom.is_none() {
            if ask.call.verb == Verb::Patch {
                patch::demand_known(ask.call)?;
            }
            let watched = subresource.is_empty() && matches!(ask.call.verb, Verb::List | Verb::Watch);
            accept::demand_known(&ask.call.headers, watched)?;
            self.tell_deprecation(ask, subresource);
        }
        Ok(())
    }

    /// What is told who wants to watch what is only listed. Below the old `/watch/` nothing of it is found.
    fn no_watch(&self, ask: &Ask<'_>) -> Box<Status> {
        if ask.call.method != Method::GET {
            return Status::method_not_allowed();
        }
        if !ask.call.query.flag("watch") {
            return crate::registry::no_such_resource();
        }
        self.tell_deprecation(ask, "");
        Status::not_supported(&ask.resource.gvk.group, &ask.resource.plural, "watch")
    }

    fn tell_deprecation(&self, ask: &Ask<'_>, subresource: &str) {
        if let Some(told) = ask.resource.deprecation() {
            ask.call.warnings.add(told.to_owned());
            let gvk = &ask.resource.gvk;
            let labels = [gvk.group.as_str(), gvk.version.as_str(), ask.resource.plural.as_str(), subresource];
            self.metrics.deprecated.series(&labels.map(str::to_owned));
        }
    }

    async fn dispatch(&self, ask: &Ask<'_>, subresource: &str, body: Body) -> status::Result<Response<Body>> {
        if !subresource.is_empty() {
            return self.subresource(ask, subresource, body).await;
        }
        match ask.call.verb {
            Verb::Get if ask.resource.behaviour.is_found_out => self.component(ask).await,
            Verb::Get => self.get(ask),
            Verb::List if ask.resource.behaviour.is_found_out => self.components(ask).await,
            Verb::List => self.list(ask),
            Verb::Watch => self.watch(ask),
            Verb::Create => self.create(ask, body).await,
            Verb::Update | Verb::Patch => self.write(ask, body, &View::of(ask, "", Part::Main)).await,
            Verb::Delete => self.delete(ask, body).await,
            Verb::DeleteCollection => self.delete_collection(ask, body).await,
            _ => Err(crate::registry::no_such_resource()),
        }
    }

    /// Insists that no webhook has to be asked how an object looks in another version: none is called here.
    fn demand_conversion(&self, ask: &Ask<'_>, custom: &Custom) -> status::Result<()> {
        let row = &ask.resource;
        if custom.webhook.is_none() || row.is_stored_version() {
            return Ok(());
        }
        let of_many = matches!(ask.call.verb, Verb::List | Verb::Watch | Verb::DeleteCollection);
        if of_many && self.registry.count(&Selection::all(row, "")) == 0 {
            return Ok(());
        }
        // What is new comes from the version it is written in, everything else from the stored one.
        let from = if ask.call.verb == Verb::Create { &row.gvk } else { &row.stored };
        let told = format!(
            "conversion webhook for {}/{}, Kind={} failed: this server calls no webhooks",
            from.group, from.version, from.kind
        );
        Err(Status::failure(Reason::Unknown, told))
    }

    fn intent<'a>(&'a self, ask: &'a Ask<'_>) -> Intent<'a> {
        Intent {
            caller: ask.call.caller(),
            manager: Some(&ask.options.manager),
            warnings: &ask.call.warnings,
            dry_run: ask.options.dry_run,
            admission: &*self.admission,
        }
    }

    /// Nobody grants what they don't hold: the further questions of writes to roles and bindings.
    fn check_escalation(&self, ask: &Ask<'_>, new: &Value, old: Option<&Value>) -> status::Result<()> {
        if ask.resource.gvk.group != "rbac.authorization.k8s.io" {
            return Ok(());
        }
        let (authorizer, caller) = (&**ask.call.authorizer(), ask.call.caller());
        match new["kind"].as_str() {
            Some("Role" | "ClusterRole") => escalation::check_role(authorizer, caller, new, old),
            _ => escalation::check_binding(authorizer, caller, new, old),
        }
    }
}

impl Ask<'_> {
    /// What the caller accepts of what there is.
    fn accept(&self) -> status::Result<Accept> {
        if let Some(accept) = self.accepted.get() {
            return Ok(*accept);
        }
        let (protobuf, tables) = (encoded::has_message(&self.resource), self.has_tables());
        let offer = Offer { protobuf, tables, ..Offer::BUILTIN };
        let of = if self.call.verb == Verb::Watch { accept::of_watch } else { accept::of };
        let accept = of(&self.call.headers, offer)?;
        Ok(*self.accepted.get_or_init(|| accept))
    }

    /// Whether upstream prints what is answered: not what is only made, nor what a few subresources take.
    fn has_tables(&self) -> bool {
        match self.path.subresource.as_deref() {
            None => self.resource.verbs.has("list"),
            Some(part) => !["binding", "eviction", "finalize", "token"].contains(&part),
        }
    }

    /// Whether JSON is to be written for a person.
    fn wants_pretty(&self) -> status::Result<bool> {
        Ok(self.accept()?.pretty || respond::wants_pretty(&self.call.query, &self.call.headers))
    }

    /// What Go calls an object of this kind, or a list of them: upstream holds it without a version.
    fn go_type(&self, suffix: &str) -> String {
        let (group, kind) = (&self.resource.stored.group, &self.resource.stored.kind);
        match &self.resource.custom {
            Some(_) => format!("{}{suffix}", accept::UNSTRUCTURED),
            None if group.is_empty() => format!("core.{kind}{suffix}"),
            None => format!("{}.{kind}{suffix}", group.split('.').next().unwrap_or_default()),
        }
    }

    /// The body as an object of a kind.
    async fn object(&self, gvk: &Gvk, body: Body) -> status::Result<Value> {
        let sent = self.sent(body, Some(gvk)).await?;
        body::decode(gvk, self.custom(gvk), &sent, self.options.validation, &self.call.warnings)
    }

    /// What is known of the kind beyond a built-in one, where it is the row's own.
    fn custom(&self, gvk: &Gvk) -> Option<&Custom> {
        self.resource.custom.as_deref().filter(|_| self.resource.gvk == *gvk)
    }

    /// The body as JSON; a kind says what it is to be.
    async fn sent(&self, body: Body, wanted: Option<&Gvk>) -> status::Result<Sent> {
        // What replaces an object is judged when it is there.
        if self.call.verb == Verb::Create {
            body::demand_known(self.call)?;
        }
        body::as_json(self.call.header("content-type"), body::read(self.call, body).await?, wanted)
    }

    /// Insists that an object is where the path says, and writes its place into it where it does not say.
    fn place(&self, object: &mut Value) -> status::Result<()> {
        let given = Meta::of(object).namespace();
        if self.resource.namespaced {
            if !given.is_empty() && !self.namespace.is_empty() && given != self.namespace {
                return Err(Status::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
            tinyplane_wire::meta::metadata_mut(object).insert("namespace".into(), self.namespace.into());
        } else if !given.is_empty() {
            tinyplane_wire::meta::metadata_mut(object).remove("namespace");
        }
        Ok(())
    }

    /// Insists that the path leads to a place where an object may lie. Upstream finds that out when it looks there: after what it
    /// reads of the body.
    fn demand_place(&self) -> status::Result<()> {
        demand_place(&self.resource, self.namespace, self.name)
    }

    /// Insists that an object has the path's name.
    fn named(&self, object: &Value) -> status::Result<()> {
        let given = Meta::of(object).name();
        if given.is_empty() {
            return Err(Status::bad_request(format!(
                "the name of the object ({} based on URL) was undeterminable: name must be provided",
                self.name
            )));
        }
        if given != self.name {
            return Err(Status::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({})",
                self.name
            )));
        }
        Ok(())
    }
}
