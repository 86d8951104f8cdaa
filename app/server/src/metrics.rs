//! What a replica counts, in Prometheus text. Never labelled by room or user.

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// Every metric of a replica. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// Open connections, by `transport`: `websocket` or `sse`.
    pub connections: IntGaugeVec,
    /// Messages taken from clients, by `outcome`: `taken`, `duplicate` or `rejected`.
    pub messages_in: IntCounterVec,
    /// Messages handed to connections: one message to ten listeners counts ten.
    pub messages_out: IntCounter,
    /// Seconds from a message's `at` to the end of its fan-out here.
    pub delivery_seconds: Histogram,
    /// Connections, by `why`: `fresh`, `resume` or `move`.
    pub hellos: IntCounterVec,
    /// Gaps told to clients, by `reason`: `trimmed` or `rewound`.
    pub gaps: IntCounterVec,
    /// Connections that left after their goaway.
    pub moved: IntCounter,
    /// Connections closed at the drain's deadline.
    pub forced_closes: IntCounter,
    /// Connections closed because they could not keep up.
    pub stalled_closes: IntCounter,
    /// Seconds Redis took for one function call.
    pub redis_seconds: Histogram,
}

const DELIVERY_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

impl Metrics {
    /// All at zero.
    ///
    /// # Panics
    /// Never: the names below are valid, and no two are the same.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let vec = |name: &str, help: &str, label: &str| {
            let counter = IntCounterVec::new(Opts::new(name, help), &[label]);
            registered(&registry, counter)
        };
        let counter = |name: &str, help: &str| registered(&registry, IntCounter::new(name, help));
        let histogram = |name: &str, help: &str| {
            let options = HistogramOpts::new(name, help).buckets(DELIVERY_BUCKETS.to_vec());
            registered(&registry, Histogram::with_opts(options))
        };
        Self {
            connections: registered(
                &registry,
                IntGaugeVec::new(
                    Opts::new("rollcall_connections", "Open connections."),
                    &["transport"],
                ),
            ),
            messages_in: vec("rollcall_messages_in_total", "Messages from clients.", "outcome"),
            messages_out: counter("rollcall_messages_out_total", "Messages handed to connections."),
            delivery_seconds: histogram(
                "rollcall_delivery_seconds",
                "From a message's entry in the log to the end of its fan-out here.",
            ),
            hellos: vec("rollcall_hellos_total", "Connections opened, by reason.", "why"),
            gaps: vec("rollcall_gaps_total", "Gaps told to clients.", "reason"),
            moved: counter("rollcall_moved_total", "Connections that left after their goaway."),
            forced_closes: counter(
                "rollcall_forced_closes_total",
                "Connections closed at a drain's deadline.",
            ),
            stalled_closes: counter(
                "rollcall_stalled_closes_total",
                "Connections closed because they did not keep up.",
            ),
            redis_seconds: histogram("rollcall_redis_seconds", "One function call to Redis."),
            registry,
        }
    }

    /// The exposition format, version 0.0.4.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        // Writing to a Vec does not fail.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn registered<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<C>,
) -> C {
    let metric = metric.expect("metric names are constants, valid ones");
    registry.register(Box::new(metric.clone())).expect("each metric is registered once");
    metric
}
