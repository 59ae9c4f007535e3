//! Kubeconfig files: what kubectl and every member read to find the API server and to be known there.

use super::tls::{KeyPairPem, Trust};
use crate::yaml;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Why a kubeconfig can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// The file, or one that it names, can't be read.
    #[error("{} can't be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The text is no kubeconfig.
    #[error("the kubeconfig is not valid")]
    Parse(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A reference leads nowhere.
    #[error("the kubeconfig's {0} is missing")]
    Missing(&'static str),
    /// Embedded data is not base64, or not text.
    #[error("the kubeconfig's {0} is not base64 of a PEM text")]
    Data(&'static str),
}

/// What a client needs to reach an API server and to be known there.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// `https://host:port`.
    pub server: String,
    /// Whom to believe.
    pub trust: Trust,
    /// Client certificate.
    pub pair: Option<KeyPairPem>,
    /// Bearer token.
    pub token: Option<String>,
    /// Namespace of the context.
    pub namespace: Option<String>,
    /// Files that were read: when one changes, the credentials are read again.
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct File {
    #[serde(rename = "apiVersion", default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(rename = "current-context", default)]
    current_context: String,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
    #[serde(default)]
    contexts: Vec<NamedContext>,
}

#[derive(Debug, Serialize, Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Debug, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_authority: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_authority_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    insecure_skip_tls_verify: Option<bool>,
}

#[derive(Debug, Serialize, Deserialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Debug, Serialize, Deserialize, Default)]
struct User {
    #[serde(rename = "client-certificate", skip_serializing_if = "Option::is_none")]
    client_certificate: Option<PathBuf>,
    #[serde(rename = "client-certificate-data", skip_serializing_if = "Option::is_none")]
    client_certificate_data: Option<String>,
    #[serde(rename = "client-key", skip_serializing_if = "Option::is_none")]
    client_key: Option<PathBuf>,
    #[serde(rename = "client-key-data", skip_serializing_if = "Option::is_none")]
    client_key_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(rename = "tokenFile", skip_serializing_if = "Option::is_none")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Debug, Serialize, Deserialize, Default)]
struct Context {
    cluster: String,
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
}

/// Writes a kubeconfig (JSON, which is YAML) with one context, everything embedded.
///
/// # Errors
/// Never in practice: when the text can't be written.
pub fn write(
    cluster: &str,
    user: &str,
    server: &str,
    ca_pem: &str,
    pair: &KeyPairPem,
) -> Result<String, KubeconfigError> {
    let file = File {
        api_version: "v1".into(),
        kind: "Config".into(),
        current_context: cluster.into(),
        clusters: vec![NamedCluster {
            name: cluster.into(),
            cluster: Cluster {
                server: server.into(),
                certificate_authority_data: Some(STANDARD.encode(ca_pem)),
                ..Cluster::default()
            },
        }],
        users: vec![NamedUser {
            name: user.into(),
            user: User {
                client_certificate_data: Some(STANDARD.encode(&pair.certificate)),
                client_key_data: Some(STANDARD.encode(&pair.key)),
                ..User::default()
            },
        }],
        contexts: vec![NamedContext {
            name: cluster.into(),
            context: Context { cluster: cluster.into(), user: user.into(), namespace: None },
        }],
    };
    serde_json::to_string_pretty(&file).map_err(|e| KubeconfigError::Parse(Box::new(e)))
}

/// Reads a kubeconfig and the files that it names, which are relative to its own folder.
///
/// # Errors
/// When a file or a reference is missing or can't be understood.
pub fn load(path: &Path) -> Result<Credentials, KubeconfigError> {
    let text = read(path)?;
    let file: File = yaml::read(text.as_bytes()).map_err(|e| KubeconfigError::Parse(Box::new(e)))?;
    let context = &find(&file.contexts, |c| c.name == file.current_context)
        .ok_or(KubeconfigError::Missing("current context"))?
        .context;
    let cluster =
        &find(&file.clusters, |c| c.name == context.cluster).ok_or(KubeconfigError::Missing("cluster"))?.cluster;
    let user = &find(&file.users, |u| u.name == context.user).ok_or(KubeconfigError::Missing("user"))?.user;
    let mut reader = Reader { folder: path.parent().unwrap_or(Path::new(".")), files: vec![path.to_owned()] };
    let authority =
        reader.text(&cluster.certificate_authority, &cluster.certificate_authority_data, "certificate authority")?;
    let trust = match (authority, cluster.insecure_skip_tls_verify) {
        (_, Some(true)) => Trust::Anybody,
        (Some(pem), _) => Trust::Roots(pem),
        (None, _) => return Err(KubeconfigError::Missing("certificate authority")),
    };
    let certificate = reader.text(&user.client_certificate, &user.client_certificate_data, "client certificate")?;
    let key = reader.text(&user.client_key, &user.client_key_data, "client key")?;
    let token = match (&user.token_file, &user.token) {
        (Some(file), _) => reader.text(&Some(file.clone()), &None, "token")?.map(|t| t.trim().to_owned()),
        (None, token) => token.clone(),
    };
    Ok(Credentials {
        server: cluster.server.trim_end_matches('/').to_owned(),
        trust,
        pair: certificate.zip(key).map(|(certificate, key)| KeyPairPem { certificate, key }),
        token,
        namespace: context.namespace.clone(),
        files: reader.files,
    })
}

fn find<T>(all: &[T], wanted: impl Fn(&T) -> bool) -> Option<&T> {
    all.iter().find(|one| wanted(one))
}

fn read(path: &Path) -> Result<String, KubeconfigError> {
    std::fs::read_to_string(path).map_err(|source| KubeconfigError::Read { path: path.to_owned(), source })
}

struct Reader<'a> {
    folder: &'a Path,
    files: Vec<PathBuf>,
}

impl Reader<'_> {
    fn text(
        &mut self,
        file: &Option<PathBuf>,
        data: &Option<String>,
        what: &'static str,
    ) -> Result<Option<String>, KubeconfigError> {
        if let Some(data) = data {
            let bytes = STANDARD.decode(data).map_err(|_| KubeconfigError::Data(what))?;
            return String::from_utf8(bytes).map(Some).map_err(|_| KubeconfigError::Data(what));
        }
        let Some(file) = file else { return Ok(None) };
        let path = self.folder.join(file);
        let text = read(&path)?;
        self.files.push(path);
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let pair = KeyPairPem { certificate: "CERT".into(), key: "KEY".into() };
        let path = folder.path().join("config");
        std::fs::write(&path, write("tinyplane", "admin", "https://127.0.0.1:6443", "ROOT", &pair).unwrap()).unwrap();
        let read = load(&path).unwrap();
        assert_eq!((read.server.as_str(), read.pair), ("https://127.0.0.1:6443", Some(pair)));
        assert!(matches!(read.trust, Trust::Roots(pem) if pem == "ROOT"));
    }

    #[test]
    fn files_are_found_beside_the_kubeconfig() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), "ROOT").unwrap();
        std::fs::write(folder.path().join("token"), "secret\n").unwrap();
        let text = "current-context: c\nclusters: [{name: k, cluster: {server: https://h/, certificate-authority: ca.crt}}]\nusers: [{name: u, user: {tokenFile: token}}]\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n";
        std::fs::write(folder.path().join("config"), text).unwrap();
        let read = load(&folder.path().join("config")).unwrap();
        assert_eq!((read.server.as_str(), read.token.as_deref(), read.files.len()), ("https://h", Some("secret"), 3));
    }
}
