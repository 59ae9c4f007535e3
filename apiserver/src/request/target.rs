//! What a path is about: a resource, or a path of its own (health, version, discovery).

use super::Verb;
use super::query::{Query, escapes_hold};
use http::Method;
use percent_encoding::percent_decode_str;
use smol_str::SmolStr;
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::selector::FieldSelector;
use tinyplane_wire::status::{self, Status};

/// What a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A collection, an object, or a subresource of one.
    Resource(ResourcePath),
    /// Anything else; see [`super::Call::path`].
    Path,
}

/// A path below `/api/VERSION/` or `/apis/GROUP/VERSION/`. Whether there is such a resource is the registry's to say.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ResourcePath {
    /// API group; empty for the core group.
    pub group: SmolStr,
    /// Version, such as `v1`.
    pub version: SmolStr,
    /// Plural in lower case.
    pub resource: SmolStr,
    /// The part of an object that is meant: `status`, `scale`, `log`, `exec`, …
    pub subresource: Option<SmolStr>,
    /// The namespace, where the path has one. A namespace itself is also in its own namespace, as upstream has it.
    pub namespace: Option<SmolStr>,
    /// The object's name, where the path has one.
    pub name: Option<SmolStr>,
    /// The name that a list or watch asks for by `fieldSelector=metadata.name=…`: authorization goes by it.
    pub selected_name: Option<SmolStr>,
    /// What follows the subresource as it came, escapes and first slash included: the path to be proxied. Else empty.
    pub subpath: String,
}

impl ResourcePath {
    /// Group, version and resource.
    #[must_use]
    pub fn gvr(&self) -> Gvr {
        Gvr { group: self.group.clone(), version: self.version.clone(), resource: self.resource.clone() }
    }

    /// `RESOURCE` or `RESOURCE/SUBRESOURCE`.
    #[must_use]
    pub fn with_subresource(&self) -> String {
        match &self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.resource),
            None => self.resource.to_string(),
        }
    }
}

/// Subresources of namespaces. Any other word in their place is a resource in the namespace.
const NAMESPACE_SUBRESOURCES: [&str; 2] = ["status", "finalize"];

/// Reads method and path as upstream's RequestInfo does.
pub(super) fn parse(method: &Method, path: &str, query: &Query) -> status::Result<(Verb, Target)> {
    let mut segments = Segments::split(path)?;
    let Some((group, version)) = segments.group_version() else {
        return Ok((Verb::of_path(method), Target::Path));
    };
    let mut verb = Verb::of_resource(method);
    // The old form /api/v1/watch/…; upstream answers it still. It is the verb of all methods, most of which are refused
    // later.
    let old_watch = segments.peek(0) == Some("watch") && segments.peek(1).is_some();
    if old_watch {
        segments.skip(1);
        verb = Verb::Watch;
    }
    let mut namespace = None;
    if segments.peek(0) == Some("namespaces") && segments.peek(1).is_some() {
        namespace = segments.peek(1).map(SmolStr::from);
        if segments.peek(2).is_some_and(|word| !NAMESPACE_SUBRESOURCES.contains(&word)) {
            segments.skip(2);
        }
    }
    let Some(resource) = segments.peek(0).filter(|word| !word.is_empty()).map(SmolStr::from) else {
        return Ok((Verb::of_path(method), Target::Path));
    };
    let name = segments.peek(1).map(SmolStr::from);
    let subresource = segments.peek(2).map(SmolStr::from);
    let mut selected_name = None;
    if name.is_none() {
        verb = match verb {
            Verb::Get if query.flag("watch") => Verb::Watch,
            Verb::Get => Verb::List,
            Verb::Delete => Verb::DeleteCollection,
            other => other,
        };
        selected_name = query.first("fieldSelector").and_then(selected_by_name);
    }
    let subpath = segments.raw_after(3).to_owned();
    let target = ResourcePath { group, version, resource, subresource, namespace, name, selected_name, subpath };
    Ok((verb, Target::Resource(target)))
}

