//! What failed pods mean to a Job, and when it has succeeded: `podFailurePolicy` and `successPolicy`.

use super::field::{Errors, child, index, list, text};
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::qualified_name;

/// Most rules of either policy.
const RULES_MAX: usize = 20;
/// Most patterns of conditions in a rule.
const PATTERNS_MAX: usize = 20;
/// Most exit codes of a rule.
const EXIT_CODES_MAX: usize = 255;
/// Most bytes of the indexes of a rule.
const INDEXES_BYTES_MAX: usize = 64 << 10;
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];

/// Checks the policy on failures of a Job's spec.
pub(super) fn check_failures(spec: &Value, path: &str, errors: &mut Errors) {
    let (rules, path) = (list(&spec["podFailurePolicy"]["rules"]), child(path, "rules"));
    if rules.len() > RULES_MAX {
        errors.too_many(&path, rules.len(), RULES_MAX);
    }
    for (at, rule) in rules.iter().enumerate() {
        check_failure(spec, rule, &index(&path, at), errors);
    }
}

fn check_failure(spec: &Value, rule: &Value, path: &str, errors: &mut Errors) {
    let action = child(path, "action");
    if rule["action"] != "FailIndex" {
        word(&action, &rule["action"], &ACTIONS, errors);
    } else if spec["backoffLimitPerIndex"].is_null() {
        errors.invalid(action, &rule["action"], "requires the backoffLimitPerIndex to be set");
    }
    let (codes, patterns) = (&rule["onExitCodes"], list(&rule["onPodConditions"]));
    if !codes.is_null() {
        check_exit_codes(spec, codes, &child(path, "onExitCodes"), errors);
    }
    let patterns_path = child(path, "onPodConditions");
    if patterns.len() > PATTERNS_MAX {
        errors.too_many(&patterns_path, patterns.len(), PATTERNS_MAX);
    }
    for (at, pattern) in patterns.iter().enumerate() {
        let (path, kind) = (index(&patterns_path, at), text(&pattern["type"]));
        errors.grammar(child(&path, "type"), kind, qualified_name(kind));
        word(&child(&path, "status"), &pattern["status"], &STATUSES, errors);
    }
    match (codes.is_null(), patterns.is_empty()) {
        (false, false) => {
            errors.invalid_whole(path, "specifying both OnExitCodes and OnPodConditions is not supported");
        }
        (true, true) => errors.invalid_whole(path, "specifying one of OnExitCodes and OnPodConditions is required"),
        _ => {}
    }
}

/// One of a set of words; a missing one is told all of them.
fn word(path: &str, value: &Value, known: &[&str], errors: &mut Errors) {
    match text(value) {
        "" => {
            let known: Vec<String> = known.iter().map(|word| format!("{word:?}")).collect();
            errors.required(path, &format!("valid values: [{}]", known.join(" ")));
        }
        _ => errors.known(path, value, known),
    }
}

fn check_exit_codes(spec: &Value, codes: &Value, path: &str, errors: &mut Errors) {
    word(&child(path, "operator"), &codes["operator"], &OPERATORS, errors);
    let template = &spec["template"]["spec"];
    let mut containers = ["containers", "initContainers"].iter().flat_map(|field| list(&template[*field]));
    let container = &codes["containerName"];
    if container.is_string() && !containers.any(|one| one["name"] == *container) {
        let told = "must be one of the container or initContainer names in the pod template";
        errors.invalid(child(path, "containerName"), container, told);
    }
    let (values, values_path) = (list(&codes["values"]), child(path, "values"));
    if values.is_empty() {
        errors.invalid(&values_path, &codes["values"], "at least one value is required");
    } else if values.len() > EXIT_CODES_MAX {
        errors.too_many(&values_path, values.len(), EXIT_CODES_MAX);
    }
    let numbers: Vec<i64> = values.iter().map(|value| value.as_i64().unwrap_or_default()).collect();
    let mut seen = BTreeSet::new();
    for (at, value) in values.iter().enumerate() {
        if numbers[at] == 0 && codes["operator"] == "In" {
            errors.invalid(index(&values_path, at), value, "must not be 0 for the In operator");
        }
        if !seen.insert(numbers[at]) {
            errors.duplicate(index(&values_path, at), value);
        }
    }
    if !numbers.is_sorted() {
        errors.invalid(&values_path, &codes["values"], "must be ordered");
    }
}

