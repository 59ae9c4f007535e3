//! Prometheus' text form, version 0.0.4.

use super::Histogram;
use http::HeaderValue;
use std::fmt::Write;

/// The content type of the form.
pub const CONTENT_TYPE: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8; escaping=underscores");

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It is what it is now.
    Gauge,
    /// Counts by bounds.
    Histogram,
}

/// The text, as it grows.
#[derive(Debug, Default)]
pub struct Text {
    families: Vec<Family>,
}

/// What is told of one family.
#[derive(Debug, Default)]
struct Family {
    name: String,
    head: String,
    samples: String,
}

impl Text {
    /// Begins a family. Its samples follow.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let head = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        self.families.push(Family { name: name.to_owned(), head, samples: String::new() });
    }

    /// One sample.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.line(format_args!("{name}"));
        self.labels(labels, None);
        self.line(format_args!(" {}\n", number(value)));
    }

    /// The samples of a histogram.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating")]
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        let count = histogram.count();
        for (bound, below) in histogram.cumulative() {
            self.line(format_args!("{name}_bucket"));
            self.labels(labels, Some(&number(bound)));
            self.line(format_args!(" {}\n", number(below as f64)));
        }
        self.line(format_args!("{name}_bucket"));
        self.labels(labels, Some("+Inf"));
        self.line(format_args!(" {}\n", number(count as f64)));
        self.sample(&format!("{name}_sum"), labels, histogram.sum());
        self.sample(&format!("{name}_count"), labels, count as f64);
    }

    fn labels(&mut self, labels: &[(&str, &str)], bound: Option<&str>) {
        let all = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let mut separator = '{';
        for (name, value) in all {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.line(format_args!("{separator}{name}=\"{value}\""));
            separator = ',';
        }
        if separator == ',' {
            self.line(format_args!("}}"));
        }
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        if self.families.is_empty() {
            self.families.push(Family::default());
        }
        let samples = self.families.last_mut().map(|family| &mut family.samples);
        samples.map_or(Ok(()), |samples| samples.write_fmt(text)).expect("writing into a String succeeds");
    }

    /// The whole text: the families by their names, as Go tells them. Of those without a sample it says nothing.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.families.sort_by(|one, other| one.name.cmp(&other.name));
        let told = self.families.iter().filter(|family| !family.samples.is_empty());
        told.flat_map(|family| [family.head.as_str(), family.samples.as_str()]).collect()
    }

    /// What each family is, those without a sample among them.
    #[cfg(test)]
    pub fn heads(self) -> String {
        self.families.into_iter().map(|family| family.head).collect()
    }
}

/// A number as Go's `%g` writes it.
fn number(value: f64) -> String {
    if value == 0.0 || (value.abs() >= 1e-4 && value.abs() < 1e6) {
        return format!("{value}");
    }
    let scientific = format!("{value:e}");
    match scientific.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_labels_are_written_as_go_writes_them() {
        for (value, written) in [
            (0.0, "0"),
            (0.005, "0.005"),
            (1000.0, "1000"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (3e-5, "3e-05"),
        ] {
            assert_eq!(number(value), written);
        }
        let mut text = Text::default();
        text.sample("x", &[("a", "b\"c\\")], 1.0);
        text.sample("y", &[], 2.5);
        assert_eq!(text.finish(), "x{a=\"b\\\"c\\\\\"} 1\ny 2.5\n");
    }

    #[test]
    fn families_come_by_their_names_and_none_without_a_sample() {
        let mut text = Text::default();
        for name in ["b", "empty", "a"] {
            text.family(name, Kind::Gauge, "what it is");
            if name != "empty" {
                text.sample(name, &[], 1.0);
            }
        }
        assert_eq!(
            text.finish(),
            "# HELP a what it is\n# TYPE a gauge\na 1\n# HELP b what it is\n# TYPE b gauge\nb 1\n"
        );
    }
}
