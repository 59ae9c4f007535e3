//! `CustomResourceDefinition`s: names, versions, and what hangs on each version.

mod conversion;
mod lists;
mod rules;
mod schema;
mod shown;
mod structural;

use super::field::{Errors, index, list, text};
use super::metadata::label_1035;
use crate::schema::go;
use crate::schema::structural::{Patterns, Structural};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use tinyplane_wire::meta::{Meta, dns_subdomain};

/// Most fields that a version may offer to selectors.
const SELECTABLE_MAX: usize = 8;
/// Longest warning that a deprecated version may have its callers told.
const WARNING_BYTES_MAX: usize = 256;
const COLUMN_TYPES: &str = "boolean,date,integer,number,string";
const COLUMN_FORMATS: &str = "byte,date,date-time,double,float,int32,int64,password";

pub(super) fn check(definition: &Value, errors: &mut Errors) {
    check_name(definition, errors);
    check_spec(definition, errors);
    check_standing(definition, errors);
}

/// A changed definition: what may not change is told before what has been stored.
pub(super) fn check_changed(new: &Value, old: &Value, errors: &mut Errors) {
    check_spec(new, errors);
    check_update(new, old, errors);
    check_standing(new, errors);
}

fn check_standing(definition: &Value, errors: &mut Errors) {
    check_stored(definition, errors);
    check_approval(definition, errors);
    if definition["spec"]["preserveUnknownFields"] == true {
        let why =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.invalid("spec.preserveUnknownFields", &json!(true), why);
    }
}

fn check_name(definition: &Value, errors: &mut Errors) {
    let names = &definition["spec"]["names"];
    let wanted = format!("{}.{}", text(&names["plural"]), text(&definition["spec"]["group"]));
    let told = "must be spec.names.plural+\".\"+spec.group";
    let (name, prefix) = (Meta::of(definition).name(), text(&definition["metadata"]["generateName"]));
    if !prefix.is_empty() && prefix != wanted {
        errors.invalid_text("metadata.generateName", prefix, told);
    }
    if !name.is_empty() && name != wanted {
        errors.invalid_text("metadata.name", name, told);
    }
}

fn check_spec(definition: &Value, errors: &mut Errors) {
    let spec = &definition["spec"];
    check_group(text(&spec["group"]), errors);
    errors.one_of("spec.scope", &spec["scope"], &["Cluster", "Namespaced"]);
    let mut versions = Versions::of(list(&spec["versions"]));
    check_versions(&mut versions, &spec["versions"], errors);
    for field in ["plural", "singular", "kind", "listKind"] {
        errors.needed(format!("spec.names.{field}"), &spec["names"][field], "");
    }
    check_names(&spec["names"], errors);
    check_parts(&mut versions, None, errors);
    conversion::check(&spec["conversion"], errors);
}

fn check_update(new: &Value, old: &Value, errors: &mut Errors) {
    let established =
        list(&old["status"]["conditions"]).iter().any(|c| c["type"] == "Established" && c["status"] == "True");
    let (is, was) = (&new["spec"], &old["spec"]);
    if established {
        errors.immutable("spec.scope", &is["scope"], &was["scope"]);
        errors.immutable("spec.names.kind", &is["names"]["kind"], &was["names"]["kind"]);
    }
    errors.immutable("spec.group", &is["group"], &was["group"]);
    errors.immutable("spec.names.plural", &is["names"]["plural"], &was["names"]["plural"]);
}

fn check_group(group: &str, errors: &mut Errors) {
    let complaints = dns_subdomain(group);
    if group.is_empty() {
        errors.required("spec.group", "");
    } else if !complaints.is_empty() {
        errors.invalid_text("spec.group", group, &complaints.join(","));
    } else if !group.contains('.') {
        errors.invalid_text("spec.group", group, "should be a domain with at least one dot");
    }
}

