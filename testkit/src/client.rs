//! A client for tests: the API by the words that a person types, and waits that end by a deadline.

use crate::cluster::ClusterError;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tinyplane_wire::client::{Backoff, Client, ClientError};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::status::Status;
use tinyplane_wire::watch::EventType;

/// Longest wait unless said otherwise.
const WAIT_SECONDS_MAX: u64 = 60;
/// How soon a server is asked again that was away or too slow.
const AGAIN: Backoff = Backoff { first: Duration::from_millis(5), most: Duration::from_secs(1) };

/// A client with a user's rights.
#[derive(Clone, Debug)]
pub struct Admin {
    client: Client,
}

/// A resource as discovery tells of it.
struct Found {
    gvr: Gvr,
    namespaced: bool,
}

impl Admin {
    pub(crate) fn open(kubeconfig: &Path) -> Result<Self, ClusterError> {
        let agent = concat!("tinyplane-testkit/", env!("CARGO_PKG_VERSION"));
        Ok(Self { client: Client::from_kubeconfig(kubeconfig, None, agent)? })
    }

    /// `https://host:port` of the API server.
    #[must_use]
    pub fn server(&self) -> String {
        self.client.connection().server()
    }

    /// The client beneath, for every other request.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Reads an object by `kind/name` or `kind/namespace/name`; the kind is a plural, a singular, a short name or a
    /// kind, and the namespace is `default` where it is left out.
    ///
    /// # Errors
    /// When there is no such kind or object.
    pub async fn get(&self, what: &str) -> Result<Value, ClusterError> {
        let (gvr, namespace, name) = self.locate(what).await?;
        Ok(self.client.get(&gvr, namespace.as_deref(), &name).await?)
    }

    /// Deletes an object, named as for [`Admin::get`].
    ///
    /// # Errors
    /// When there is no such kind or object.
    pub async fn delete(&self, what: &str) -> Result<(), ClusterError> {
        let (gvr, namespace, name) = self.locate(what).await?;
        self.client.delete(&gvr, namespace.as_deref(), &name, &Value::Null).await?;
        Ok(())
    }

