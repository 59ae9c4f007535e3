//! Reads the table of the built-in resources.

use super::{Resource, Subresource, Verbs};
use crate::registry::conversion;
use crate::registry::kinds;
use crate::schema;
use smol_str::{SmolStr, format_smolstr};
use tinyplane_wire::gvr::Gvk;

/// All rows, in the order of the table.
pub(super) fn rows() -> Vec<Resource> {
    let (mut rows, mut api_version) = (Vec::with_capacity(80), "");
    for line in include_str!("builtin.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[') {
            Some(heading) => api_version = heading.trim_end_matches(']'),
            None => rows.push(row(api_version, line)),
        }
    }
    rows
}

fn row(api_version: &str, line: &str) -> Resource {
    let mut words = line.split(' ');
    let mut next = || words.next().expect("a row of the checked-in table has four words, as a test shows");
    let (plural, kind, scope, verbs) = (next(), next(), next(), next());
    let gvk = Gvk::parse(api_version, kind);
    let (mut short_names, mut categories, mut stored) = (Vec::new(), Vec::new(), gvk.clone());
    let mut subresources = Vec::new();
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let list = || value.split(',').map(SmolStr::from).collect();
        match key {
            "short" => short_names = list(),
            "in" => categories = list(),
            "stored" => stored = Gvk::parse(value, kind),
            _ => subresources.push(subresource(&gvk, key, value)),
        }
    }
    let behaviour = kinds::behaviour(&stored.group, plural);
    let stored_type_id = schema::model().kind(&stored.group, &stored.version, &stored.kind);
    let has_raws = stored_type_id.is_some_and(|id| schema::model().get(id).raws);
    let group = if stored.group.is_empty() { "core" } else { &stored.group };
    Resource {
        singular: kind.to_lowercase().into(),
        namespaced: scope == "n",
        verbs: Verbs::of_letters(verbs),
        folder: format_smolstr!("/{group}/{plural}/"),
        type_id: schema::model().kind(&gvk.group, &gvk.version, &gvk.kind),
        stored_type_id,
        api_version: gvk.api_version().into(),
        field_names: behaviour.fields.iter().map(|field| SmolStr::new_static(field.name())).collect(),
        behaviour,
        custom: None,
        conversion: conversion::between(&gvk, &stored, has_raws),
        plural: plural.into(),
        short_names,
        categories,
        subresources,
        stored,
        gvk,
    }
}

fn subresource(own: &Gvk, key: &str, verbs: &str) -> Subresource {
    let (name, kind) = key.split_once(':').unwrap_or((key, &own.kind));
    let (kind, api_version) = kind.split_once('@').unwrap_or((kind, ""));
    let foreign = !api_version.is_empty();
    let gvk = if foreign { Gvk::parse(api_version, kind) } else { Gvk { kind: kind.into(), ..own.clone() } };
    Subresource { name: name.into(), gvk, foreign, verbs: Verbs::of_letters(verbs) }
}
