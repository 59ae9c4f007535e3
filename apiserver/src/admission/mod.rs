//! Built-in admission: plugins in upstream's order, each of which first changes and later checks what is written.
//!
//! Upstream's default-on set is here but for the webhooks and policies (an issue of their own), the plugins behind
//! feature gates that are off, and those of kinds that are not served; `choice` has the list, each with its reason.

mod always;
mod certificates;
mod choice;
mod default_ingress_class;
mod default_toleration_seconds;
mod limit_ranger;
mod namespace_lifecycle;
mod node_restriction;
mod pod_resources;
mod pod_security;
mod pod_topology_labels;
mod priority;
mod quota;
mod runtime_class;
mod service_account;
mod services;
mod storage;
mod taint_nodes_by_condition;
#[cfg(test)]
mod tests;

pub use choice::{Choice, OWN_DISABLED, OWN_ENABLED};

use crate::authz::Authorizer;
use crate::metrics::{Metrics, PluginSeries, Step};
use crate::registry::admit::{Admission, Operation, Question};
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::status::{self, Status};

/// One plugin. What it does not say, it has nothing to say about.
#[async_trait]
trait Plugin: Send + Sync {
    /// The name by which upstream's flags turn it on and off.
    fn name(&self) -> &'static str;

    /// Whether it has anything to say to a question. It is called for no other: most writes concern few plugins.
    fn concerns(&self, question: &Question<'_>) -> bool;

    /// Changes the object before it is checked.
    async fn mutate(&self, _question: &Question<'_>, _object: &mut Value) -> status::Result<()> {
        Ok(())
    }

    /// Looks at the object as it will be stored; `Null` for a deletion.
    async fn validate(&self, _question: &Question<'_>, _object: &Value) -> status::Result<()> {
        Ok(())
    }
}

/// What plugins are made of.
pub struct Means {
    /// Endpoints may lead into this cluster's own part of the loopback network, and to no other address there.
    pub cluster_net: ClusterNet,
    /// Who is asked whether somebody may approve or sign.
    pub authorizer: Arc<dyn Authorizer>,
    /// What the flags say.
    pub choice: Choice,
    /// Where the time that plugins take is counted.
    pub metrics: Arc<Metrics>,
}

/// The plugins that are on, in order.
pub struct Plugins {
    plugins: Vec<(Box<dyn Plugin>, Arc<PluginSeries>)>,
    cluster_net: ClusterNet,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Plugins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.plugins.iter().map(|(plugin, _)| plugin.name())).finish()
    }
}

impl Plugins {
    /// What upstream has on by default, as far as it is here, changed by the choice.
    #[must_use]
    pub fn new(means: Means) -> Self {
        let plugins: Vec<Box<dyn Plugin>> =
            means.choice.names().filter_map(|name| plugin(name, &means.authorizer, &means.metrics)).collect();
        let counted = |plugin: Box<dyn Plugin>| {
            let series = means.metrics.admission.plugin(plugin.name());
            (plugin, series)
        };
        let plugins = plugins.into_iter().map(counted).collect();
        Self { plugins, cluster_net: means.cluster_net, metrics: means.metrics }
    }
}

fn plugin(name: &str, authorizer: &Arc<dyn Authorizer>, metrics: &Arc<Metrics>) -> Option<Box<dyn Plugin>> {
    let authorizer = || Arc::clone(authorizer);
    Some(match name {
        "AlwaysAdmit" => Box::new(always::AlwaysAdmit),
        "NamespaceLifecycle" => Box::new(namespace_lifecycle::NamespaceLifecycle),
        "NamespaceExists" => Box::new(namespace_lifecycle::NamespaceExists),
        "LimitPodHardAntiAffinityTopology" => Box::new(always::LimitPodHardAntiAffinityTopology),
        "LimitRanger" => Box::new(limit_ranger::LimitRanger),
        "ServiceAccount" => Box::new(service_account::ServiceAccount),
        "NodeRestriction" => Box::new(node_restriction::NodeRestriction),
        "TaintNodesByCondition" => Box::new(taint_nodes_by_condition::TaintNodesByCondition),
        "AlwaysPullImages" => Box::new(always::AlwaysPullImages),
        "PodSecurity" => Box::new(pod_security::PodSecurity { metrics: Arc::clone(metrics) }),
        "Priority" => Box::new(priority::Priority),
        "DefaultTolerationSeconds" => Box::new(default_toleration_seconds::DefaultTolerationSeconds),
        "ExtendedResourceToleration" => Box::new(always::ExtendedResourceToleration),
        "DefaultStorageClass" => Box::new(storage::DefaultStorageClass),
        "StorageObjectInUseProtection" => Box::new(storage::StorageObjectInUseProtection),
        "PersistentVolumeClaimResize" => Box::new(storage::PersistentVolumeClaimResize),
        "RuntimeClass" => Box::new(runtime_class::RuntimeClass),
        "CertificateApproval" => Box::new(certificates::CertificateApproval { authorizer: authorizer() }),
        "CertificateSigning" => Box::new(certificates::CertificateSigning { authorizer: authorizer() }),
        "CertificateSubjectRestriction" => Box::new(certificates::CertificateSubjectRestriction),
        "DefaultIngressClass" => Box::new(default_ingress_class::DefaultIngressClass),
        "DenyServiceExternalIPs" => Box::new(services::DenyServiceExternalIps),
        "PodTopologyLabels" => Box::new(pod_topology_labels::PodTopologyLabels),
        "ResourceQuota" => Box::new(quota::ResourceQuota::default()),
        "AlwaysDeny" => Box::new(always::AlwaysDeny),
        _ => return None,
    })
}

