//! Follows the definitions: names are accepted, rows come and go, and what is deleted is drained.

use super::api_services;
use super::drain::{drain, write};
use super::names;
use super::rows::{self, Forms};
use crate::registry::Registry;
use crate::registry::behaviour::Part;
use crate::registry::catalog::Resource;
use crate::store::contract::Range;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::meta::{Meta, map_mut};
use tinyplane_wire::process::Shutdown;
use tinyplane_wire::status;

pub use super::drain::mark_terminating;

/// How soon a definition is looked at again whose objects are held by finalizers, or that could not be written.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long watches of a definition that changed or is gone last on.
const LAST_EVENTS: Duration = Duration::from_secs(1);

/// The definitions, as far as they were looked at.
pub struct Definitions {
    registry: Arc<Registry>,
    forms: Forms,
    known: HashMap<String, Known>,
}

/// A definition as it is served.
struct Known {
    /// What makes watches begin anew when it changes: who it is, its spec, its names.
    made_of: Value,
    terminating: bool,
    /// Told when its watches are to end.
    gone: Shutdown,
    rows: Vec<Arc<Resource>>,
}

impl Definitions {
    /// Those of a registry. None is served before [`Definitions::bring_up_to_date`].
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self { registry, forms: Forms::default(), known: HashMap::new() }
    }

    /// Follows them until the member ends.
    pub async fn follow(mut self, shutdown: &Shutdown) {
        let clock = self.registry.clock().clone();
        loop {
            let store = Arc::clone(self.registry.store());
            let folder = self.registry.builtin("apiextensions.k8s.io", "customresourcedefinitions").folder.clone();
            let Ok(mut watcher) = store.watch(Range::under(&folder), store.revision()) else { continue };
            let done = match self.bring_up_to_date().await {
                Ok(done) => done,
                Err(error) => {
                    tracing::warn!(%error, "custom resource definitions can't be followed for the moment");
                    false
                }
            };
            let again = async {
                match done {
                    true => std::future::pending().await,
                    false => clock.sleep(LOOK_AGAIN).await,
                }
            };
            tokio::select! {
                // Whatever happened, or if the history was lost: all is looked at anew.
                _ = watcher.next() => {}
                () = again => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Looks at all definitions, and brings their statuses and the catalog in line. True when nothing is left to do.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn bring_up_to_date(&mut self) -> status::Result<bool> {
        let found = self.registry.find_all("apiextensions.k8s.io", "customresourcedefinitions", "")?;
        let mut definitions: Vec<Value> = found.into_iter().map(Arc::unwrap_or_clone).collect();
        let age = |one: &Value| (one["metadata"]["creationTimestamp"].to_string(), Meta::of(one).name().to_owned());
        definitions.sort_by_key(age);
        let mut judged = Vec::new();
        for at in 0..definitions.len() {
            if !Meta::of(&definitions[at]).is_deleting() && self.judge(&mut definitions, at) {
                judged.push(at);
            }
        }
        // Whoever reads that a definition is established finds it served.
        let rows = self.serve(&definitions);
        api_services::keep(&self.registry, &rows).await?;
        for at in judged {
            self.write_down(&definitions[at]).await?;
        }
        let mut done = true;
        for definition in definitions.iter().filter(|one| Meta::of(one).is_deleting()) {
            let row = self.known.get(Meta::of(definition).name()).and_then(|known| known.rows.first().cloned());
            done &= drain(&self.registry, definition, row.as_deref()).await?;
        }
        Ok(done)
    }

    /// Decides on the names of one. True when that says something new.
    fn judge(&self, definitions: &mut [Value], at: usize) -> bool {
        let now = self.registry.clock().timestamp();
        let status = names::judged(&definitions[at], definitions, &now);
        let new = status != definitions[at]["status"];
        map_mut(&mut definitions[at]).insert("status".into(), status);
        new
    }

    /// Writes down what was decided.
    async fn write_down(&self, definition: &Value) -> status::Result<()> {
        let status = &definition["status"];
        write(&self.registry, Meta::of(definition).name(), Part::Status, &mut |old| {
            let mut new = old.clone();
            for field in ["acceptedNames", "conditions"] {
                new["status"][field] = status[field].clone();
            }
            new
        })
        .await
    }

    /// Puts the rows of all established definitions into the catalog, in the order of discovery, and answers them.
    fn serve(&mut self, definitions: &[Value]) -> Vec<Arc<Resource>> {
        let mut known = HashMap::new();
        let established = definitions.iter().filter(|one| names::is(&one["status"], "Established"));
        for definition in established {
            let name = Meta::of(definition).name().to_owned();
            let status = &definition["status"];
            let made_of = json!([Meta::of(definition).uid(), definition["spec"], status["acceptedNames"]]);
            let terminating = names::is(status, "Terminating");
            let gone = match self.known.remove(&name) {
                Some(before) if before.made_of == made_of && before.terminating == terminating => {
                    known.insert(name, before);
                    continue;
                }
                // Its objects are about to go: who watches them is to see that.
                Some(before) if before.made_of == made_of => before.gone,
                Some(before) => {
                    self.end_watches(before.gone);
                    Shutdown::new()
                }
                None => Shutdown::new(),
            };
            let rows = rows::of(definition, &gone, &mut self.forms);
            known.insert(name, Known { made_of, terminating, gone, rows });
        }
        for (_, before) in std::mem::replace(&mut self.known, known) {
            self.end_watches(before.gone);
        }
        let mut rows: Vec<_> = self.known.values().flat_map(|known| known.rows.iter().cloned()).collect();
        rows.sort_by(|one, other| {
            let key = |row: &Resource| {
                (row.gvk.group.clone(), std::cmp::Reverse(rows::priority(&row.gvk.version)), row.plural.clone())
            };
            key(one).cmp(&key(other))
        });
        let same = {
            let catalog = self.registry.catalog();
            let served: Vec<_> = catalog.rows().filter(|row| row.custom.is_some()).collect();
            served.len() == rows.len() && served.iter().zip(&rows).all(|(one, other)| Arc::ptr_eq(one, other))
        };
        if !same {
            self.registry.change_catalog(|catalog| catalog.replace_custom(&rows));
        }
        rows
    }

    /// Ends the watches of a definition that changed or is gone; as upstream does it, not before what has happened so far
    /// has had its time to be told.
    fn end_watches(&self, gone: Shutdown) {
        let clock = self.registry.clock().clone();
        tokio::spawn(async move {
            clock.sleep(LAST_EVENTS).await;
            gone.cancel();
        });
    }
}