fn check_names(names: &Value, errors: &mut Errors) {
    let word = |path: String, value: &str, mixed: bool, needed: bool, errors: &mut Errors| {
        let complaints = if mixed { label_1035(&value.to_lowercase()) } else { label_1035(value) };
        if (needed || !value.is_empty()) && !complaints.is_empty() {
            let note = if mixed { "may have mixed case, but should otherwise match: " } else { "" };
            errors.invalid_text(path, value, &format!("{note}{}", complaints.join(",")));
        }
    };
    for field in ["plural", "singular"] {
        word(format!("spec.names.{field}"), text(&names[field]), false, false, errors);
    }
    for field in ["kind", "listKind"] {
        word(format!("spec.names.{field}"), text(&names[field]), true, false, errors);
    }
    for (at, value) in list(&names["shortNames"]).iter().enumerate() {
        word(index("spec.names.shortNames", at), text(value), false, true, errors);
    }
    if !text(&names["kind"]).is_empty() && names["kind"] == names["listKind"] {
        errors.invalid("spec.names.listKind", &names["listKind"], "kind and listKind may not be the same");
    }
    for (at, value) in list(&names["categories"]).iter().enumerate() {
        word(index("spec.names.categories", at), text(value), false, true, errors);
    }
}

/// The versions of a definition, and what is looked at once for all of them.
struct Versions<'v> {
    all: &'v [Value],
    /// The parts that are the same in all of them: upstream keeps them at the top, and judges them there.
    common: Vec<&'static str>,
    patterns: Patterns,
}

impl<'v> Versions<'v> {
    fn of(all: &'v [Value]) -> Self {
        let parts = ["schema", "subresources", "additionalPrinterColumns", "selectableFields"];
        let is_common = |part: &&str| all.iter().all(|version| version[*part] == all[0][*part]);
        let common = parts.into_iter().filter(is_common);
        Self { all, common: common.collect(), patterns: Patterns::default() }
    }

    /// A part that is judged at this place, with the path that is told: of a version, or at the top what all have in common.
    fn part(&self, part: &str, place: Option<usize>) -> Option<(String, &'v Value)> {
        let is_here = self.common.contains(&part) == place.is_none();
        let version = self.all.get(place.unwrap_or_default()).filter(|_| is_here)?;
        let path = match place {
            Some(at) => format!("spec.versions[{at}].{part}"),
            None if part == "schema" => "spec.validation".to_owned(),
            None => format!("spec.{part}"),
        };
        Some((path, &version[part]))
    }
}

fn check_versions(versions: &mut Versions, written: &Value, errors: &mut Errors) {
    let all = versions.all;
    for (at, version) in all.iter().enumerate() {
        if version["schema"]["openAPIV3Schema"].is_null() {
            errors.required(format!("spec.versions[{at}].schema.openAPIV3Schema"), "");
        }
    }
    for (at, version) in all.iter().enumerate() {
        let path = index("spec.versions", at);
        let complaints = label_1035(text(&version["name"]));
        if !complaints.is_empty() {
            errors.invalid(format!("{path}.name"), &version["name"], &complaints.join(","));
        }
        check_deprecation(version, &format!("{path}.deprecationWarning"), errors);
        check_parts(versions, Some(at), errors);
    }
    let names: HashSet<&str> = all.iter().map(|version| text(&version["name"])).collect();
    if names.len() < all.len() {
        let shown = shown::versions(written, &versions.common);
        errors.invalid_as("spec.versions", &shown, "must contain unique version names");
    }
    if all.iter().filter(|version| version["storage"] == true).count() != 1 {
        let shown = shown::versions(written, &versions.common);
        errors.invalid_as("spec.versions", &shown, "must have exactly one version marked as storage version");
    }
    // Upstream keeps the name of the first version at the top as well.
    let first = all.first().map(|version| text(&version["name"])).filter(|name| !name.is_empty());
    let complaints = first.map(label_1035).unwrap_or_default();
    if let Some(name) = first.filter(|_| !complaints.is_empty()) {
        errors.invalid_text("spec.version", name, &complaints.join(","));
    }
}

fn check_deprecation(version: &Value, path: &str, errors: &mut Errors) {
    let written = &version["deprecationWarning"];
    let Some(warning) = written.as_str() else { return };
    // Go writes what it has a pointer to as JSON.
    let mut shown = String::new();
    go::json(written, &mut shown);
    if version["deprecated"] != true {
        return errors.invalid_as(path, &shown, "can only be set for deprecated versions");
    }
    if warning.len() > WARNING_BYTES_MAX {
        errors.invalid_as(path, &shown, "must be <= 256 characters long");
    }
    if warning.is_empty() {
        errors.invalid_as(path, &shown, "must not be an empty string");
    }
    if let Some((at, _)) = warning.char_indices().find(|(_, c)| c.is_control() || (c.is_whitespace() && *c != ' ')) {
        let why = "must only contain printable UTF-8 characters; non-printable character found at index";
        errors.invalid_as(path, &shown, &format!("{why} {at}"));
    }
}

