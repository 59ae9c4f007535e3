//! Images: which names are valid, and what "pulling" one tells. Every image is there; none is fetched.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The images that a node has pulled.
#[derive(Debug, Default)]
pub(crate) struct Images {
    pulled: Mutex<HashSet<String>>,
}

impl Images {
    /// Notes a pull; true when the image was there before.
    pub(crate) fn pull(&self, image: String) -> bool {
        !self.pulled.lock().unwrap_or_else(PoisonError::into_inner).insert(image)
    }

    /// True when the image is there.
    pub(crate) fn has(&self, image: &str) -> bool {
        self.pulled.lock().unwrap_or_else(PoisonError::into_inner).contains(image)
    }
}

/// Registries below this top-level domain exist nowhere (RFC 6761), so that pulling from them fails.
const NOWHERE: &str = ".invalid";

/// The full name of an image: registry, repository, and tag or digest.
///
/// # Errors
/// The tail of the reason `InvalidImageName`, in the words of the reference grammar's implementation.
pub(crate) fn normalized(image: &str) -> Result<String, String> {
    let invalid = || "invalid reference format".to_owned();
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (name, None),
    };
    let (registry, path) = match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || first.chars().any(char::is_uppercase) =>
        {
            (first, rest.to_owned())
        }
        Some(_) => ("docker.io", name.to_owned()),
        None => ("docker.io", format!("library/{name}")),
    };
    if path.chars().any(|c| c.is_ascii_uppercase()) {
        return Err(format!("invalid reference format: repository name ({path}) must be lowercase"));
    }
    let component = |part: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
        edge(part.chars().next()) && edge(part.chars().last()) && part.chars().all(inner)
    };
    let tag_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let good_tag = tag
        .is_none_or(|tag| (1..=128).contains(&tag.len()) && tag.chars().all(tag_char) && !tag.starts_with(['.', '-']));
    let good_digest = digest.is_none_or(|digest| {
        digest.split_once(':').is_some_and(|(kind, hex)| {
            !kind.is_empty() && hex.len() >= 32 && hex.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
        })
    });
    if !path.split('/').all(component) || !good_tag || !good_digest || registry.is_empty() {
        return Err(invalid());
    }
    Ok(match (tag, digest) {
        (_, Some(digest)) => format!("{registry}/{path}@{digest}"),
        (tag, None) => format!("{registry}/{path}:{}", tag.unwrap_or("latest")),
    })
}

/// Why an image can't be pulled: its registry is known not to exist.
pub(crate) fn unreachable(full_name: &str) -> Option<String> {
    let (registry, rest) = full_name.split_once('/')?;
    let host = registry.split(':').next().unwrap_or(registry);
    let repository = rest.split(['@', ':']).next().unwrap_or(rest);
    let tag = rest.rsplit_once(['@', ':']).map_or("latest", |(_, tag)| tag);
    host.ends_with(NOWHERE).then(|| {
        format!(
            "failed to pull and unpack image {full_name:?}: failed to resolve reference {full_name:?}: failed to do \
             request: Head \"https://{registry}/v2/{repository}/manifests/{tag}\": dial tcp: lookup {host}: no such host"
        )
    })
}

/// True when a pull is due even if the image is there.
pub(crate) fn always_pulls(policy: &str, image: &str) -> bool {
    let latest = !image.contains('@') && normalized(image).is_ok_and(|full| full.ends_with(":latest"));
    policy == "Always" || (policy.is_empty() && latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_or_refused() {
        for (image, full) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("team/app", "docker.io/team/app:latest"),
            ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
        ] {
            assert_eq!(normalized(image).unwrap(), full);
        }
        assert_eq!(
            normalized("Nginx").unwrap_err(),
            "invalid reference format: repository name (library/Nginx) must be lowercase"
        );
        for image in ["", "a b", "nginx:", "-x", "nginx:a/b:c:", "nginx@sha256:12"] {
            assert_eq!(normalized(image).unwrap_err(), "invalid reference format", "{image}");
        }
    }

    #[test]
    fn only_registries_that_can_not_exist_are_unreachable() {
        assert!(unreachable("docker.io/library/nginx:latest").is_none());
        assert!(unreachable("registry.invalid/app:1").unwrap().ends_with("lookup registry.invalid: no such host"));
    }
}
