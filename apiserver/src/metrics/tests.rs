//! The names are upstream's, and what is counted is told.

use super::*;
use crate::audit::Ticket;
use crate::authn::Peer;
use crate::request::Call;
use http::Request;
use std::collections::BTreeMap;
use std::path::Path;

fn call(method: &str, uri: &str) -> Call {
    let request = Request::builder().method(method).uri(uri).body(()).unwrap();
    Call::parse(&request, Peer::nobody(), Ticket::new(None)).unwrap()
}

#[test]
fn a_request_is_counted_under_its_labels() {
    let metrics = Arc::new(Metrics::default());
    let labels = RequestLabels::of(&call("GET", "/api/v1/namespaces/a/pods"), true);
    let counted = Counted {
        code: 200,
        took: Duration::from_millis(30),
        waited: Duration::from_millis(28),
        answer_bytes: Some(2_000),
        long_running: false,
        terminated: false,
    };
    metrics.requests.count(&labels, counted);
    metrics.requests.count(&labels, Counted { code: 429, terminated: true, ..counted });
    metrics.callers.count(Some("jane@example.com"), Duration::ZERO);
    metrics.callers.count(Some("system:kube-scheduler"), Duration::ZERO);
    metrics.callers.count(Some("jane"), Duration::ZERO);
    metrics.lists.count("", "pods", 3);
    metrics.deprecated.series(&["", "v1", "endpoints", ""].map(str::to_owned));
    let _open = metrics.requests.open(&RequestLabels::of(&call("GET", "/api/v1/pods?watch=1"), true));
    let _under_way = InFlight::begin(Arc::clone(&metrics), true);
    let mut text = Text::default();
    metrics.tell(&mut text);
    let text = text.finish();
    let labels = "group=\"\",resource=\"pods\",scope=\"namespace\",subresource=\"\",verb=\"LIST\",version=\"v1\"";
    for line in [
        format!("apiserver_request_total{{code=\"200\",component=\"apiserver\",dry_run=\"\",{labels}}} 1"),
        format!("apiserver_request_duration_seconds_bucket{{component=\"apiserver\",dry_run=\"\",{labels},le=\"0.025\"}} 0"),
        format!("apiserver_request_duration_seconds_bucket{{component=\"apiserver\",dry_run=\"\",{labels},le=\"0.05\"}} 2"),
        format!("apiserver_request_sli_duration_seconds_bucket{{component=\"apiserver\",{labels},le=\"0.005\"}} 2"),
        format!("apiserver_response_sizes_sum{{component=\"apiserver\",{labels}}} 4000"),
        format!("apiserver_request_terminations_total{{code=\"429\",component=\"apiserver\",{labels}}} 1"),
        "authentication_attempts{result=\"success\"} 3".to_owned(),
        "authenticated_user_requests{username=\"email_id\"} 1".to_owned(),
        "authenticated_user_requests{username=\"other\"} 1".to_owned(),
        "authenticated_user_requests{username=\"system:kube-scheduler\"} 1".to_owned(),
        "apiserver_cache_list_returned_objects_total{group=\"\",resource=\"pods\"} 3".to_owned(),
        "apiserver_requested_deprecated_apis{group=\"\",removed_release=\"\",resource=\"endpoints\",subresource=\"\",version=\"v1\"} 1".to_owned(),
        "apiserver_current_inflight_requests{request_kind=\"readOnly\"} 1".to_owned(),
        "apiserver_longrunning_requests{component=\"apiserver\",group=\"\",resource=\"pods\",scope=\"cluster\",subresource=\"\",verb=\"WATCH\",version=\"v1\"} 1".to_owned(),
    ] {
        assert!(text.lines().any(|told| told == line), "{line}\n{text}");
    }
}

#[test]
fn what_nobody_serves_makes_no_labels() {
    let labels = RequestLabels::of(&call("GET", "/apis/made.up/v1/things/one"), false);
    assert_eq!(labels, RequestLabels::of(&call("GET", "/whatever"), false));
    assert_ne!(labels, RequestLabels::of(&call("GET", "/healthz"), false));
}

#[test]
fn names_types_and_stability_are_those_of_a_real_server() {
    let shared = option_env!("TINYPLANE_SHARED").unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    let file = Path::new(shared).join("kubernetes-1.36/fresh-cluster/metric-names.txt");
    let Ok(real) = std::fs::read_to_string(&file) else {
        eprintln!("PASSED OVER: {} is not there, so names of metrics are compared with nothing", file.display());
        return;
    };
    let mut known: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for line in real.lines() {
        let mut words = line.splitn(4, ' ').skip(1);
        let (Some(what), Some(name), Some(rest)) = (words.next(), words.next(), words.next()) else { continue };
        let entry = known.entry(name).or_default();
        match what {
            "TYPE" => entry.1 = rest,
            _ => entry.0 = rest.split_whitespace().next().filter(|word| word.starts_with('[')).unwrap_or_default(),
        }
    }
    let metrics = Metrics::default();
    metrics.watchers_of("", "v1", "pods").count(1, 10);
    let mut text = Text::default();
    metrics.tell(&mut text);
    Process.tell(&mut text);
    let text = text.finish();
    let mut families = 0;
    let mut stability = "";
    for line in text.lines().filter(|line| line.starts_with('#')) {
        let mut words = line.splitn(4, ' ').skip(1);
        let (what, name, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        if what == "HELP" {
            stability = rest.split_whitespace().next().filter(|word| word.starts_with('[')).unwrap_or_default();
        } else {
            families += 1;
            assert_eq!(known.get(name), Some(&(stability, rest)), "{name}");
        }
    }
    assert!(families > 20, "{families}");
}
