//! The figures of priority and fairness.

use super::FlowControl;
use super::seats::Counts;
use crate::metrics::{Histogram, Kind, Source, Text};

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
        gauge(name, "[BETA] Nominal number of execution seats configured for each priority level", &|row| {
            f64::from(row.nominal)
        });
        let name = "apiserver_flowcontrol_lower_limit_seats";
        gauge(
            name,
            "[ALPHA] Configured lower bound on number of execution seats available to each priority level",
            &|row| f64::from(row.lower),
        );
        let name = "apiserver_flowcontrol_upper_limit_seats";
        gauge(
            name,
            "[ALPHA] Configured upper bound on number of execution seats available to each priority level",
            &|row| f64::from(row.upper),
        );
        let mut by_schema = |name: &str, kind: Kind, help: &str, of: &dyn Fn(&Counts) -> f64| {
            text.family(name, kind, help);
            for row in state.told() {
                for (schema, counts) in &row.counts {
                    let labels = [("flow_schema", schema.as_str()), ("priority_level", &row.level.name)];
                    text.sample(name, &labels, of(counts));
                }
            }
        };
        let name = "apiserver_flowcontrol_current_executing_seats";
        let help = "[BETA] Concurrency (number of seats) occupied by the currently executing (initial stage for a WATCH, any stage otherwise) requests in the API Priority and Fairness subsystem";
        by_schema(name, Kind::Gauge, help, &|counts| f64::from(counts.sitting));
        let name = "apiserver_flowcontrol_current_executing_requests";
        let help = "[BETA] Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage in the API Priority and Fairness subsystem";
        by_schema(name, Kind::Gauge, help, &|counts| f64::from(counts.running));
        let name = "apiserver_flowcontrol_dispatched_requests_total";
        let help = "[BETA] Number of requests executed by API Priority and Fairness subsystem";
        by_schema(name, Kind::Counter, help, &|counts| counts.dispatched as f64);
        let mut histograms = |name: &str, help: &str, more: &[(&str, &str)], of: fn(&Counts) -> &Histogram| {
            text.family(name, Kind::Histogram, help);
            for row in state.told() {
                for (schema, counts) in row.counts.iter().filter(|(_, counts)| of(counts).count() > 0) {
                    let mut labels = vec![("flow_schema", schema.as_str()), ("priority_level", &row.level.name)];
                    labels.extend_from_slice(more);
                    labels.sort_unstable();
                    text.histogram(name, &labels, of(counts));
                }
            }
        };
        let name = "apiserver_flowcontrol_request_wait_duration_seconds";
        let help = "[BETA] Length of time a request spent waiting in its queue";
        histograms(name, help, &[("execute", "true")], |counts| &counts.waits);
        let name = "apiserver_flowcontrol_request_execution_seconds";
        let help = "[ALPHA] Duration of initial stage (for a WATCH) or any (for a non-WATCH) stage of request execution in the API Priority and Fairness subsystem";
        histograms(name, help, &[("type", "regular")], |counts| &counts.runs);
        let name = "apiserver_flowcontrol_work_estimated_seats";
        let help = "[ALPHA] Number of estimated seats (maximum of initial and final seats) associated with requests in API Priority and Fairness";
        histograms(name, help, &[], |counts| &counts.widths);
        let rejected: u64 = state.levels.iter().flat_map(|row| row.counts.values()).map(|one| one.rejected).sum();
        if rejected + state.gave_up > 0 {
            let name = "apiserver_flowcontrol_rejected_requests_total";
            text.family(
                name,
                Kind::Counter,
                "[BETA] Number of requests rejected by API Priority and Fairness subsystem",
            );
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
        let mut waiting = |name: &str, help: &str, of: fn((u64, u64)) -> u64| {
            text.family(name, Kind::Gauge, help);
            for row in state.levels.iter().filter(|row| row.waiting > 0) {
                for (schema, who) in row.waiting() {
                    let labels = [("flow_schema", schema), ("priority_level", row.level.name.as_str())];
                    text.sample(name, &labels, of(who) as f64);
                }
            }
        };
        let name = "apiserver_flowcontrol_current_inqueue_requests";
        let help = "[BETA] Number of requests currently pending in queues of the API Priority and Fairness subsystem";
        waiting(name, help, |(requests, _)| requests);
        let name = "apiserver_flowcontrol_current_inqueue_seats";
        let help = "[ALPHA] Number of seats currently pending in queues of the API Priority and Fairness subsystem";
        waiting(name, help, |(_, seats)| seats);
    }
}
