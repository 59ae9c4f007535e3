//! The forms of what is annotated: names of `autoscaling/v1` or of Go's, and where they stand in `autoscaling/v2`.

use super::Absent::{self, Null, Omitted, Zero};
use super::Form::{Amount, List, Object, Text, Texts, Time, Whole};
use super::{Form, Part};

/// A list of metrics.
pub(crate) static METRICS: Form = List(&Object(&[
    part("type", &["type"], Text, Zero),
    part("object", &["object"], Object(OBJECT_TARGET), Omitted),
    part("pods", &["pods"], Object(PODS_TARGET), Omitted),
    part("resource", &["resource"], Object(RESOURCE_TARGET), Omitted),
    part("containerResource", &["containerResource"], Object(CONTAINER_TARGET), Omitted),
    part("external", &["external"], Object(EXTERNAL_TARGET), Omitted),
]));

/// A list of metrics as last seen.
pub(crate) static STATUSES: Form = List(&Object(&[
    part("type", &["type"], Text, Zero),
    part("object", &["object"], Object(OBJECT_CURRENT), Omitted),
    part("pods", &["pods"], Object(PODS_CURRENT), Omitted),
    part("resource", &["resource"], Object(RESOURCE_CURRENT), Omitted),
    part("containerResource", &["containerResource"], Object(CONTAINER_CURRENT), Omitted),
    part("external", &["external"], Object(EXTERNAL_CURRENT), Omitted),
]));

/// A list of conditions.
pub(crate) static CONDITIONS: Form = List(&Object(&[
    part("type", &["type"], Text, Zero),
    part("status", &["status"], Text, Zero),
    part("lastTransitionTime", &["lastTransitionTime"], Time, Null),
    part("reason", &["reason"], Text, Omitted),
    part("message", &["message"], Text, Omitted),
]));

/// How fast replicas come and go.
pub(crate) static BEHAVIOR: Form = Object(&[
    part("ScaleUp", &["scaleUp"], Object(RULES), Null),
    part("ScaleDown", &["scaleDown"], Object(RULES), Null),
]);

const fn part(name: &'static str, place: &'static [&'static str], form: Form, absent: Absent) -> Part {
    Part { name, place, form, absent }
}

const OBJECT_TARGET: &[Part] = &[
    part("target", &["describedObject"], Object(REFERENCE), Zero),
    part("metricName", &["metric", "name"], Text, Zero),
    part("targetValue", &["target", "value"], Amount, Zero),
    part("selector", &["metric", "selector"], Object(SELECTOR), Omitted),
    part("averageValue", &["target", "averageValue"], Amount, Omitted),
];
const PODS_TARGET: &[Part] = &[
    part("metricName", &["metric", "name"], Text, Zero),
    part("targetAverageValue", &["target", "averageValue"], Amount, Zero),
    part("selector", &["metric", "selector"], Object(SELECTOR), Omitted),
];
const RESOURCE_TARGET: &[Part] = &[
    part("name", &["name"], Text, Zero),
    part("targetAverageUtilization", &["target", "averageUtilization"], Whole, Omitted),
    part("targetAverageValue", &["target", "averageValue"], Amount, Omitted),
];
const CONTAINER_TARGET: &[Part] = &[
    part("name", &["name"], Text, Zero),
    part("targetAverageUtilization", &["target", "averageUtilization"], Whole, Omitted),
    part("targetAverageValue", &["target", "averageValue"], Amount, Omitted),
    part("container", &["container"], Text, Zero),
];
const EXTERNAL_TARGET: &[Part] = &[
    part("metricName", &["metric", "name"], Text, Zero),
    part("metricSelector", &["metric", "selector"], Object(SELECTOR), Omitted),
    part("targetValue", &["target", "value"], Amount, Omitted),
    part("targetAverageValue", &["target", "averageValue"], Amount, Omitted),
];

const OBJECT_CURRENT: &[Part] = &[
    part("target", &["describedObject"], Object(REFERENCE), Zero),
    part("metricName", &["metric", "name"], Text, Zero),
    part("currentValue", &["current", "value"], Amount, Zero),
    part("selector", &["metric", "selector"], Object(SELECTOR), Omitted),
    part("averageValue", &["current", "averageValue"], Amount, Omitted),
];
const PODS_CURRENT: &[Part] = &[
    part("metricName", &["metric", "name"], Text, Zero),
    part("currentAverageValue", &["current", "averageValue"], Amount, Zero),
    part("selector", &["metric", "selector"], Object(SELECTOR), Omitted),
];
const RESOURCE_CURRENT: &[Part] = &[
    part("name", &["name"], Text, Zero),
    part("currentAverageUtilization", &["current", "averageUtilization"], Whole, Omitted),
    part("currentAverageValue", &["current", "averageValue"], Amount, Zero),
];
const CONTAINER_CURRENT: &[Part] = &[
    part("name", &["name"], Text, Zero),
    part("currentAverageUtilization", &["current", "averageUtilization"], Whole, Omitted),
    part("currentAverageValue", &["current", "averageValue"], Amount, Zero),
    part("container", &["container"], Text, Zero),
];
const EXTERNAL_CURRENT: &[Part] = &[
    part("metricName", &["metric", "name"], Text, Zero),
    part("metricSelector", &["metric", "selector"], Object(SELECTOR), Omitted),
    part("currentValue", &["current", "value"], Amount, Zero),
    part("currentAverageValue", &["current", "averageValue"], Amount, Omitted),
];

const REFERENCE: &[Part] = &[
    part("kind", &["kind"], Text, Zero),
    part("name", &["name"], Text, Zero),
    part("apiVersion", &["apiVersion"], Text, Omitted),
];
const SELECTOR: &[Part] = &[
    part("matchLabels", &["matchLabels"], Texts, Omitted),
    part("matchExpressions", &["matchExpressions"], List(&Object(REQUIREMENT)), Omitted),
];
const REQUIREMENT: &[Part] = &[
    part("key", &["key"], Text, Zero),
    part("operator", &["operator"], Text, Zero),
    part("values", &["values"], List(&Text), Omitted),
];

const RULES: &[Part] = &[
    part("StabilizationWindowSeconds", &["stabilizationWindowSeconds"], Whole, Null),
    part("SelectPolicy", &["selectPolicy"], Text, Null),
    part("Policies", &["policies"], List(&Object(POLICY)), Null),
    part("Tolerance", &["tolerance"], Amount, Null),
];
const POLICY: &[Part] = &[
    part("Type", &["type"], Text, Zero),
    part("Value", &["value"], Whole, Zero),
    part("PeriodSeconds", &["periodSeconds"], Whole, Zero),
];
