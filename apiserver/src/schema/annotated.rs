//! Parts of an autoscaler that only its later version has fields for, as annotations of the earlier one hold them.
//!
//! The texts are what Go's `encoding/json` writes of types that no version serves: the metrics as `autoscaling/v1`
//! has them, whose targets have not become objects yet, and the behaviour as upstream has it without a version, with
//! names that start with a capital letter. A form says at once how such a text is spelled and where in `autoscaling/v2`
//! each of its fields stands, so that reading and writing convert.

use super::decode::moment;
use super::go;
use super::quantity::Quantity;
use serde_json::{Map, Value, json};

mod forms;

pub(crate) use forms::{BEHAVIOR, CONDITIONS, METRICS, STATUSES};

/// The annotation with the metrics that are no targets of the processor's use.
pub(crate) const METRICS_ANNOTATION: &str = "autoscaling.alpha.kubernetes.io/metrics";
/// The annotation with the metrics as last seen.
pub(crate) const STATUSES_ANNOTATION: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
/// The annotation with the conditions.
pub(crate) const CONDITIONS_ANNOTATION: &str = "autoscaling.alpha.kubernetes.io/conditions";
/// The annotation with how fast replicas come and go.
pub(crate) const BEHAVIOR_ANNOTATION: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// All annotations that stand for fields. Upstream drops two more than it writes.
pub(crate) const ANNOTATIONS: [&str; 6] = [
    METRICS_ANNOTATION,
    STATUSES_ANNOTATION,
    CONDITIONS_ANNOTATION,
    BEHAVIOR_ANNOTATION,
    "autoscaling.alpha.kubernetes.io/scale-down-tolerance",
    "autoscaling.alpha.kubernetes.io/scale-up-tolerance",
];

/// How a value is spelled.
pub(crate) enum Form {
    /// A text.
    Text,
    /// A number of 32 bits.
    Whole,
    /// A quantity.
    Amount,
    /// A moment, to the second.
    Time,
    /// A map of texts.
    Texts,
    /// A list of values of one form.
    List(&'static Form),
    /// An object with these fields, in Go's order.
    Object(&'static [Part]),
}

/// A field of an object.
pub(crate) struct Part {
    /// Its name in the text.
    name: &'static str,
    /// Where it stands in `autoscaling/v2`, from the object on.
    place: &'static [&'static str],
    form: Form,
    absent: Absent,
}

/// What the text says of a field that is not set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    /// Its form's zero, for it can't be unset.
    Zero,
    /// Nothing.
    Omitted,
    /// `null`.
    Null,
}

/// What a text says, in the shape of `autoscaling/v2`: null for `null`. `None` where Go would find an error.
pub(crate) fn read(form: &Form, text: &str) -> Option<Value> {
    decode(form, &serde_json::from_str(text).ok()?)
}

/// The text that says a value of `autoscaling/v2`.
pub(crate) fn write(form: &Form, value: &Value) -> String {
    let mut out = String::new();
    encode(form, value, &mut out);
    out
}

/// Takes away the annotations that stand for fields.
pub(crate) fn drop_annotations(metadata: &mut Map<String, Value>) {
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else { return };
    let count = annotations.len();
    annotations.retain(|name, _| !ANNOTATIONS.contains(&name.as_str()));
    if annotations.is_empty() && count > 0 {
        metadata.remove("annotations");
    }
}

fn decode(form: &Form, value: &Value) -> Option<Value> {
    if value.is_null() {
        return Some(Value::Null);
    }
    Some(match form {
        Form::Text => value.as_str()?.into(),
        Form::Whole => i32::try_from(value.as_i64()?).ok()?.into(),
        Form::Amount => amount(value)?.into(),
        Form::Time => moment(value.as_str()?)?,
        Form::Texts => {
            let texts = value.as_object()?.iter().map(|(name, text)| Some((name.clone(), said(&Form::Text, text)?)));
            Value::Object(texts.collect::<Option<_>>()?)
        }
        Form::List(of) => value.as_array()?.iter().map(|value| said(of, value)).collect::<Option<_>>()?,
        Form::Object(parts) => object(parts, value.as_object()?)?,
    })
}

/// The same where there is no null: it stands for the form's zero.
fn said(form: &Form, value: &Value) -> Option<Value> {
    let value = decode(form, value)?;
    if !value.is_null() {
        return Some(value);
    }
    Some(match form {
        Form::Text => "".into(),
        Form::Whole => 0.into(),
        Form::Amount => "0".into(),
        Form::Object(parts) => object(parts, &Map::new())?,
        Form::Time | Form::Texts | Form::List(_) => Value::Null,
    })
}

fn object(parts: &[Part], fields: &Map<String, Value>) -> Option<Value> {
    let mut out = json!({});
    for part in parts {
        // Go takes a name in other letters where the very name is not there.
        let other = || fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(part.name)).map(|(_, value)| value);
        let value = fields.get(part.name).or_else(other).unwrap_or(&Value::Null);
        let value = if part.absent == Absent::Zero { said(&part.form, value)? } else { decode(&part.form, value)? };
        if !value.is_null() {
            *part.place.iter().fold(&mut out, |at, name| &mut at[*name]) = value;
        }
    }
    Some(out)
}

