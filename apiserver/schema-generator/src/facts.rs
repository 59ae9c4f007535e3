//! The checked-in supplement: how Go holds a field (which neither crate keeps), and what is newer than k8s-pb.

use std::collections::BTreeMap;

/// What the supplement says of one field.
#[derive(Clone, Debug, Default)]
pub struct Fact {
    /// A Go pointer: absent and zero differ.
    pub pointer: bool,
    /// Words that pass into the table as they are: `go=`, `goes=`, `keep`, `omit`, `omitzero`, `list=` and so on.
    pub words: Vec<String>,
    /// A field number that k8s-pb lacks.
    pub number: Option<u32>,
    /// The shape of a field that k8s-openapi lacks.
    pub shape: Option<String>,
    /// The field is required, though its crate does not say so.
    pub required: bool,
}

/// Facts by full type name, then JSON name.
pub type Facts = BTreeMap<String, BTreeMap<String, Fact>>;

/// Parses the supplement; an unknown word is an error.
pub fn parse(text: &str) -> Result<Facts, String> {
    let mut facts = Facts::new();
    let mut package = "";
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            package = name.trim_end_matches(']');
            continue;
        }
        let mut tokens = line.split(' ');
        let type_name = tokens.next().unwrap_or_default();
        let fields = facts.entry(format!("{package}.{type_name}")).or_default();
        for token in tokens {
            let (name, value) = token.split_once('=').ok_or_else(|| format!("no `=` in `{token}` of `{type_name}`"))?;
            let (name, added) = name.strip_prefix('+').map_or((name, false), |name| (name, true));
            let required = name.ends_with('!');
            let fact = fact(value, added, required).ok_or_else(|| format!("cannot read `{token}` of `{type_name}`"))?;
            fields.insert(name.trim_end_matches('!').to_owned(), fact);
        }
    }
    Ok(facts)
}

fn fact(value: &str, added: bool, required: bool) -> Option<Fact> {
    let mut fact = Fact { required, ..Fact::default() };
    for (index, word) in value.split(',').enumerate() {
        if added && index == 0 {
            fact.shape = Some(word.to_owned());
        } else if word == "*" {
            fact.pointer = true;
        } else if let Some(number) = word.strip_prefix('#') {
            fact.number = Some(number.parse().ok()?);
        } else if let Some(name) = word.strip_prefix(':') {
            fact.words.push(format!("go={name}"));
        } else if let Some(name) = word.strip_prefix('^') {
            fact.words.push(format!("goes={name}"));
        } else if word == "required" {
            fact.required = true;
        } else if word == "zero" {
            fact.words.push("omitzero".to_owned());
        } else {
            fact.words.push(word.replace(';', ","));
        }
    }
    Some(fact)
}
