//! The figures of priority and fairness.

use super::FlowControl;
use crate::metrics::{Kind, Source, Text};

#[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating")]
impl Source for FlowControl {
    fn tell(&self, text: &mut Text) {
        let state = self.seats.lock();
        let mut gauge = |name: &str, help: &str, of: &dyn Fn(&super::seats::Row) -> f64| {
            text.family(name, Kind::Gauge, help);
            for row in state.told() {
                text.sample(name, &[("priority_level", &row.level.name)], of(row));
            }
        };
        let name = "apiserver_flowcontrol_nominal_limit_seats";
        gauge(name, "[BETA] Seats that a priority level has of its own.", &|row| f64::from(row.nominal));
        let name = "apiserver_flowcontrol_lower_limit_seats";
        gauge(name, "[ALPHA] Seats of a priority level that it never lends.", &|row| f64::from(row.lower));
        let name = "apiserver_flowcontrol_upper_limit_seats";
        gauge(name, "[ALPHA] Seats that a priority level may have at most.", &|row| f64::from(row.upper));
        let name = "apiserver_flowcontrol_current_executing_seats";
        gauge(name, "[BETA] Seats that are taken.", &|row| f64::from(row.sitting));
        let name = "apiserver_flowcontrol_current_executing_requests";
        gauge(name, "[BETA] Requests that have a seat.", &|row| f64::from(row.sitting));
        let name = "apiserver_flowcontrol_dispatched_requests_total";
        text.family(name, Kind::Counter, "[BETA] Requests that got a seat.");
        for row in state.told() {
            for (schema, counts) in &row.counts {
                let labels = [("flow_schema", schema.as_str()), ("priority_level", &row.level.name)];
                text.sample(name, &labels, counts.dispatched as f64);
            }
        }
        let rejected: u64 = state.levels.iter().flat_map(|row| row.counts.values()).map(|one| one.rejected).sum();
        if rejected + state.gave_up > 0 {
            let name = "apiserver_flowcontrol_rejected_requests_total";
            text.family(name, Kind::Counter, "[BETA] Requests that were sent away.");
            for row in state.told() {
                for (schema, counts) in row.counts.iter().filter(|(_, counts)| counts.rejected > 0) {
                    let reason = if row.level.queues.is_some() { "queue-full" } else { "concurrency-limit" };
                    let labels =
                        [("flow_schema", schema.as_str()), ("priority_level", &row.level.name), ("reason", reason)];
                    text.sample(name, &labels, counts.rejected as f64);
                }
            }
            text.sample(name, &[("reason", "time-out")], state.gave_up as f64);
        }
        let name = "apiserver_flowcontrol_current_inqueue_requests";
        text.family(name, Kind::Gauge, "[BETA] Requests that wait for a seat.");
        for row in state.levels.iter().filter(|row| row.waiting > 0) {
            text.sample(name, &[("priority_level", &row.level.name)], row.waiting as f64);
        }
    }
}