/// A quantity, which may be a number in JSON.
fn amount(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(Quantity::written(&text).ok()?.into_owned())
}

fn encode(form: &Form, value: &Value, out: &mut String) {
    match (form, value) {
        (Form::List(of), Value::Array(values)) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                encode(of, value, out);
            }
            out.push(']');
        }
        (Form::Object(parts), Value::Object(_) | Value::Null) => {
            out.push('{');
            for part in *parts {
                let value = part.place.iter().fold(value, |at, name| &at[*name]);
                if part.absent == Absent::Omitted && is_left_out(&part.form, value) {
                    continue;
                }
                out.push_str(if out.ends_with('{') { "" } else { "," });
                go::json_text(part.name, out);
                out.push(':');
                if part.absent == Absent::Null && value.is_null() {
                    out.push_str("null");
                } else {
                    encode(&part.form, value, out);
                }
            }
            out.push('}');
        }
        (Form::Text, Value::Null) => out.push_str("\"\""),
        (Form::Whole, Value::Null) => out.push('0'),
        (Form::Amount, Value::Null) => out.push_str("\"0\""),
        (_, value) => go::json(value, out),
    }
}

/// Whether Go leaves out a field that may be left out: it is not set, or its text, list or map is empty.
fn is_left_out(form: &Form, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => matches!(form, Form::Texts) && fields.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_again_in_the_order_of_go() {
        let text = r#"[{"type":"Object","object":{"target":{"kind":"K","name":"n"},"metricName":"x","targetValue":"2","selector":{"matchLabels":{"a":"\u003cb"},"matchExpressions":[{"key":"k","operator":"Exists"}]},"averageValue":"3"}},{"type":"Pods","pods":{"metricName":"","targetAverageValue":"0","selector":{}}}]"#;
        let metrics = read(&METRICS, text).unwrap();
        assert_eq!(metrics[0]["object"]["describedObject"], json!({"kind": "K", "name": "n"}));
        assert_eq!(metrics[0]["object"]["target"], json!({"value": "2", "averageValue": "3"}));
        assert_eq!(metrics[0]["object"]["metric"]["selector"]["matchLabels"], json!({"a": "<b"}));
        assert_eq!(write(&METRICS, &metrics), text);
        let text = r#"{"ScaleUp":{"StabilizationWindowSeconds":5,"SelectPolicy":null,"Policies":[{"Type":"Pods","Value":3,"PeriodSeconds":0}],"Tolerance":"50m"},"ScaleDown":null}"#;
        let behavior = read(&BEHAVIOR, text).unwrap();
        let policies = json!([{"type": "Pods", "value": 3, "periodSeconds": 0}]);
        let up = json!({"stabilizationWindowSeconds": 5, "policies": policies, "tolerance": "50m"});
        assert_eq!(behavior, json!({"scaleUp": up}));
        assert_eq!(write(&BEHAVIOR, &behavior), text);
        let text = r#"[{"type":"a","status":"True","lastTransitionTime":null}]"#;
        assert_eq!(write(&CONDITIONS, &read(&CONDITIONS, text).unwrap()), text);
    }

    #[test]
    fn texts_are_read_as_go_reads_them() {
        let resource = |field: &str| read(&METRICS, &format!(r#"[{{"type":"Resource","resource":{{{field}}}}}]"#));
        let target = |field: &str| resource(field).map(|metrics| metrics[0]["resource"]["target"].clone());
        assert_eq!(target(r#""TARGETaverageutilization":5"#), Some(json!({"averageUtilization": 5})));
        assert_eq!(target(r#""targetAverageValue":7.5"#), Some(json!({"averageValue": "7500m"})));
        assert_eq!(target(r#""targetAverageValue":null,"other":[]"#), Some(Value::Null));
        for wrong in [r#""targetAverageUtilization":"5""#, r#""targetAverageValue":"""#, r#""name":5"#] {
            assert_eq!(target(wrong), None, "{wrong}");
        }
        assert_eq!(read(&METRICS, "null"), Some(Value::Null));
        assert_eq!(read(&METRICS, "[null]"), Some(json!([{"type": ""}])));
        assert_eq!(read(&METRICS, "{}"), None);
        assert_eq!(read(&METRICS, "[] []"), None);
    }

    #[test]
    fn annotations_that_stand_for_fields_are_dropped() {
        let mut metadata = json!({"annotations": {METRICS_ANNOTATION: "x", ANNOTATIONS[5]: "", "a": "b"}});
        drop_annotations(metadata.as_object_mut().unwrap());
        assert_eq!(metadata, json!({"annotations": {"a": "b"}}));
        let mut metadata = json!({"annotations": {METRICS_ANNOTATION: "x"}});
        drop_annotations(metadata.as_object_mut().unwrap());
        assert_eq!(metadata, json!({}));
    }
}
