//! `EgressSelectorConfiguration` (`apiserver.k8s.io`), read strictly.

use serde::Deserialize;
use std::path::PathBuf;
use tinyplane_wire::yaml;

/// Largest configuration that is read.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Why a configuration can't be used: one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("unable to read egress selector configuration from {path:?}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is larger than any such file is.
    #[error("the egress selector configuration {0:?} is over {CONFIG_BYTES_MAX} bytes")]
    TooLarge(PathBuf),
    /// It is no such configuration.
    #[error("{path:?} is no egress selector configuration: {why}")]
    Decode {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It is understood, and makes no sense.
    #[error("failed to validate egress selector configuration: {field}: {why}")]
    Invalid {
        /// Path of the field.
        field: String,
        /// What is wrong with it.
        why: String,
    },
    /// A certificate or key that it names can't be used.
    #[error("the certificates of egress selection {0:?} can't be used")]
    Certificates(String, #[source] Box<dyn std::error::Error + Send + Sync>),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Configuration {
    api_version: String,
    kind: String,
    pub(super) egress_selections: Vec<Selection>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Selection {
    pub(super) name: String,
    pub(super) connection: Connection,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Connection {
    pub(super) proxy_protocol: Protocol,
    #[serde(default)]
    pub(super) transport: Option<Transport>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Protocol {
    #[serde(rename = "GRPC")]
    Grpc,
    #[serde(rename = "HTTPConnect")]
    HttpConnect,
    Direct,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Transport {
    #[serde(default)]
    pub(super) tcp: Option<Tcp>,
    #[serde(default)]
    pub(super) uds: Option<Uds>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Tcp {
    pub(super) url: String,
    #[serde(default)]
    pub(super) tls_config: Option<TlsConfig>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TlsConfig {
    #[serde(default)]
    pub(super) ca_bundle: String,
    #[serde(default)]
    pub(super) client_key: String,
    #[serde(default)]
    pub(super) client_cert: String,
    #[serde(default)]
    pub(super) tls_server_name: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Uds {
    /// A path; or, which is ours, those of several servers with commas between them.
    uds_name: String,
}

impl Uds {
    /// The servers' sockets.
    pub(super) fn sockets(&self) -> impl Iterator<Item = &str> {
        self.uds_name.split(',')
    }
}

impl Configuration {
    /// Reads a file of YAML or JSON.
    pub(super) fn read(path: &std::path::Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(read)?.len() > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLarge(path.to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        Self::parse(&text).map_err(|failure| match failure {
            Failure::Decode(why) => ConfigError::Decode { path: path.to_owned(), why },
            Failure::Invalid(field, why) => ConfigError::Invalid { field, why },
        })
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        // YAML's reader takes JSON as well.
        let mut read: Self = yaml::read(text.as_bytes()).map_err(|error| Failure::Decode(error.to_string()))?;
        if read.kind != "EgressSelectorConfiguration" {
            return Err(Failure::Decode(format!("its kind is {:?}", read.kind)));
        }
        let old = match read.api_version.as_str() {
            "apiserver.k8s.io/v1beta1" => false,
            "apiserver.k8s.io/v1alpha1" => true,
            other => return Err(Failure::Decode(format!("its apiVersion {other:?} is not served"))),
        };
        for (place, selection) in read.egress_selections.iter_mut().enumerate() {
            if old && selection.name == "master" {
                selection.name = "controlplane".into();
            }
            selection.validate(place)?;
        }
        let names: Vec<&str> = read.egress_selections.iter().map(|s| s.name.as_str()).collect();
        if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            let field = format!("egressSelections[{}].name", twice.0);
            return Err(Failure::Invalid(field, format!("Duplicate value: {:?}", twice.1)));
        }
        Ok(read)
    }
}

#[derive(Debug)]
enum Failure {
    Decode(String),
    Invalid(String, String),
}

impl Selection {
    fn validate(&self, place: usize) -> Result<(), Failure> {
        let fail = |field: &str, why: &str| {
            Err(Failure::Invalid(format!("egressSelections[{place}].{field}"), why.to_owned()))
        };
        if !["controlplane", "etcd", "cluster"].contains(&self.name.as_str()) {
            let why = format!(
                "Unsupported value: {:?}: supported values: \"cluster\", \"controlplane\", \"etcd\"",
                self.name
            );
            return fail("name", &why);
        }
        let transport = self.connection.transport.as_ref();
        let (tcp, uds) = (transport.and_then(|t| t.tcp.as_ref()), transport.and_then(|t| t.uds.as_ref()));
        if uds.is_some_and(|uds| uds.sockets().any(str::is_empty)) {
            return fail("connection.transport.uds.udsName", "Required value: UDS name is required");
        }
        match (self.connection.proxy_protocol, tcp, uds) {
            (Protocol::Direct, None, None) if transport.is_none() => Ok(()),
            (Protocol::Direct, ..) => fail(
                "connection.transport",
                "Invalid value: \"direct\": Transport config should be absent for direct connect",
            ),
            (Protocol::Grpc, None, Some(_)) => Ok(()),
            (Protocol::Grpc, ..) => fail(
                "connection.transport",
                "Invalid value: Transport config with uds, and without tcp, is required for GRPC",
            ),
            (Protocol::HttpConnect, Some(tcp), None) => match tcp.problem() {
                Some((field, why)) => fail(&format!("connection.transport.tcp.{field}"), why),
                None => Ok(()),
            },
            (Protocol::HttpConnect, None, Some(_)) => Ok(()),
            (Protocol::HttpConnect, Some(_), Some(_)) => {
                fail("connection.transport.tcp", "Invalid value: TCP and UDS cannot both be set")
            }
            (Protocol::HttpConnect, None, None) => {
                fail("connection.transport", "Required value: either TCP or UDS is required for HTTPConnect")
            }
        }
    }
}

impl Tcp {
    fn problem(&self) -> Option<(&'static str, &'static str)> {
        let Some(tls) = &self.tls_config else {
            let plain = self.url.starts_with("http://");
            return (!plain)
                .then_some(("tlsConfig", "Required value: TLS config is required unless the url is http://"));
        };
        if !self.url.starts_with("https://") {
            return Some(("url", "Invalid value: the url has to begin with https:// when there is a TLS config"));
        }
        match (tls.ca_bundle.is_empty(), tls.client_key.is_empty(), tls.client_cert.is_empty()) {
            (true, ..) => Some(("tlsConfig.caBundle", "Required value: TLS config needs a CA bundle")),
            (_, true, false) => Some(("tlsConfig.clientKey", "Required value: a client certificate needs its key")),
            (_, false, true) => Some(("tlsConfig.clientCert", "Required value: a client key needs its certificate")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(connection: &str) -> Result<Configuration, Failure> {
        Configuration::parse(&format!(
            "apiVersion: apiserver.k8s.io/v1beta1\nkind: EgressSelectorConfiguration\n\
             egressSelections:\n- name: cluster\n  connection:\n{connection}"
        ))
    }

    #[test]
    fn the_three_protocols_are_read_from_yaml_and_json() {
        let read =
            with("    proxyProtocol: GRPC\n    transport:\n      uds:\n        udsName: /run/k.socket\n").unwrap();
        assert_eq!(read.egress_selections[0].connection.proxy_protocol, Protocol::Grpc);
        assert!(with("    proxyProtocol: Direct\n").is_ok());
        let json = r#"{"apiVersion":"apiserver.k8s.io/v1alpha1","kind":"EgressSelectorConfiguration","egressSelections":
            [{"name":"master","connection":{"proxyProtocol":"HTTPConnect","transport":{"tcp":{"url":"http://127.0.0.1:8090"}}}}]}"#;
        assert_eq!(Configuration::parse(json).unwrap().egress_selections[0].name, "controlplane");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let strict = with("    proxyProtocol: Direct\n    extra: 1\n").unwrap_err();
        assert!(matches!(strict, Failure::Decode(ref why) if why.contains("extra")), "{strict:?}");
        for wrong in [
            "    proxyProtocol: GRPC\n",
            "    proxyProtocol: GRPC\n    transport:\n      tcp:\n        url: http://a:1\n",
            "    proxyProtocol: Direct\n    transport: {}\n",
            "    proxyProtocol: HTTPConnect\n    transport: {}\n",
            "    proxyProtocol: HTTPConnect\n    transport:\n      tcp:\n        url: https://a:1\n",
        ] {
            assert!(matches!(with(wrong), Err(Failure::Invalid(..))), "{wrong}");
        }
        let name = Configuration::parse(
            r#"{"apiVersion":"apiserver.k8s.io/v1beta1","kind":"EgressSelectorConfiguration",
            "egressSelections":[{"name":"nodes","connection":{"proxyProtocol":"Direct"}}]}"#,
        );
        assert!(matches!(name, Err(Failure::Invalid(..))));
    }
}