#[async_trait]
impl Admission for Plugins {
    async fn mutate(&self, question: &Question<'_>, object: &mut Value) -> status::Result<()> {
        let watch = Stopwatch::start(question, true);
        for (plugin, series) in self.plugins.iter().filter(|(plugin, _)| plugin.concerns(question)) {
            let one = Stopwatch::start(question, true);
            one.stop(plugin.mutate(question, object).await, series).inspect_err(|_| watch.tell(&self.metrics, true))?;
        }
        watch.tell(&self.metrics, false);
        Ok(())
    }

    async fn validate(&self, question: &Question<'_>, object: &Value) -> status::Result<()> {
        let watch = Stopwatch::start(question, false);
        for (plugin, series) in self.plugins.iter().filter(|(plugin, _)| plugin.concerns(question)) {
            let one = Stopwatch::start(question, false);
            one.stop(plugin.validate(question, object).await, series)
                .inspect_err(|_| watch.tell(&self.metrics, true))?;
        }
        watch.tell(&self.metrics, false);
        Ok(())
    }

    fn cluster_net(&self) -> Option<&ClusterNet> {
        Some(&self.cluster_net)
    }
}

/// Measures one step of admission.
struct Stopwatch {
    began: Instant,
    mutates: bool,
    operation: usize,
}

impl Stopwatch {
    fn start(question: &Question<'_>, mutates: bool) -> Self {
        let operation = match question.operation {
            Operation::Create => 0,
            Operation::Update => 1,
            Operation::Delete => 2,
            Operation::Connect => 3,
        };
        Self { began: Instant::now(), mutates, operation }
    }

    fn step(&self, rejected: bool) -> Step {
        Step { mutates: self.mutates, operation: self.operation, rejected }
    }

    /// Counts a plugin's step, and passes on how it went.
    fn stop(self, went: status::Result<()>, series: &PluginSeries) -> status::Result<()> {
        series.count(self.step(went.is_err()), self.began.elapsed());
        went
    }

    /// Counts the step of all plugins.
    fn tell(&self, metrics: &Metrics, rejected: bool) {
        metrics.admission.whole.count(self.step(rejected), self.began.elapsed());
    }
}

/// True when the question is about a pod itself that is about to be made.
fn is_new_pod(question: &Question<'_>) -> bool {
    is_new(question, "", "pods")
}

/// True when the question is about an object of this resource that is about to be made.
fn is_new(question: &Question<'_>, group: &str, plural: &str) -> bool {
    question.operation == Operation::Create && question.subresource.is_empty() && is(question, group, plural)
}

/// True when the question is about an object itself that is about to be made or changed.
fn is_written(question: &Question<'_>, group: &str, plural: &str) -> bool {
    matches!(question.operation, Operation::Create | Operation::Update)
        && question.subresource.is_empty()
        && is(question, group, plural)
}

fn is(question: &Question<'_>, group: &str, plural: &str) -> bool {
    question.resource.plural == plural && question.resource.stored.group == group
}

/// 403 about the object of the question.
fn forbidden(question: &Question<'_>, why: &str) -> Box<Status> {
    Status::forbidden(&question.resource.gvk.group, &question.resource.plural, question.shown(), why)
}

/// The items of a list; nothing where there is no list.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
