//! ConfigMaps, Secrets and ServiceAccounts.

use crate::registry::behaviour::{AGE, Behaviour, FieldLabel, NAME, Scene, column};
use crate::registry::cells::{age, name, size};
use crate::registry::warnings;
use serde_json::{Value, json};

pub(super) static CONFIG_MAP: Behaviour = Behaviour {
    columns: &[NAME, column("Data", "How many entries there are."), AGE],
    cells: |map, now| vec![name(map), json!(size(&map["data"]) + size(&map["binaryData"])), age(map, now)],
    ..Behaviour::PLAIN
};

pub(super) static SECRET: Behaviour = Behaviour {
    warnings: warnings::secret,
    fields: &[FieldLabel::Path("type")],
    columns: &[NAME, column("Type", "What the secret is for."), column("Data", "How many entries there are."), AGE],
    cells: |secret, now| vec![name(secret), secret["type"].clone(), json!(size(&secret["data"])), age(secret, now)],
    ..Behaviour::PLAIN
};

/// An account's secrets are known by their names, and by nothing else.
fn name_secrets(account: &mut Value, _: Option<&Value>, _: &Scene<'_>) {
    let secrets = account.get_mut("secrets").and_then(Value::as_array_mut).into_iter().flatten();
    for secret in secrets.filter_map(Value::as_object_mut) {
        secret.retain(|field, _| field == "name");
    }
}

pub(super) static SERVICE_ACCOUNT: Behaviour = Behaviour {
    prepare: name_secrets,
    warnings: warnings::service_account,
    returns_deleted: true,
    columns: &[NAME, AGE],
    cells: |account, now| vec![name(account), age(account, now)],
    ..Behaviour::PLAIN
};
