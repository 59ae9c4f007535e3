//! Which form of a discovery document a client wants.

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One document a group or group version.
    Plain,
    /// `APIGroupDiscoveryList` of version v2.
    Aggregated,
}

/// The first form in `Accept` that there is. Old aggregated versions and binary forms are not: a client that can read
/// nothing else gets `None`.
pub(super) fn wanted(accept: &str, has_aggregated: bool) -> Option<Form> {
    if accept.trim().is_empty() {
        return Some(Form::Plain);
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
    let is_json = matches!(media_type, "application/json" | "*/*" | "application/*");
    match kind {
        None if is_json => Some(Form::Plain),
        Some("APIGroupDiscoveryList") if is_json && has_aggregated && version == Some("v2") => Some(Form::Aggregated),
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
        assert_eq!(wanted("", true), Some(Form::Plain));
        assert_eq!(wanted(&format!("{v2},{beta},application/json"), true), Some(Form::Aggregated));
        assert_eq!(wanted(&format!("{v2},{beta},application/json"), false), Some(Form::Plain));
        assert_eq!(wanted(&format!("{beta},application/json"), true), Some(Form::Plain));
        assert_eq!(wanted("application/vnd.kubernetes.protobuf, */*", true), Some(Form::Plain));
        assert_eq!(wanted("application/cbor", true), None);
    }
}