/// Whether a path ends with one of the old verbs, where what it does it to should follow.
#[must_use]
pub fn names_no_kind(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    if !path.ends_with("/watch") && !path.ends_with("/proxy") {
        return false;
    }
    let mut words = path.trim_start_matches('/').split('/');
    let behind = match words.next() {
        Some("api") => 2,
        Some("apis") => 3,
        _ => return false,
    };
    words.count() == behind
}

/// The name in a field selector that asks for one name.
fn selected_by_name(selector: &str) -> Option<SmolStr> {
    let selector = FieldSelector::parse(selector).ok()?;
    let name = selector.required("metadata.name")?;
    let is_segment = !name.is_empty() && tinyplane_wire::meta::path_segment(name).is_empty();
    is_segment.then(|| name.into())
}

/// The segments of a path, decoded one by one, and where each ends in the text that came.
struct Segments<'a> {
    path: &'a str,
    /// Decoded text, and the offset of its end in `path`.
    parts: Vec<(String, usize)>,
    first: usize,
}

impl<'a> Segments<'a> {
    fn split(path: &'a str) -> status::Result<Self> {
        let (begin, end) = (path.len() - behind_slashes(path).len(), before_slashes(path).len());
        let mut parts = Vec::with_capacity(8);
        if begin < end {
            let mut at = begin;
            while at <= end {
                let slash = slash(&path[at..end]);
                let (stop, next) = slash.map_or((end, end + 1), |(stop, next)| (at + stop, at + next));
                parts.push((decode(&path[at..stop])?, stop));
                at = next;
            }
        }
        Ok(Self { path, parts, first: 0 })
    }

    fn peek(&self, at: usize) -> Option<&str> {
        self.parts.get(self.first + at).map(|(text, _)| text.as_str())
    }

    fn skip(&mut self, count: usize) {
        self.first += count;
    }

    /// Group and version of a path with something behind them; what remains begins behind the version.
    fn group_version(&mut self) -> Option<(SmolStr, SmolStr)> {
        let at = match self.peek(0)? {
            "api" => 1,
            "apis" => 2,
            _ => return None,
        };
        self.peek(at + 1)?;
        // A group has a name: `/apis//v1/pods` is a path like any other.
        let group =
            if at == 1 { SmolStr::default() } else { SmolStr::from(self.peek(1).filter(|group| !group.is_empty())?) };
        let version = SmolStr::from(self.peek(at)?);
        self.skip(at + 1);
        Some((group, version))
    }

    /// What follows the first `count` segments that remain, as it came.
    fn raw_after(&self, count: usize) -> &'a str {
        match self.parts.get((self.first + count).wrapping_sub(1)) {
            Some((_, end)) => &self.path[*end..],
            None => "",
        }
    }
}

/// A path without the slashes that it begins with, escaped or not.
fn behind_slashes(mut path: &str) -> &str {
    while let Some((0, end)) = slash(path) {
        path = &path[end..];
    }
    path
}

/// A path without the slashes that it ends with, escaped or not.
pub(crate) fn before_slashes(mut path: &str) -> &str {
    while let Some(shorter) = ["/", "%2f", "%2F"].into_iter().find_map(|slash| path.strip_suffix(slash)) {
        path = shorter;
    }
    path
}

/// Where the first slash of a path begins, and where it ends: one that is escaped separates as another one does, for upstream
/// reads a path once it is decoded.
fn slash(path: &str) -> Option<(usize, usize)> {
    let bytes = path.as_bytes();
    (0..bytes.len()).find_map(|at| match &bytes[at..] {
        [b'/', ..] => Some((at, at + 1)),
        [b'%', b'2', b'f' | b'F', ..] => Some((at, at + 3)),
        _ => None,
    })
}

/// A path's text without its escapes.
pub(super) fn decode(path: &str) -> status::Result<String> {
    if !escapes_hold(path.as_bytes()) {
        return Err(Status::bad_request(format!("the path {path:?} has an invalid escape")));
    }
    Ok(percent_decode_str(path).decode_utf8_lossy().into_owned())
}
