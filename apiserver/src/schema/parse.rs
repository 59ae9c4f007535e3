//! Reads the generated table, and the defaults beside it, into a [`Model`].

use super::{
    model::{Embed, Field, Gvk, ListType, MapType, Model, Scalar, Shape, Slot, Strategy, Type, TypeId},
    rules,
};
use smol_str::SmolStr;
use std::collections::HashMap;

/// A line of a table that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub(super) struct TableError {
    /// The line, counted from 1.
    pub(super) line: usize,
    /// What is wrong with it.
    pub(super) what: String,
}

/// A package's header: `[core.v1 io.k8s.api.core.v1 v1]`.
#[derive(Clone, Copy, Default)]
struct Package {
    alias: &'static str,
    name: &'static str,
    group: &'static str,
    version: &'static str,
}

/// Most fields that an embedded struct may have, those embedded in it included.
const EMBEDDED_MAX: u16 = 64;

struct Pending {
    package: Package,
    short: &'static str,
    words: &'static str,
    rows: Vec<(usize, &'static str)>,
}

/// Parses both tables.
pub(super) fn table(types: &'static str, defaults: &'static str) -> Result<Model, TableError> {
    let pending = split(types)?;
    let mut aliases: HashMap<(&str, &str), TypeId> = HashMap::with_capacity(pending.len());
    for (id, one) in (0..).map(TypeId).zip(&pending) {
        aliases.insert((one.package.alias, one.short), id);
    }
    let mut model = Model::default();
    for one in &pending {
        let type_of_rows = build(one, &aliases)?;
        let id = TypeId(model.types.len() as u32);
        model.names.insert(type_of_rows.name.clone(), id);
        model.types.push(type_of_rows);
    }
    inline_embeds(&mut model);
    add_lists(&mut model, &pending, &aliases);
    for (id, one) in (0..).map(TypeId).zip(&model.types) {
        if let Some(kind) = &one.kind {
            model.kinds.push((kind.clone(), id));
        }
    }
    model.kinds.sort();
    model.messages = model.types.iter().map(|one| message(&model, one)).collect();
    rules::attach(&mut model, defaults, |alias, short| aliases.get(&(alias, short)).copied())?;
    mark_fills(&mut model);
    mark_bounded(&mut model);
    mark_raws(&mut model);
    Ok(model)
}

fn split(text: &'static str) -> Result<Vec<Pending>, TableError> {
    let mut package = Package::default();
    let mut pending: Vec<Pending> = Vec::with_capacity(768);
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.is_empty() || line.starts_with('#') {
        } else if let Some(header) = line.strip_prefix('[') {
            let mut words = header.trim_end_matches(']').split(' ');
            let (alias, name) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            let (group, version) =
                words.next().map_or(("", ""), |served| served.split_once('/').unwrap_or(("", served)));
            package = Package { alias, name, group, version };
        } else if let Some(row) = line.strip_prefix(' ') {
            let open = pending.last_mut().ok_or_else(|| failure(number, "a field before any type"))?;
            open.rows.push((number, row));
        } else {
            let (short, words) = line.split_once(' ').unwrap_or((line, ""));
            pending.push(Pending { package, short, words, rows: Vec::new() });
        }
    }
    Ok(pending)
}

fn failure(line: usize, what: impl Into<String>) -> TableError {
    TableError { line, what: what.into() }
}

fn build(one: &Pending, aliases: &HashMap<(&str, &str), TypeId>) -> Result<Type, TableError> {
    let Package { name, group, version, .. } = one.package;
    let says = |word| one.words.split(' ').any(|found| found == word);
    let (kind, typed) = (says("kind"), says("typed"));
    let mut fields = Vec::with_capacity(one.rows.len() + 2);
    let mut embeds = Vec::new();
    // Between two rows there is room for the fields of what is embedded; before all, for kind and version.
    for (place, &(number, row)) in (1..).map(|nth: u16| nth * EMBEDDED_MAX).zip(&one.rows) {
        match field(row, one.package, aliases).map_err(|what| failure(number, what))? {
            Row::Field(field) => fields.push(Field { place, ..field }),
            Row::Embed(embed) => embeds.push(Embed { place, ..embed }),
        }
    }
    if kind || typed {
        for name in ["apiVersion", "kind"] {
            if !fields.iter().any(|field| field.name == name) {
                let place = u16::from(name == "apiVersion");
                fields.push(Field { place, ..plain(name, Shape::Scalar(Scalar::String), 0) });
            }
        }
    }
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    let gvk = Gvk { group: group.into(), version: version.into(), kind: SmolStr::new_static(one.short) };
    Ok(Type {
        name: format!("{name}.{}", one.short).into(),
        heads: Type::heads(&fields),
        fields: fields.into(),
        embeds: embeds.into(),
        kind: (kind || typed).then_some(gvk),
        atomic: says("atomic"),
        inline: says("inline"),
        open: false,
        rules: Box::default(),
        filled: Box::default(),
        filling: Box::default(),
        fills: false,
        bounded: false,
        raws: false,
    })
}

