//! Files of one volume that get into each other's way.

use super::LOOKED_AT_MAX;
use crate::registry::cells::items;
use crate::request::WARNINGS_MAX;
use crate::validation::field::text;
use serde_json::Value;

/// A file's path, and what it comes from where a volume has several sources.
#[derive(Clone, Copy)]
struct File<'v> {
    path: &'v str,
    source: Source<'v>,
}

/// What a file comes from, and its name.
type Source<'v> = (&'static str, Option<&'v str>);

impl<'v> File<'v> {
    fn new(path: &'v Value, source: Source<'v>) -> Self {
        Self { path: text(path).trim_end_matches('/'), source }
    }

    fn told(&self) -> String {
        match self.source {
            ("", _) => format!("{:?}", self.path),
            (what, None) => format!("{:?} ({what})", self.path),
            (what, Some(name)) => format!("{:?} ({what} {name:?})", self.path),
        }
    }

    /// Whether one of the two is the other, or lies in it.
    fn meets(&self, other: &Self) -> bool {
        let lies_in = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let (one, two) = (self.path, other.path);
        !one.is_empty() && !two.is_empty() && (lies_in(one, two) || lies_in(two, one))
    }
}

/// Tells of every volume whose files overlap, and of projections without a source.
pub(super) fn told(volumes: &Value, out: &mut Vec<String>) {
    for volume in items(volumes) {
        let name = text(&volume["name"]);
        for (field, what) in [("configMap", "ConfigMap"), ("secret", "Secret"), ("downwardAPI", "DownwardAPI")] {
            let source = &volume[field];
            if !source["items"].is_array() {
                continue;
            }
            let named = match field {
                "configMap" => format!("{what} {:?}", text(&source["name"])),
                "secret" => format!("{what} {:?}", text(&source["secretName"])),
                _ => what.to_owned(),
            };
            meetings(files(&source["items"], ("", None)), &mut Vec::new(), name, &named, out);
        }
        let mut before = Vec::new();
        for source in items(&volume["projected"]["sources"]) {
            if source.as_object().is_none_or(|fields| fields.values().all(Value::is_null)) {
                out.push(format!("volume {name:?} (Projected) has no sources provided"));
                continue;
            }
            meetings(projected(source), &mut before, name, "Projected", out);
        }
    }
}

/// Tells where a file meets those before it.
fn meetings<'v>(
    files: impl IntoIterator<Item = File<'v>>,
    before: &mut Vec<File<'v>>,
    volume: &str,
    what: &str,
    out: &mut Vec<String>,
) {
    for file in files {
        if out.len() >= WARNINGS_MAX || before.len() >= LOOKED_AT_MAX {
            return;
        }
        for other in before.iter().filter(|other| other.meets(&file)) {
            let both = format!("{} with {}", file.told(), other.told());
            out.push(format!("volume {volume:?} ({what}): overlapping paths: {both}"));
        }
        before.push(file);
    }
}

fn files<'v>(listed: &'v Value, source: Source<'v>) -> Vec<File<'v>> {
    items(listed).map(|item| File::new(&item["path"], source)).collect()
}

/// The files of one source of a projected volume.
fn projected(source: &Value) -> Vec<File<'_>> {
    let one = |field: &str| source.get(field).filter(|value| value.is_object());
    if let Some(map) = one("configMap").filter(|map| map["items"].is_array()) {
        files(&map["items"], ("ConfigMap", Some(text(&map["name"]))))
    } else if let Some(secret) = one("secret").filter(|secret| secret["items"].is_array()) {
        files(&secret["items"], ("Secret", Some(text(&secret["name"]))))
    } else if let Some(pod) = one("downwardAPI").filter(|pod| pod["items"].is_array()) {
        files(&pod["items"], ("DownwardAPI", None))
    } else if let Some(token) = one("serviceAccountToken") {
        vec![File::new(&token["path"], ("ServiceAccountToken", None))]
    } else if let Some(bundle) = one("clusterTrustBundle") {
        let name = bundle["name"].as_str().unwrap_or_else(|| text(&bundle["signerName"]));
        vec![File::new(&bundle["path"], ("ClusterTrustBundle", Some(name)))]
    } else if let Some(certificate) = one("podCertificate") {
        let parts = [
            ("certificateChainPath", "PodCertificate chain"),
            ("keyPath", "PodCertificate key"),
            ("credentialBundlePath", "PodCertificate credential bundle"),
        ];
        let said = parts.into_iter().filter(|(field, _)| !text(&certificate[*field]).is_empty());
        said.map(|(field, source)| File::new(&certificate[field], (source, None))).collect()
    } else {
        Vec::new()
    }
}