/// What hangs on a version, or on all of them alike.
fn check_parts(versions: &mut Versions, place: Option<usize>, errors: &mut Errors) {
    let schema = versions.part("schema", place);
    if let Some((path, schema)) = schema.as_ref().filter(|(_, schema)| schema["openAPIV3Schema"].is_object()) {
        // What all versions share is checked for those of them that have a status.
        let meant = place.map_or(versions.all, |at| &versions.all[at..=at]);
        let has_status = meant.iter().any(|version| !version["subresources"]["status"].is_null());
        let path = format!("{path}.openAPIV3Schema");
        schema::check(&path, &schema["openAPIV3Schema"], has_status, &mut versions.patterns, errors);
    }
    if let Some((path, subresources)) = versions.part("subresources", place) {
        check_scale(&format!("{path}.scale"), &subresources["scale"], errors);
    }
    if let Some((path, columns)) = versions.part("additionalPrinterColumns", place) {
        for (at, column) in list(columns).iter().enumerate() {
            check_column(&index(&path, at), column, errors);
        }
    }
    let selectable = versions.part("selectableFields", place);
    let Some((path, fields)) = selectable.filter(|(_, fields)| !list(fields).is_empty()) else { return };
    // Upstream looks for the schema where it looks for the fields.
    match schema.map(|(_, schema)| &schema["openAPIV3Schema"]).filter(|schema| schema.is_object()) {
        Some(schema) => check_selectable(&path, list(fields), schema, &mut versions.patterns, errors),
        None if place.is_none() => errors.invalid_text(path, "", "may only be set when validations.schema is included"),
        None => {
            let why = "may only be set when `version.schema.openAPIV3Schema` is not included";
            errors.invalid_text(path, "", why);
        }
    }
}

fn check_scale(path: &str, scale: &Value, errors: &mut Errors) {
    if scale.is_null() {
        return;
    }
    for (field, root, needed) in
        [("specReplicasPath", "spec", true), ("statusReplicasPath", "status", true), ("labelSelectorPath", "", false)]
    {
        let path = format!("{path}.{field}");
        let written = text(&scale[field]);
        if written.is_empty() {
            if needed {
                errors.required(path, "");
            }
            continue;
        }
        let under = |root: &str| written.starts_with(&format!(".{root}."));
        if !written.starts_with('.') {
            errors.invalid_text(path, written, "must be a simple json path starting with .");
        } else if root.is_empty() && !under("spec") && !under("status") {
            errors.invalid_text(path, written, "should be a json path under either .spec or .status");
        } else if !root.is_empty() && !under(root) {
            errors.invalid_text(path, written, &format!("should be a json path under .{root}"));
        }
    }
}

fn check_column(path: &str, column: &Value, errors: &mut Errors) {
    errors.needed(format!("{path}.name"), &column["name"], "");
    let kind = text(&column["type"]);
    let why = format!("must be one of {COLUMN_TYPES}");
    if kind.is_empty() {
        errors.required(format!("{path}.type"), &why);
    } else if !COLUMN_TYPES.split(',').any(|known| known == kind) {
        errors.invalid_text(format!("{path}.type"), kind, &why);
    }
    let format = text(&column["format"]);
    if !format.is_empty() && !COLUMN_FORMATS.split(',').any(|known| known == format) {
        errors.invalid_text(format!("{path}.format"), format, &format!("must be one of {COLUMN_FORMATS}"));
    }
    match text(&column["jsonPath"]) {
        "" => errors.required(format!("{path}.JSONPath"), ""),
        written if written.starts_with('.') => {}
        written => {
            errors.invalid_text(format!("{path}.JSONPath"), written, "must be a simple json path starting with .");
        }
    }
}

