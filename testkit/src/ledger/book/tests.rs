//! Ends are joined by what they have in common, and do not agree where they say different things.

use super::*;
use crate::cluster::Mode;
use crate::ledger::{Filter, Hop};
use tinyplane_wire::ledger::{HostKey, Tls};

fn entry(member: &str, id: &str, view: View, second: u32) -> Entry {
    let at = |second| format!("2026-11-28T10:00:{second:02}.000000Z");
    Entry {
        member: member.into(),
        id: id.into(),
        view,
        started: at(second),
        ended: Some(at(second + 1)),
        ..Entry::default()
    }
}

fn observed(member: &str, id: &str) -> Entry {
    entry(member, id, View::Observed, 0)
}

fn claimed(member: &str, id: &str) -> Entry {
    entry(member, id, View::Claimed, 0)
}

fn tls() -> Option<Tls> {
    Some(Tls { version: "1.3".into(), verified: None })
}

/// `kubectl logs` through Konnectivity, as five members write it down.
fn logs() -> Vec<Entry> {
    let kubectl = "127.0.0.1:4000".parse().ok();
    let agent = "127.9.17.9:5000".parse().ok();
    vec![
        Entry { path: Some(1), from: kubectl, tls: tls(), ..observed("apiserver", "a-1") },
        Entry {
            path: Some(1),
            after: Some("a-1".into()),
            from: kubectl,
            ticket: Some("ticket".into()),
            request: Some("GET /api/v1/namespaces/default/pods/web/log".into()),
            code: Some(200),
            ..observed("apiserver", "a-2")
        },
        Entry {
            path: Some(2),
            ticket: Some("ticket".into()),
            dial: Some("77".into()),
            to: "127.9.17.1:10250".into(),
            node: Some("node-1".into()),
            egress: Some("konnectivity-grpc".into()),
            tls: tls(),
            certificate: Some("kube-apiserver".into()),
            sent: Some(100),
            received: Some(50),
            ..claimed("apiserver", "a-3")
        },
        Entry {
            path: Some(5),
            dial: Some("77".into()),
            sent: Some(50),
            received: Some(100),
            ..observed("server", "s-1")
        },
        Entry { path: Some(5), dial: Some("-8".into()), after: Some("s-1".into()), ..claimed("server", "s-2") },
        Entry { path: Some(5), dial: Some("-8".into()), agent: Some("agent".into()), ..observed("agent", "g-1") },
        Entry { after: Some("g-1".into()), from: agent, to: "127.9.17.1:10250".into(), ..claimed("agent", "g-2") },
        Entry {
            path: Some(2),
            from: agent,
            to: "127.9.17.1:10250".into(),
            node: Some("node-1".into()),
            tls: tls(),
            certificate: Some("kube-apiserver".into()),
            ..observed("kubelet", "k-1")
        },
    ]
}

fn walk_of(entries: Vec<Entry>) -> Walk {
    let mut book = Book::default();
    for entry in entries {
        book.insert(entry);
    }
    book.walk("ticket").expect("the request is known")
}

#[test]
fn a_walk_is_joined_by_ticket_dial_and_source_address() {
    let walk = walk_of(logs());
    walk.assert_path(&[Hop::Apiserver, Hop::Tunnel { mode: Mode::Grpc }, Hop::Agent("agent"), Hop::Kubelet("node-1")])
        .assert_never(Hop::Direct)
        .assert_witnessed();
    assert!(walk.is_settled());
    assert_eq!(
        (walk.path(), walk.paths(), walk.node(), walk.agent()),
        (2, vec![1, 2, 5], Some("node-1"), Some("agent"))
    );
    assert_eq!((walk.tls(), walk.certificate()), (tls().as_ref(), Some("kube-apiserver")));
    assert!(Filter::all().node("node-1").path(5).request("pods/web/log").admits(&walk));
    for other in [Filter::all().node("node-2"), Filter::all().path(3), Filter::all().request("exec")] {
        assert!(!other.admits(&walk), "{other}");
    }
}

#[test]
fn an_end_that_is_silent_or_says_something_else_is_found_out() {
    let told = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = logs();
        change(&mut entries);
        walk_of(entries).disagreement().unwrap_or_default()
    };
    assert_eq!(told(&|_| {}), "");
    assert!(told(&|entries| drop(entries.pop())).contains("one end alone"));
    assert!(told(&|entries| entries[7].certificate = None).contains("client's certificate"));
    assert!(told(&|entries| entries[7].tls = None).contains("TLS"));
    assert!(told(&|entries| entries[3].received = Some(101)).contains("100 bytes were sent"));
    let counted_at_times = |entries: &mut Vec<Entry>| (entries[2].at_least, entries[3].received) = (true, Some(101));
    assert_eq!(told(&counted_at_times), "");
    assert!(told(&|entries| (entries[2].at_least, entries[3].sent) = (true, Some(49))).contains("49 bytes were sent"));
    assert!(told(&|entries| entries[5].outcome = Outcome::Failed).contains("Failed"));
    let mut going_on = logs();
    going_on[7].ended = None;
    assert!(!walk_of(going_on).is_settled());
}