/// A field of which nothing more is said.
fn plain(name: &'static str, shape: Shape, number: u32) -> Field {
    Field {
        name: SmolStr::new_static(name),
        shape,
        required: false,
        pointer: false,
        written: false,
        omit_zero: false,
        list_type: ListType::Unset,
        map_type: MapType::Unset,
        strategy: Strategy::default(),
        default: None,
        boxed: false,
        number,
        place: 0,
        element_name: None,
        whole_name: None,
    }
}

enum Row {
    Field(Field),
    Embed(Embed),
}

fn field(row: &'static str, package: Package, aliases: &HashMap<(&str, &str), TypeId>) -> Result<Row, String> {
    let mut words = row.split(' ');
    let (Some(name), Some(number), Some(shape)) = (words.next(), words.next(), words.next()) else {
        return Err("a field is a name, a number and a shape".to_owned());
    };
    let number = number.parse().map_err(|_| format!("`{number}` is no field number"))?;
    let (pointer, shape) = shape.strip_prefix('*').map_or((false, shape), |rest| (true, rest));
    let shape = self::shape(shape, package, aliases)?;
    if name == "+" {
        let Shape::Object(id) = shape else { return Err("only a struct can be embedded".to_owned()) };
        return Ok(Row::Embed(Embed { number, id, place: 0 }));
    }
    let (name, required) = name.strip_suffix('!').map_or((name, false), |name| (name, true));
    let mut field = Field { required, pointer, written: required, ..plain(name, shape, number) };
    for word in words {
        self::word(&mut field, word, package)?;
    }
    Ok(Row::Field(field))
}

fn word(field: &mut Field, word: &'static str, package: Package) -> Result<(), String> {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    match name {
        "keep" => field.written = true,
        "omit" => field.written = false,
        "omitzero" => field.omit_zero = true,
        "list" => field.list_type = list_type(value)?,
        "map" | "struct" => {
            field.map_type = if value == "atomic" { MapType::Atomic } else { MapType::Granular };
        }
        "patch" => {
            for strategy in value.split(',') {
                match strategy {
                    "merge" => field.strategy.merge = true,
                    "replace" => field.strategy.replace = true,
                    "retainKeys" => field.strategy.retain_keys = true,
                    other => return Err(format!("`{other}` is no patch strategy")),
                }
            }
        }
        "key" => field.strategy.key = Some(SmolStr::new_static(value)),
        "default" => field.default = Some(serde_json::from_str(value).map_err(|_| format!("`{value}` is no JSON"))?),
        "go" => field.element_name = Some(go_name(value, package)),
        "goes" => field.whole_name = Some(go_name(value, package)),
        "wire" => field.boxed = value == "message",
        other => return Err(format!("the word `{other}` is not known")),
    }
    Ok(())
}

fn list_type(value: &'static str) -> Result<ListType, String> {
    match value {
        "atomic" => Ok(ListType::Atomic),
        "set" => Ok(ListType::Set),
        _ => {
            let keys = value.strip_prefix("map(").and_then(|rest| rest.strip_suffix(')'));
            let keys = keys.ok_or_else(|| format!("`{value}` is no list type"))?;
            Ok(ListType::Map(keys.split(',').map(SmolStr::new_static).collect()))
        }
    }
}

/// Go's name with its package: a bare one is of the field's own package, whose Go name is its version.
fn go_name(value: &'static str, package: Package) -> SmolStr {
    if value.contains('.') {
        SmolStr::new_static(value)
    } else {
        let version = package.alias.rsplit('.').next().unwrap_or("");
        format!("{version}.{value}").into()
    }
}

