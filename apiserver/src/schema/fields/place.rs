//! What the model says of the value at a place: how it is merged, and what lies below it.

use super::element::Element;
use crate::schema::default::empty;
use crate::schema::model::{Field, ListType, MapType, Model, Scalar, Shape, Type, TypeId, is_hollow};
use serde_json::Value;
use smol_str::SmolStr;

/// A place in an object. Copied freely.
#[derive(Clone, Copy, Debug)]
pub struct Place<'m> {
    model: &'m Model,
    shape: Known<'m>,
    list: &'m ListType,
    map: MapType,
    written: bool,
}

#[derive(Clone, Copy, Debug)]
enum Known<'m> {
    Type(TypeId),
    Shape(&'m Shape),
    /// Nothing is known: the value says what it is.
    Nothing,
}

/// How a value is merged.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form<'m> {
    /// As a whole, being a scalar.
    Scalar(Scalar),
    /// By its declared fields.
    Struct(&'m Type),
    /// By its entries, all of one kind.
    Map(Place<'m>),
    /// By its items, told apart by these fields, or by their values where there are none; a list that is replaced as a
    /// whole has no keys at all.
    List(Option<&'m [SmolStr]>, Place<'m>),
}

/// A form, and whether the value is replaced as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolved<'m> {
    pub(super) form: Form<'m>,
    pub(super) atomic: bool,
}

impl<'m> Place<'m> {
    /// An object of a type, or of an unknown one.
    #[must_use]
    pub fn root(model: &'m Model, id: Option<TypeId>) -> Self {
        let shape = id.map_or(Known::Nothing, Known::Type);
        Self { model, shape, list: &ListType::Unset, map: MapType::Unset, written: false }
    }

    /// The same, for values that Go's structs have held: a field that Go leaves out when it writes them is looked past, but
    /// not within a list that is compared as a whole.
    #[must_use]
    pub fn as_written(self) -> Self {
        Self { written: true, ..self }
    }

    pub(super) fn model(&self) -> &'m Model {
        self.model
    }

    /// The type of the object here, where it is known.
    pub(super) fn object_type(&self) -> Option<&'m Type> {
        match self.shape {
            Known::Type(id) => Some(self.model.get(id)),
            Known::Shape(Shape::Object(id)) => Some(self.model.get(*id)),
            _ => None,
        }
    }

    fn of(self, shape: &'m Shape) -> Self {
        Self { shape: Known::Shape(shape), list: &ListType::Unset, map: MapType::Unset, ..self }
    }

    fn unknown(self) -> Self {
        Self { shape: Known::Nothing, list: &ListType::Unset, map: MapType::Unset, ..self }
    }

    /// The place of a declared field.
    pub(super) fn field(self, field: &'m Field) -> Self {
        Self { shape: Known::Shape(&field.shape), list: &field.list_type, map: field.map_type, ..self }
    }

    /// How the value here is merged; a value that the model says nothing about is looked at.
    pub(super) fn resolve(self, value: Option<&Value>) -> Resolved<'m> {
        let atomic = self.map == MapType::Atomic;
        let whole = |form| Resolved { form, atomic: true };
        match self.shape {
            Known::Type(id) => self.of_type(id),
            Known::Shape(Shape::Object(id)) => self.of_type(*id),
            Known::Shape(Shape::Map(item)) => Resolved { form: Form::Map(self.of(item)), atomic },
            Known::Shape(Shape::List(item)) => match self.list {
                ListType::Unset | ListType::Atomic => whole(Form::List(None, self.of(item))),
                ListType::Set => Resolved { form: Form::List(Some(&[]), self.of(item)), atomic: false },
                ListType::Map(keys) => Resolved { form: Form::List(Some(keys), self.of(item)), atomic: false },
            },
            Known::Shape(Shape::Scalar(scalar)) if !is_free(*scalar) => whole(Form::Scalar(*scalar)),
            Known::Shape(_) | Known::Nothing => match value {
                Some(Value::Array(_)) => whole(Form::List(None, self.unknown())),
                Some(Value::Object(_) | Value::Null) | None => {
                    Resolved { form: Form::Map(self.unknown()), atomic: false }
                }
                Some(_) => whole(Form::Scalar(Scalar::Json)),
            },
        }
    }

    fn of_type(self, id: TypeId) -> Resolved<'m> {
        let one = self.model.get(id);
        let atomic = self.map == MapType::Atomic || (one.atomic && self.map != MapType::Granular);
        Resolved { form: Form::Struct(one), atomic }
    }

    /// The place below this one, as far as the model says; and whether it is a declared field.
    pub(super) fn below(self, element: &Element) -> (Self, bool) {
        match (self.resolve(None).form, element) {
            (Form::Struct(one), Element::Field(name)) => match one.field(name) {
                Some(field) => (self.field(field), true),
                None => (self.unknown(), false),
            },
            (Form::Map(item), Element::Field(_)) | (Form::List(_, item), _) => (item, false),
            _ => (self.unknown(), false),
        }
    }

    /// The place of an entry of an object that has this form.
    pub(super) fn entry(self, form: Form<'m>, name: &str) -> (Self, bool) {
        match form {
            Form::Struct(one) => match one.field(name) {
                Some(field) => (self.field(field), true),
                None => (self.unknown(), false),
            },
            Form::Map(item) => (item, false),
            Form::Scalar(_) | Form::List(..) => (self.unknown(), false),
        }
    }
}

