//! What an egress selector's configuration may say: upstream's rules, in its order and words.

use super::config::{Connection, Protocol, Selection, Tcp, TlsConfig, Transport, Uds};
use std::path::Path;

/// The places that traffic goes to, in the order of the alphabet.
const NAMES: [&str; 3] = ["cluster", "controlplane", "etcd"];

/// Everything that is wrong with the selections. Their fields are told as upstream tells them: without the place in
/// the list.
pub(super) fn problems(selections: &[Selection]) -> Vec<String> {
    let mut problems: Vec<String> = selections.iter().flat_map(|selection| selection.connection.problems()).collect();
    let mut seen: Vec<String> = Vec::new();
    for (at, selection) in selections.iter().enumerate() {
        let name = selection.name.to_lowercase();
        if seen.contains(&name) {
            problems.push(format!("service.connection[{at}]: Duplicate value: {name:?}"));
        } else if !NAMES.contains(&name.as_str()) {
            problems.push(unsupported("service.connection", &name, &NAMES));
        }
        seen.push(name);
    }
    problems
}

fn unsupported(field: &str, value: &str, supported: &[&str]) -> String {
    let supported: Vec<_> = supported.iter().map(|one| format!("{one:?}")).collect();
    format!("{field}: Unsupported value: {value:?}: supported values: {}", supported.join(", "))
}

fn required(field: &str, why: &str) -> Vec<String> {
    vec![format!("service.connection.{field}: Required value: {why}")]
}

fn invalid(field: &str, value: &str, why: &str) -> Vec<String> {
    vec![format!("service.connection.{field}: Invalid value: {value:?}: {why}")]
}

impl Connection {
    fn problems(&self) -> Vec<String> {
        match (self.proxy_protocol, &self.transport) {
            (Protocol::Direct, None) => Vec::new(),
            (Protocol::Direct, Some(_)) => {
                invalid("transport", "direct", "Transport config should be absent for direct connect")
            }
            (Protocol::HttpConnect, None) => required("transport", "transport must be set for HTTPConnect"),
            (Protocol::HttpConnect, Some(transport)) => transport.problems_of_http_connect(),
            (Protocol::Grpc, None) => required("transport", "transport must be set for GRPC"),
            (Protocol::Grpc, Some(Transport { uds: Some(uds), .. })) => uds.problems(),
            (Protocol::Grpc, Some(_)) => required("uds", "UDS must be set with GRPC"),
            (Protocol::Unknown, _) => {
                let supported = ["Direct", "HTTPConnect", "GRPC"];
                vec![unsupported("service.connection.protocol", &self.told_protocol, &supported)]
            }
        }
    }
}

impl Transport {
    fn problems_of_http_connect(&self) -> Vec<String> {
        match (&self.tcp, &self.uds) {
            (Some(tcp), Some(_)) => invalid("tcp", &tcp.url, "TCP and UDS cannot both be set"),
            (None, None) => required("tcp", "One of TCP or UDS must be set"),
            (Some(tcp), None) => tcp.problems(),
            (None, Some(uds)) => uds.problems(),
        }
    }
}

impl Uds {
    fn problems(&self) -> Vec<String> {
        if self.sockets().any(str::is_empty) {
            return invalid("udsName", "nil", "UDSName should be present for UDS connections");
        }
        Vec::new()
    }
}

impl Tcp {
    fn problems(&self) -> Vec<String> {
        match (&self.tls_config, self.url.split_once("://").map(|(scheme, _)| scheme)) {
            (None, Some("http")) => Vec::new(),
            (Some(_), Some("http")) => {
                invalid("tlsConfig", "nil", "TLSConfig config should not be present when using HTTP")
            }
            (None, Some("https")) => required("tlsConfig", "TLSConfig must be present when using HTTPS"),
            (Some(files), Some("https")) => files.problems(),
            _ => invalid("url", &self.url, "supported connection protocols are http:// and https://"),
        }
    }
}

