//! Redirects of a backend, rewritten so that they lead through the proxy.

use http::uri::Uri;

/// Where a backend is in the API's paths.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    /// The path up to and with `/proxy`.
    pub(super) prefix: &'a str,
    /// The backend's own `host:port`.
    pub(super) backend: &'a str,
    /// The host that the client asked.
    pub(super) asked_host: &'a str,
}

/// A `Location` as the client should see it. What leads elsewhere, or is relative, stays as it is.
pub(super) fn rewrite(location: &str, place: &Place<'_>) -> String {
    let (target, fragment) = location.split_once('#').map_or((location, None), |(t, f)| (t, Some(f)));
    let Some((authority, path)) = split(target) else { return location.to_owned() };
    let foreign = authority.is_some_and(|host| host != place.backend && host != place.asked_host);
    if foreign || !path.starts_with('/') {
        return location.to_owned();
    }
    let prefixed = path.strip_prefix(place.prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    let begin = match authority.filter(|host| *host == place.asked_host) {
        // It names the host that the client asked: so may the answer.
        Some(_) => target.strip_suffix(path).unwrap_or_default(),
        None => "",
    };
    let prefix = if prefixed { "" } else { place.prefix };
    let end = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
    format!("{begin}{prefix}{path}{end}")
}

/// Authority and path (with the query) of a URL, absolute or not.
fn split(target: &str) -> Option<(Option<&str>, &str)> {
    if let Some(rest) = target.strip_prefix("//") {
        return Some(authority_and_path(rest));
    }
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
            target.parse::<Uri>().ok()?;
            Some(authority_and_path(rest))
        }
        _ => Some((None, target)),
    }
}

fn authority_and_path(rest: &str) -> (Option<&str>, &str) {
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    (Some(authority), if path.is_empty() { "/" } else { path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_through_the_proxy() {
        let place =
            Place { prefix: "/api/v1/namespaces/d/pods/p/proxy", backend: "10.0.0.1:80", asked_host: "127.0.0.1:6443" };
        for (location, expected) in [
            ("/login", "/api/v1/namespaces/d/pods/p/proxy/login"),
            ("/login/?a=1#x", "/api/v1/namespaces/d/pods/p/proxy/login/?a=1#x"),
            ("http://10.0.0.1:80/login", "/api/v1/namespaces/d/pods/p/proxy/login"),
            ("http://elsewhere/login", "http://elsewhere/login"),
            ("login", "login"),
            ("/api/v1/namespaces/d/pods/p/proxy/x", "/api/v1/namespaces/d/pods/p/proxy/x"),
            ("https://127.0.0.1:6443/x", "https://127.0.0.1:6443/api/v1/namespaces/d/pods/p/proxy/x"),
        ] {
            assert_eq!(rewrite(location, &place), expected);
        }
    }
}
