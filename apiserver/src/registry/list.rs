//! Lists objects: which moment, which page, which of them.

use super::catalog::Resource;
use super::selection::Selection;
use super::{Registry, failure};
use crate::schema::decode::not_json;
use crate::schema::go::{json_word, quote};
use crate::store::contract::{Range, Revision, RevisionError};
use crate::store::entry::Entry;
use crate::store::snapshot::Snapshot;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::{DecodeError, Engine};
use serde::Serialize;
use serde_json::Value;
use std::num::IntErrorKind::PosOverflow;
use std::sync::Arc;
use tinyplane_wire::status::{self, Reason, Status};

/// What the continue token says of itself.
const TOKEN_VERSION: &str = "meta.k8s.io/v1";

const EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// Which part of a list is asked for, and as of when.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Most objects to answer; 0 is all.
    pub limit: usize,
    /// Where an earlier page ended; may be empty.
    pub token: String,
    /// The resource version; may be empty.
    pub resource_version: String,
    /// How it is meant: empty, `Exact` or `NotOlderThan`.
    pub version_match: String,
}

/// A page of a list.
#[derive(Debug)]
pub struct Page {
    /// As of when.
    pub revision: Revision,
    /// The objects, in the order of their keys.
    pub entries: Vec<Arc<Entry>>,
    /// How to ask for the rest, if there is any.
    pub token: Option<String>,
    /// How many objects remain; known only where nothing is selected.
    pub remaining: Option<usize>,
}

#[derive(Serialize)]
struct Token {
    #[serde(rename = "v")]
    version: String,
    #[serde(rename = "rv")]
    revision: i64,
    start: String,
    /// How many objects were left behind the page that the token came with, where that is known: counting them anew for
    /// every page would make a whole list quadratic. Upstream's tokens have no such field.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<usize>,
}

impl Token {
    /// What a token says, or in Go's words what of it has another type.
    fn of(value: &Value) -> Result<Self, String> {
        if !value.is_object() && !value.is_null() {
            return Err(format!("{} into Go value of type storage.continueToken", json_word(value)));
        }
        let field = |name: &str, kind: &str, fits: fn(&Value) -> bool| {
            // Go reads a field by its name in any letters.
            let named = value.as_object().into_iter().flatten().rfind(|(said, _)| said.eq_ignore_ascii_case(name));
            let given = named.map_or(&Value::Null, |(_, given)| given);
            let told = || {
                let number = if given.is_number() && kind != "string" { format!(" {given}") } else { String::new() };
                format!("{}{number} into Go struct field continueToken.{name} of type {kind}", json_word(given))
            };
            if given.is_null() || fits(given) { Ok(given) } else { Err(told()) }
        };
        let text = |name: &str| {
            field(name, "string", Value::is_string).map(|text| text.as_str().unwrap_or_default().to_owned())
        };
        Ok(Self {
            version: text("v")?,
            revision: field("rv", "int64", Value::is_i64)?.as_i64().unwrap_or_default(),
            start: text("start")?,
            left: value["left"].as_u64().and_then(|left| usize::try_from(left).ok()),
        })
    }
}

impl Registry {
    /// Lists what is selected.
    ///
    /// # Errors
    /// A parameter is wrong, or the moment asked for is gone or has not come yet.
    pub fn list(&self, resource: &Resource, selection: &Selection, ask: &Ask) -> status::Result<Page> {
        let (Range::Under(folder) | Range::Only(folder)) = &selection.range;
        // A list of one name has no pages; with a token it is one of many, of which one is selected.
        let one = matches!(selection.range, Range::Only(_)) && ask.token.is_empty();
        let folder = &folder[..folder.rfind('/').map_or(0, |slash| slash + 1)];
        let (snapshot, after, left) = if ask.token.is_empty() {
            (self.moment(ask, one)?, None, None)
        } else {
            let (snapshot, start, left) = self.resume(ask, folder)?;
            (snapshot, Some(start), left)
        };
        let mut found =
            snapshot.range(&selection.range, after.as_deref()).filter(|entry| selection.selects(resource, entry));
        let entries: Vec<_> = match ask.limit {
            0 => found.cloned().collect(),
            limit => found.by_ref().take(limit).cloned().collect(),
        };
        let more =
            ask.limit > 0 && entries.len() == ask.limit && snapshot_has_more(&snapshot, selection, resource, &entries);
        let last = entries.last().filter(|_| more);
        let remaining = last.filter(|_| !selection.is_selective()).map(|last| {
            let known = left.and_then(|left| left.checked_sub(entries.len()));
            known.unwrap_or_else(|| snapshot.count(&selection.range, Some(last.key.as_str())))
        });
        let token = last.map(|last| write_token(snapshot.revision(), folder, &last.key, remaining));
        Ok(Page { revision: snapshot.revision(), entries, token, remaining })
    }

