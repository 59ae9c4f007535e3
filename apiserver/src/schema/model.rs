//! What a type is: its fields, their shapes, how lists merge, and what is written where nothing was said.

use super::rules::Rule;
use serde_json::Value;
use smol_str::SmolStr;
use std::collections::HashMap;

/// A type of one [`Model`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub(super) u32);

/// A JSON value that has no fields of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// Text.
    String,
    /// Truth.
    Bool,
    /// A 32-bit integer.
    Int32,
    /// A 64-bit integer.
    Int64,
    /// A number with a fraction.
    Double,
    /// Base64 text of bytes.
    Bytes,
    /// `resource.Quantity`.
    Quantity,
    /// `metav1.Time`: RFC 3339 in whole seconds.
    Time,
    /// `metav1.MicroTime`: RFC 3339 with six digits.
    MicroTime,
    /// `intstr.IntOrString`.
    IntOrString,
    /// `metav1.FieldsV1`: a set of fields as an object.
    Fields,
    /// `metav1.Patch`: an object without declared fields.
    Patch,
    /// `runtime.RawExtension`: an object of any kind.
    Raw,
    /// Any JSON value at all.
    Json,
}

/// What a value looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A value without fields.
    Scalar(Scalar),
    /// A struct.
    Object(TypeId),
    /// A list of one shape.
    List(Box<Shape>),
    /// An object with free keys and values of one shape.
    Map(Box<Shape>),
    /// A `JSONSchemaProps` or a list of them.
    SchemaOrArray(TypeId),
    /// A `JSONSchemaProps` or a bool.
    SchemaOrBool(TypeId),
    /// A `JSONSchemaProps` or a list of strings.
    SchemaOrStrings(TypeId),
}

/// How a list is merged by server-side apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// Nothing is said, which means atomic.
    #[default]
    Unset,
    /// Replaced as a whole.
    Atomic,
    /// A set of scalars.
    Set,
    /// Objects told apart by these fields.
    Map(Box<[SmolStr]>),
}

/// How a map or struct is merged by server-side apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapType {
    /// Nothing is said: as its type says, else entry by entry.
    #[default]
    Unset,
    /// Replaced as a whole.
    Atomic,
    /// Entry by entry, whatever its type says.
    Granular,
}

/// How strategic merge treats a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strategy {
    /// Merge the list item by item, instead of replacing it.
    pub merge: bool,
    /// `replace` stands in the marker; the same as saying nothing, but published.
    pub replace: bool,
    /// Fields that the patch does not name are dropped (`$retainKeys`).
    pub retain_keys: bool,
    /// The field that tells the list's objects apart.
    pub key: Option<SmolStr>,
}

/// One field of a type.
#[derive(Clone, Debug)]
pub struct Field {
    /// The JSON name.
    pub name: SmolStr,
    /// What its value looks like.
    pub shape: Shape,
    /// It must be there.
    pub required: bool,
    /// Go holds a pointer: absent and zero differ.
    pub pointer: bool,
    /// Go writes it even when it is empty.
    pub written: bool,
    /// Left out when zero, although it is a struct.
    pub omit_zero: bool,
    /// How server-side apply merges its list.
    pub list_type: ListType,
    /// How server-side apply merges its map or struct.
    pub map_type: MapType,
    /// How strategic merge treats it.
    pub strategy: Strategy,
    /// The default that its marker declares.
    pub default: Option<Value>,
    /// In protobuf the list is a message of its own, with the items in field 1.
    pub boxed: bool,
    /// Its protobuf number in the struct that declares it; 0 for `apiVersion` and `kind`, which no message holds.
    pub number: u32,
    /// Where among the fields Go declares it: it writes them in this order.
    pub place: u16,
    /// Go's name of the innermost element, as in `v1.Protocol`.
    pub element_name: Option<SmolStr>,
    /// Go's name of the whole list or map, as in `v1.ResourceList`.
    pub whole_name: Option<SmolStr>,
}

/// Whether this is a list or map with nothing in it.
#[must_use]
pub fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    }
}

