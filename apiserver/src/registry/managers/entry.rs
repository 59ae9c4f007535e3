//! The entries of `managedFields`, from the wire and back.

use crate::schema::fields::Set;
use crate::schema::spelling;
use serde_json::{Map, Value};
use smol_str::SmolStr;
use std::fmt;

/// What one manager owns, by one operation, in one version, through one subresource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who.
    pub manager: SmolStr,
    /// By applying; else by updating.
    pub applied: bool,
    /// In which version the fields are named.
    pub api_version: SmolStr,
    /// Through which subresource; empty for the object itself.
    pub subresource: SmolStr,
    /// When it last changed anything, as `metav1.Time`.
    pub time: Option<SmolStr>,
    /// What.
    pub fields: Set,
}

impl Entry {
    /// Whether both are the same manager.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    /// What tells managers apart. An applier stays the same whatever version it applies in.
    pub(super) fn identity(&self) -> (&str, bool, &str, &str) {
        let api_version = if self.applied { "" } else { &*self.api_version };
        (&self.manager, self.applied, api_version, &self.subresource)
    }

    /// What upstream tells managers apart by, and puts them in order by.
    pub(super) fn identifier(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        let fields = [
            ("manager", &*self.manager),
            ("operation", if self.applied { "Apply" } else { "Update" }),
            ("apiVersion", if self.applied { "" } else { &*self.api_version }),
            ("subresource", &*self.subresource),
        ];
        for (name, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
            out.push(if out.is_empty() { b'{' } else { b',' });
            spelling::text(name, &mut out);
            out.push(b':');
            spelling::text(text, &mut out);
        }
        out.push(b'}');
        out
    }

    /// The entry as `managedFields` has it, with this text for its set.
    pub(super) fn spelled(&self, set: String) -> Value {
        let mut out = Map::new();
        let mut put = |name: &str, text: &str| {
            if !text.is_empty() {
                out.insert(name.to_owned(), text.into());
            }
        };
        put("manager", &self.manager);
        put("operation", if self.applied { "Apply" } else { "Update" });
        put("apiVersion", &self.api_version);
        put("time", self.time.as_deref().unwrap_or_default());
        put("fieldsType", "FieldsV1");
        put("subresource", &self.subresource);
        out.insert("fieldsV1".to_owned(), set.into());
        Value::Object(out)
    }
}

/// As conflicts name it: `"kubectl" with subresource "scale" using apps/v1`.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.manager)?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {:?}", self.subresource)?;
        }
        if !self.applied {
            write!(f, " using {}", self.api_version)?;
        }
        Ok(())
    }
}

/// All entries of an object, each manager once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managed {
    /// In no particular order.
    pub entries: Vec<Entry>,
}

/// Why entries can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Neither `Apply` nor `Update`.
    #[error("operation must be `Apply` or `Update`")]
    Operation,
    /// No version.
    #[error("apiVersion must not be empty")]
    ApiVersion,
    /// No type of fields.
    #[error("missing fieldsType in managed fields entry {0}")]
    NoFieldsType(usize),
    /// Another type of fields.
    #[error("invalid fieldsType {0:?} in managed fields entry {1}")]
    FieldsType(String, usize),
    /// No set of fields.
    #[error("error decoding set: {0}")]
    Set(#[from] crate::schema::fields::NotASet),
}

impl Managed {
    /// Reads `managedFields`, its sets folded or not; nothing there is no entry.
    ///
    /// # Errors
    /// An entry can't be read.
    pub fn read(value: &Value) -> Result<Self, Unreadable> {
        let mut entries = Vec::new();
        for (index, one) in value.as_array().into_iter().flatten().enumerate() {
            let text = |name: &str| SmolStr::from(one[name].as_str().unwrap_or_default());
            let applied = match one["operation"].as_str() {
                Some("Apply") => true,
                Some("Update") => false,
                _ => return Err(Unreadable::Operation),
            };
            let entry = Entry {
                manager: text("manager"),
                applied,
                api_version: Some(text("apiVersion")).filter(|text| !text.is_empty()).ok_or(Unreadable::ApiVersion)?,
                subresource: text("subresource"),
                time: one["time"].as_str().map(SmolStr::from),
                fields: match one["fieldsType"].as_str().unwrap_or_default() {
                    "FieldsV1" => match &one["fieldsV1"] {
                        Value::String(text) => Set::from_text(text)?,
                        tree => Set::from_value(tree)?,
                    },
                    "" => return Err(Unreadable::NoFieldsType(index)),
                    other => return Err(Unreadable::FieldsType(other.to_owned(), index)),
                },
            };
            entries.push(entry);
        }
        Ok(Self::of(entries))
    }

    /// These entries; of those of one manager the last one. A client may send as many as a body holds.
    pub(super) fn of(mut entries: Vec<Entry>) -> Self {
        entries.sort_by(|one, other| one.identity().cmp(&other.identity()));
        entries.dedup_by(|next, kept| {
            let is_same = next.is_same(kept);
            if is_same {
                std::mem::swap(next, kept);
            }
            is_same
        });
        Self { entries }
    }

    /// `managedFields` with its sets folded.
    #[must_use]
    pub fn write(self) -> Option<Value> {
        in_order(self.entries.iter().map(|entry| entry.spelled(entry.fields.to_text())).collect())
    }

    /// Writes `managedFields` into an object.
    pub fn write_into(self, object: &mut Value) {
        let metadata = tinyplane_wire::meta::metadata_mut(object);
        match self.write() {
            Some(value) => drop(metadata.insert("managedFields".into(), value)),
            None => drop(metadata.remove("managedFields")),
        }
    }
}

/// Entries in upstream's order: appliers first, then by time, then by name; nothing where there are none.
pub(super) fn in_order(mut entries: Vec<Value>) -> Option<Value> {
    fn key(entry: &Value) -> (bool, &str, [&str; 3]) {
        let text = |name: &str| entry[name].as_str().unwrap_or_default();
        (
            entry["operation"] != "Apply",
            seconds(entry["time"].as_str()),
            ["manager", "apiVersion", "subresource"].map(text),
        )
    }
    entries.sort_by(|one, other| key(one).cmp(&key(other)));
    (!entries.is_empty()).then_some(Value::Array(entries))
}

/// A time as others are compared with it: who tells none has changed things when time began.
pub(super) fn seconds(time: Option<&str>) -> &str {
    time.unwrap_or("1970-01-01T00:00:00Z")
}
