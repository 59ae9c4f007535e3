//! Lists, all of which are served from memory: what upstream counts of its watch cache.

use super::{Family, Kind, Text};
use std::sync::atomic::{AtomicU64, Ordering};

/// The lists of one resource.
#[derive(Debug, Default)]
struct ListSeries {
    lists: AtomicU64,
    objects: AtomicU64,
}

/// Lists by group and resource.
#[derive(Debug, Default)]
pub struct Lists(Family<(String, String), ListSeries>);

impl Lists {
    /// Counts a list that answered so many objects.
    pub fn count(&self, group: &str, resource: &str, objects: usize) {
        self.0.with(&(group.to_owned(), resource.to_owned()), |series| {
            series.lists.fetch_add(1, Ordering::Relaxed);
            series.objects.fetch_add(objects as u64, Ordering::Relaxed);
        });
    }

    #[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating")]
    pub(super) fn tell(&self, text: &mut Text) {
        let all = self.0.all();
        let name = "apiserver_cache_list_total";
        text.family(name, Kind::Counter, "[ALPHA] Number of LIST requests served from watch cache");
        for ((group, resource), series) in &all {
            let labels = [("group", group.as_str()), ("index", ""), ("resource", resource)];
            text.sample(name, &labels, series.lists.load(Ordering::Relaxed) as f64);
        }
        let name = "apiserver_cache_list_returned_objects_total";
        text.family(name, Kind::Counter, "[ALPHA] Number of objects returned for a LIST request from watch cache");
        for ((group, resource), series) in &all {
            let labels = [("group", group.as_str()), ("resource", resource)];
            text.sample(name, &labels, series.objects.load(Ordering::Relaxed) as f64);
        }
    }
}