/// Checks the policy on success of an indexed Job's spec.
pub(super) fn check_successes(spec: &Value, path: &str, errors: &mut Errors) {
    let (rules, path) = (list(&spec["successPolicy"]["rules"]), child(path, "rules"));
    if rules.is_empty() {
        errors.required(&path, "at least one rules must be specified when the successPolicy is specified");
    }
    if rules.len() > RULES_MAX {
        errors.too_many(&path, rules.len(), RULES_MAX);
    }
    let completions = spec["completions"].as_i64().unwrap_or_default();
    for (at, rule) in rules.iter().enumerate() {
        check_success(rule, completions, &index(&path, at), errors);
    }
}

fn check_success(rule: &Value, completions: i64, path: &str, errors: &mut Errors) {
    let (count, indexes) = (&rule["succeededCount"], rule["succeededIndexes"].as_str());
    if count.is_null() && indexes.is_none() {
        errors.required(path, "at least one of succeededCount or succeededIndexes must be specified");
    }
    let mut total = 0;
    if let Some(indexes) = indexes {
        let path = child(path, "succeededIndexes");
        if indexes.len() > INDEXES_BYTES_MAX {
            errors.too_long(&path, INDEXES_BYTES_MAX);
        }
        match count_indexes(indexes, completions) {
            Ok(counted) => total = counted,
            Err(told) => errors.invalid_text(path, indexes, &format!("error parsing succeededIndexes: {told}")),
        }
    }
    let Some(wanted) = count.as_i64() else { return };
    let path = child(path, "succeededCount");
    errors.non_negative(&path, count);
    if wanted > completions {
        let told = format!("must be less than or equal to {completions} (the number of specified completions)");
        errors.invalid(&path, count, &told);
    }
    if indexes.is_some() && wanted > total {
        let told = format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        );
        errors.invalid(&path, count, &told);
    }
}

/// How many indexes a text such as `1,3-5` names, which have to rise and to be below `completions`.
pub(super) fn count_indexes(text: &str, completions: i64) -> Result<i64, String> {
    let (mut last, mut total) = (None, 0);
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (first, end) = interval(part, completions)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

pub(super) fn interval(text: &str, completions: i64) -> Result<(i64, i64), String> {
    let number = |text: &str| {
        let read = text.parse::<i64>();
        let read = read.map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
        if read < completions { Ok(read) } else { Err(format!("too large index: {text:?}")) }
    };
    match text.split('-').collect::<Vec<_>>().as_slice() {
        [one] => number(one).map(|one| (one, one)),
        [first, last] => match (number(first)?, number(last)?) {
            (first, last) if first < last => Ok((first, last)),
            (first, last) => Err(format!("non-increasing order, previous: {first}, current: {last}")),
        },
        _ => Err(format!(
            "the fragment {text:?} violates the requirement that an index interval can have at most two parts separated by '-'"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_rise_and_are_counted() {
        assert_eq!(count_indexes("", 5), Ok(0));
        assert_eq!(count_indexes("0,2-4", 5), Ok(4));
        assert_eq!(count_indexes("2,1", 5).unwrap_err(), "non-increasing order, previous: 2, current: 1");
        assert_eq!(count_indexes("3-3", 5).unwrap_err(), "non-increasing order, previous: 3, current: 3");
        assert_eq!(count_indexes("5", 5).unwrap_err(), "too large index: \"5\"");
        assert_eq!(count_indexes("a", 5).unwrap_err(), "cannot convert string to integer for index: \"a\"");
        assert!(count_indexes("1-2-3", 5).unwrap_err().starts_with("the fragment \"1-2-3\" violates"));
    }
}