impl Field {
    /// Whether Go, which holds this value, leaves it out where it writes the field: a list or map with nothing in it.
    pub fn leaves_out(&self, value: &Value) -> bool {
        is_hollow(value) && !self.pointer && !self.written && matches!(self.shape, Shape::List(_) | Shape::Map(_))
    }
}

/// A struct that Go embeds: its fields stand in the outer JSON object, and in a message of their own in protobuf.
#[derive(Clone, Copy, Debug)]
pub struct Embed {
    /// The message's field number in the outer one.
    pub number: u32,
    /// Where among the fields of the outer one its own stand.
    pub place: u16,
    /// The embedded struct.
    pub id: TypeId,
}

/// What a field number of a struct's message stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The field at this index.
    Field(u16),
    /// An embedded struct.
    Embed(TypeId),
}

/// Group, version and kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gvk {
    /// The group; empty for the core group.
    pub group: SmolStr,
    /// The version.
    pub version: SmolStr,
    /// The kind.
    pub kind: SmolStr,
}

/// A struct.
#[derive(Clone, Debug)]
pub struct Type {
    /// The full name, as `OpenAPI` names the definition.
    pub name: SmolStr,
    /// All JSON fields, those of embedded structs too, sorted by name.
    pub fields: Box<[Field]>,
    /// Of each field the first eight bytes of its name: a number is found faster than a text.
    pub(super) heads: Box<[u64]>,
    /// The structs that Go embeds in it.
    pub embeds: Box<[Embed]>,
    /// What kind it is, where it is one.
    pub kind: Option<Gvk>,
    /// Server-side apply replaces it as a whole.
    pub atomic: bool,
    /// It stands only inside other structs and is no definition of its own.
    pub inline: bool,
    /// Fields beyond the declared ones are kept.
    pub open: bool,
    /// Its defaults, in the order in which they apply.
    pub(super) rules: Box<[Rule]>,
    /// The fields that defaulting writes where they are absent.
    pub(super) filled: Box<[u16]>,
    /// The fields at or below whose structs something is to be filled, where they hold one or a list of them.
    pub(super) filling: Box<[u16]>,
    /// Something at or below it has a default, or is written when empty.
    pub(super) fills: bool,
    /// No value of it is deeper than its fields say, the sets of managers aside.
    pub bounded: bool,
    /// There is raw JSON in it, or below.
    pub raws: bool,
}

/// Types that know each other: all built-in ones, or those of one custom resource.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub(super) types: Vec<Type>,
    pub(super) names: HashMap<SmolStr, TypeId>,
    /// Sorted.
    pub(super) kinds: Vec<(Gvk, TypeId)>,
    /// By type: its message's fields, by number.
    pub(super) messages: Vec<Box<[(u32, Slot)]>>,
}

/// So many bytes of a name are its head.
const HEAD_BYTES: usize = 8;

/// The first bytes of a name, which compare as names do.
fn head(name: &str) -> u64 {
    match name.as_bytes().first_chunk::<HEAD_BYTES>() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let said = name.bytes().fold(0, |head, byte| head << 8 | u64::from(byte));
            said.unbounded_shl(8 * (HEAD_BYTES - name.len()) as u32)
        }
    }
}

impl Type {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.get(self.index(name)?)
    }

    /// Where the field of this name is.
    pub fn index(&self, name: &str) -> Option<usize> {
        let wanted = head(name);
        let first = self.heads.partition_point(|head| *head < wanted);
        let alike = self.heads[first..].iter().take_while(|head| **head == wanted);
        // Of a short name the head is all.
        let is = |known: &str| known.len() == name.len() && (name.len() <= HEAD_BYTES || known == name);
        alike.zip(first..).map(|(_, index)| index).find(|index| is(&self.fields[*index].name))
    }

    /// Gives it these fields, which are sorted.
    pub(super) fn put_fields(&mut self, fields: Vec<Field>) {
        self.heads = Self::heads(&fields);
        self.fields = fields.into();
    }

    /// What [`Type::index`] looks at, for fields in their order.
    pub(super) fn heads(fields: &[Field]) -> Box<[u64]> {
        fields.iter().map(|field| head(&field.name)).collect()
    }

    /// The struct's own name, as in `PodSpec`.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// The name that Go's errors give it, as in `v1.PodSpec`.
    pub fn go_name(&self) -> &str {
        let mut dots = self.name.rmatch_indices('.').map(|(index, _)| index);
        match dots.nth(1) {
            Some(dot) => &self.name[dot + 1..],
            None => &self.name,
        }
    }
}

