//! Creates an object: system fields, admission, checks, and one write that fails where the name is taken.

use super::admit::{Intent, Operation, Question};
use super::behaviour::{Grammar, Judged, Part, Scene};
use super::catalog::Resource;
use super::list::version_number;
use super::managers::{self, Versions, Writer};
use super::update::Target;
use super::{Registry, encoding, failure, metadata, services};
use crate::codec::{depth, mismatch};
use crate::schema::{self, raw};
use crate::store::contract::{CommitError, Expect, Write};
use crate::store::entry::Entry;
use crate::validation;
use serde_json::Value;
use std::sync::Arc;
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::meta::{Meta, metadata_mut};
use tinyplane_wire::status::{self, Cause, Details, Reason, Status};

/// How many made-up names are tried before the caller is told that they were all taken.
const NAMES_TRIED_MAX: usize = 8;

/// An object that an operation answers.
#[derive(Clone, Debug)]
pub enum Object {
    /// As it is stored.
    Stored(Arc<Entry>),
    /// In the stored version, though it is not stored: of a dry run.
    Value(Value),
}

impl Object {
    /// An object that was on its way into the store.
    pub(super) fn of(mut value: Value) -> Self {
        managers::folded::unfold(&mut value);
        Self::Value(value)
    }

    /// The object as a value of the stored version.
    ///
    /// # Errors
    /// The stored bytes can't be read.
    pub fn value(&self) -> status::Result<Value> {
        match self {
            Self::Stored(entry) => encoding::parse(entry),
            Self::Value(value) => Ok(value.clone()),
        }
    }
}

impl Registry {
    /// Creates an object from what its author decoded, in the version that the row serves.
    ///
    /// # Errors
    /// The object is refused, the name is taken, or there is no such namespace.
    pub async fn create(
        &self,
        resource: &Resource,
        namespace: &str,
        object: Value,
        intent: &Intent<'_>,
    ) -> status::Result<Object> {
        let object = self.begin(resource, namespace, object, default, |object| {
            self.manage_new(resource, intent.manager, object);
        })?;
        self.create_named(resource, namespace, object, false, intent).await
    }

    /// Creates what an update of an object that is not there makes, or an apply.
    pub(super) async fn create_managed(
        &self,
        target: &Target<'_>,
        object: Value,
        intent: &Intent<'_>,
    ) -> status::Result<Object> {
        let resource = target.resource;
        let object = if target.manages {
            self.begin(resource, target.namespace, object, default_applied, |_| {})?
        } else {
            self.begin(resource, target.namespace, object, default, |object| {
                self.manage_first(resource, (target.part, target.subresource), intent.manager, object);
            })?
        };
        self.create_named(target.resource, target.namespace, object, !target.replaces, intent).await
    }