fn check_selectable(path: &str, fields: &[Value], schema: &Value, patterns: &mut Patterns, errors: &mut Errors) {
    const WRONG_TYPE: &str = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
    let structural = Structural::compile_with(Some(schema), patterns);
    let mut told = HashSet::new();
    for (at, field) in fields.iter().enumerate() {
        let (path, written) = (format!("{}.jsonPath", index(path, at)), text(&field["jsonPath"]));
        if written.is_empty() {
            errors.required(path, "");
            continue;
        }
        let (names, kind) = match referred(&structural, written) {
            Ok(referred) => referred,
            Err(why) => {
                errors.invalid_text(path, written, &format!("is an invalid path: {why}"));
                continue;
            }
        };
        if names.first() == Some(&"metadata") {
            errors.invalid_text(&path, written, "must not point to fields in metadata");
        }
        if !["string", "boolean", "integer"].contains(&kind) {
            errors.invalid_text(&path, written, WRONG_TYPE);
        }
        if !told.insert(names) {
            errors.duplicate(path, &field["jsonPath"]);
        }
    }
    if told.len() > SELECTABLE_MAX {
        errors.too_many(path, told.len(), SELECTABLE_MAX);
    }
}

/// The names of a path of dots, and the type of the field to which it leads.
fn referred<'p, 's>(structural: &'s Structural, path: &'p str) -> Result<(Vec<&'p str>, &'s str), String> {
    let (mut names, mut rest) = (Vec::new(), path);
    let mut kind = "object";
    let token = |rest: &mut &'p str| {
        let end = rest.find(['.', '[', ']']).map_or(rest.len(), |at| at.max(1));
        let (token, left) = rest.split_at(end);
        *rest = left;
        token
    };
    while !rest.is_empty() {
        match token(&mut rest) {
            "." if rest.is_empty() => return Err("unexpected end of JSON path".to_owned()),
            "." => names.push(token(&mut rest)),
            "[" => return Err("array notation is not allowed".to_owned()),
            other => return Err(format!("expected [ or . but got: {other}")),
        }
        kind = structural.kind_at(&names).ok_or("does not refer to a valid field")?;
    }
    Ok((names, kind))
}

/// Versions in which objects may still be stored stay, and the one in which they are stored now is among them.
fn check_stored(definition: &Value, errors: &mut Errors) {
    let (all, path) = (&definition["status"]["storedVersions"], "status.storedVersions");
    let (versions, stored) = (list(&definition["spec"]["versions"]), list(all));
    if stored.is_empty() {
        return errors.invalid(path, &Value::Null, "must have at least one stored version");
    }
    // Both lists are as long as a client pleases. Of one that is told twice, upstream sees the last.
    let mut left: HashMap<&str, usize> = stored.iter().enumerate().map(|(at, one)| (text(one), at)).collect();
    for version in versions {
        if errors.is_full() {
            return;
        }
        // What one version has found, another of its name finds no more.
        let name = text(&version["name"]);
        if left.remove(name).is_none() && version["storage"] == true {
            errors.invalid(path, all, &format!("must have the storage version {name}"));
        }
    }
    for (at, one) in stored.iter().enumerate() {
        let name = text(one);
        if errors.is_full() {
            return;
        }
        if left.get(name) == Some(&at) {
            let why = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            );
            errors.invalid(index(path, at), one, &why);
        }
    }
}

/// Groups of the community's own need a word of its reviewers.
fn check_approval(definition: &Value, errors: &mut Errors) {
    const ANNOTATION: &str = "api-approved.kubernetes.io";
    let group = text(&definition["spec"]["group"]);
    let guarded = |own: &str| group.strip_suffix(own).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if !guarded("k8s.io") && !guarded("kubernetes.io") {
        return;
    }
    let path = format!("metadata.annotations[{ANNOTATION}]");
    match definition["metadata"]["annotations"][ANNOTATION].as_str() {
        None | Some("") => errors.required(
            path,
            "protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111",
        ),
        Some(word) if word.starts_with("unapproved") || word.starts_with("http://") || word.starts_with("https://") => {}
        Some(word) => errors.invalid_text(
            path,
            word,
            "protected groups must have approval annotation \"api-approved.kubernetes.io\" with either a URL or a reason starting with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111",
        ),
    }
}

#[cfg(test)]
mod tests;
