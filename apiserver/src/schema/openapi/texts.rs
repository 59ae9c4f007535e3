//! What upstream says of its types and of their fields. A program that was built without the feature `descriptions` knows
//! nothing of it.

use flate2::read::ZlibDecoder;
use serde_json::Value;
use std::collections::HashMap;

/// As the build script wrote them; empty without the feature.
pub(super) const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/texts"));
/// Under this name a type's own text stands among those of its fields.
const OWN: &str = "";

/// Texts, unpacked for as long as a document is written: documents are written once.
#[derive(Debug, Default)]
pub(super) struct Texts(HashMap<String, HashMap<String, String>>);

impl Texts {
    pub(super) fn unpack() -> Self {
        if PACKED.is_empty() {
            return Self::default();
        }
        let texts = serde_json::from_reader(std::io::BufReader::new(ZlibDecoder::new(PACKED)));
        Self(texts.expect("the build script wrote JSON and packed it"))
    }

    /// What is said of a type, by its full name.
    pub(super) fn of(&self, name: &str) -> Option<Value> {
        self.of_field(name, OWN)
    }

    /// What is said of a field of a type.
    pub(super) fn of_field(&self, name: &str, field: &str) -> Option<Value> {
        Some(self.0.get(name)?.get(field)?.as_str().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::model;
    use crate::schema::openapi::tests::{documents, read, reference_folder};
    use crate::schema::openapi::{Custom, GroupVersion, Resource, document, swagger};
    use serde_json::json;
    use std::collections::BTreeMap;

    /// Every text below a schema, by where it stands.
    fn texts(place: &str, value: &Value, into: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(entries) => {
                for (name, value) in entries {
                    match value.as_str().filter(|_| name == "description") {
                        Some(text) => drop(into.insert(place.to_owned(), text.to_owned())),
                        None => texts(&format!("{place}/{name}"), value, into),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| texts(place, item, into)),
            _ => {}
        }
    }

    /// Where a real server says something and we say nothing, by the end of the type's name, and why.
    const UNSAID: &[(&str, &str, &str)] = &[
        ("List", "", "k8s-openapi has one type for all lists"),
        ("List", "/properties/items", "k8s-openapi has one type for all lists"),
        ("List", "/properties/metadata", "k8s-openapi has one type for all lists"),
        ("WatchEvent", "", "k8s-openapi puts the type's text and its field's into one"),
        ("WatchEvent", "/properties/object", "k8s-openapi puts the type's text and its field's into one"),
    ];

    /// What differs in the schemas that we have.
    fn differences(ours: &Value, theirs: &Value) -> Vec<String> {
        let mut found = Vec::new();
        for (name, schema) in ours.as_object().unwrap() {
            let (mut said, mut wanted) = (BTreeMap::new(), BTreeMap::new());
            texts("", schema, &mut said);
            texts("", &theirs[name], &mut wanted);
            wanted.retain(|place, _| {
                let unsaid = |(end, at, _): &&(&str, &str, &str)| name.ends_with(end) && place == at;
                UNSAID.iter().find(unsaid).is_none() || said.contains_key(place)
            });
            for (place, text) in wanted.iter().filter(|(place, text)| said.get(*place) != Some(text)) {
                found.push(format!("{name}{place}: ours {:?}, theirs {text:?}", said.get(place)));
            }
            let more = said.keys().filter(|place| !wanted.contains_key(*place));
            found.extend(more.map(|place| format!("{name}{place}: ours alone")));
        }
        found
    }

    /// Whether there is something to be tested.
    fn is_built_in() -> bool {
        if PACKED.is_empty() {
            println!("PASSED OVER: this was built without the feature `descriptions`");
        }
        !PACKED.is_empty()
    }

    #[test]
    fn every_text_of_a_real_server_is_ours() {
        if !is_built_in() {
            return;
        }
        let Some(folder) = reference_folder() else { return };
        let documents = documents();
        let schemas = |document: &Value| document["components"]["schemas"].clone();
        let mut found: Vec<String> =
            documents.iter().flat_map(|(_, ours, theirs)| differences(&schemas(ours), &schemas(theirs))).collect();
        let written = swagger::write(model(), documents.into_iter().map(|(_, ours, _)| ours));
        let ours: Value = serde_json::from_str(&written.json).unwrap();
        let theirs = read(folder.join("openapi/swagger.json"));
        found.extend(differences(&ours["definitions"], &theirs["definitions"]));
        found.sort();
        assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
    }

    /// The document of a custom resource.
    fn custom() -> Value {
        let custom = Custom {
            schema: json!({"type": "object", "description": "A book."}),
            list_kind: "BookList".to_owned(),
            selectable: Vec::new(),
        };
        let resource = Resource {
            plural: "books".to_owned(),
            kind: "Book".to_owned(),
            namespaced: true,
            verbs: ["get", "list"].map(str::to_owned).to_vec(),
            returns_deleted: false,
            subresources: Vec::new(),
            custom: Some(custom),
        };
        let served =
            GroupVersion { group: "example.com".to_owned(), version: "v1".to_owned(), resources: vec![resource] };
        document(model(), &Texts::unpack(), &served)["components"]["schemas"].take()
    }

    #[test]
    fn custom_resources_and_their_lists_say_of_themselves_what_all_do() {
        let schemas = custom();
        let said = |name: &str, field: &str| {
            let text = &schemas[format!("com.example.v1.{name}")]["properties"][field]["description"];
            text.as_str().unwrap_or_default().split([' ', '\'']).take(2).collect::<Vec<_>>().join(" ")
        };
        let all: Vec<String> = ["Book", "BookList"]
            .iter()
            .flat_map(|name| ["apiVersion", "kind", "metadata"].map(|field| said(name, field)))
            .collect();
        let texts =
            ["APIVersion defines", "Kind is", "Standard object", "APIVersion defines", "Kind is", "Standard list"];
        let nothing = [""; 6];
        assert_eq!(all, if is_built_in() { texts } else { nothing });
        assert_eq!(schemas["com.example.v1.Book"]["description"], "A book.");
    }
}
