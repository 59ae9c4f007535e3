//! How the objects of a kind behave, as data and small functions: what a row of the catalog points to.

use crate::authn::Caller;
use crate::request::Warnings;
use serde_json::Value;
use smol_str::SmolStr;
use std::time::SystemTime;

/// The grammar of a kind's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// RFC 1123 subdomain: most kinds.
    Subdomain,
    /// The same of kinds of which upstream looks at the name that was made, and not at `generateName`.
    LongName,
    /// RFC 1123 label: namespaces, services.
    Label,
    /// RFC 1035 label: names that become names of hosts.
    Label1035,
    /// Whatever may be one segment of a path: roles and bindings, CSINodes.
    PathSegment,
    /// Anything at all.
    Any,
}

/// Which changes count in `metadata.generation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// The kind has no generation.
    None,
    /// It has the first, whatever changes.
    First,
    /// Everything but metadata and status counts.
    Spec,
    /// As with [`Generation::Everything`], from the first change on: before, there is none.
    Changes,
    /// Everything but metadata, status included, counts: kinds without a status.
    Everything,
    /// The same as Go compares structs: a list with nothing in it where there was none counts, too.
    Held,
}

/// Which part of an object a write may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The object as a whole, its status aside.
    Main,
    /// The status alone.
    Status,
    /// Another subresource: its own code says what changes.
    Other,
}

/// How objects of a kind go when they are deleted, finalizers aside.
#[derive(Clone, Copy, Debug)]
pub enum Deletion {
    /// At once.
    AtOnce,
    /// After as many seconds as the function says, from the object and what the caller asked for; 0 is at once.
    Graceful(fn(object: &Value, asked: Option<i64>) -> i64),
    /// When `spec.finalizers` is empty too: namespaces.
    Emptied,
    /// When somebody has taken away the finalizer that the function writes at the first deletion: definitions.
    Drained(fn(object: &mut Value, now: &str)),
}

/// What surrounds a write, for the functions that complete objects.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Which part is written.
    pub part: Part,
    /// The subresource; empty for the object itself.
    pub subresource: &'a str,
    /// Who writes.
    pub caller: &'a Caller,
    /// When, as `metav1.Time`.
    pub now: &'a str,
    /// What the author is told beside the answer.
    pub warnings: &'a Warnings,
}

/// One field that field selectors may ask for.
#[derive(Clone, Copy, Debug)]
pub enum FieldLabel {
    /// The value at the dotted path that is also its name; missing is empty, booleans are `true` or `false`.
    Path(&'static str),
    /// A name, and how its value is found.
    Computed(&'static str, fn(&Value) -> SmolStr),
}

impl FieldLabel {
    /// The name that selectors use.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Path(name) | Self::Computed(name, _) => name,
        }
    }

    /// The object's value for it.
    #[must_use]
    pub fn read(&self, object: &Value) -> SmolStr {
        match self {
            Self::Computed(_, read) => read(object),
            Self::Path(path) => match path.split('.').fold(object, |value, name| &value[name]) {
                Value::String(text) => text.into(),
                Value::Null => SmolStr::default(),
                other => smol_str::format_smolstr!("{other}"),
            },
        }
    }
}

/// One column of a kind's Table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Heading, such as `Ready`.
    pub name: &'static str,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: &'static str,
    /// `name` for the name's column, else empty.
    pub format: &'static str,
    /// 0 is always shown, 1 with `-o wide`.
    pub priority: u8,
    /// What it shows, for a person. May be empty.
    pub description: &'static str,
}

/// A text column that is always shown.
#[must_use]
pub const fn column(name: &'static str, description: &'static str) -> Column {
    Column { name, kind: "string", format: "", priority: 0, description }
}

/// A text column that is shown with `-o wide`.
#[must_use]
pub const fn wide(name: &'static str, description: &'static str) -> Column {
    Column { priority: 1, ..column(name, description) }
}

/// A column of whole numbers that is always shown.
#[must_use]
pub const fn count(name: &'static str, description: &'static str) -> Column {
    Column { kind: "integer", ..column(name, description) }
}

/// The name's column, which every Table begins with.
pub const NAME: Column = Column { format: "name", ..column("Name", "Name of the object, unique in its namespace.") };
/// The age's column.
pub const AGE: Column = column("Age", "Time since the object was created.");