    /// The moment that a first page is about.
    fn moment(&self, ask: &Ask, one: bool) -> status::Result<Snapshot> {
        let now = self.store().snapshot();
        let asked: u64 = match ask.resource_version.as_str() {
            "" | "0" => return Ok(now),
            text => parse_version(text)
                .map_err(|wrong| Status::bad_request(format!("invalid resource version: {}", wrong.message)))?,
        };
        // However it is written, the version 0 is any.
        if asked == 0 {
            return Ok(now);
        }
        let exact = ask.version_match == "Exact" || (ask.version_match.is_empty() && ask.limit > 0 && !one);
        if asked > now.revision().0 {
            return Err(failure::too_large(asked, now.revision().0));
        }
        if exact {
            return self.store().snapshot_at(Revision(asked)).map_err(|error| failure::list_revision(asked, error));
        }
        Ok(now)
    }

    /// Where a token leads to, and how many objects follow there, as far as the token says it.
    fn resume(&self, ask: &Ask, folder: &str) -> status::Result<(Snapshot, String, Option<usize>)> {
        let token = read_token(&ask.token).map_err(|wrong| {
            Status::bad_request(format!("invalid continue token: continue key is not valid{wrong}"))
        })?;
        if !ask.resource_version.is_empty() && ask.resource_version != "0" {
            return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
        }
        let start = format!("{folder}{}", token.start.trim_end_matches('\0'));
        let Ok(revision) = u64::try_from(token.revision) else {
            // The token of an expired list: it goes on in the present.
            return Ok((self.store().snapshot(), start, None));
        };
        match self.store().snapshot_at(Revision(revision)) {
            Ok(snapshot) => Ok((snapshot, start, token.left)),
            Err(RevisionError::Future { current }) => Err(failure::too_large(revision, current.0)),
            Err(RevisionError::Compacted { .. }) => {
                let mut status = Status::failure(Reason::Expired, EXPIRED);
                let fresh = Token { version: TOKEN_VERSION.into(), revision: -1, start: token.start, left: None };
                status.metadata = serde_json::json!({"continue": encode_token(&fresh)});
                Err(status)
            }
        }
    }
}

fn snapshot_has_more(snapshot: &Snapshot, selection: &Selection, resource: &Resource, entries: &[Arc<Entry>]) -> bool {
    let last = entries.last().map(|entry| entry.key.as_str());
    let mut rest = snapshot.range(&selection.range, last).skip_while(|entry| Some(entry.key.as_str()) == last);
    // Upstream tells that there may be more without looking whether any of it is selected; so do we not: we look.
    rest.any(|entry| selection.selects(resource, entry))
}

fn write_token(revision: Revision, folder: &str, last: &str, left: Option<usize>) -> String {
    // Upstream's cache writes a slash before it, and what tells of an expired list does not.
    let start = format!("/{}\0", last.strip_prefix(folder).unwrap_or(last));
    let revision = i64::try_from(revision.0).unwrap_or(i64::MAX);
    encode_token(&Token { version: TOKEN_VERSION.into(), revision, start, left })
}

fn encode_token(token: &Token) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(token).expect("three plain fields are written to memory"))
}

/// Reads a token, or says what is wrong with it.
fn read_token(text: &str) -> Result<Token, String> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|error| match error {
        DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => {
            format!(": illegal base64 data at input byte {at}")
        }
        DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => {
            let at = text.find('=').unwrap_or(text.len() - text.len() % 4);
            format!(": illegal base64 data at input byte {at}")
        }
    })?;
    let read: Value = serde_json::from_slice(&bytes).map_err(|error| format!(": {}", not_json(&bytes, &error)))?;
    let token = Token::of(&read).map_err(|wrong| format!(": json: cannot unmarshal {wrong}"))?;
    if token.version != TOKEN_VERSION {
        return Err(format!(": server does not recognize this encoded version {}", token.version));
    }
    if token.revision == 0 {
        return Err(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)".into());
    }
    if token.start.is_empty() {
        return Err(": encoded start key empty (version meta.k8s.io/v1)".into());
    }
    // Nothing outside of the folder can be reached by a token.
    let whole = token.start.strip_prefix('/').unwrap_or(&token.start);
    if whole.split('/').any(|part| matches!(part, ".." | "." | "")) {
        return Err(format!(": {}", token.start));
    }
    Ok(Token { start: whole.to_owned(), ..token })
}

/// A resource version as a number.
///
/// # Errors
/// 500 in upstream's words, which knows no reason for it.
pub fn parse_version(text: &str) -> status::Result<u64> {
    version_number(text).map_err(|cause| {
        Status::failure(Reason::Unknown, format!("resourceVersion: Invalid value: {}: {cause}", quote(text)))
    })
}

/// A resource version as a number, or why it is none in the words of Go, which takes no sign.
pub(super) fn version_number(text: &str) -> Result<u64, String> {
    let wrong = match text.parse() {
        Ok(number) if !text.starts_with('+') => return Ok(number),
        Err(error) if *std::num::ParseIntError::kind(&error) == PosOverflow => "value out of range",
        _ => "invalid syntax",
    };
    Err(format!("strconv.ParseUint: parsing {}: {wrong}", quote(text)))
}
