//! The texts of definitions, as the server reads them: JSON of type → field → text, under no name the type's own, packed.

use crate::roots::Roots;
use flate2::{Compression, write::ZlibEncoder};
use k8s_openapi::serde_json::{self, Map, Value};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// What every kind says of itself in the same words, its lists as well.
const OF_EVERY_KIND: [&str; 2] = ["apiVersion", "kind"];

type Texts<'r> = BTreeMap<&'r str, &'r str>;

pub(crate) fn packed(roots: &Roots) -> io::Result<Vec<u8>> {
    let mut all: BTreeMap<String, Texts<'_>> =
        roots.definitions.iter().map(|(name, definition)| (name.clone(), of(definition))).collect();
    for (name, _) in roots.kinds.iter().filter(|(_, kind)| kind.listed) {
        // k8s-openapi has one type for all lists, which says nothing.
        let texts = all.get(name).into_iter().flatten().filter(|(field, _)| OF_EVERY_KIND.contains(*field));
        let texts = texts.map(|(field, text)| (*field, *text)).collect();
        all.insert(format!("{name}List"), texts);
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&serde_json::to_vec(&all).map_err(io::Error::other)?)?;
    encoder.finish()
}

fn of(definition: &Value) -> Texts<'_> {
    let fields = definition.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter);
    let fields = fields.filter_map(|(name, field)| Some((name.as_str(), text(field)?)));
    text(definition).map(|text| ("", text)).into_iter().chain(fields).collect()
}

fn text(of: &Value) -> Option<&str> {
    of.get("description")?.as_str()
}
