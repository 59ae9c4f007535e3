//! Reads k8s-pb's source: per message the fields with their numbers, wire types and markers.

use std::{collections::BTreeMap, fs, io, path::Path};

/// One field of a message.
#[derive(Clone, Debug, Default)]
pub struct Field {
    /// The name in snake case.
    pub name: String,
    /// The field's number.
    pub number: u32,
    /// `string`, `int32`, `message`, `btree_map = "string, message"` and so on.
    pub wire: String,
    /// The last path segment of the Rust type, without its containers.
    pub message: String,
    /// The lines of the form `+name` or `+name=value`.
    pub markers: Vec<(String, String)>,
}

/// One message.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub markers: Vec<(String, String)>,
    pub fields: Vec<Field>,
}

/// Messages by package folder (`api/core/v1`) and folded name.
pub type Messages = BTreeMap<(String, String), Message>;

/// A name as it is compared between JSON, Go and prost: lower case, letters and digits only.
pub fn fold(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Reads every `mod.rs` below `src`.
pub fn read(src: &Path) -> io::Result<Messages> {
    let mut messages = Messages::new();
    walk(src, src, &mut messages)?;
    Ok(messages)
}

fn walk(root: &Path, folder: &Path, into: &mut Messages) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(root, &path, into)?;
        } else if path.file_name().is_some_and(|name| name == "mod.rs") {
            let package = folder.strip_prefix(root).unwrap_or(folder).to_string_lossy().into_owned();
            parse(&package, &fs::read_to_string(&path)?, into);
        }
    }
    Ok(())
}

fn parse(package: &str, text: &str, into: &mut Messages) {
    let mut markers = Vec::new();
    let mut attribute = String::new();
    let mut open: Option<(String, Message)> = None;
    for line in text.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("///") {
            if let Some(marker) = doc.trim().strip_prefix('+') {
                let (name, value) = marker.split_once('=').unwrap_or((marker, ""));
                markers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        } else if let Some(rest) = line.strip_prefix("#[prost(") {
            attribute = rest.trim_end_matches(")]").to_owned();
        } else if let Some(rest) = line.strip_prefix("pub struct ") {
            let name = rest.trim_end_matches([' ', '{', '}']);
            open = Some((fold(name), Message { markers: std::mem::take(&mut markers), fields: Vec::new() }));
            if rest.ends_with('}') {
                close(package, &mut open, into);
            }
        } else if line == "}" {
            close(package, &mut open, into);
            markers.clear();
        } else if let (Some((_, message)), Some(rest)) = (open.as_mut(), line.strip_prefix("pub ")) {
            let (name, rust) = rest.split_once(": ").unwrap_or((rest, ""));
            let (wire, number) = attribute.split_once(", tag = \"").unwrap_or((&attribute, "0\""));
            message.fields.push(Field {
                name: name.trim_start_matches("r#").to_owned(),
                number: number.trim_end_matches('"').parse().unwrap_or(0),
                wire: wire.replace(", optional", "").replace(", boxed", "").replace(", packed = \"false\"", ""),
                message: rust.trim_end_matches([',', '>']).rsplit([':', '<']).next().unwrap_or("").to_owned(),
                markers: std::mem::take(&mut markers),
            });
        }
    }
}

fn close(package: &str, open: &mut Option<(String, Message)>, into: &mut Messages) {
    if let Some((name, message)) = open.take() {
        into.insert((package.to_owned(), name), message);
    }
}