impl Place<'_> {
    /// Whether the values here are what Go's structs have held.
    pub(super) fn is_written(self) -> bool {
        self.written
    }

    /// Whether this value of a field is looked past.
    pub(super) fn looks_past(self, form: Form<'_>, name: &str, value: &Value) -> bool {
        self.written && form.leaves_out(name, value)
    }
}

impl Form<'_> {
    /// Whether this value of a field is left out by Go: nobody owns it, and nothing has changed.
    pub(super) fn leaves_out(self, name: &str, value: &Value) -> bool {
        match self {
            // Few values are, and then the field need not be looked up.
            Form::Struct(one) => is_hollow(value) && one.field(name).is_some_and(|field| field.leaves_out(value)),
            _ => false,
        }
    }
}

/// Whether a scalar of the table stands for a value of any form.
fn is_free(scalar: Scalar) -> bool {
    matches!(scalar, Scalar::Json | Scalar::Fields | Scalar::Patch)
}

/// How an item is told from the others of its list; none where it lacks all its keys, or can be no item of a set.
pub(super) fn item_element(keys: &[SmolStr], place: Place<'_>, item: &Value) -> Option<Element> {
    if keys.is_empty() {
        let scalar = !matches!(item, Value::Null | Value::Array(_) | Value::Object(_));
        return scalar.then(|| Element::Value(item.clone()));
    }
    let fields = item.as_object()?;
    let declared = place.object_type();
    let said = |key: &SmolStr| {
        let fallback = || declared.and_then(|one| one.field(key)).and_then(unsaid);
        fields.get(key.as_str()).cloned().or_else(fallback).map(|value| (key.clone(), value))
    };
    let mut key: Vec<_> = keys.iter().filter_map(said).collect();
    key.sort_by(|one, other| one.0.cmp(&other.0));
    (!key.is_empty()).then(|| Element::Key(key.into()))
}

/// What a key is of an item that does not say it: as its marker has it, or what Go writes in any case, which upstream's schemas have
/// for a default as well.
fn unsaid(field: &Field) -> Option<Value> {
    let zero = || (field.written && !field.pointer).then(|| empty(&field.shape, false));
    field.default.clone().or_else(zero).filter(|value| !value.is_null())
}

/// The items of a list with their elements, sorted by them; items that can't be told apart are left out.
pub(super) fn sorted_items<'v>(
    keys: &[SmolStr],
    place: Place<'_>,
    list: Option<&'v Value>,
) -> Vec<(Element, &'v Value)> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    let mut out: Vec<_> = items.filter_map(|item| Some((item_element(keys, place, item)?, item))).collect();
    out.sort_by(|one, other| one.0.cmp(&other.0));
    out
}