#[test]
fn a_port_that_is_used_again_belongs_to_the_nearest_and_a_relay_keeps_the_address_alone() {
    let from = "127.9.16.1:6000".parse().ok();
    let way = Entry {
        path: Some(2),
        ticket: Some("ticket".into()),
        from,
        to: "127.9.17.1:10250".into(),
        egress: Some("direct".into()),
        ..entry("apiserver", "a-3", View::Claimed, 30)
    };
    let seen = |id: &str, from, second| Entry {
        path: Some(2),
        from,
        to: "127.9.17.1:10250".into(),
        node: Some(id.into()),
        ..entry("kubelet", id, View::Observed, second)
    };
    let request = Entry { ticket: Some("ticket".into()), ..observed("apiserver", "a-2") };
    let again = walk_of(vec![request.clone(), seen("early", from, 3), way.clone(), seen("now", from, 30)]);
    again.assert_path(&[Hop::Apiserver, Hop::Direct, Hop::Kubelet("now")]);
    let relayed = "127.9.16.1:6001".parse().ok();
    let through = walk_of(vec![request.clone(), seen("early", relayed, 3), way.clone(), seen("now", relayed, 31)]);
    through.assert_path(&[Hop::Apiserver, Hop::Direct, Hop::Kubelet("now")]);
    let nobodys = walk_of(vec![request, seen("early", relayed, 3), way]);
    assert_eq!(nobodys.far_end(), None);
}

#[test]
fn a_pods_call_is_followed_back_through_the_service_that_it_called() {
    let (pod, proxy) = ("127.9.24.2:7000".parse().ok(), "127.9.17.1:7001".parse().ok());
    let entries = vec![
        Entry {
            node: Some("node-1".into()),
            from: pod,
            to: "127.9.28.1:20443".into(),
            tls: tls(),
            ..claimed("kubelet", "k-1")
        },
        Entry { from: pod, to: "127.9.28.1:20443".into(), ..observed("kubelet", "k-2") },
        Entry { after: Some("k-2".into()), from: proxy, to: "127.9.16.1:6443".into(), ..claimed("kubelet", "k-3") },
        Entry { path: Some(1), from: proxy, to: "127.9.16.1:6443".into(), tls: tls(), ..observed("apiserver", "a-1") },
        Entry {
            path: Some(1),
            after: Some("a-1".into()),
            ticket: Some("ticket".into()),
            ..observed("apiserver", "a-2")
        },
    ];
    let mut other = entries.clone();
    let walk = walk_of(entries);
    walk.assert_path(&[Hop::Pod("node-1"), Hop::Service, Hop::Apiserver]).assert_witnessed();
    assert_eq!((walk.path(), walk.node(), walk.tls()), (1, Some("node-1"), tls().as_ref()));
    other[3].tls = Some(Tls { version: "1.2".into(), verified: None });
    assert!(walk_of(other).disagreement().unwrap().contains("TLS"));
}

#[test]
fn a_dial_that_went_on_to_another_server_is_joined_by_its_connection_or_its_place() {
    let way = Entry {
        path: Some(2),
        ticket: Some("ticket".into()),
        dial: Some("77".into()),
        egress: Some("konnectivity-grpc".into()),
        tunnel: Some("/run/1.sock".into()),
        connection: Some(9),
        ..claimed("apiserver", "a-3")
    };
    let at = |place: &str, id: &str, connection| Entry {
        path: Some(5),
        dial: Some("77".into()),
        to: place.into(),
        connection,
        ..observed("server", id)
    };
    let request = Entry { ticket: Some("ticket".into()), ..observed("apiserver", "a-2") };
    let far_end = |way: &Entry, seen: [Entry; 2]| {
        let walk = walk_of([vec![request.clone(), way.clone()], seen.to_vec()].concat());
        walk.far_end().map(|end| end.id.clone()).unwrap_or_default()
    };
    // The last one is another server's, which had lost its agent.
    let gone = Entry { outcome: Outcome::Failed, ..at("/run/2.sock", "s-2", None) };
    assert_eq!(far_end(&way, [at("/run/1.sock", "s-1", Some(9)), gone.clone()]), "s-1");
    let unnumbered = Entry { connection: None, ..way.clone() };
    assert_eq!(far_end(&unnumbered, [at("/run/1.sock", "s-1", None), gone]), "s-1");
    // Both at one place: a frontend that chose a number twice.
    assert_eq!(far_end(&way, [at("/run/1.sock", "s-1", Some(9)), at("/run/1.sock", "s-2", Some(10))]), "s-1");
    let other = walk_of(vec![request, way, at("/run/1.sock", "s-1", Some(10))]);
    assert!(other.disagreement().unwrap().contains("connection 9"), "{other}");
}

#[test]
fn a_host_that_showed_another_key_than_it_has_is_found_out() {
    let key = |fingerprint: &str| Some(HostKey { fingerprint: fingerprint.into(), verified: None });
    let way = Entry {
        path: Some(3),
        ticket: Some("ticket".into()),
        dial: Some("77".into()),
        egress: Some("ssh".into()),
        host_key: key("SHA256:one"),
        ..claimed("apiserver", "a-3")
    };
    let request = Entry { ticket: Some("ticket".into()), ..observed("apiserver", "a-2") };
    let host =
        Entry { path: Some(4), dial: Some("77".into()), host_key: key("SHA256:one"), ..observed("kubelet", "k-1") };
    let walk = walk_of(vec![request.clone(), way.clone(), host.clone()]);
    assert_eq!((walk.disagreement(), walk.host_key()), (None, key("SHA256:one").as_ref()));
    let other = walk_of(vec![request, way, Entry { host_key: key("SHA256:two"), ..host }]);
    assert!(other.disagreement().unwrap().contains("SHA256:two"), "{other}");
}
