//! Impersonation: a caller who may, acts as somebody else (`Impersonate-User` and its companions).

use super::{ANONYMOUS, Caller, GROUP_ALL_SERVICE_ACCOUNTS, GROUP_AUTHENTICATED, GROUP_UNAUTHENTICATED, split_account};
use crate::authz::{Attributes, Authorizer, Decision};
use crate::request::Call;
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::sync::Arc;
use tinyplane_wire::status::{self, Status};

const AUTHENTICATION_GROUP: &str = "authentication.k8s.io";
const EXTRA_PREFIX: &str = "impersonate-extra-";

/// The caller on whose behalf a call is made: the one that the headers name, if the real one may impersonate all of
/// it, else the real one.
///
/// # Errors
/// A 403 at the first thing that may not be impersonated; a 400 for groups without a user.
pub fn impersonate(call: &Call, real: Arc<Caller>, authorizer: &dyn Authorizer) -> status::Result<Arc<Caller>> {
    let headers = &call.headers;
    let user = call.header("impersonate-user");
    let uid = call.header("impersonate-uid");
    let groups: Vec<&str> = texts(headers, "impersonate-group").collect();
    let extra = extra(headers);
    if user.is_empty() {
        if uid.is_empty() && groups.is_empty() && extra.is_empty() {
            return Ok(real);
        }
        let listed = |texts: &[&str]| match texts {
            [] => "[]string(nil)".to_owned(),
            some => format!("[]string{{{}}}", some.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ")),
        };
        let one = |(key, values): (&_, &Vec<_>)| {
            let values: Vec<&str> = values.iter().map(|value: &_| AsRef::<str>::as_ref(value)).collect();
            format!("{key:?}:{}", listed(&values))
        };
        let extra = match extra.is_empty() {
            true => "map[string][]string(nil)".to_owned(),
            false => format!("map[string][]string{{{}}}", extra.iter().map(one).collect::<Vec<_>>().join(", ")),
        };
        let groups = listed(&groups);
        return Err(Status::bad_request(format!(
            "requested &user.DefaultInfo{{Name:\"\", UID:{uid:?}, Groups:{groups}, Extra:{extra}}} without impersonating a user name"
        )));
    }
    let demand = |question: Attributes<'_>| match authorizer.authorize(&real, &question) {
        Decision::Allow => Ok(()),
        Decision::Deny(reason) | Decision::NoOpinion(reason) => Err(question.forbidden(&real, &reason)),
    };
    let account = split_account(user);
    demand(match account {
        Some((namespace, name)) => {
            Attributes::resource("impersonate", "", "serviceaccounts").namespace(namespace).name(name)
        }
        None => Attributes::resource("impersonate", "", "users").name(user),
    })?;
    for group in &groups {
        demand(Attributes::resource("impersonate", "", "groups").name(group))?;
    }
    for (key, values) in &extra {
        for value in values {
            let question = Attributes::resource("impersonate", AUTHENTICATION_GROUP, "userextras");
            demand(question.version("v1").subresource(key).name(value))?;
        }
    }
    if !uid.is_empty() {
        demand(Attributes::resource("impersonate", AUTHENTICATION_GROUP, "uids").version("v1").name(uid))?;
    }
    let groups = all_groups(user, account, &groups);
    Ok(Arc::new(Caller { name: user.into(), uid: uid.into(), groups, extra }))
}

/// The groups asked for, and those that come with the name.
fn all_groups(user: &str, account: Option<(&str, &str)>, asked: &[&str]) -> Vec<SmolStr> {
    let mut groups: Vec<SmolStr> = asked.iter().copied().map(SmolStr::from).collect();
    if let Some((namespace, _)) = account.filter(|_| asked.is_empty()) {
        groups.push(GROUP_ALL_SERVICE_ACCOUNTS.into());
        groups.push(format!("{GROUP_ALL_SERVICE_ACCOUNTS}:{namespace}").into());
    }
    let settled = groups.iter().any(|group| group == GROUP_AUTHENTICATED || group == GROUP_UNAUTHENTICATED);
    if !settled {
        groups.push(if user == ANONYMOUS { GROUP_UNAUTHENTICATED } else { GROUP_AUTHENTICATED }.into());
    }
    groups
}

fn texts<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).filter(|text| !text.is_empty())
}

fn extra(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        if let (Some(key), Ok(value)) = (name.as_str().strip_prefix(EXTRA_PREFIX), value.to_str()) {
            let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
            extra.entry(key).or_default().push(value.to_owned());
        }
    }
    extra
}
