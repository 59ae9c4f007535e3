//! What a schema says of lists and maps as a whole: how their entries are told apart.

use crate::validation::field::{Errors, key, list, text};
use serde_json::Value;

pub(super) fn check(path: &str, schema: &Value, errors: &mut Errors) {
    check_types(path, schema, errors);
    if schema["x-kubernetes-list-type"] == "map" {
        check_map(path, schema, errors);
    }
    check_keys(path, schema, errors);
}

fn check_types(path: &str, schema: &Value, errors: &mut Errors) {
    let (kind, list_type) = (text(&schema["type"]), text(&schema["x-kubernetes-list-type"]));
    let map_type = text(&schema["x-kubernetes-map-type"]);
    let of_kind = |wanted: &str, name: &str, errors: &mut Errors| {
        let why = format!("must be {wanted} if {name} is specified");
        if kind.is_empty() {
            errors.required(format!("{path}.type"), &why);
        } else if kind != wanted {
            errors.invalid_text(format!("{path}.type"), kind, &why);
        }
    };
    if !map_type.is_empty() {
        of_kind("object", "x-kubernetes-map-type", errors);
        if !["atomic", "granular"].contains(&map_type) {
            errors.unsupported(format!("{path}.x-kubernetes-map-type"), map_type, &["atomic", "granular"]);
        }
    }
    if !list_type.is_empty() {
        of_kind("array", "x-kubernetes-list-type", errors);
        if kind == "array" && list_type == "set" {
            check_set(path, &schema["items"], errors);
        }
        if !["atomic", "set", "map"].contains(&list_type) {
            errors.unsupported(format!("{path}.x-kubernetes-list-type"), list_type, &["atomic", "set", "map"]);
        }
    }
    if !list(&schema["x-kubernetes-list-map-keys"]).is_empty() && list_type != "map" {
        let at = format!("{path}.x-kubernetes-list-type");
        let why = "must be map if x-kubernetes-list-map-keys is non-empty";
        if list_type.is_empty() { errors.required(at, why) } else { errors.invalid_text(at, list_type, why) }
    }
}

/// The items of a set are told apart as wholes.
fn check_set(path: &str, items: &Value, errors: &mut Errors) {
    let (list_type, map_type) = (&items["x-kubernetes-list-type"], &items["x-kubernetes-map-type"]);
    let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
    if items["type"] == "array" && !list_type.is_null() && *list_type != "atomic" {
        errors.invalid(format!("{path}.items.x-kubernetes-list-type"), list_type, why);
    }
    if items["type"] == "object" && *map_type != "atomic" {
        // Upstream shows the type that an item has as a list.
        errors.invalid(format!("{path}.items.x-kubernetes-map-type"), list_type, why);
    }
}

fn check_map(path: &str, schema: &Value, errors: &mut Errors) {
    let (keys, at_keys) = (list(&schema["x-kubernetes-list-map-keys"]), format!("{path}.x-kubernetes-list-map-keys"));
    if keys.is_empty() {
        errors.required(&at_keys, "must not be empty if x-kubernetes-list-type is map");
    }
    let items = &schema["items"];
    if items.is_null() {
        return errors.required(format!("{path}.items"), "must have a schema if x-kubernetes-list-type is map");
    }
    if items.is_array() {
        let why = "must only have a single schema if x-kubernetes-list-type is map";
        return errors.invalid(format!("{path}.items"), items, why);
    }
    if items["type"] != "object" {
        let why = "must be object if parent array's x-kubernetes-list-type is map";
        return errors.invalid_text(format!("{path}.items.type"), text(&items["type"]), why);
    }
    for (at, name) in keys.iter().enumerate() {
        let field = &items["properties"][text(name)];
        let told = &schema["x-kubernetes-list-map-keys"];
        if field.is_null() {
            errors.invalid(&at_keys, told, "entries must all be names of item properties");
        } else if ["array", "object"].contains(&text(&field["type"])) {
            let path = key(&format!("{path}.items.properties"), text(name));
            let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            errors.invalid(format!("{path}.type"), &items["type"], why);
        }
        if keys[..at].contains(name) {
            errors.invalid(&at_keys, told, "must not contain duplicate entries");
        }
    }
}

/// What tells items apart is there in each.
fn check_keys(path: &str, schema: &Value, errors: &mut Errors) {
    let (list_type, items) = (text(&schema["x-kubernetes-list-type"]), &schema["items"]);
    if !items.is_object() || !["set", "map"].contains(&list_type) {
        return;
    }
    if items["nullable"] == true {
        let why = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        errors.forbidden(format!("{path}.items.nullable"), &why);
    }
    if list_type != "map" {
        return;
    }
    for name in list(&schema["x-kubernetes-list-map-keys"]) {
        let (field, path) = (&items["properties"][text(name)], key(&format!("{path}.items.properties"), text(name)));
        if field.is_null() {
            continue;
        }
        let property = "this property is in x-kubernetes-list-map-keys, so it";
        if field["default"].is_null() && !list(&items["required"]).contains(name) {
            let why = format!("{property} must have a default or be a required property");
            errors.required(format!("{path}.default"), &why);
        }
        if field["nullable"] == true {
            errors.forbidden(format!("{path}.nullable"), &format!("{property} cannot be nullable"));
        }
    }
}
