//! DELETE of an object or a collection.

use super::answer::value;
use super::list::selection;
use super::options::list as list_options;
use super::{Ask, Handlers, namespace_required};
use crate::registry::delete::Options;
use crate::schema;
use crate::schema::decode::{self, not_json};
use crate::schema::go::{json_word, quote};
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use tinyplane_wire::meta::Meta;
use tinyplane_wire::status::{self, Details, Status};

const OPTIONS_TYPE: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
/// Upstream's name for the set of types that options are read by.
const OPTIONS_SCHEME: &str = "pkg/apis/meta/internalversion/scheme/register.go:27";

impl Handlers {
    pub(super) async fn delete(&self, ask: &Ask<'_>, body: Body) -> status::Result<Response<Body>> {
        let Asked { options, dry_run, cascades } = options(ask, body).await?;
        ask.demand_place()?;
        let mut intent = self.intent(ask);
        intent.dry_run = dry_run;
        let deleted = self.registry.delete(&ask.resource, ask.namespace, ask.name, &options, &intent).await?;
        if deleted.gone && !ask.resource.behaviour.returns_deleted {
            let object = deleted.object.value()?;
            let details = Details {
                name: ask.name.to_owned(),
                group: ask.resource.gvk.group.to_string(),
                kind: ask.resource.plural.to_string(),
                uid: Meta::of(&object).uid().to_owned(),
                ..Details::default()
            };
            let mut status = Status::success(Some(details));
            status.code = 0;
            let mut status = serde_json::to_value(&status).map_err(Status::internal)?;
            if let Some(fields) = status.as_object_mut() {
                fields.remove("code");
            }
            return value(ask, StatusCode::OK, &status);
        }
        let later = !deleted.gone && cascades;
        self.answer(ask, if later { StatusCode::ACCEPTED } else { StatusCode::OK }, &deleted.object)
    }

    pub(super) async fn delete_collection(&self, ask: &Ask<'_>, body: Body) -> status::Result<Response<Body>> {
        let accept = ask.accept()?;
        let (selection, mut part) = (selection(ask)?, list_options(&ask.call.query)?);
        if part.limit == 0 {
            // Upstream lists in pages of its own, which is why a resource version is taken as exact.
            part.limit = usize::MAX;
        }
        let Asked { options, dry_run, .. } = options(ask, body).await?;
        let mut intent = self.intent(ask);
        intent.dry_run = dry_run;
        // Where the path says none, upstream misses the namespace with the first object that it would delete.
        if ask.resource.namespaced && ask.namespace.is_empty() {
            let page = self.registry.list(&ask.resource, &selection, &part)?;
            return if page.entries.is_empty() { self.page(ask, accept, &page) } else { Err(namespace_required()) };
        }
        let page = self.registry.delete_collection(&ask.resource, &selection, &part, &options, &intent).await?;
        self.page(ask, accept, &page)
    }
}

/// The options in the body, or where it is empty those in the query.
async fn options(ask: &Ask<'_>, body: Body) -> status::Result<Asked> {
    let sent = ask.sent(body, None).await?;
    let given: Value = if sent.is_empty() { in_query(ask)? } else { read(&sent.json)? };
    let options = Options::read(&given)?;
    if let Some(told) = ask.resource.behaviour.orphans_warning.filter(|_| options.propagation.is_none()) {
        ask.call.warnings.add(told.to_owned());
    }
    Ok(Asked {
        options,
        dry_run: given["dryRun"].as_array().is_some_and(|words| !words.is_empty()),
        cascades: given["orphanDependents"] == false,
    })
}

/// How a deletion is meant.
struct Asked {
    options: Options,
    dry_run: bool,
    /// Whether it was said in the old words that what the object owns goes as well: who says so is told by the code that
    /// the object is still there.
    cascades: bool,
}

fn read(json: &[u8]) -> status::Result<Value> {
    let value: Value = serde_json::from_slice(json).map_err(|error| {
        let why = not_json(json, &error);
        Status::bad_request(format!("couldn't get version/kind; json parse error: {why}"))
    })?;
    if !value.is_object() && !value.is_null() {
        let told = "Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";
        let what = json_word(&value);
        return Err(Status::bad_request(format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {what} into {told}"
        )));
    }
    let kind = value["kind"].as_str().unwrap_or("DeleteOptions");
    if kind != "DeleteOptions" {
        let version = value["apiVersion"].as_str().unwrap_or_default();
        let told = format!(
            "no kind {} is registered for version {} in scheme {OPTIONS_SCHEME:?}",
            quote(kind),
            quote(version)
        );
        return Err(Status::bad_request(told));
    }
    let model = schema::model();
    let id = model.named(OPTIONS_TYPE).ok_or_else(|| Status::internal("the options of deletions have no type"))?;
    let decoded = decode::value(model, id, value).map_err(|error| Status::bad_request(error.to_string()))?;
    Ok(decoded.value)
}

fn in_query(ask: &Ask<'_>) -> status::Result<Value> {
    let query = &ask.call.query;
    let mut given = Map::new();
    if let Some(seconds) = query.integer("gracePeriodSeconds")? {
        given.insert("gracePeriodSeconds".into(), seconds.into());
    }
    if let Some(word) = query.first("propagationPolicy") {
        given.insert("propagationPolicy".into(), word.into());
    }
    if let Some(orphan) = query.optional_flag("orphanDependents") {
        given.insert("orphanDependents".into(), orphan.into());
    }
    let words: Vec<&str> = query.all("dryRun").collect();
    if !words.is_empty() {
        given.insert("dryRun".into(), json!(words));
    }
    let said = |name: &str| query.first(name).filter(|text| !text.is_empty());
    let preconditions: Map<String, Value> = ["uid", "resourceVersion"]
        .into_iter()
        .filter_map(|name| said(name).map(|text| (name.to_owned(), text.into())))
        .collect();
    if !preconditions.is_empty() {
        given.insert("preconditions".into(), preconditions.into());
    }
    Ok(given.into())
}

/// Deletion options that an eviction carries.
pub(super) fn of_eviction(eviction: &Value) -> status::Result<Options> {
    Options::read(&eviction["deleteOptions"])
}
