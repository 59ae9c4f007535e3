//! The files of a pod's volumes: ConfigMaps, Secrets, tokens and the pod's own fields, laid out as it asks.

use super::field::Downward;
use super::sources::{Kind, SourceError, Sources, Watched};
use super::spec::{ConfigMapVolume, DownwardVolume, KeyToPath, PodSpec, SecretVolume, TokenProjection, Volume};
use super::token::Tokens;
use crate::runtime::{self, VolumeFile};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tinyplane_wire::meta::Meta;

/// Permissions of a file unless the pod says otherwise.
const MODE: u32 = 0o644;

/// Where the files of a pod's volumes come from.
pub(crate) struct Origin<'a> {
    pub(crate) downward: Downward<'a>,
    pub(crate) sources: &'a Sources,
    pub(crate) tokens: &'a Tokens,
}

/// The files of a volume, or nothing where a container fills it. The error is the tail of `FailedMount`'s message.
pub(crate) async fn files(volume: &Volume, origin: &Origin<'_>) -> Result<Option<runtime::Volume>, String> {
    let mut files = BTreeMap::new();
    if let Some(map) = &volume.config_map {
        put_config_map(&mut files, map, map.default_mode, origin).await?;
    } else if let Some(secret) = &volume.secret {
        put_secret(&mut files, secret, &secret.secret_name, secret.default_mode, origin).await?;
    } else if let Some(downward) = &volume.downward_api {
        put_downward(&mut files, downward, downward.default_mode, origin)?;
    } else if let Some(projected) = &volume.projected {
        let mode = projected.default_mode;
        for source in &projected.sources {
            if let Some(map) = &source.config_map {
                put_config_map(&mut files, map, mode, origin).await?;
            }
            if let Some(secret) = &source.secret {
                put_secret(&mut files, secret, &secret.name, mode, origin).await?;
            }
            if let Some(downward) = &source.downward_api {
                put_downward(&mut files, downward, mode, origin)?;
            }
            if let Some(token) = &source.service_account_token {
                put_token(&mut files, token, mode, origin).await?;
            }
        }
    } else if volume.empty_dir.is_some() || volume.host_path.is_some() {
        return Ok(None);
    } else {
        return Err(
            "this node makes configMap, secret, downwardAPI, projected, emptyDir and hostPath volumes only".into()
        );
    }
    Ok(Some(files))
}

/// True when a volume's files may change while the pod runs.
pub(crate) fn changes(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some()
}

/// Begins to watch every object that a pod may need, so that all first sights come in at once.
pub(crate) fn hold_all(spec: &PodSpec, namespace: &str, sources: &Sources) -> Vec<Arc<Watched>> {
    let mut names = Vec::new();
    for volume in &spec.volumes {
        names.extend(volume.config_map.iter().map(|map| (Kind::ConfigMap, &map.name)));
        names.extend(volume.secret.iter().map(|secret| (Kind::Secret, &secret.secret_name)));
        for source in volume.projected.iter().flat_map(|projected| &projected.sources) {
            names.extend(source.config_map.iter().map(|map| (Kind::ConfigMap, &map.name)));
            names.extend(source.secret.iter().map(|secret| (Kind::Secret, &secret.name)));
        }
    }
    for container in spec.all() {
        for from in &container.env_from {
            names.extend(from.config_map_ref.iter().map(|map| (Kind::ConfigMap, &map.name)));
            names.extend(from.secret_ref.iter().map(|secret| (Kind::Secret, &secret.name)));
        }
        for from in container.env.iter().filter_map(|variable| variable.value_from.as_ref()) {
            names.extend(from.config_map_key_ref.iter().map(|map| (Kind::ConfigMap, &map.name)));
            names.extend(from.secret_key_ref.iter().map(|secret| (Kind::Secret, &secret.name)));
        }
    }
    names.into_iter().filter_map(|(kind, name)| sources.hold(kind, namespace, name)).collect()
}

async fn put_config_map(
    files: &mut runtime::Volume,
    map: &ConfigMapVolume,
    mode: Option<u32>,
    origin: &Origin<'_>,
) -> Result<(), String> {
    let Some(object) = object(Kind::ConfigMap, &map.name, map.optional, origin).await? else { return Ok(()) };
    let text = |value: &Value| value.as_str().map(|text| Bytes::copy_from_slice(text.as_bytes()));
    let mut entries = decode(&object["data"], text);
    entries.extend(decode(&object["binaryData"], base64));
    put(files, &entries, &map.items, (mode, map.optional), Kind::ConfigMap)
}

async fn put_secret(
    files: &mut runtime::Volume,
    secret: &SecretVolume,
    name: &str,
    mode: Option<u32>,
    origin: &Origin<'_>,
) -> Result<(), String> {
    let Some(object) = object(Kind::Secret, name, secret.optional, origin).await? else { return Ok(()) };
    put(files, &decode(&object["data"], base64), &secret.items, (mode, secret.optional), Kind::Secret)
}

async fn object(kind: Kind, name: &str, optional: bool, origin: &Origin<'_>) -> Result<Option<Arc<Value>>, String> {
    match origin.sources.get(kind, Meta::of(origin.downward.pod).namespace(), name).await {
        Ok(object) => Ok(Some(object)),
        Err(SourceError::NotFound) if optional => Ok(None),
        Err(error) => Err(error.told(kind, name)),
    }
}

fn base64(value: &Value) -> Option<Bytes> {
    STANDARD.decode(value.as_str()?).ok().map(Bytes::from)
}

fn decode(map: &Value, read: impl Fn(&Value) -> Option<Bytes>) -> BTreeMap<&str, Bytes> {
    map.as_object().into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), read(value)?))).collect()
}

