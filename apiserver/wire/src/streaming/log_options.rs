//! `PodLogOptions` as a query: from a client to the API server, and from there to the kubelet.

use crate::clock;
use crate::status::Cause;
use std::fmt::Write;
use std::time::SystemTime;

/// Which part of a container's log is asked for: `v1.PodLogOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodLogOptions {
    /// Which container; may be left out where there is only one.
    pub container: String,
    /// Goes on with what is written later.
    pub follow: bool,
    /// Of the container before the last restart.
    pub previous: bool,
    /// Each line begins with its time.
    pub timestamps: bool,
    /// Only what is younger than so many seconds.
    pub since_seconds: Option<i64>,
    /// Only what is younger than this time.
    pub since_time: Option<SystemTime>,
    /// Only so many lines from the end.
    pub tail_lines: Option<i64>,
    /// Only so many bytes.
    pub limit_bytes: Option<i64>,
    /// The API server need not verify the kubelet's certificate.
    pub insecure_skip_tls_verify_backend: bool,
    /// One of the container's streams is asked for, which is a feature that is off.
    pub names_stream: bool,
}

impl PodLogOptions {
    /// Reads a query's names and values. Unknown names are ignored, as upstream does.
    ///
    /// # Errors
    /// Go's sentence about the value that can't be read.
    pub fn decode<'a>(query: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        let mut options = Self::default();
        for (name, value) in query {
            match name {
                "container" => options.container = value.to_owned(),
                "follow" => options.follow = decode_bool(value),
                "previous" => options.previous = decode_bool(value),
                "timestamps" => options.timestamps = decode_bool(value),
                "insecureSkipTLSVerifyBackend" => options.insecure_skip_tls_verify_backend = decode_bool(value),
                "stream" => options.names_stream = true,
                "sinceSeconds" => options.since_seconds = decode_int(value)?,
                "tailLines" => options.tail_lines = decode_int(value)?,
                "limitBytes" => options.limit_bytes = decode_int(value)?,
                "sinceTime" => options.since_time = decode_time(value)?,
                _ => {}
            }
        }
        Ok(options)
    }

    /// What is wrong with them; nothing when they are valid.
    #[must_use]
    pub fn validate(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        let mut invalid = |field: &str, value: i64, why: &str| {
            causes.push(Cause {
                reason: "FieldValueInvalid".into(),
                message: format!("Invalid value: {value}: {why}"),
                field: field.into(),
            });
        };
        if let Some(lines) = self.tail_lines.filter(|lines| *lines < 0) {
            invalid("tailLines", lines, "must be greater than or equal to 0");
        }
        if let Some(bytes) = self.limit_bytes.filter(|bytes| *bytes < 1) {
            invalid("limitBytes", bytes, "must be greater than 0");
        }
        match (self.since_seconds, self.since_time) {
            (Some(_), Some(_)) => causes.push(Cause {
                reason: "FieldValueForbidden".into(),
                message: "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified".into(),
                // A path of one step without a name.
                field: "[]".into(),
            }),
            (Some(seconds), None) if seconds < 1 => invalid("sinceSeconds", seconds, "must be greater than 0"),
            _ => {}
        }
        if self.names_stream {
            causes.push(Cause {
                reason: "FieldValueForbidden".into(),
                message: "Forbidden: may not be specified".into(),
                field: "stream".into(),
            });
        }
        causes
    }

    /// The query that a kubelet is asked with, in upstream's order; empty when nothing is asked for.
    #[must_use]
    pub fn kubelet_query(&self) -> String {
        let mut query = String::new();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                let joint = if query.is_empty() { "" } else { "&" };
                // Writing to a String can't fail.
                let _ = write!(query, "{joint}{name}={value}");
            }
        };
        let flag = |set: bool| set.then(|| "true".to_owned());
        add("follow", flag(self.follow));
        add("limitBytes", self.limit_bytes.map(|n| n.to_string()));
        add("previous", flag(self.previous));
        add("sinceSeconds", self.since_seconds.map(|n| n.to_string()));
        add("sinceTime", self.since_time.map(|at| clock::format_seconds(at).replace(':', "%3A")));
        add("tailLines", self.tail_lines.map(|n| n.to_string()));
        add("timestamps", flag(self.timestamps));
        query
    }
}

/// As upstream reads a flag in a query: it is set unless it says otherwise.
fn decode_bool(value: &str) -> bool {
    !(value == "0" || value.eq_ignore_ascii_case("false"))
}

fn decode_int(value: &str) -> Result<Option<i64>, String> {
    value.parse().map(Some).map_err(|error: std::num::ParseIntError| {
        let why = match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.ParseInt: parsing \"{value}\": {why}")
    })
}

fn decode_time(value: &str) -> Result<Option<SystemTime>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    let read = clock::parse(value).map(Some);
    read.ok_or_else(|| {
        format!("parsing time \"{value}\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"{value}\" as \"2006\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_and_written_again() {
        let query = [("follow", "true"), ("tailLines", "5"), ("sinceTime", "2025-11-24T16:00:00Z"), ("pretty", "1")];
        let options = PodLogOptions::decode(query).unwrap();
        assert!(options.validate().is_empty());
        assert_eq!(options.kubelet_query(), "follow=true&sinceTime=2025-11-24T16%3A00%3A00Z&tailLines=5");
    }

    #[test]
    fn what_is_wrong_is_told_in_upstreams_words() {
        let unread = PodLogOptions::decode([("tailLines", "abc")]).unwrap_err();
        assert_eq!(unread, "strconv.ParseInt: parsing \"abc\": invalid syntax");
        let unread = PodLogOptions::decode([("limitBytes", "")]).unwrap_err();
        assert_eq!(unread, "strconv.ParseInt: parsing \"\": invalid syntax");
        let query = [("tailLines", "-1"), ("limitBytes", "0"), ("sinceSeconds", "0"), ("stream", "")];
        let options = PodLogOptions::decode(query).unwrap();
        let told: Vec<String> = options.validate().iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        assert_eq!(
            told,
            [
                "tailLines: Invalid value: -1: must be greater than or equal to 0",
                "limitBytes: Invalid value: 0: must be greater than 0",
                "sinceSeconds: Invalid value: 0: must be greater than 0",
                "stream: Forbidden: may not be specified",
            ]
        );
    }

    #[test]
    fn a_flag_is_set_unless_it_says_otherwise() {
        for (value, set) in [("", true), ("true", true), ("yes", true), ("False", false), ("0", false)] {
            assert_eq!(PodLogOptions::decode([("follow", value)]).unwrap().follow, set, "{value:?}");
        }
    }
}