impl TlsConfig {
    fn problems(&self) -> Vec<String> {
        let missing = |path: &str| !Path::new(path).exists();
        let mut problems = Vec::new();
        // Without a bundle the system's authorities are taken.
        if !self.ca_bundle.is_empty() && missing(&self.ca_bundle) {
            problems.extend(invalid("tlsConfig.caBundle", &self.ca_bundle, "TLS config ca bundle does not exist"));
        }
        for (field, path, what) in [("clientCert", &self.client_cert, "cert"), ("clientKey", &self.client_key, "key")] {
            let place = format!("tlsConfig.{field}");
            if path.is_empty() {
                problems.extend(invalid(&place, "nil", &format!("Using TLS requires {field}")));
            } else if missing(path) {
                problems.extend(invalid(&place, path, &format!("TLS client {what} does not exist")));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{Configuration, Failure};

    fn with(selections: &str) -> Vec<String> {
        let text = format!(
            "{{apiVersion: apiserver.k8s.io/v1beta1, kind: EgressSelectorConfiguration, egressSelections: [{selections}]}}"
        );
        match Configuration::parse(&text) {
            Ok(_) => Vec::new(),
            Err(Failure::Invalid(problems)) => problems,
            Err(other) => panic!("{other:?}"),
        }
    }

    fn connection(text: &str) -> Vec<String> {
        with(&format!("{{name: cluster, connection: {{{text}}}}}"))
    }

    #[test]
    fn what_is_meant_is_taken() {
        for text in [
            "proxyProtocol: Direct",
            "proxyProtocol: GRPC, transport: {uds: {udsName: /run/k.socket}}",
            "proxyProtocol: HTTPConnect, transport: {uds: {udsName: /run/k.socket}}",
            "proxyProtocol: HTTPConnect, transport: {tcp: {url: 'http://127.0.0.1:8090'}}",
            "proxyProtocol: HTTPConnect, transport: {tcp: {url: 'https://a:1', \
                tlsConfig: {caBundle: /dev/null, clientCert: /dev/null, clientKey: /dev/null}}}",
            "proxyProtocol: HTTPConnect, transport: {tcp: {url: 'https://a:1', \
                tlsConfig: {clientCert: /dev/null, clientKey: /dev/null}}}",
        ] {
            assert_eq!(connection(text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(
            with(
                "{name: controlplane, connection: {proxyProtocol: Direct}}, {name: etcd, connection: {proxyProtocol: Direct}}"
            ),
            Vec::<String>::new()
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_upstreams_words() {
        let tls = "proxyProtocol: HTTPConnect, transport: {tcp: {url: 'https://a:1', tlsConfig: {caBundle: /no/ca";
        for (text, told) in [
            (
                "proxyProtocol: Direct, transport: {}",
                "transport: Invalid value: \"direct\": Transport config should be absent for direct connect",
            ),
            ("proxyProtocol: HTTPConnect", "transport: Required value: transport must be set for HTTPConnect"),
            ("proxyProtocol: HTTPConnect, transport: {}", "tcp: Required value: One of TCP or UDS must be set"),
            (
                "proxyProtocol: HTTPConnect, transport: {tcp: {url: 'ftp://a:1'}}",
                "url: Invalid value: \"ftp://a:1\": supported connection protocols are http:// and https://",
            ),
            (
                "proxyProtocol: HTTPConnect, transport: {tcp: {url: 'http://a:1', tlsConfig: {}}}",
                "tlsConfig: Invalid value: \"nil\": TLSConfig config should not be present when using HTTP",
            ),
            (
                "proxyProtocol: HTTPConnect, transport: {tcp: {url: 'https://a:1'}}",
                "tlsConfig: Required value: TLSConfig must be present when using HTTPS",
            ),
            (
                "proxyProtocol: HTTPConnect, transport: {uds: {udsName: ''}}",
                "udsName: Invalid value: \"nil\": UDSName should be present for UDS connections",
            ),
            ("proxyProtocol: GRPC", "transport: Required value: transport must be set for GRPC"),
            (
                "proxyProtocol: GRPC, transport: {tcp: {url: 'http://a:1'}}",
                "uds: Required value: UDS must be set with GRPC",
            ),
            (
                "proxyProtocol: SOCKS",
                "protocol: Unsupported value: \"SOCKS\": supported values: \"Direct\", \"HTTPConnect\", \"GRPC\"",
            ),
        ] {
            assert_eq!(connection(text), [format!("service.connection.{told}")], "{text}");
        }
        let both = "proxyProtocol: HTTPConnect, transport: {tcp: {url: 'http://a:1'}, uds: {udsName: k}}";
        assert!(connection(both)[0].ends_with("TCP and UDS cannot both be set"));
        assert_eq!(
            connection(&format!("{tls}, clientKey: /no/key}}}}}}")),
            [
                "service.connection.tlsConfig.caBundle: Invalid value: \"/no/ca\": TLS config ca bundle does not exist",
                "service.connection.tlsConfig.clientCert: Invalid value: \"nil\": Using TLS requires clientCert",
                "service.connection.tlsConfig.clientKey: Invalid value: \"/no/key\": TLS client key does not exist",
            ]
        );
        assert_eq!(
            with(
                "{name: nodes, connection: {proxyProtocol: Direct}}, {name: Cluster, connection: {proxyProtocol: Direct}}, \
                 {name: cluster, connection: {proxyProtocol: Direct}}"
            ),
            [
                "service.connection: Unsupported value: \"nodes\": supported values: \"cluster\", \"controlplane\", \"etcd\"",
                "service.connection[2]: Duplicate value: \"cluster\"",
            ]
        );
    }
}
