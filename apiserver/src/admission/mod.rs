//! Built-in admission: plugins in upstream's order, each of which first changes and later checks what is written.

mod default_toleration_seconds;
mod endpoint_addresses;
mod namespace_lifecycle;
mod priority;
mod service_account;
mod taint_nodes_by_condition;

use crate::registry::admit::{Admission, Operation, Question};
use async_trait::async_trait;
use default_toleration_seconds::DefaultTolerationSeconds;
use endpoint_addresses::EndpointAddresses;
use namespace_lifecycle::NamespaceLifecycle;
use priority::Priority;
use serde_json::Value;
use service_account::ServiceAccount;
use taint_nodes_by_condition::TaintNodesByCondition;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::status::{self, Status};

/// One plugin. What it does not say, it has nothing to say about.
#[async_trait]
trait Plugin: Send + Sync {
    /// The name by which upstream's flags turn it on and off.
    fn name(&self) -> &'static str;

    /// Changes the object before it is checked.
    async fn mutate(&self, _question: &Question<'_>, _object: &mut Value) -> status::Result<()> {
        Ok(())
    }

    /// Looks at the object as it will be stored; `Null` for a deletion.
    async fn validate(&self, _question: &Question<'_>, _object: &Value) -> status::Result<()> {
        Ok(())
    }
}

/// The plugins that are on, in order.
pub struct Plugins {
    plugins: Vec<Box<dyn Plugin>>,
}

impl std::fmt::Debug for Plugins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.plugins.iter().map(|plugin| plugin.name())).finish()
    }
}

impl Plugins {
    /// What upstream has on by default, as far as it is here. Endpoints may lead into this cluster's own part of the
    /// loopback network, and to no other address there.
    #[must_use]
    pub fn new(cluster_net: ClusterNet) -> Self {
        Self {
            plugins: vec![
                Box::new(NamespaceLifecycle),
                Box::new(ServiceAccount),
                Box::new(TaintNodesByCondition),
                Box::new(Priority),
                Box::new(DefaultTolerationSeconds),
                Box::new(EndpointAddresses { cluster_net }),
            ],
        }
    }
}

#[async_trait]
impl Admission for Plugins {
    async fn mutate(&self, question: &Question<'_>, object: &mut Value) -> status::Result<()> {
        for plugin in &self.plugins {
            plugin.mutate(question, object).await?;
        }
        Ok(())
    }

    async fn validate(&self, question: &Question<'_>, object: &Value) -> status::Result<()> {
        for plugin in &self.plugins {
            plugin.validate(question, object).await?;
        }
        Ok(())
    }
}

/// True when the question is about a pod itself that is about to be made.
fn is_new_pod(question: &Question<'_>) -> bool {
    is(question, "", "pods") && question.operation == Operation::Create && question.subresource.is_empty()
}

fn is(question: &Question<'_>, group: &str, plural: &str) -> bool {
    question.resource.stored.group == group && question.resource.plural == plural
}

/// 403 about the object of the question.
fn forbidden(question: &Question<'_>, why: &str) -> Box<Status> {
    Status::forbidden(&question.resource.gvk.group, &question.resource.plural, question.name, why)
}
