//! Which headers pass from a client into the cluster, and which back.

use crate::authn::Peer;
use crate::streaming::without_hops;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

/// Where requests came from, hop by hop.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A client's headers as the backend may see them: without what proves who the client is to us.
pub(super) fn inward(headers: &HeaderMap, peer: &Peer) -> HeaderMap {
    let mut passed = headers.clone();
    passed.remove(AUTHORIZATION);
    let ours: Vec<HeaderName> = passed.keys().filter(|name| is_ours(name.as_str())).cloned().collect();
    for name in ours {
        passed.remove(name);
    }
    let before = passed.get_all(&FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let mut hops: Vec<String> = before.map(str::to_owned).collect();
    hops.push(peer.address.ip().to_string());
    if let Ok(value) = HeaderValue::from_str(&hops.join(", ")) {
        passed.insert(FORWARDED_FOR, value);
    }
    passed
}

fn is_ours(name: &str) -> bool {
    name.starts_with("x-remote-") || name.starts_with("impersonate-")
}

/// A backend's headers as the client may see them: what the backend allows to browsers is not ours to allow.
pub(super) fn outward(headers: HeaderMap) -> HeaderMap {
    let mut passed = without_hops(headers);
    for what in ["credentials", "headers", "methods", "origin"] {
        passed.remove(format!("access-control-allow-{what}"));
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse::<HeaderName>().unwrap(), v.parse().unwrap())).collect()
    }

    #[test]
    fn credentials_stay_here_and_the_way_is_told() {
        let peer = Peer::new("127.0.0.9:1".parse().unwrap(), None);
        let asked = headers(&[
            ("authorization", "Bearer x"),
            ("impersonate-user", "jane"),
            ("x-remote-group", "g"),
            ("x-forwarded-for", "10.0.0.1"),
            ("accept", "*/*"),
        ]);
        let passed = inward(&asked, &peer);
        assert_eq!(passed["x-forwarded-for"], "10.0.0.1, 127.0.0.9");
        assert_eq!((passed.len(), &passed["accept"]), (2, &HeaderValue::from_static("*/*")));
        let back = outward(headers(&[("access-control-allow-origin", "*"), ("etag", "1"), ("connection", "close")]));
        assert_eq!(back.len(), 1);
    }
}
