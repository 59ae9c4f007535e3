//! How long admission takes, by plugin and in all.

use super::{Histogram, Kind, Text};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Bounds of the time that admission takes, in seconds.
const SECONDS: &[f64] = &[0.005, 0.025, 0.1, 0.5, 1.0, 2.5];
const OPERATIONS: [&str; 4] = ["CREATE", "UPDATE", "DELETE", "CONNECT"];

/// Which step of admission was taken, and how it went.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Whether the object was changed, or looked at.
    pub mutates: bool,
    /// 0 create, 1 update, 2 delete, 3 connect.
    pub operation: usize,
    /// Whether the write was refused.
    pub rejected: bool,
}

impl Step {
    fn index(self) -> usize {
        self.operation.min(OPERATIONS.len() - 1) * 4 + usize::from(self.mutates) * 2 + usize::from(self.rejected)
    }
}

/// The times of one plugin, or of all together.
#[derive(Debug)]
pub struct PluginSeries {
    name: &'static str,
    steps: [OnceLock<Histogram>; OPERATIONS.len() * 4],
}

impl PluginSeries {
    fn new(name: &'static str) -> Self {
        Self { name, steps: std::array::from_fn(|_| OnceLock::new()) }
    }

    /// Counts one step that took this long.
    pub fn count(&self, step: Step, took: Duration) {
        self.steps[step.index()].get_or_init(|| Histogram::new(SECONDS)).record(took);
    }

    fn tell(&self, text: &mut Text, metric: &str) {
        for (at, histogram) in self.steps.iter().enumerate().filter_map(|(at, step)| Some((at, step.get()?))) {
            let mut labels = Vec::with_capacity(4);
            if !self.name.is_empty() {
                labels.push(("name", self.name));
            }
            labels.push(("operation", OPERATIONS[at / 4]));
            labels.push(("rejected", if at % 2 == 1 { "true" } else { "false" }));
            labels.push(("type", if at % 4 >= 2 { "admit" } else { "validate" }));
            text.histogram(metric, &labels, histogram);
        }
    }
}

/// The times of all plugins.
#[derive(Debug)]
pub struct AdmissionSeries {
    plugins: Mutex<Vec<Arc<PluginSeries>>>,
    /// All plugins together.
    pub whole: PluginSeries,
}

impl Default for AdmissionSeries {
    fn default() -> Self {
        Self { plugins: Mutex::new(Vec::new()), whole: PluginSeries::new("") }
    }
}

impl AdmissionSeries {
    /// The series of a plugin that is new here.
    pub fn plugin(&self, name: &'static str) -> Arc<PluginSeries> {
        let series = Arc::new(PluginSeries::new(name));
        self.plugins.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&series));
        series
    }

    pub(super) fn tell(&self, text: &mut Text) {
        let name = "apiserver_admission_controller_admission_duration_seconds";
        text.family(name, Kind::Histogram, "[STABLE] Admission controller latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).");
        for plugin in self.plugins.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            plugin.tell(text, name);
        }
        let name = "apiserver_admission_step_admission_duration_seconds";
        text.family(name, Kind::Histogram, "[STABLE] Admission sub-step latency histogram in seconds, broken out for each operation and API resource and step type (validate or admit).");
        self.whole.tell(text, name);
    }
}
