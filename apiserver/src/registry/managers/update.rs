//! What a create, an update or a patch does to the managers: its author comes to own what it changed.

use super::cap::cap;
use super::entry::{Entry, Managed};
use super::{Kind, Versions, Writer, edited};
use crate::schema::fields::{self, Difference, Set};
use serde_json::Value;
use smol_str::SmolStr;
use std::sync::LazyLock;
use tinyplane_wire::meta::metadata_mut;

/// Writes into `new` who manages its fields after its author has made it of `live`; `None` for a new object.
/// Both are in the version that is written, and complete.
pub fn record(writer: &Writer<'_>, live: Option<&Value>, new: &mut Value) {
    let Some(live) = live else { return record_new(writer, new) };
    if let Some(managers) = edited::managers(writer, live, new) {
        metadata_mut(new).insert("managedFields".into(), managers);
        return;
    }
    if [live, &*new].into_iter().any(|object| misfit(&writer.versions.kind, object).is_some()) {
        // Upstream tells nobody, and forgets who manages what.
        metadata_mut(new).remove("managedFields");
        return;
    }
    // An object that nobody tracks is not tracked before somebody applies to it.
    let managed = Some(before(writer, live, new)).filter(|managed| !managed.entries.is_empty());
    metadata_mut(new).remove("managedFields");
    if let Some(managed) = managed {
        write_updated(writer, live, new, managed);
    }
}

/// An object whose managers can't be found out has none afterwards.
fn write_updated(writer: &Writer<'_>, live: &Value, new: &mut Value, managed: Managed) {
    if let Ok(managed) = updated(writer, live, new, managed) {
        managed.write_into(new);
    }
}

/// Why an object does not fit its type: only where that comes of a definition, which may have changed since.
pub(super) fn misfit(kind: &Kind, object: &Value) -> Option<String> {
    if kind.is_built_in() { None } else { fields::check_held(kind.place(), object) }
}

fn record_new(writer: &Writer<'_>, new: &mut Value) {
    let sent = Managed::read(&new["metadata"]["managedFields"]).ok().filter(|sent| !sent.entries.is_empty());
    metadata_mut(new).remove("managedFields");
    let place = writer.versions.kind.place();
    let zero = fields::zero(place);
    if let Some(sent) = sent {
        // Who is said to manage what the object does not say goes on managing it.
        write_updated(writer, &zero, new, sent);
        return;
    }
    let without = writer.resets.unwrap_or(Set::NOTHING);
    if let Some(text) = fields::born(place, &zero, new, without, &OWNERLESS) {
        let managers = Value::Array(vec![own_entry(writer, Set::EMPTY).spelled(text)]);
        metadata_mut(new).insert("managedFields".into(), managers);
    }
}

/// The entry of an author who owns these fields by an update.
pub(super) fn own_entry(writer: &Writer<'_>, fields: Set) -> Entry {
    Entry {
        manager: writer.name().into(),
        applied: false,
        api_version: writer.versions.kind.api_version.clone(),
        subresource: writer.subresource.into(),
        time: Some(writer.now.into()),
        fields,
    }
}

/// The managers before the write. A client may set them, but not through a subresource, and not by leaving them out.
fn before(writer: &Writer<'_>, live: &Value, new: &Value) -> Managed {
    let own = || Managed::read(&live["metadata"]["managedFields"]).unwrap_or_default();
    if !writer.subresource.is_empty() {
        return own();
    }
    let sent = &new["metadata"]["managedFields"];
    if is_reset(sent) {
        return Managed::default();
    }
    match Managed::read(sent) {
        Ok(managed) if !managed.entries.is_empty() => managed,
        _ => own(),
    }
}

/// An empty list, or one with a single empty entry, wipes the managers out.
fn is_reset(sent: &Value) -> bool {
    match sent.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([one]) => one.as_object().is_some_and(serde_json::Map::is_empty),
        _ => false,
    }
}

/// The managers after a change by an update.
///
/// # Errors
/// An object can't be looked at in the version of one of them.
pub(super) fn updated(writer: &Writer<'_>, live: &Value, new: &Value, mut managed: Managed) -> Result<Managed, String> {
    reconcile(writer.versions, live, &mut managed)?;
    let mut changes = Changes::by_update(writer, live, new);
    managed.entries.retain_mut(|entry| {
        let Some(change) = changes.at(&entry.api_version) else { return false };
        let fields = std::mem::take(&mut entry.fields);
        entry.fields = fields.difference(&change.modified).difference(&change.added).difference(&change.removed);
        !entry.fields.is_empty()
    });
    let own = changes.take(writer.versions.written())?.unwrap_or_default();
    if own.is_nameless {
        return Err("an item of a list can't be told from the others".to_owned());
    }
    let taken = strip(own.modified.union(own.added));
    if !taken.is_empty() {
        let mut entry = own_entry(writer, taken);
        if let Some(place) = managed.entries.iter().position(|one| one.is_same(&entry)) {
            entry.fields = entry.fields.union(managed.entries.swap_remove(place).fields);
        }
        managed.entries.push(entry);
    }
    Ok(cap(managed))
}

/// Brings all sets in line with their models, and drops those of versions that are gone.
///
/// # Errors
/// The object can't be looked at in one of their versions.
pub(super) fn reconcile(versions: &Versions<'_>, live: &Value, managed: &mut Managed) -> Result<(), String> {
    let mut seen: Vec<SmolStr> = Vec::new();
    let mut wrong = None;
    managed.entries.retain_mut(|entry| {
        let Some(kind) = versions.kind_at(&entry.api_version) else { return false };
        if !kind.is_built_in() && !seen.contains(&entry.api_version) {
            seen.push(entry.api_version.clone());
            let refused = versions.convert(live, versions.written(), &entry.api_version).err();
            wrong = wrong.take().or_else(|| refused?.told(""));
        }
        fields::fit(kind.place(), &mut entry.fields);
        true
    });
    wrong.map_or(Ok(()), Err)
}