    async fn create_named(
        &self,
        resource: &Resource,
        namespace: &str,
        mut object: Value,
        is_patched: bool,
        intent: &Intent<'_>,
    ) -> status::Result<Object> {
        unite_owners(&mut object, is_patched, intent);
        let base = Meta::of(&object).name().is_empty().then(|| generated_base(&object)).flatten();
        let Some(base) = base else {
            let is_generated = generated_base(&object).is_some();
            let done = self.create_once(resource, namespace, object, None, intent).await;
            // Upstream does not ask who made the name where one could have been made.
            return done.map_err(|status| match status.reason {
                Reason::AlreadyExists if is_generated => name_exhausted(resource, &status),
                _ => status,
            });
        };
        for attempt in 1.. {
            metadata_mut(&mut object).insert("name".into(), metadata::made_up_name(&base).into());
            match self.create_once(resource, namespace, object.clone(), Some(&base), intent).await {
                Err(status) if status.reason == Reason::AlreadyExists => {
                    if attempt >= NAMES_TRIED_MAX {
                        return Err(name_exhausted(resource, &status));
                    }
                }
                done => return done,
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// What happens before admission: defaults, system fields, the stored version.
    fn begin(
        &self,
        resource: &Resource,
        namespace: &str,
        mut object: Value,
        complete: fn(&Resource, &mut Value) -> bool,
        manage: impl FnOnce(&mut Value),
    ) -> status::Result<Value> {
        if resource.custom.is_some() {
            let causes = mismatch::of_custom(&resource.gvk, &object);
            valid_as(|| said(&object), Meta::of(&object).name(), causes)?;
        }
        if resource.behaviour.has_status
            && !resource.behaviour.created_with_status
            && let Some(fields) = object.as_object_mut()
        {
            fields.remove("status");
        }
        metadata::wipe(&mut object);
        let shares_labels = resource.behaviour.shares_labels && Meta::of(&object).labels().next().is_none();
        let is_gated = complete(resource, &mut object);
        manage(&mut object);
        if shares_labels {
            // Its author owns them by now; what they are is told when the template has all of its own.
            metadata_mut(&mut object).remove("labels");
        }
        drop_gated(resource, &mut object, is_gated);
        metadata::begin(&mut object, namespace, &self.clock);
        Ok(encoding::store(resource, object))
    }

    /// Writes into a new object who manages its fields.
    pub(crate) fn manage_new(&self, resource: &Resource, manager: Option<&str>, object: &mut Value) {
        self.manage_first(resource, (Part::Main, ""), manager, object);
    }

    /// The same of an object that comes by one of its parts.
    fn manage_first(
        &self,
        resource: &Resource,
        (part, subresource): (Part, &str),
        manager: Option<&str>,
        object: &mut Value,
    ) {
        let Some(manager) = manager else {
            metadata_mut(object).remove("managedFields");
            return;
        };
        let (catalog, resets) = (self.catalog(), managers::resets(resource, part, subresource));
        let writer = Writer {
            manager,
            subresource,
            now: &self.clock.timestamp(),
            versions: &Versions::of(&catalog, resource),
            resets: resets.as_ref(),
        };
        record_settled(resource, object, |object| managers::record(&writer, None, object));
    }

    async fn create_once(
        &self,
        resource: &Resource,
        namespace: &str,
        mut object: Value,
        generated: Option<&str>,
        intent: &Intent<'_>,
    ) -> status::Result<Object> {
        let name = Meta::of(&object).name().to_owned();
        if resource.custom.as_ref().is_some_and(|custom| custom.terminating) {
            let why = "create not allowed while custom resource definition is terminating";
            return Err(Status::forbidden(&resource.gvk.group, &resource.plural, &name, why));
        }
        let mut question = Question {
            operation: Operation::Create,
            resource,
            subresource: "",
            namespace,
            name: &name,
            generated,
            old: None,
            intent,
            registry: self,
        };
        intent.admission.mutate(&question, &mut object).await?;
        metadata::count((resource.behaviour, resource.stored_type_id), &mut object, None, true);
        let now = self.clock.timestamp();
        let scene =
            Scene { part: Part::Main, subresource: "", caller: intent.caller, now: &now, warnings: intent.warnings };
        (resource.behaviour.prepare)(&mut object, None, &scene);
        // A limit range without a name is given one there.
        let name = Meta::of(&object).name().to_owned();
        let allocated = services::allocate(self, resource, &mut object, None, intent.dry_run).await?;
        let mut errors = validation::Errors::default();
        let judged = resource.behaviour.metadata_judged;
        let grammar = if judged == Judged::NameLast { Grammar::Any } else { resource.behaviour.name };
        validation::metadata::check(&object, grammar, resource.namespaced, &mut errors);
        if let Some(custom) = &resource.custom {
            custom.structural.check(&object, &mut errors);
            if let Some(scale) = &custom.scale {
                scale.check_spec(&object, &mut errors);
                scale.check_status(&object, &mut errors);
            }
        }
        self.check_admin_access(resource, (&object, None), &mut errors)?;
        let mut causes = errors.into_causes();
        let of_kind =
            validation::create(&resource.gvk.group, &resource.gvk.kind, &object, intent.admission.cluster_net());
        if judged == Judged::Last && !of_kind.is_empty() {
            causes.clear();
        }
        causes.extend(of_kind);
        if judged == Judged::NameLast && causes.is_empty() {
            let mut errors = validation::Errors::default();
            validation::metadata::check(&object, resource.behaviour.name, resource.namespaced, &mut errors);
            causes = errors.into_causes();
        }
        valid(resource, &name, causes)?;
        warn(resource, &object, None, intent);
        question.generated = None;
        intent.admission.validate(&question, &object).await?;
        depth::demand(&object, resource.is_bounded())?;
        encoding::read_back(resource, &mut object)?;
        let key = resource.key(namespace, &name);
        if intent.dry_run {
            encoding::settle(resource, &mut object);
            let there = self.store.snapshot().get(&key).cloned();
            return match there {
                Some(current) => Err(self.refused(resource, namespace, &name, &CommitError::Exists { current })),
                None => Ok(Object::of(object)),
            };
        }
        // It is upstream's storage that minds, and passes over what is no version.
        let version = Meta::of(&object).resource_version();
        if !version.is_empty() && version_number(version).is_ok_and(|version| version != 0) {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(Status::failure(Reason::Unknown, message));
        }
        let write = Write::create(key, encoding::body(resource, &object));
        let committed = self.store.commit(self.guarded(resource, namespace, write)).await;
        let committed = committed.map_err(|error| self.refused(resource, namespace, &name, &error))?;
        allocated.keep();
        Ok(Object::Stored(committed.entry))
    }

    /// Why an object was not created: one of that name may be on its way out.
    fn refused(&self, resource: &Resource, namespace: &str, name: &str, error: &CommitError) -> Box<Status> {
        let mut refused = failure::commit(resource, name, error);
        if matches!(error, CommitError::Exists { .. })
            && let Some(there) = self.store.snapshot().get(&resource.key(namespace, name))
            && encoding::parse(there).is_ok_and(|object| Meta::of(&object).is_deleting())
        {
            refused.message.insert_str(0, GOING);
        }
        refused
    }

    /// Demands that the namespace is there.
    pub(super) fn guarded(&self, resource: &Resource, namespace: &str, write: Write) -> Write {
        if resource.namespaced {
            write.guard(self.builtin("", "namespaces").key("", namespace), Expect::Present)
        } else {
            write
        }
    }
}

/// How a name is refused that an object still has which is going.
const GOING: &str = "object is being deleted: ";

fn generated_base(object: &Value) -> Option<String> {
    object["metadata"]["generateName"].as_str().filter(|base| !base.is_empty()).map(str::to_owned)
}

fn name_exhausted(resource: &Resource, taken: &Status) -> Box<Status> {
    let name = taken.details.as_ref().map(|details| details.name.as_str()).unwrap_or_default();
    let what = status::qualified(&resource.gvk.group, &resource.plural);
    let going = if taken.message.starts_with(GOING) { GOING } else { "" };
    let message = format!(
        "{going}{what} \"{name}\" already exists, the server was not able to generate a unique name for the object"
    );
    let details = Details { retry_after_seconds: 1, ..taken.details.clone().unwrap_or_default() };
    Status::failure(Reason::AlreadyExists, message).with_details(details)
}

/// Completes an object of the version that the row serves. Answers whether something of it stands behind a gate that is off: who
/// sent that manages it, and then it is to be dropped.
pub fn default(resource: &Resource, object: &mut Value) -> bool {
    if let Some(custom) = &resource.custom {
        custom.structural.default(object);
        false
    } else {
        resource.type_id.is_some_and(|id| schema::default::apply(schema::model(), id, object))
    }
}

/// Drops what stands behind gates that are off, where there is any.
pub(super) fn drop_gated(resource: &Resource, object: &mut Value, is_gated: bool) {
    if let Some(id) = resource.type_id.filter(|_| is_gated) {
        schema::default::drop_gated(schema::model(), id, object);
    }
}

/// Lets it be recorded who manages an object, by what of it comes back from the stored version, and by what raw JSON means.
pub(crate) fn record_settled(resource: &Resource, object: &mut Value, record: impl FnOnce(&mut Value)) {
    let (conversion, raws) = (resource.conversion.filter(|conversion| conversion.settles), resource.raws());
    if conversion.is_none() && raws.is_none() {
        return record(object);
    }
    let mut settled = raw::unfolded(schema::model(), raws, object).into_owned();
    if let Some(conversion) = conversion {
        (conversion.to_stored)(&mut settled);
        (conversion.from_stored)(&mut settled);
    }
    record(&mut settled);
    match metadata_mut(&mut settled).remove("managedFields") {
        Some(managers) => drop(metadata_mut(object).insert("managedFields".into(), managers)),
        None => drop(metadata_mut(object).remove("managedFields")),
    }
}

/// Completes what was applied.
pub(super) fn default_applied(resource: &Resource, object: &mut Value) -> bool {
    match &resource.custom {
        Some(custom) => {
            custom.structural.default_applied(object);
            false
        }
        None => default(resource, object),
    }
}

/// What an object says to be.
pub(super) fn said(object: &Value) -> Gvk {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    Gvk::parse(text("apiVersion"), text("kind"))
}

/// 422 where there are causes.
pub(super) fn valid(resource: &Resource, name: &str, causes: Vec<Cause>) -> status::Result<()> {
    valid_as(|| resource.stored.clone(), name, causes)
}

/// The same of an object that says to be of this kind.
pub(super) fn valid_as(said: impl FnOnce() -> Gvk, name: &str, causes: Vec<Cause>) -> status::Result<()> {
    if causes.is_empty() {
        return Ok(());
    }
    let said = said();
    Err(Status::invalid(&said.group, &said.kind, name, causes))
}

/// Lets each owner stand there once, and tells of those that stood there twice. Upstream looks at what a patch makes of an
/// object only once admission has changed it, and says so.
pub(super) fn unite_owners(object: &mut Value, is_patched: bool, intent: &Intent<'_>) {
    let double = metadata::single_owners(object);
    if !double.is_empty() {
        let when = if is_patched { " after mutating admission happens" } else { "" };
        intent.warnings.add(format!(
            ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            double.join(", ")
        ));
    }
}

/// Tells what the author should know.
pub(super) fn warn(resource: &Resource, new: &Value, old: Option<&Value>, intent: &Intent<'_>) {
    for text in (resource.behaviour.warnings)(new, old) {
        intent.warnings.add(text);
    }
    if resource.custom.is_some() {
        for text in validation::finalizers::warnings(new, old) {
            intent.warnings.add(text);
        }
    }
}
