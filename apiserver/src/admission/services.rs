//! `DenyServiceExternalIPs`: no Service gets an external address that it did not have.

use super::{Plugin, forbidden, is_written, items};
use crate::registry::admit::Question;
use async_trait::async_trait;
use serde_json::Value;
use tinyplane_wire::status;

pub(super) struct DenyServiceExternalIps;

#[async_trait]
impl Plugin for DenyServiceExternalIps {
    fn name(&self) -> &'static str {
        "DenyServiceExternalIPs"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        is_written(question, "", "services")
    }

    async fn validate(&self, question: &Question<'_>, service: &Value) -> status::Result<()> {
        let before = question.old.map(|old| &old["spec"]["externalIPs"]);
        let had = |address: &Value| before.is_some_and(|before| items(before).any(|known| known == address));
        if items(&service["spec"]["externalIPs"]).all(had) {
            return Ok(());
        }
        Err(forbidden(question, "Use of external IPs is denied by admission control"))
    }
}