fn shape(text: &str, package: Package, aliases: &HashMap<(&str, &str), TypeId>) -> Result<Shape, String> {
    if let Some(item) = text.strip_prefix("[]") {
        return Ok(Shape::List(Box::new(shape(item, package, aliases)?)));
    }
    if let Some(value) = text.strip_prefix("{}") {
        return Ok(Shape::Map(Box::new(shape(value, package, aliases)?)));
    }
    if let Some((alias, short)) = text.rsplit_once('.') {
        let alias = if alias.is_empty() { package.alias } else { alias };
        let id = aliases.get(&(alias, short)).ok_or_else(|| format!("no type `{text}`"))?;
        return Ok(Shape::Object(*id));
    }
    let schema = || aliases.get(&(package.alias, "JSONSchemaProps")).copied().ok_or("no type `JSONSchemaProps`");
    Ok(Shape::Scalar(match text {
        "string" => Scalar::String,
        "bool" => Scalar::Bool,
        "int32" => Scalar::Int32,
        "int64" => Scalar::Int64,
        "double" => Scalar::Double,
        "bytes" => Scalar::Bytes,
        "quantity" => Scalar::Quantity,
        "time" => Scalar::Time,
        "microtime" => Scalar::MicroTime,
        "intstr" => Scalar::IntOrString,
        "fields" => Scalar::Fields,
        "patch" => Scalar::Patch,
        "raw" => Scalar::Raw,
        "json" => Scalar::Json,
        "schema-or-array" => return Ok(Shape::SchemaOrArray(schema()?)),
        "schema-or-bool" => return Ok(Shape::SchemaOrBool(schema()?)),
        "schema-or-strings" => return Ok(Shape::SchemaOrStrings(schema()?)),
        other => return Err(format!("`{other}` is no shape")),
    }))
}

/// Copies the fields of embedded structs into the outer ones. An inner embedding stands after its outer one, so the
/// innermost are copied first.
fn inline_embeds(model: &mut Model) {
    for _ in 0..2 {
        for index in 0..model.types.len() {
            let embeds = model.types[index].embeds.clone();
            if embeds.is_empty() {
                continue;
            }
            let mut fields = std::mem::take(&mut model.types[index].fields).into_vec();
            for embed in &embeds {
                let mut inner = model.types[embed.id.0 as usize].fields.to_vec();
                inner.sort_by_key(|field| field.place);
                for (place, inner) in (embed.place..).zip(inner) {
                    match fields.iter_mut().find(|field| field.name == inner.name) {
                        Some(known) if (embed.place..embed.place + EMBEDDED_MAX).contains(&known.place) => {
                            known.place = place;
                        }
                        Some(_) => {}
                        None => fields.push(Field { place, ..inner }),
                    }
                }
            }
            fields.sort_by(|a, b| a.name.cmp(&b.name));
            model.types[index].put_fields(fields);
        }
    }
}

/// What the numbers of a type's message stand for. The fields of an embedded struct are in its own message.
fn message(model: &Model, one: &Type) -> Box<[(u32, Slot)]> {
    let embedded = |name: &str| one.embeds.iter().any(|embed| model.get(embed.id).field(name).is_some());
    let own = (0..).zip(&one.fields).filter(|(_, field)| field.number != 0 && !embedded(&field.name));
    let mut slots: Vec<(u32, Slot)> = own.map(|(index, field)| (field.number, Slot::Field(index))).collect();
    slots.extend(one.embeds.iter().map(|embed| (embed.number, Slot::Embed(embed.id))));
    slots.sort_by_key(|(number, _)| *number);
    slots.into()
}

/// Adds the list type of every kind that has one: all are alike.
fn add_lists(model: &mut Model, pending: &[Pending], aliases: &HashMap<(&str, &str), TypeId>) {
    let Some(meta) = aliases.get(&("meta.v1", "ListMeta")) else { return };
    for (id, one) in (0..).map(TypeId).zip(pending) {
        if !one.words.split(' ').any(|word| word == "list") {
            continue;
        }
        let text = Shape::Scalar(Scalar::String);
        let items = Shape::List(Box::new(Shape::Object(id)));
        let fields = vec![
            Field { place: 1, ..plain("apiVersion", text.clone(), 0) },
            Field { required: true, written: true, place: 3, ..plain("items", items, 2) },
            plain("kind", text, 0),
            Field { place: 2, ..plain("metadata", Shape::Object(*meta), 1) },
        ];
        let item = model.get(id);
        let list = Type {
            name: format!("{}List", item.name).into(),
            heads: Type::heads(&fields),
            fields: fields.into(),
            embeds: Box::default(),
            kind: item.kind.as_ref().map(|gvk| Gvk { kind: format!("{}List", gvk.kind).into(), ..gvk.clone() }),
            atomic: false,
            inline: false,
            open: false,
            rules: Box::default(),
            filled: Box::default(),
            filling: Box::default(),
            fills: false,
            bounded: false,
            raws: false,
        };
        model.names.insert(list.name.clone(), TypeId(model.types.len() as u32));
        model.types.push(list);
    }
}

