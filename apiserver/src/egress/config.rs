//! `EgressSelectorConfiguration` (`apiserver.k8s.io`), read strictly.

use super::validate::problems;
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
    /// It is understood, and makes no sense: everything that is wrong with it, each field with its words.
    #[error("failed to validate egress selector configuration: {}", aggregate(.0))]
    Invalid(Vec<String>),
    /// A certificate or key that it names can't be used.
    #[error("the certificates of egress selection {0:?} can't be used")]
    Certificates(String, #[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Several errors as upstream writes them into one.
fn aggregate(problems: &[String]) -> String {
    match problems {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
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
    #[serde(rename = "proxyProtocol", default)]
    pub(super) told_protocol: String,
    #[serde(skip)]
    pub(super) proxy_protocol: Protocol,
    #[serde(default)]
    pub(super) transport: Option<Transport>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    HttpConnect,
    Direct,
    /// None of them, which no configuration that was read has.
    #[default]
    Unknown,
}

impl Protocol {
    fn named(name: &str) -> Self {
        match name {
            "GRPC" => Self::Grpc,
            "HTTPConnect" => Self::HttpConnect,
            "Direct" => Self::Direct,
            _ => Self::Unknown,
        }
    }
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
            Failure::Invalid(problems) => ConfigError::Invalid(problems),
        })
    }

    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
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
        for selection in &mut read.egress_selections {
            if old && selection.name == "master" {
                selection.name = "controlplane".into();
            }
            selection.connection.proxy_protocol = Protocol::named(&selection.connection.told_protocol);
        }
        let problems = problems(&read.egress_selections);
        if !problems.is_empty() {
            return Err(Failure::Invalid(problems));
        }
        for selection in &mut read.egress_selections {
            selection.name.make_ascii_lowercase();
        }
        Ok(read)
    }
}

/// Why a text is no configuration.
#[derive(Debug)]
pub(super) enum Failure {
    Decode(String),
    Invalid(Vec<String>),
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
    fn what_nobody_knows_is_no_configuration() {
        for (text, told) in [
            ("    proxyProtocol: Direct\n    extra: 1\n", "extra"),
            ("    proxyProtocol: GRPC\n    transport:\n      uds:\n        udsname: k\n", "udsname"),
        ] {
            let strict = with(text).unwrap_err();
            assert!(matches!(strict, Failure::Decode(ref why) if why.contains(told)), "{strict:?}");
        }
        let twice = ConfigError::Invalid(vec!["a".into(), "b".into()]).to_string();
        assert_eq!(twice, "failed to validate egress selector configuration: [a, b]");
    }
}
