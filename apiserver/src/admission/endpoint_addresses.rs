//! Refuses Endpoints and EndpointSlices that lead to loopback addresses, those of this cluster aside.
//!
//! Upstream does so in validation; here it needs to know the cluster's addresses.

use super::{Plugin, is_written};
use crate::registry::admit::Question;
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

    fn concerns(&self, question: &Question<'_>) -> bool {
        is_written(question, "", "endpoints") || is_written(question, "discovery.k8s.io", "endpointslices")
    }

    async fn validate(&self, question: &Question<'_>, object: &Value) -> status::Result<()> {
        let stored = &question.resource.stored;
        let causes = validation::endpoints::addresses(object, &self.cluster_net);
        if causes.is_empty() {
            return Ok(());
        }
        Err(Status::invalid(&stored.group, &stored.kind, question.name, causes))
    }
}
