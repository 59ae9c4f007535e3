//! Which form of a discovery document a client wants.

use crate::codec::accept::Media;

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One document a group or group version, in these letters.
    Plain(Media),
    /// `APIGroupDiscoveryList` of version v2.
    Aggregated,
}

/// The first form in `Accept` that there is. Old aggregated versions are not, and the new one is in JSON alone: a client
/// that can read nothing else gets `None`.
pub(super) fn wanted(accept: &str, has_aggregated: bool) -> Option<Form> {
    if accept.trim().is_empty() {
        return Some(Form::Plain(Media::Json));
    }
    accept.split(',').find_map(|clause| form(clause, has_aggregated))
}

fn form(clause: &str, has_aggregated: bool) -> Option<Form> {
    let mut parts = clause.split(';').map(str::trim);
    let media_type = parts.next()?;
    let (mut kind, mut version) = (None, None);
    for parameter in parts {
        match parameter.split_once('=') {
            Some(("as", value)) => kind = Some(value),
            Some(("v", value)) => version = Some(value),
            _ => {}
        }
    }
    let media = match media_type {
        "application/json" | "*/*" | "application/*" => Media::Json,
        other => [Media::Yaml, Media::Protobuf].into_iter().find(|media| media.name() == other)?,
    };
    match kind {
        None => Some(Form::Plain(media)),
        Some("APIGroupDiscoveryList") if media == Media::Json && has_aggregated && version == Some("v2") => {
            Some(Form::Aggregated)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_exists_is_taken() {
        let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        let json = Some(Form::Plain(Media::Json));
        assert_eq!(wanted("", true), json);
        assert_eq!(wanted(&format!("{v2},{beta},application/json"), true), Some(Form::Aggregated));
        assert_eq!(wanted(&format!("{v2},{beta},application/json"), false), json);
        assert_eq!(wanted(&format!("{beta},application/json"), true), json);
        let protobuf = Some(Form::Plain(Media::Protobuf));
        assert_eq!(wanted("application/vnd.kubernetes.protobuf, */*", true), protobuf);
        assert_eq!(wanted("application/cbor", true), None);
    }
}