/// When the metadata of a new object is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Before everything else.
    First,
    /// Before everything else, but its name only once nothing else is wrong: the kind itself takes any.
    NameLast,
    /// Only once nothing else is wrong.
    Last,
}

/// How the objects of a kind behave. Kinds differ from [`Behaviour::PLAIN`] by what they name.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// The grammar of names.
    pub name: Grammar,
    /// Fields for selectors beside `metadata.name` and `metadata.namespace`.
    pub fields: &'static [FieldLabel],
    /// Whether there is a `status` that only the status subresource writes.
    pub has_status: bool,
    /// Which changes count.
    pub generation: Generation,
    /// Whether an update of an object that is not there creates it.
    pub create_on_update: bool,
    /// Whether an update may leave out the resource version.
    pub unconditional_update: bool,
    /// Whether a deletion answers the deleted object and not a `Status`.
    pub returns_deleted: bool,
    /// How objects go.
    pub deletion: Deletion,
    /// Why an object may never be deleted, where that is so.
    pub stays: fn(object: &Value) -> Option<&'static str>,
    /// Whether an object may be created with a status: nodes alone.
    pub created_with_status: bool,
    /// What it owns is kept when it is deleted, unless its author says something else.
    pub orphans: bool,
    /// Nothing is ever owned by it, so that nothing is said of that when it is deleted.
    pub owns_nothing: bool,
    /// What is told who deletes it and says nothing of what it owns.
    pub orphans_warning: Option<&'static str>,
    /// Metadata that counts for the generation as the spec does.
    pub counted_metadata: &'static [&'static str],
    /// What nobody comes to own by writing the status, the spec aside; what of it is metadata stays as it was.
    pub status_resets: &'static [&'static [&'static str]],
    /// What nobody comes to own by writing the object, its status aside.
    pub main_resets: &'static [&'static [&'static str]],
    /// What Go says of an object of which nothing was said, beyond what its version says in any case: such an object is a bookmark.
    pub blank: fn(object: &mut Value),
    /// Completes an object before it is checked. `old` is `None` when it is created.
    pub prepare: fn(new: &mut Value, old: Option<&Value>, scene: &Scene<'_>),
    /// Completes an object as upstream does when it reads it back from its store: after all checks.
    pub read_back: fn(object: &mut Value),
    /// A new object without labels shares those of its template, whatever is written into them later on.
    pub shares_labels: bool,
    /// When the metadata of a new object is judged.
    pub metadata_judged: Judged,
    /// Says what its author should know. `old` is `None` when it is created.
    pub warnings: fn(new: &Value, old: Option<&Value>) -> Vec<String>,
    /// Whether its objects are not stored, but found out when somebody asks.
    pub is_found_out: bool,
    /// What every caller is told, where the kind is deprecated.
    pub deprecation: Option<&'static str>,
    /// The columns of its Table.
    pub columns: &'static [Column],
    /// One object's cells, one a column.
    pub cells: fn(object: &Value, now: SystemTime) -> Vec<Value>,
    /// By which number the rows of a Table come, before their names.
    pub rank: Option<fn(object: &Value) -> i64>,
}

impl Behaviour {
    /// A kind without a status or anything special.
    pub const PLAIN: Self = Self {
        name: Grammar::Subdomain,
        fields: &[],
        has_status: false,
        generation: Generation::None,
        create_on_update: false,
        unconditional_update: true,
        returns_deleted: false,
        deletion: Deletion::AtOnce,
        stays: |_| None,
        created_with_status: false,
        orphans: false,
        owns_nothing: false,
        orphans_warning: None,
        counted_metadata: &[],
        status_resets: &[],
        main_resets: &[],
        blank: |_| {},
        prepare: |_, _, _| {},
        read_back: |_| {},
        shares_labels: false,
        metadata_judged: Judged::First,
        warnings: |_, _| Vec::new(),
        is_found_out: false,
        deprecation: None,
        columns: &[NAME, AGE],
        cells: super::cells::name_and_age,
        rank: None,
    };

    /// A kind with a spec, whose changes count, and a status.
    pub const WITH_STATUS: Self = Self { has_status: true, generation: Generation::Spec, ..Self::PLAIN };
}
