//! A schema as a model, for the walks of server-side apply.

use super::{Additional, Node, Structural};
use crate::schema::model::{Field, ListType, MapType, Model, Scalar, Shape, Strategy, Type, TypeId};
use serde_json::Value;
use smol_str::SmolStr;
use std::collections::HashMap;

/// A model, and the type of the objects in it.
#[derive(Debug)]
pub struct Modelled {
    /// The types of this one kind.
    pub model: Model,
    /// The object.
    pub root: TypeId,
}

impl Structural {
    /// The same schema as a model. What is said of metadata is taken from the built-in kinds.
    #[must_use]
    pub fn model(&self) -> Modelled {
        let mut maker = Maker { model: Model::default(), metadata: None, copied: HashMap::new() };
        let root = maker.object(&self.root);
        Modelled { model: maker.model, root }
    }
}

struct Maker {
    model: Model,
    metadata: Option<TypeId>,
    /// Types of the built-in model that were taken over, and what they are here.
    copied: HashMap<TypeId, TypeId>,
}

impl Maker {
    fn add(&mut self, one: Type) -> TypeId {
        let id = TypeId(u32::try_from(self.model.types.len()).expect("a schema of 3 MiB has fewer types than that"));
        self.model.types.push(one);
        id
    }

    fn object(&mut self, node: &Node) -> TypeId {
        let mut fields: Vec<Field> = Vec::new();
        for (name, below) in node.properties.iter().filter(|(name, _)| !node.is_meta(name)) {
            let shape = self.shape(below);
            fields.push(field(name, shape, Some(below)));
        }
        if node.embedded {
            let metadata = self.metadata();
            fields.push(field("apiVersion", Shape::Scalar(Scalar::String), None));
            fields.push(field("kind", Shape::Scalar(Scalar::String), None));
            fields.push(field("metadata", Shape::Object(metadata), None));
        }
        fields.sort_by(|one, other| one.name.cmp(&other.name));
        self.add(Type {
            name: SmolStr::default(),
            heads: Type::heads(&fields),
            fields: fields.into(),
            embeds: Box::default(),
            kind: None,
            atomic: node.map_type == MapType::Atomic,
            inline: true,
            open: node.preserve_unknown,
            rules: Box::default(),
            filled: Box::default(),
            filling: Box::default(),
            fills: false,
            bounded: false,
            raws: false,
        })
    }

    fn shape(&mut self, node: &Node) -> Shape {
        if node.int_or_string {
            return Shape::Scalar(Scalar::IntOrString);
        }
        match node.kind.as_str() {
            "string" => Shape::Scalar(Scalar::String),
            "boolean" => Shape::Scalar(Scalar::Bool),
            "integer" => Shape::Scalar(Scalar::Int64),
            "number" => Shape::Scalar(Scalar::Double),
            "array" => {
                let item = node.items.as_ref().map_or(Shape::Scalar(Scalar::Json), |item| self.shape(item));
                Shape::List(Box::new(item))
            }
            "object" => match &node.additional {
                Additional::Like(value) if node.properties.is_empty() => Shape::Map(Box::new(self.shape(value))),
                Additional::Any if node.properties.is_empty() => Shape::Map(Box::new(Shape::Scalar(Scalar::Json))),
                // Whatever is in it, it is a map.
                _ if node.properties.is_empty() && node.preserve_unknown && !node.embedded => {
                    Shape::Map(Box::new(Shape::Scalar(Scalar::Json)))
                }
                _ => Shape::Object(self.object(node)),
            },
            _ => Shape::Scalar(Scalar::Json),
        }
    }

    fn metadata(&mut self) -> TypeId {
        if let Some(known) = self.metadata {
            return known;
        }
        let built_in = crate::schema::model();
        let id = built_in
            .named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
            .expect("every kind of the table has metadata");
        let copied = self.copy(built_in, id);
        self.metadata = Some(copied);
        copied
    }

    /// Takes a type over from another model, with all that it refers to.
    fn copy(&mut self, from: &Model, id: TypeId) -> TypeId {
        if let Some(known) = self.copied.get(&id) {
            return *known;
        }
        let original = from.get(id).clone();
        let here = self.add(Type {
            embeds: Box::default(),
            rules: Box::default(),
            filled: Box::default(),
            filling: Box::default(),
            ..original
        });
        self.copied.insert(id, here);
        let mut fields = self.model.types[here.0 as usize].fields.to_vec();
        fields.iter_mut().for_each(|field| field.shape = self.copy_shape(from, &field.shape));
        self.model.types[here.0 as usize].put_fields(fields);
        here
    }

    fn copy_shape(&mut self, from: &Model, shape: &Shape) -> Shape {
        match shape {
            Shape::Scalar(scalar) => Shape::Scalar(*scalar),
            Shape::Object(id) => Shape::Object(self.copy(from, *id)),
            Shape::List(item) => Shape::List(Box::new(self.copy_shape(from, item))),
            Shape::Map(item) => Shape::Map(Box::new(self.copy_shape(from, item))),
            Shape::SchemaOrArray(id) => Shape::SchemaOrArray(self.copy(from, *id)),
            Shape::SchemaOrBool(id) => Shape::SchemaOrBool(self.copy(from, *id)),
            Shape::SchemaOrStrings(id) => Shape::SchemaOrStrings(self.copy(from, *id)),
        }
    }
}

/// A field without anything that Go or protobuf would know of it.
fn field(name: &str, shape: Shape, node: Option<&Node>) -> Field {
    Field {
        name: name.into(),
        shape,
        required: false,
        pointer: true,
        written: false,
        omit_zero: true,
        list_type: node.map_or(ListType::Unset, |node| node.list_type.clone()),
        map_type: node.map_or(MapType::Unset, |node| node.map_type),
        strategy: Strategy::default(),
        default: node.and_then(|node| node.default.clone()).filter(|default| *default != Value::Null),
        boxed: false,
        number: 0,
        place: 0,
        element_name: None,
        whole_name: None,
    }
}
