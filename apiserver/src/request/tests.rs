//! Which verb and target a method and path mean.

use super::*;

fn parsed(method: &str, uri: &str) -> Call {
    let request = Request::builder().method(method).uri(uri).body(()).unwrap();
    Call::parse(&request, Peer::nobody(), Ticket::new(None)).unwrap()
}

fn told(method: &str, uri: &str) -> String {
    let call = parsed(method, uri);
    match &call.target {
        Target::Path => format!("{} {}", call.verb, call.path),
        Target::Resource(p) => format!(
            "{} g={} v={} r={} s={} ns={} n={} sel={} sub={}",
            call.verb,
            p.group,
            p.version,
            p.resource,
            p.subresource.as_deref().unwrap_or("-"),
            p.namespace.as_deref().unwrap_or("-"),
            p.name.as_deref().unwrap_or("-"),
            p.selected_name.as_deref().unwrap_or("-"),
            p.subpath,
        ),
    }
}

#[test]
fn paths_read_as_upstream_reads_them() {
    let table = [
        ("GET", "/", "get /"),
        ("GET", "/api", "get /api"),
        ("GET", "/api/v1", "get /api/v1"),
        ("GET", "/apis/apps/v1", "get /apis/apps/v1"),
        ("POST", "/healthz/ping", "post /healthz/ping"),
        ("GET", "/api/v1/pods", "list g= v=v1 r=pods s=- ns=- n=- sel=- sub="),
        ("GET", "/api/v1/pods/?watch=1", "watch g= v=v1 r=pods s=- ns=- n=- sel=- sub="),
        ("GET", "/api/v1/pods?watch=false", "list g= v=v1 r=pods s=- ns=- n=- sel=- sub="),
        ("GET", "/api/v1/watch/pods", "watch g= v=v1 r=pods s=- ns=- n=- sel=- sub="),
        ("HEAD", "/api/v1/namespaces/a/pods/b", "get g= v=v1 r=pods s=- ns=a n=b sel=- sub="),
        ("GET", "/api/v1/namespaces/a/pods/b?watch=1", "get g= v=v1 r=pods s=- ns=a n=b sel=- sub="),
        ("POST", "/api/v1/namespaces/a/pods", "create g= v=v1 r=pods s=- ns=a n=- sel=- sub="),
        ("DELETE", "/api/v1/namespaces/a/pods", "deletecollection g= v=v1 r=pods s=- ns=a n=- sel=- sub="),
        ("DELETE", "/api/v1/namespaces/a", "delete g= v=v1 r=namespaces s=- ns=a n=a sel=- sub="),
        ("PUT", "/api/v1/namespaces/a/finalize", "update g= v=v1 r=namespaces s=finalize ns=a n=a sel=- sub="),
        ("GET", "/api/v1/namespaces", "list g= v=v1 r=namespaces s=- ns=- n=- sel=- sub="),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/a/deployments/d/scale",
            "patch g=apps v=v1 r=deployments s=scale ns=a n=d sel=- sub=",
        ),
        ("POST", "/api/v1/namespaces/a/pods/b/exec?command=ls", "create g= v=v1 r=pods s=exec ns=a n=b sel=- sub="),
        ("GET", "/api/v1/nodes/n/proxy/a%2Fb/", "get g= v=v1 r=nodes s=proxy ns=- n=n sel=- sub=/a%2Fb/"),
        ("GET", "/api/v1/nodes/n/proxy/", "get g= v=v1 r=nodes s=proxy ns=- n=n sel=- sub=/"),
        ("GET", "/api/v1/nodes/n/proxy", "get g= v=v1 r=nodes s=proxy ns=- n=n sel=- sub="),
        ("GET", "/api/v1/pods?fieldSelector=metadata.name%3Dx", "list g= v=v1 r=pods s=- ns=- n=- sel=x sub="),
        ("GET", "/api/v1/pods?fieldSelector=metadata.name!%3Dx", "list g= v=v1 r=pods s=- ns=- n=- sel=- sub="),
        ("DELETE", "/api/v1/namespaces/a/pods%2F", "deletecollection g= v=v1 r=pods s=- ns=a n=- sel=- sub="),
        ("GET", "/%2Fapi/v1/nodes/n/proxy%2Fa/", "get g= v=v1 r=nodes s=proxy ns=- n=n sel=- sub=%2Fa/"),
        ("GET", "/api/v1/namespaces/a/pods/a%2Flog", "get g= v=v1 r=pods s=log ns=a n=a sel=- sub="),
        ("GET", "/api%2fv1/namespaces/a%20b", "get g= v=v1 r=namespaces s=- ns=a b n=a b sel=- sub="),
        ("GET", "/healthz%2Fping", "get /healthz/ping"),
    ];
    for (method, uri, expected) in table {
        assert_eq!(told(method, uri), expected, "{method} {uri}");
    }
}

#[test]
fn a_broken_escape_is_a_bad_request() {
    let request = Request::builder().uri("/api/v1/pods/%zz").body(()).unwrap();
    assert_eq!(Call::parse(&request, Peer::nobody(), Ticket::new(None)).unwrap_err().code, 400);
}

#[test]
fn a_query_is_decoded_as_go_decodes_it() {
    let query = Query::parse("a=1&a=2&b=x+y%3D&c&d=%zz&limit=12x&long=99999999999999999999");
    assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(query.text("b"), "x y=");
    assert!(query.flag("c") && !query.flag("nothing"));
    assert_eq!(query.first("d"), None);
    assert_eq!(query.integer("a").unwrap(), Some(1));
    assert_eq!(query.integer("limit").unwrap_err().message, "strconv.ParseInt: parsing \"12x\": invalid syntax");
    assert_eq!(query.integer("c").unwrap_err().message, "strconv.ParseInt: parsing \"\": invalid syntax");
    assert!(query.integer("long").unwrap_err().message.ends_with("value out of range"));
}

#[test]
fn what_streams_has_no_time_limit() {
    assert!(parsed("GET", "/api/v1/pods?watch=1").is_long_running());
    assert!(parsed("POST", "/api/v1/namespaces/a/pods/b/exec").is_long_running());
    assert!(!parsed("GET", "/api/v1/pods").is_long_running());
}

#[test]
fn warnings_are_told_once_and_quoted() {
    let call = parsed("GET", "/");
    call.warnings.add("say \"no\"");
    call.warnings.clone().add("say \"no\"");
    assert_eq!(call.warnings.header_values(), ["299 - \"say \\\"no\\\"\""]);
}
