//! Refuses Endpoints, EndpointSlices and external addresses of Services that lead to loopback addresses, those of this cluster aside.
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
        [("", "endpoints"), ("", "services"), ("discovery.k8s.io", "endpointslices")]
            .iter()
            .any(|(group, resource)| is_written(question, group, resource))
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
