//! Schemas of custom resources, and objects: `{"schema": …, "object": …}`.

use serde_json::Value;
use tinyplane_apiserver::schema::structural::Structural;
use tinyplane_apiserver::validation::Errors;

/// Pruned and defaulted is as much as pruned and defaulted twice; an object that fits its schema still does so then.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(input) = serde_json::from_slice::<Value>(bytes) else { return };
    let schema = Some(&input["schema"]).filter(|schema| schema.is_object());
    let mut object = input["object"].clone();
    if !object.is_object() {
        return;
    }
    let structural = Structural::compile(schema);
    structural.prune(&mut object);
    structural.default(&mut object);
    let mut once = object.clone();
    structural.prune(&mut once);
    // A default of a field that pruning takes away with its neighbours may come once more.
    structural.default(&mut once);
    assert_eq!(once, object, "{}", input["schema"]);
    let mut errors = Errors::default();
    structural.check(&object, &mut errors);
    structural.check_update(&object, &once, &mut errors);
    drop(structural.model());
}
