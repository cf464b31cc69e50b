//! What Prometheus reads at `/metrics`.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ae_files::SystemMemory;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::job::JobState;

/// Numbers by one label.
type Counters = Family<[(&'static str, String); 1], Counter>;

/// Counters and gauges of a server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Counters,
    request_seconds: Histogram,
    limits: Counters,
    jobs: Counters,
    pictures: Counter,
    picture_seconds: Histogram,
    /// Read where they are asked for.
    gauges: [Gauge<u64, AtomicU64>; 6],
}

/// What is counted when somebody asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) waiting: usize,
    pub(crate) is_drawing: bool,
    pub(crate) connections: usize,
    pub(crate) closed_connections: u64,
    pub(crate) gallery_bytes: u64,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("ae");
        let (requests, limits, jobs) = (Counters::default(), Counters::default(), Counters::default());
        let request_seconds = Histogram::new(exponential_buckets(0.001, 4.0, 8));
        let picture_seconds = Histogram::new(exponential_buckets(0.25, 2.0, 14));
        let pictures = Counter::default();
        registry.register("requests", "Requests that were answered, by status", requests.clone());
        let about = "Time up to the head of an answer";
        registry.register_with_unit("request", about, Unit::Seconds, request_seconds.clone());
        registry.register("limits_reached", "Requests that were refused for a limit, by its name", limits.clone());
        registry.register("jobs", "Jobs that came to an end, by how", jobs.clone());
        registry.register("pictures", "Pictures that were drawn and kept", pictures.clone());
        let about = "Time of a picture from the model's beginning to the gallery";
        registry.register_with_unit("picture", about, Unit::Seconds, picture_seconds.clone());
        let gauges = [
            ("queue_waiting_jobs", "Jobs that wait"),
            ("queue_drawn_jobs", "Jobs that are drawn"),
            ("connections", "Connections that are open"),
            ("connections_closed_for_others", "Connections without a request that was let in, closed for new ones"),
            ("gallery_bytes", "Bytes of the gallery on the disk"),
            ("resident_memory_bytes", "Memory of the process; 0 where the system does not tell"),
        ];
        let gauges = gauges.map(|(name, about)| {
            let gauge = Gauge::default();
            registry.register(name, about, gauge.clone());
            gauge
        });
        Self { registry, requests, request_seconds, limits, jobs, pictures, picture_seconds, gauges }
    }

    pub(crate) fn answered(&self, status: u16, time: Duration) {
        self.requests.get_or_create(&[("status", status.to_string())]).inc();
        self.request_seconds.observe(time.as_secs_f64());
    }

    pub(crate) fn limited(&self, limit: &str) {
        self.limits.get_or_create(&[("limit", limit.to_owned())]).inc();
    }

    pub(crate) fn drawn(&self, time: Duration) {
        self.pictures.inc();
        self.picture_seconds.observe(time.as_secs_f64());
    }

    pub(crate) fn ended(&self, state: JobState) {
        self.jobs.get_or_create(&[("state", state.name().to_owned())]).inc();
    }

    /// All of it as text.
    pub(crate) fn text(&self, now: Now) -> String {
        let drawn = u64::from(now.is_drawing);
        let memory = SystemMemory::read().map_or(0, |memory| memory.used);
        let values =
            [now.waiting as u64, drawn, now.connections as u64, now.closed_connections, now.gallery_bytes, memory];
        for (gauge, value) in self.gauges.iter().zip(values) {
            gauge.set(value);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a text takes everything");
        text
    }
}