impl Model {
    /// The type of a kind.
    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<TypeId> {
        let wanted = (group, version, kind);
        let index = self
            .kinds
            .binary_search_by(|(gvk, _)| (gvk.group.as_str(), gvk.version.as_str(), gvk.kind.as_str()).cmp(&wanted))
            .ok()?;
        self.kinds.get(index).map(|(_, id)| *id)
    }

    /// The type of a full name, as in `io.k8s.api.core.v1.PodSpec`.
    pub fn named(&self, name: &str) -> Option<TypeId> {
        self.names.get(name).copied()
    }

    /// What a type is. An id of another model is a mistake and panics.
    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[id.0 as usize]
    }

    /// The structs that Go embeds in a type, one in the other, on the way to the one that has a field; none, where the
    /// type has it itself.
    pub fn way_to(&self, id: TypeId, field: &str) -> Vec<&str> {
        let mut way = Vec::new();
        let mut at = id;
        let holds = |embed: &&Embed| self.get(embed.id).field(field).is_some();
        while let Some(embed) = self.get(at).embeds.iter().find(holds) {
            way.push(self.get(embed.id).short_name());
            at = embed.id;
        }
        way
    }

    /// The fields of a type's message, by number; nothing for a type that has no message.
    pub fn message(&self, id: TypeId) -> &[(u32, Slot)] {
        self.messages.get(id.0 as usize).map_or(&[], |slots| slots)
    }

    /// Every type with its id.
    pub fn types(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        (0..).map(TypeId).zip(&self.types)
    }

    /// Every kind with its type, sorted.
    pub fn kinds(&self) -> impl Iterator<Item = (&Gvk, TypeId)> {
        self.kinds.iter().map(|(gvk, id)| (gvk, *id))
    }

    /// The name that Go's errors give a value of this shape; `field` is the one whose value, or part of it, is meant.
    pub fn go_name(&self, shape: &Shape, element: Option<&str>, whole: Option<&str>) -> String {
        if let Some(name) = whole {
            return name.to_owned();
        }
        match shape {
            Shape::Scalar(scalar) => element.unwrap_or(scalar.go_name()).to_owned(),
            Shape::Object(id) => self.get(*id).go_name().to_owned(),
            Shape::List(item) => format!("[]{}", self.go_name(item, element, None)),
            Shape::Map(value) if matches!(**value, Shape::Scalar(Scalar::Quantity)) => "v1.ResourceList".to_owned(),
            Shape::Map(value) => format!("map[string]{}", self.go_name(value, element, None)),
            Shape::SchemaOrArray(_) => "v1.JSONSchemaPropsOrArray".to_owned(),
            Shape::SchemaOrBool(_) => "v1.JSONSchemaPropsOrBool".to_owned(),
            Shape::SchemaOrStrings(_) => "v1.JSONSchemaPropsOrStringArray".to_owned(),
        }
    }
}

impl Scalar {
    /// What Go's errors call it.
    pub fn go_name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Bool => "bool",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Double => "float64",
            Self::Bytes => "[]uint8",
            Self::Quantity => "resource.Quantity",
            Self::Time => "v1.Time",
            Self::MicroTime => "v1.MicroTime",
            Self::IntOrString => "intstr.IntOrString",
            Self::Fields => "v1.FieldsV1",
            Self::Patch => "v1.Patch",
            Self::Raw => "runtime.RawExtension",
            Self::Json => "v1.JSON",
        }
    }
}
