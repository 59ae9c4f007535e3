//! Storage: a claim's default class, the finalizers that keep volumes in use, and which claims may grow.

use super::{Plugin, forbidden, is, is_new, is_written};
use crate::registry::admit::{Operation, Question};
use crate::schema::quantity::Quantity;
use async_trait::async_trait;
use serde_json::{Value, json};
use tinyplane_wire::meta::{Meta, map_mut, metadata_mut};
use tinyplane_wire::status;

/// `DefaultStorageClass`: a claim that names no class gets the cluster's default.
pub(super) struct DefaultStorageClass;

const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
const DEFAULT_BETA: &str = "storageclass.beta.kubernetes.io/is-default-class";
/// How a claim named its class before it had a field for it.
const CLASS_BETA: &str = "volume.beta.kubernetes.io/storage-class";

#[async_trait]
impl Plugin for DefaultStorageClass {
    fn name(&self) -> &'static str {
        "DefaultStorageClass"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        is_new(question, "", "persistentvolumeclaims")
    }

    async fn mutate(&self, question: &Question<'_>, claim: &mut Value) -> status::Result<()> {
        if !claim["spec"]["storageClassName"].is_null() || Meta::of(claim).annotation(CLASS_BETA).is_some() {
            return Ok(());
        }
        let classes = question.registry.find_all("storage.k8s.io", "storageclasses", "")?;
        let is_default = |class: &&Value| {
            let meta = Meta::of(class);
            [DEFAULT, DEFAULT_BETA].iter().any(|note| meta.annotation(note) == Some("true"))
        };
        // Of several the newest, and of those of one second the first by name.
        let newest = classes.iter().map(|class| &**class).filter(is_default).min_by_key(|class| {
            let made = class["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
            (std::cmp::Reverse(made), Meta::of(class).name())
        });
        if let Some(class) = newest {
            map_mut(&mut claim["spec"]).insert("storageClassName".into(), Meta::of(class).name().into());
        }
        Ok(())
    }
}

/// `StorageObjectInUseProtection`: a volume or claim stays as long as something uses it.
pub(super) struct StorageObjectInUseProtection;

/// Group, plural and finalizer.
const PROTECTED: [(&str, &str, &str); 3] = [
    ("", "persistentvolumeclaims", "kubernetes.io/pvc-protection"),
    ("", "persistentvolumes", "kubernetes.io/pv-protection"),
    ("storage.k8s.io", "volumeattributesclasses", "kubernetes.io/vac-protection"),
];

#[async_trait]
impl Plugin for StorageObjectInUseProtection {
    fn name(&self) -> &'static str {
        "StorageObjectInUseProtection"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        PROTECTED.iter().any(|(group, plural, _)| is_new(question, group, plural))
    }

    async fn mutate(&self, question: &Question<'_>, object: &mut Value) -> status::Result<()> {
        let own = PROTECTED.iter().find(|(group, plural, _)| is(question, group, plural));
        let Some((_, _, finalizer)) = own else { return Ok(()) };
        if !Meta::of(object).finalizers().any(|there| there == *finalizer) {
            let finalizers = metadata_mut(object).entry("finalizers").or_insert_with(|| json!([]));
            if let Some(finalizers) = finalizers.as_array_mut() {
                finalizers.push(json!(finalizer));
            }
        }
        Ok(())
    }
}

/// `PersistentVolumeClaimResize`: only a bound claim of a class that allows it grows.
pub(super) struct PersistentVolumeClaimResize;

#[async_trait]
impl Plugin for PersistentVolumeClaimResize {
    fn name(&self) -> &'static str {
        "PersistentVolumeClaimResize"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        question.operation == Operation::Update && is_written(question, "", "persistentvolumeclaims")
    }

    async fn validate(&self, question: &Question<'_>, claim: &Value) -> status::Result<()> {
        let Some(old) = question.old else { return Ok(()) };
        let size = |claim: &Value| {
            claim["spec"]["resources"]["requests"]["storage"].as_str().and_then(|text| Quantity::parse(text).ok())
        };
        if size(claim).unwrap_or_else(zero) <= size(old).unwrap_or_else(zero) {
            return Ok(());
        }
        if old["status"]["phase"] != "Bound" {
            return Err(forbidden(question, "Only bound persistent volume claims can be expanded"));
        }
        let name = Meta::of(claim).annotation(CLASS_BETA).or(claim["spec"]["storageClassName"].as_str());
        let class = match name {
            None | Some("") => None,
            Some(name) => question.registry.find("storage.k8s.io", "storageclasses", "", name)?,
        };
        if class.is_some_and(|class| class["allowVolumeExpansion"] == true) {
            return Ok(());
        }
        let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
        Err(forbidden(question, why))
    }
}

fn zero() -> Quantity {
    Quantity::of(0)
}