/// Lays entries out: all of them under their keys, or those that `items` names under its paths.
fn put(
    files: &mut runtime::Volume,
    entries: &BTreeMap<&str, Bytes>,
    items: &[KeyToPath],
    (mode, optional): (Option<u32>, bool),
    kind: Kind,
) -> Result<(), String> {
    let mode = mode.unwrap_or(MODE);
    if items.is_empty() {
        for (key, bytes) in entries {
            files.insert((*key).to_owned(), VolumeFile { bytes: bytes.clone(), mode });
        }
        return Ok(());
    }
    for item in items {
        match entries.get(item.key.as_str()) {
            Some(bytes) => {
                let file = VolumeFile { bytes: bytes.clone(), mode: item.mode.unwrap_or(mode) };
                files.insert(item.path.clone(), file);
            }
            None if optional => {}
            None => {
                let word = if kind == Kind::ConfigMap { "configmap" } else { "secret" };
                return Err(format!("{word} references non-existent {} key: {}", config_or_secret(kind), item.key));
            }
        }
    }
    Ok(())
}

fn config_or_secret(kind: Kind) -> &'static str {
    if kind == Kind::ConfigMap { "config" } else { "secret" }
}

fn put_downward(
    files: &mut runtime::Volume,
    downward: &DownwardVolume,
    mode: Option<u32>,
    origin: &Origin<'_>,
) -> Result<(), String> {
    for item in &downward.items {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(field), _) => origin.downward.field(&field.field_path)?,
            (None, Some(resource)) => origin.downward.resource(resource, "")?,
            (None, None) => continue,
        };
        let mode = item.mode.or(mode).unwrap_or(MODE);
        files.insert(item.path.clone(), VolumeFile { bytes: text.into(), mode });
    }
    Ok(())
}

async fn put_token(
    files: &mut runtime::Volume,
    token: &TokenProjection,
    mode: Option<u32>,
    origin: &Origin<'_>,
) -> Result<(), String> {
    let text = origin.tokens.get(token, &origin.downward).await?;
    files.insert(token.path.clone(), VolumeFile { bytes: text.into(), mode: mode.unwrap_or(MODE) });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn projected(volume: Value, objects: Vec<(Kind, Value)>) -> Result<Option<runtime::Volume>, String> {
        let pod = json!({
            "metadata": {"name": "web", "namespace": "d", "labels": {"a": "1"}}, "spec": {"volumes": [volume]},
        });
        let spec = PodSpec::of(&pod).unwrap();
        let downward = Downward { pod: &pod, spec: &spec, host_ip: "127.1.0.1".parse().unwrap(), pod_ip: None };
        let (sources, tokens) = (Sources::fixed(objects), Tokens::none());
        files(&spec.volumes[0], &Origin { downward, sources: &sources, tokens: &tokens }).await
    }

    fn config_map() -> (Kind, Value) {
        let data = json!({"a.conf": "A", "b.conf": "B"});
        (
            Kind::ConfigMap,
            json!({"metadata": {"name": "m", "namespace": "d"}, "data": data, "binaryData": {"raw": "AAE="}}),
        )
    }

    fn text(volume: &runtime::Volume) -> Vec<(&str, &[u8], u32)> {
        volume.iter().map(|(path, file)| (path.as_str(), file.bytes.as_ref(), file.mode)).collect()
    }

    #[tokio::test]
    async fn a_config_map_is_laid_out_whole_or_by_its_items() {
        let whole = json!({"name": "v", "configMap": {"name": "m", "defaultMode": 256}});
        let whole = projected(whole, vec![config_map()]).await.unwrap().unwrap();
        assert_eq!(text(&whole), [("a.conf", &b"A"[..], 256), ("b.conf", b"B", 256), ("raw", &[0, 1], 256)]);
        let items = json!([{"key": "a.conf", "path": "x/a", "mode": 384}]);
        let items = json!({"name": "v", "configMap": {"name": "m", "items": items}});
        assert_eq!(text(&projected(items, vec![config_map()]).await.unwrap().unwrap()), [("x/a", &b"A"[..], 384)]);
    }

    #[tokio::test]
    async fn what_is_missing_fails_the_mount_unless_it_is_optional() {
        let gone = json!({"name": "v", "configMap": {"name": "gone"}});
        assert_eq!(projected(gone, vec![]).await.unwrap_err(), "configmap \"gone\" not found");
        let optional = json!({"name": "v", "secret": {"secretName": "gone", "optional": true}});
        assert!(projected(optional, vec![]).await.unwrap().unwrap().is_empty());
        let key = json!({"name": "v", "configMap": {"name": "m", "items": [{"key": "zzz", "path": "p"}]}});
        let error = projected(key, vec![config_map()]).await.unwrap_err();
        assert_eq!(error, "configmap references non-existent config key: zzz");
    }

    #[tokio::test]
    async fn a_projected_volume_joins_its_sources_and_an_empty_one_is_left_alone() {
        let fields = json!([{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]);
        let sources = json!([{"configMap": {"name": "m", "items": [{"key": "a.conf", "path": "a"}]}}, {"downwardAPI": {"items": fields}}]);
        let volume = json!({"name": "v", "projected": {"sources": sources, "defaultMode": 420}});
        let joined = projected(volume, vec![config_map()]).await.unwrap().unwrap();
        assert_eq!(text(&joined), [("a", &b"A"[..], 420), ("labels", b"a=\"1\"", 420)]);
        assert_eq!(projected(json!({"name": "v", "emptyDir": {}}), vec![]).await.unwrap(), None);
        assert!(projected(json!({"name": "v", "nfs": {}}), vec![]).await.is_err());
    }
}
