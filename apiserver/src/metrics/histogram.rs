//! A histogram of atomics: one bucket and one sum are touched a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Parts of a second in which sums of times are kept.
const NANOS: f64 = 1e9;

/// Counts by bounds that are fixed. Of times in seconds, or of plain numbers, never of both.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One a bound, and one for what is beyond the last.
    buckets: Box<[AtomicU64]>,
    nanos: AtomicU64,
    units: AtomicU64,
}

impl Histogram {
    /// With nothing in it.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, buckets, nanos: AtomicU64::new(0), units: AtomicU64::new(0) }
    }

    /// Counts a time.
    pub fn record(&self, took: Duration) {
        self.bump(1, took.as_secs_f64());
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Counts a number.
    pub fn record_units(&self, units: u64) {
        self.record_alike(1, units);
    }

    /// Counts so many numbers of which only the sum is known, each as their mean.
    #[expect(clippy::cast_precision_loss, reason = "which bucket it is does not hang on the last digits")]
    pub fn record_alike(&self, many: u64, units: u64) {
        self.bump(many, units as f64 / many.max(1) as f64);
        self.units.fetch_add(units, Ordering::Relaxed);
    }

    fn bump(&self, many: u64, value: f64) {
        let at = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        self.buckets[at].fetch_add(many, Ordering::Relaxed);
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// The sum of all that was counted.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating")]
    pub fn sum(&self) -> f64 {
        self.nanos.load(Ordering::Relaxed) as f64 / NANOS + self.units.load(Ordering::Relaxed) as f64
    }

    /// Each bound with how many were not above it. What is beyond the last is in the count alone.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let counts = self.buckets.iter().scan(0, |sum, bucket| {
            *sum += bucket.load(Ordering::Relaxed);
            Some(*sum)
        });
        self.bounds.iter().copied().zip(counts)
    }
}
