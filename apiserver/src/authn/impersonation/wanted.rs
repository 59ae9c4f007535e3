//! As whom a caller wants to act: what the headers say.

use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use tinyplane_wire::status::{self, Status};

const EXTRA_PREFIX: &str = "impersonate-extra-";

/// Whom the headers name.
#[derive(Debug)]
pub(super) struct Wanted {
    pub user: String,
    pub uid: String,
    /// In their order, empty ones among them.
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Wanted {
    /// Reads the headers; `None` where nobody is to be impersonated.
    ///
    /// # Errors
    /// A 400 for anything without a user.
    pub(super) fn read(headers: &HeaderMap) -> status::Result<Option<Self>> {
        let texts = |name: &str| headers.get_all(name).iter().map(text).collect::<Vec<String>>();
        let first = |name: &str| headers.get(name).map(text).unwrap_or_default();
        let (user, uid) = (first("impersonate-user"), first("impersonate-uid"));
        let wanted = Self { user, uid, groups: texts("impersonate-group"), extra: extra(headers) };
        if !wanted.user.is_empty() {
            return Ok(Some(wanted));
        }
        if wanted.is_name_alone() {
            return Ok(None);
        }
        Err(Status::bad_request(format!("requested {} without impersonating a user name", wanted.shown())))
    }

    /// Whether nothing is named but the user.
    pub(super) fn is_name_alone(&self) -> bool {
        self.uid.is_empty() && self.groups.is_empty() && self.extra.is_empty()
    }

    /// As Go prints it.
    fn shown(&self) -> String {
        let listed = |texts: &[String]| match texts {
            [] => "[]string(nil)".to_owned(),
            some => format!("[]string{{{}}}", some.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ")),
        };
        let entries = self.extra.iter().map(|(key, values)| format!("{key:?}:{}", listed(values)));
        let extra = match self.extra.is_empty() {
            true => "map[string][]string(nil)".to_owned(),
            false => format!("map[string][]string{{{}}}", entries.collect::<Vec<_>>().join(", ")),
        };
        let (uid, groups) = (&self.uid, listed(&self.groups));
        format!("&user.DefaultInfo{{Name:\"\", UID:{uid:?}, Groups:{groups}, Extra:{extra}}}")
    }
}

/// A value beyond ASCII names somebody too: were it passed over, the caller would act as itself.
fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

fn extra(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        if let Some(key) = name.as_str().strip_prefix(EXTRA_PREFIX) {
            let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
            extra.entry(key).or_default().push(text(value));
        }
    }
    extra
}
