//! A tiny API for tests: objects by path, lists, watches and patches over plain HTTP. It checks nothing.

use axum::body::{Body, Bytes};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tinyplane_wire::net::{Sources, bind};
use tokio::sync::watch;

/// Resource, namespace and name.
type Key = (String, String, String);

#[derive(Default)]
struct State {
    objects: BTreeMap<Key, Value>,
    log: Vec<(&'static str, Key, Value)>,
}

/// The API and its server.
pub(super) struct Api {
    pub(super) address: SocketAddr,
    state: Mutex<State>,
    revision: watch::Sender<usize>,
}

struct Path {
    key: Key,
    subresource: String,
}

impl Path {
    fn parse(path: &str) -> Self {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let rest = if parts[0] == "api" { &parts[2..] } else { &parts[3..] };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let part = |place: usize| rest.get(place).copied().unwrap_or_default().to_owned();
        Self { key: (part(0), namespace.to_owned(), part(1)), subresource: part(2) }
    }
}

impl Api {
    pub(super) fn start(at: &str) -> Arc<Self> {
        let bound = bind(at.parse().unwrap(), Sources::any()).unwrap();
        let api = Arc::new(Self { address: bound.address, state: Mutex::default(), revision: watch::Sender::new(0) });
        let serving = Arc::clone(&api);
        tokio::spawn(async move {
            loop {
                let stream = bound.listener.accept().await.stream;
                let api = Arc::clone(&serving);
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let api = Arc::clone(&api);
                        async move { Ok::<_, Infallible>(api.answer(request).await) }
                    });
                    let builder = auto::Builder::new(TokioExecutor::new());
                    drop(builder.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        api
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let path = Path::parse(request.uri().path());
        let query = request.uri().query().unwrap_or_default().to_owned();
        let method = request.method().clone();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if query.contains("watch=1") {
            return self.watch(path.key, query);
        }
        if path.subresource == "token" {
            return reply(201, &json!({"status": {"token": "a-token", "expirationTimestamp": "2099-01-01T00:00:00Z"}}));
        }
        match (method, path.key.2.is_empty()) {
            (Method::GET, true) => self.list(&path.key, &query),
            (Method::GET, false) => self.get(&path.key).map_or_else(missing, |object| reply(200, &object)),
            (Method::POST, _) => {
                let name = body["metadata"]["name"].as_str().unwrap().to_owned();
                let key = (path.key.0, path.key.1, name);
                if self.get(&key).is_some() {
                    return reply(409, &json!({"kind": "Status", "reason": "AlreadyExists", "code": 409}));
                }
                reply(201, &self.put(&key, body))
            }
            (Method::PUT, _) => reply(200, &self.put(&path.key, body)),
            (Method::PATCH, _) => match self.get(&path.key) {
                None => missing(),
                Some(mut object) => {
                    merge(&mut object, &body);
                    reply(200, &self.put(&path.key, object))
                }
            },
            (Method::DELETE, _) => {
                self.remove(&path.key);
                reply(200, &json!({"kind": "Status", "status": "Success"}))
            }
            _ => reply(405, &Value::Null),
        }
    }

    fn list(&self, key: &Key, query: &str) -> Response<Body> {
        let state = self.state.lock().unwrap();
        let found = state.objects.iter().filter(|(k, object)| selects(key, query, k, object));
        let items: Vec<&Value> = found.map(|(_, object)| object).collect();
        let version = state.log.len().to_string();
        reply(
            200,
            &json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": version}, "items": items}),
        )
    }

    fn watch(self: Arc<Self>, key: Key, query: String) -> Response<Body> {
        let from: usize = query.split("resourceVersion=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap();
        let changes = self.revision.subscribe();
        let stream = futures_util::stream::unfold((self, from, changes), move |(api, mut at, mut changes)| {
            let (key, query) = (key.clone(), query.clone());
            async move {
                loop {
                    changes.borrow_and_update();
                    let next = api.state.lock().unwrap().log.get(at).cloned();
                    match next {
                        Some((event, k, object)) => {
                            at += 1;
                            if selects(&key, &query, &k, &object) {
                                let frame = format!("{}\n", json!({"type": event, "object": object}));
                                return Some((Ok::<_, Infallible>(Bytes::from(frame)), (api, at, changes)));
                            }
                        }
                        None => changes.changed().await.ok()?,
                    }
                }
            }
        });
        Response::new(Body::from_stream(stream))
    }

    pub(super) fn get(&self, key: &Key) -> Option<Value> {
        self.state.lock().unwrap().objects.get(key).cloned()
    }

    /// Writes an object.
    pub(super) fn put(&self, key: &Key, mut object: Value) -> Value {
        let mut state = self.state.lock().unwrap();
        let version = state.log.len() + 1;
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.insert("name".into(), json!(key.2));
        if !key.1.is_empty() {
            metadata.insert("namespace".into(), json!(key.1));
        }
        metadata.insert("resourceVersion".into(), json!(version.to_string()));
        metadata.entry("uid").or_insert_with(|| json!(uuid::Uuid::new_v4().to_string()));
        let event = if state.objects.contains_key(key) { "MODIFIED" } else { "ADDED" };
        state.objects.insert(key.clone(), object.clone());
        state.log.push((event, key.clone(), object.clone()));
        self.revision.send_replace(version);
        object
    }

    fn remove(&self, key: &Key) {
        let mut state = self.state.lock().unwrap();
        if let Some(object) = state.objects.remove(key) {
            state.log.push(("DELETED", key.clone(), object));
            self.revision.send_replace(state.log.len());
        }
    }

    /// Waits until an object is as wished; fails with the last that was seen.
    pub(super) async fn until(&self, key: &Key, wish: impl Fn(Option<&Value>) -> bool) -> Option<Value> {
        let seen = self.seen(|| Some(self.get(key)).filter(|object| wish(object.as_ref()))).await;
        seen.unwrap_or_else(|| panic!("{key:?} did not come about; it is {:#}", self.get(key).unwrap_or_default()))
    }

    /// Waits until an event about an object tells so: events are written beside statuses, and may come after them.
    pub(super) async fn until_told(&self, name: &str, wish: impl Fn(&str, &str) -> bool) {
        let told = || self.events(name).iter().any(|(reason, message)| wish(reason, message)).then_some(());
        assert!(self.seen(told).await.is_some(), "nothing like it in {:?}", self.events(name));
    }

    /// What is looked for, once it is there; nothing when it takes too long.
    async fn seen<T>(&self, look: impl Fn() -> Option<T>) -> Option<T> {
        let mut changes = self.revision.subscribe();
        let wait = async {
            loop {
                changes.borrow_and_update();
                if let Some(seen) = look() {
                    return seen;
                }
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.ok()
    }

    /// All statuses that an object ever had.
    pub(super) fn history(&self, key: &Key) -> Vec<Value> {
        let state = self.state.lock().unwrap();
        state.log.iter().filter(|(_, k, _)| k == key).map(|(_, _, object)| object["status"].clone()).collect()
    }

    /// The reasons and messages of all events about an object.
    fn events(&self, name: &str) -> Vec<(String, String)> {
        let state = self.state.lock().unwrap();
        let events = state
            .objects
            .iter()
            .filter(|((resource, ..), event)| resource == "events" && event["involvedObject"]["name"] == name);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        events.map(|(_, event)| (text(&event["reason"]), text(&event["message"]))).collect()
    }
}

fn selects(wanted: &Key, query: &str, key: &Key, object: &Value) -> bool {
    let field = |name: &str| {
        query.split(&format!("{name}%3D")).nth(1).map(|rest| rest.split('&').next().unwrap_or_default().to_owned())
    };
    wanted.0 == key.0
        && (wanted.1.is_empty() || wanted.1 == key.1)
        && field("metadata.name").is_none_or(|name| name == key.2)
        && field("spec.nodeName").is_none_or(|name| object["spec"]["nodeName"] == name.as_str())
}

fn merge(object: &mut Value, patch: &Value) {
    for (field, value) in patch.as_object().into_iter().flatten().filter(|(field, _)| !field.starts_with('$')) {
        match value {
            Value::Null => drop(object.as_object_mut().unwrap().remove(field)),
            Value::Object(_) => {
                if !object[field].is_object() {
                    object[field] = json!({});
                }
                merge(&mut object[field], value);
            }
            _ => object[field] = value.clone(),
        }
    }
}

fn reply(code: u16, body: &Value) -> Response<Body> {
    let mut answer = Response::new(Body::from(body.to_string()));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    answer
}

fn missing() -> Response<Body> {
    reply(404, &json!({"kind": "Status", "reason": "NotFound", "code": 404}))
}