    /// Creates an object; its `apiVersion` may be left out where the kind is unambiguous.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn create(&self, mut object: Value) -> Result<Value, ClusterError> {
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let found = self.find(&kind).await?;
        let version = match found.gvr.group.as_str() {
            "" => found.gvr.version.to_string(),
            group => format!("{group}/{}", found.gvr.version),
        };
        tinyplane_wire::meta::map_mut(&mut object).entry("apiVersion").or_insert_with(|| version.into());
        let namespace = match Meta::of(&object).namespace() {
            "" => "default".to_owned(),
            given => given.to_owned(),
        };
        let namespace = found.namespaced.then_some(namespace);
        Ok(self.client.create(&found.gvr, namespace.as_deref(), &object).await?)
    }

    /// Waits until an object, named as for [`Admin::get`], is as said: `exists`, `deleted`, `condition=Ready`,
    /// `condition=Ready=Unknown`, or `phase=Running`.
    ///
    /// # Errors
    /// When it is not so at the deadline.
    pub async fn wait(&self, what: &str, until: &str) -> Result<(), ClusterError> {
        self.wait_for(what, until, Duration::from_secs(WAIT_SECONDS_MAX)).await
    }

    /// As [`Admin::wait`], with a deadline of one's own.
    ///
    /// # Errors
    /// When it is not so at the deadline.
    pub async fn wait_for(&self, what: &str, until: &str, longest: Duration) -> Result<(), ClusterError> {
        let wish = Wish::parse(until)?;
        let (gvr, namespace, name) = self.locate(what).await?;
        let mut last = "nothing".to_owned();
        let query = format!("fieldSelector=metadata.name%3D{name}");
        let follow = self.follow(&gvr, namespace.as_deref(), &query, |sight| {
            let object = match sight {
                Sight::Listed(objects) => objects.first(),
                Sight::Now(object) => Some(object),
                Sight::Gone(_) => None,
            };
            last = object.map_or_else(|| "no such object".into(), |o| o["status"].to_string());
            wish.holds(object)
        });
        match tokio::time::timeout(longest, follow).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ClusterError::Deadline { what: format!("{what} {until}"), seconds: longest.as_secs(), last }),
        }
    }

    /// Waits until so many nodes are Ready; at once when that is none, but for the API server to answer.
    pub(crate) async fn nodes_ready(&self, nodes: usize, longest: Duration) -> Result<(), ClusterError> {
        let mut last = "no answer".to_owned();
        let wait = async {
            if nodes == 0 {
                return self.server_ready(&mut last).await;
            }
            let wish = Wish::Condition("Ready".into(), "True".into());
            let mut ready = BTreeSet::new();
            self.follow(&Gvr::new("", "v1", "nodes"), None, "", |sight| {
                let (seen, there) = match sight {
                    Sight::Listed(all) => {
                        ready.clear();
                        (all, true)
                    }
                    Sight::Now(node) => (std::slice::from_ref(node), true),
                    Sight::Gone(node) => (std::slice::from_ref(node), false),
                };
                for node in seen {
                    match there && wish.holds(Some(node)) {
                        true => ready.insert(Meta::of(node).name().to_owned()),
                        false => ready.remove(Meta::of(node).name()),
                    };
                }
                last = format!("{} of {nodes} nodes are Ready", ready.len());
                ready.len() >= nodes
            })
            .await
        };
        match tokio::time::timeout(longest, wait).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ClusterError::Deadline { what: "every node".into(), seconds: longest.as_secs(), last }),
        }
    }

    /// Asks until the API server says that it is ready.
    async fn server_ready(&self, last: &mut String) -> Result<(), ClusterError> {
        for failures in 1.. {
            match self.client.connection().request(http_get(), "/readyz")?.send().await {
                Ok(answer) if answer.status().is_success() => break,
                Ok(answer) => *last = format!("/readyz says {}", answer.status()),
                Err(error) => *last = error.to_string(),
            }
            Clock::system().sleep(AGAIN.after(failures)).await;
        }
        Ok(())
    }

    /// Tells of the objects there are and of what becomes of them, until that is what was waited for. A server that is
    /// away for a while, or that takes too long for once, is asked again.
    async fn follow(
        &self,
        gvr: &Gvr,
        namespace: Option<&str>,
        query: &str,
        mut met: impl FnMut(Sight<'_>) -> bool,
    ) -> Result<(), ClusterError> {
        let mut failures = 0;
        loop {
            match self.follow_once(gvr, namespace, query, &mut met).await {
                Ok(true) => return Ok(()),
                Ok(false) => failures = 0,
                Err(ClientError::Status(status)) if status.code < 500 && status.code != 410 => {
                    return Err(ClientError::Status(status).into());
                }
                Err(error) => {
                    failures += 1;
                    tracing::debug!(%error, resource = %gvr, failures, "what is waited for can't be watched");
                    Clock::system().sleep(AGAIN.after(failures)).await;
                }
            }
        }
    }

    /// A list and a watch. True when what was waited for was met, false when the server ended the watch before.
    async fn follow_once(
        &self,
        gvr: &Gvr,
        namespace: Option<&str>,
        query: &str,
        met: &mut impl FnMut(Sight<'_>) -> bool,
    ) -> Result<bool, ClientError> {
        let listed = self.client.list(gvr, namespace, query).await?;
        if met(Sight::Listed(listed["items"].as_array().map_or(&[], Vec::as_slice))) {
            return Ok(true);
        }
        let query = format!("{query}&resourceVersion={}", Meta::of(&listed).resource_version());
        let mut frames = self.client.watch(gvr, namespace, query.trim_start_matches('&')).await?;
        while let Some(frame) = frames.next().await? {
            let done = match frame.event {
                EventType::Added | EventType::Modified => met(Sight::Now(&frame.object)),
                EventType::Deleted => met(Sight::Gone(&frame.object)),
                EventType::Bookmark => false,
                EventType::Error => return Ok(false),
            };
            if done {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn locate(&self, what: &str) -> Result<(Gvr, Option<String>, String), ClusterError> {
        let parts: Vec<&str> = what.split('/').collect();
        let (kind, namespace, name) = match parts.as_slice() {
            [kind, name] => (*kind, "default", *name),
            [kind, namespace, name] => (*kind, *namespace, *name),
            _ => return Err(ClusterError::Wish(format!("{what:?} is not kind/name or kind/namespace/name"))),
        };
        let found = self.find(kind).await?;
        Ok((found.gvr, found.namespaced.then(|| namespace.to_owned()), name.to_owned()))
    }

    async fn find(&self, word: &str) -> Result<Found, ClusterError> {
        let roots = self.client.request(http_get(), "/apis", None).await?;
        let mut paths = vec!["/api/v1".to_owned()];
        for group in roots["groups"].as_array().into_iter().flatten() {
            if let Some(version) = group["preferredVersion"]["groupVersion"].as_str() {
                paths.push(format!("/apis/{version}"));
            }
        }
        for path in paths {
            let listed = self.client.request(http_get(), &path, None).await?;
            if let Some(found) = find_in(&listed, word) {
                return Ok(found);
            }
        }
        let status = Status::failure(
            tinyplane_wire::status::Reason::NotFound,
            format!("the server doesn't have a resource type {word:?}"),
        );
        Err(ClientError::Status(status).into())
    }
}

fn http_get() -> http::Method {
    http::Method::GET
}

fn find_in(listed: &Value, word: &str) -> Option<Found> {
    let (group, version) = match listed["groupVersion"].as_str()?.split_once('/') {
        Some((group, version)) => (group, version),
        None => ("", listed["groupVersion"].as_str()?),
    };
    let known_as = |resource: &&Value| {
        let short = resource["shortNames"].as_array().into_iter().flatten().any(|s| s == word);
        let same = |field: &str| resource[field].as_str().is_some_and(|s| s.eq_ignore_ascii_case(word));
        !resource["name"].as_str().unwrap_or_default().contains('/')
            && (short || same("name") || same("singularName") || same("kind"))
    };
    let resource = listed["resources"].as_array()?.iter().find(known_as)?;
    let gvr = Gvr::new(group, version, resource["name"].as_str()?);
    Some(Found { gvr, namespaced: resource["namespaced"].as_bool().unwrap_or_default() })
}

/// What a wait sees of a collection.
enum Sight<'a> {
    /// All that is there.
    Listed(&'a [Value]),
    /// One that came or changed.
    Now(&'a Value),
    /// One that went, as it was last.
    Gone(&'a Value),
}

enum Wish {
    Exists,
    Deleted,
    Condition(String, String),
    Phase(String),
}

impl Wish {
    fn parse(text: &str) -> Result<Self, ClusterError> {
        let parts: Vec<&str> = text.split('=').collect();
        Ok(match parts.as_slice() {
            ["exists"] => Self::Exists,
            ["deleted"] => Self::Deleted,
            ["condition", name] => Self::Condition((*name).into(), "True".into()),
            ["condition", name, value] => Self::Condition((*name).into(), (*value).into()),
            ["phase", phase] => Self::Phase((*phase).into()),
            _ => return Err(ClusterError::Wish(format!("{text:?} is nothing to wait for"))),
        })
    }

    fn holds(&self, object: Option<&Value>) -> bool {
        match self {
            Self::Exists => object.is_some(),
            Self::Deleted => object.is_none(),
            Self::Phase(phase) => object.is_some_and(|o| o["status"]["phase"] == phase.as_str()),
            Self::Condition(name, value) => object.is_some_and(|o| {
                let conditions = o["status"]["conditions"].as_array().into_iter().flatten();
                conditions.filter(|c| c["type"] == name.as_str()).any(|c| c["status"] == value.as_str())
            }),
        }
    }
}