/// What a write changed, in each version that somebody asks for.
pub(super) struct Changes<'a> {
    writer: &'a Writer<'a>,
    live: &'a Value,
    new: &'a Value,
    by_update: bool,
    known: Vec<(SmolStr, Option<Difference>)>,
    /// Why an object can't be looked at in one of the versions that were asked for.
    wrong: Option<String>,
}

impl<'a> Changes<'a> {
    /// Of an update, which upstream finds in what its structs write: something empty is nothing.
    pub(super) fn by_update(writer: &'a Writer<'a>, live: &'a Value, new: &'a Value) -> Self {
        Self { writer, live, new, by_update: true, known: Vec::with_capacity(1), wrong: None }
    }

    /// Of an apply, which upstream finds in what was sent: who empties a list changes it.
    pub(super) fn by_apply(writer: &'a Writer<'a>, live: &'a Value, new: &'a Value) -> Self {
        Self { by_update: false, ..Self::by_update(writer, live, new) }
    }

    /// The change in this version; none where that is not served any more.
    pub(super) fn at(&mut self, api_version: &str) -> Option<&Difference> {
        let index = self.index(api_version);
        self.known.get(index)?.1.as_ref()
    }

    /// The same, for good.
    ///
    /// # Errors
    /// An object can't be looked at in a version that was asked for.
    fn take(mut self, api_version: &str) -> Result<Option<Difference>, String> {
        let index = self.index(api_version);
        let found = self.known.swap_remove(index).1;
        self.wrong.map_or(Ok(found), Err)
    }

    /// Says whether the objects can be looked at in all versions that were asked for.
    ///
    /// # Errors
    /// They can't.
    pub(super) fn judge(&mut self) -> Result<(), String> {
        self.wrong.take().map_or(Ok(()), Err)
    }

    fn index(&mut self, api_version: &str) -> usize {
        if let Some(index) = self.known.iter().position(|(known, _)| known == api_version) {
            return index;
        }
        let found = self.find(api_version);
        self.known.push((api_version.into(), found));
        self.known.len() - 1
    }

    fn find(&mut self, api_version: &str) -> Option<Difference> {
        let versions = self.writer.versions;
        let kind = versions.kind_at(api_version)?;
        let place = if self.by_update { kind.place().as_written() } else { kind.place() };
        let mut wrong = None;
        let mut seen = |object, what: &str| match versions.convert(object, versions.written(), api_version) {
            Ok(object) => Some(object),
            Err(refused) => {
                wrong = refused.told(what);
                None
            }
        };
        let old = seen(self.live, "failed to convert old object: ");
        let new = old.and_then(|old| Some((old, seen(self.new, "failed to convert new object: ")?)));
        if wrong.is_some() {
            self.wrong = wrong;
        }
        let (old, new) = new?;
        let change = fields::compare(place, &old, &new);
        // What a write to a whole custom object takes back upstream knows of the version that is written alone.
        let is_whole = !kind.is_built_in() && self.writer.subresource.is_empty();
        let is_reset = !is_whole || api_version == versions.written();
        Some(match self.writer.resets.filter(|_| is_reset) {
            Some(resets) => change.without(resets),
            None => change,
        })
    }
}

/// The fields that nobody owns.
static OWNERLESS: LazyLock<Set> = LazyLock::new(|| {
    Set::of(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
});

/// A set without the fields that nobody owns.
pub(super) fn strip(set: Set) -> Set {
    set.difference(&OWNERLESS)
}

/// Takes the old times back where nothing but times has changed: a write that changes nothing makes no new version.
pub fn unite_times(new: &mut Value, old: &Value) {
    let (Some(is), Some(was)) =
        (new["metadata"]["managedFields"].as_array(), old["metadata"]["managedFields"].as_array())
    else {
        return;
    };
    let timeless = |one: &Value, other: &Value| {
        let (one, other) = (one.as_object(), other.as_object());
        let rest = |entry: Option<&serde_json::Map<String, Value>>| {
            entry.into_iter().flatten().filter(|(name, _)| *name != "time").count()
        };
        let alike = one.into_iter().flatten().all(|(name, value)| {
            name == "time" || other.and_then(|other| other.get(name)).is_some_and(|other| other == value)
        });
        alike && rest(one) == rest(other)
    };
    if is == was || is.len() != was.len() || !is.iter().zip(was).all(|(one, other)| timeless(one, other)) {
        return;
    }
    let fields = |object: &Value, other: &Value| {
        object
            .as_object()
            .into_iter()
            .flatten()
            .all(|(name, value)| name == "metadata" || other[name.as_str()] == *value)
    };
    let metadata = |object: &Value, other: &Value| {
        let all = object["metadata"].as_object().into_iter().flatten();
        all.into_iter().all(|(name, value)| name == "managedFields" || other["metadata"][name.as_str()] == *value)
    };
    // The metadata, which is smaller, tells most writes from those that change nothing.
    if metadata(new, old) && metadata(old, new) && fields(new, old) && fields(old, new) {
        let was = old["metadata"]["managedFields"].clone();
        metadata_mut(new).insert("managedFields".into(), was);
    }
}
