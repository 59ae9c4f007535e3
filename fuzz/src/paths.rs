//! Heads of requests: a byte for the method, one for how often the first line is repeated, path and query in a line each.

use http::{Method, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tinyplane_apiserver::audit::Ticket;
use tinyplane_apiserver::authn::Peer;
use tinyplane_apiserver::request::{Call, Target};

const METHODS: [Method; 6] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD];
/// Paths grow to twice what is read of one.
const PATH_BYTES_MAX: usize = 2 << 20;

/// A head is read or refused, and a resource's path means the same when it is written anew from what was read.
pub(crate) fn run(bytes: &[u8]) {
    let [method, times, rest @ ..] = bytes else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let (path, query) = text.split_once('\n').unwrap_or((text, ""));
    // Behind it nothing is read, the query neither.
    if path.contains('#') {
        return;
    }
    // Twice as long with each step: 1 to 32,768 times.
    let times = (1_usize << (times % 16)).min(PATH_BYTES_MAX / path.len().max(1));
    let method = &METHODS[usize::from(*method) % METHODS.len()];
    let Some(call) = parsed(method, &format!("{}?{query}", path.repeat(times))) else { return };
    for name in ["limit", "timeoutSeconds", "gracePeriodSeconds"] {
        drop(call.query.integer(name));
    }
    std::hint::black_box(call.attributes());
    let Target::Resource(read) = &call.target else { return };
    if !read.subpath.is_empty() {
        return;
    }
    let segment = |text: &str| format!("/{}", utf8_percent_encode(text, NON_ALPHANUMERIC));
    let mut again = if read.group.is_empty() { "/api".to_owned() } else { format!("/apis{}", segment(&read.group)) };
    again.push_str(&segment(&read.version));
    if let Some(namespace) =
        read.namespace.as_deref().filter(|place| read.resource != "namespaces" || read.name.as_deref() != Some(place))
    {
        again.push_str(&format!("/namespaces{}", segment(namespace)));
    }
    let rest = [Some(&read.resource), read.name.as_ref(), read.subresource.as_ref()];
    rest.into_iter().flatten().for_each(|word| again.push_str(&segment(word)));
    // An empty word is no segment that could be told from none at the end of a path.
    if again.contains("//") || again.ends_with('/') || read.version == "watch" || read.resource == "watch" {
        return;
    }
    let query: String = if query.is_empty() { String::new() } else { format!("?{query}") };
    let twice = parsed(method, &format!("{again}{query}")).expect("what was read can be read again");
    assert_eq!(twice.target, call.target, "{again}");
}

fn parsed(method: &Method, uri: &str) -> Option<Call> {
    let request = Request::builder().method(method.clone()).uri(uri).body(()).ok()?;
    Call::parse(&request, Peer::nobody(), Ticket::new(None)).ok()
}
