//! Refuses Endpoints and EndpointSlices that lead to loopback addresses, those of this cluster aside.
//!
//! Upstream does so in validation; here it needs to know the cluster's addresses.

use super::Plugin;
use crate::registry::admit::{Operation, Question};
use crate::validation;
use async_trait::async_trait;
use serde_json::Value;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::status::{self, Status};

pub(super) struct EndpointAddresses {
    pub(super) cluster_net: ClusterNet,
}

#[async_trait]
impl Plugin for EndpointAddresses {
    fn name(&self) -> &'static str {
        "EndpointAddresses"
    }

    async fn validate(&self, question: &Question<'_>, object: &Value) -> status::Result<()> {
        let written = matches!(question.operation, Operation::Create | Operation::Update);
        let stored = &question.resource.stored;
        if !written || !matches!(stored.kind.as_str(), "Endpoints" | "EndpointSlice") {
            return Ok(());
        }
        let causes = validation::endpoints::addresses(object, &self.cluster_net);
        if causes.is_empty() {
            return Ok(());
        }
        Err(Status::invalid(&stored.group, &stored.kind, question.name, causes))
    }
}