/// Marks the types at or below which defaulting has anything to do, so that it passes the others over.
fn mark_fills(model: &mut Model) {
    for one in &mut model.types {
        let fields = (0..).zip(&one.fields);
        one.filled = fields
            .filter(|(_, field)| super::default::defaulted(field) || super::default::written(field))
            .map(|(index, _)| index)
            .collect();
    }
    loop {
        let mut changed = false;
        for index in 0..model.types.len() {
            let one = &model.types[index];
            if one.fills {
                continue;
            }
            let below = |field: &Field| innermost(&field.shape).is_some_and(|id| model.get(id).fills);
            let fills = !one.rules.is_empty() || !one.filled.is_empty() || one.fields.iter().any(below);
            model.types[index].fills = fills;
            changed |= fills;
        }
        if !changed {
            break;
        }
    }
    for index in 0..model.types.len() {
        let fields = (0..).zip(&model.types[index].fields);
        let filling = fields.filter(|(_, field)| held(&field.shape).is_some_and(|id| model.get(id).fills));
        model.types[index].filling = filling.map(|(index, _)| index).collect();
    }
}

/// The struct that a shape is, or is a list of.
fn held(shape: &Shape) -> Option<TypeId> {
    match shape {
        Shape::Object(id) => Some(*id),
        Shape::List(item) => match **item {
            Shape::Object(id) => Some(id),
            _ => None,
        },
        _ => None,
    }
}

/// Marks the types whose values nest no deeper than their fields say: those that hold neither themselves nor free JSON. The
/// sets of managers are texts wherever an object is walked.
fn mark_bounded(model: &mut Model) {
    loop {
        let mut changed = false;
        for index in 0..model.types.len() {
            let one = &model.types[index];
            let bounded = !one.open && one.fields.iter().all(|field| is_bounded(model, &field.shape));
            changed |= bounded != one.bounded;
            model.types[index].bounded = bounded;
        }
        if !changed {
            return;
        }
    }
}

fn is_bounded(model: &Model, shape: &Shape) -> bool {
    match shape {
        Shape::Scalar(scalar) => !matches!(scalar, Scalar::Patch | Scalar::Raw | Scalar::Json),
        Shape::Object(id) => model.get(*id).bounded,
        Shape::List(inner) | Shape::Map(inner) => is_bounded(model, inner),
        Shape::SchemaOrArray(_) | Shape::SchemaOrBool(_) | Shape::SchemaOrStrings(_) => false,
    }
}

/// Marks the types at or below which there is raw JSON.
fn mark_raws(model: &mut Model) {
    loop {
        let mut changed = false;
        for index in 0..model.types.len() {
            let one = &model.types[index];
            let raws = one.fields.iter().any(|field| has_raws(model, &field.shape));
            changed |= raws != one.raws;
            model.types[index].raws = raws;
        }
        if !changed {
            return;
        }
    }
}

fn has_raws(model: &Model, shape: &Shape) -> bool {
    match shape {
        Shape::Scalar(scalar) => *scalar == Scalar::Raw,
        Shape::Object(id) => model.get(*id).raws,
        Shape::List(inner) | Shape::Map(inner) => has_raws(model, inner),
        Shape::SchemaOrArray(_) | Shape::SchemaOrBool(_) | Shape::SchemaOrStrings(_) => false,
    }
}

fn innermost(shape: &Shape) -> Option<TypeId> {
    match shape {
        Shape::Object(id) | Shape::SchemaOrArray(id) | Shape::SchemaOrBool(id) => Some(*id),
        Shape::List(inner) | Shape::Map(inner) => innermost(inner),
        _ => None,
    }
}
