//! What a replica counts, in Prometheus text. Never labelled by room or user.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
    core::{MetricVec, MetricVecBuilder},
};

use crate::{lifecycle::Reason, logging};

/// Tells a figure when it is asked for.
type Reading = Box<dyn Fn() -> f64 + Send>;

/// Every metric of a replica. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// Open connections, by `transport`: `websocket`, `sse` or `longpoll`.
    pub connections: IntGaugeVec,
    /// Messages from clients over WebSockets, by `outcome`: `taken`, `duplicate`, `rejected` (the client's doing) or
    /// `failed` (ours, or the log's).
    pub messages_in: IntCounterVec,
    /// Seconds from a `send` frame to its ack.
    pub send_seconds: Histogram,
    /// Messages handed to connections: one message to ten listeners counts ten.
    pub messages_out: IntCounter,
    /// Seconds from a message's `at` to the end of its fan-out here.
    pub delivery_seconds: Histogram,
    /// Sign-ins, by `outcome`: `ok`, `refused` (a name or a password that is none), `limited` (too many of late) or `busy`
    /// (too many at once, or the accounts cannot be reached).
    pub sign_ins: IntCounterVec,
    /// Connections, by `why`: `fresh`, `resume` or `move`.
    pub hellos: IntCounterVec,
    /// Gaps told to clients, by `reason`: `trimmed` or `rewound`.
    pub gaps: IntCounterVec,
    /// Connections that left after their goaway, by its `reason`: `drain`, `rebalance` or `isolated`.
    pub moved: IntCounterVec,
    /// Connections closed at the drain's deadline.
    pub forced_closes: IntCounter,
    /// Connections closed after their own moment because they do not obey a goaway.
    pub ignored_goaways: IntCounter,
    /// Connections closed because they could not keep up.
    pub stalled_closes: IntCounter,
    /// Share of each budget that is used, by `what`.
    budget_used: GaugeVec,
    /// Gauges that are read at each scrape.
    watched: Arc<Mutex<Vec<(Gauge, Reading)>>>,
    /// Seconds Redis took for one function call.
    pub redis_seconds: Histogram,
    /// Lines of this process's log that nobody read in time.
    lines_dropped: IntCounter,
    /// Tasks of the runtime; they grow with connections and rooms, and must shrink with them.
    tasks: IntGauge,
    /// HTTP requests but probes and upgrades, by `status`: its class, such as `2xx`.
    http_requests: IntCounterVec,
    /// Seconds to the head of their responses.
    http_seconds: Histogram,
}

/// The outcomes of a message from a client.
const OUTCOMES: &[&str] = &["taken", "duplicate", "rejected", "failed"];
/// The outcomes of a sign-in.
const SIGN_INS: &[&str] = &["ok", "refused", "limited", "busy"];
/// What connections are.
const TRANSPORTS: &[&str] = &["websocket", "sse", "longpoll"];
/// Why a client says hello.
const WHYS: &[&str] = &["fresh", "resume", "move"];
/// Why a gap is told.
const GAPS: &[&str] = &["trimmed", "rewound"];
/// The classes of HTTP's status codes, from 100 on.
const CLASSES: &[&str] = &["1xx", "2xx", "3xx", "4xx", "5xx"];

const DELIVERY_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

impl Metrics {
    /// All at zero.
    ///
    /// # Panics
    /// Never: the names below are valid, and no two are the same.
    #[must_use]
    pub fn new() -> Self {
        let new = Maker(Registry::new());
        Self {
            connections: new.gauges(
                "rollcall_connections",
                "Open connections.",
                ("transport", TRANSPORTS),
            ),
            messages_in: new.counters(
                "rollcall_messages_in_total",
                "Messages from clients.",
                ("outcome", OUTCOMES),
            ),
            send_seconds: new.seconds("rollcall_send_seconds", "From a send frame to its ack."),
            messages_out: new
                .counter("rollcall_messages_out_total", "Messages handed to connections."),
            delivery_seconds: new.seconds(
                "rollcall_delivery_seconds",
                "From a message's entry in the log to the end of its fan-out here.",
            ),
            sign_ins: new.counters("rollcall_sign_ins_total", "Sign-ins.", ("outcome", SIGN_INS)),
            hellos: new.counters("rollcall_hellos_total", "Hellos, by reason.", ("why", WHYS)),
            gaps: new.counters("rollcall_gaps_total", "Gaps told to clients.", ("reason", GAPS)),
            moved: new.counters(
                "rollcall_moved_total",
                "Connections that left for a goaway.",
                ("reason", &Reason::ALL),
            ),
            forced_closes: new
                .counter("rollcall_forced_closes_total", "Closed at a drain's deadline."),
            ignored_goaways: new.counter(
                "rollcall_ignored_goaways_total",
                "Connections closed after their own moment because they do not obey a goaway.",
            ),
            stalled_closes: new
                .counter("rollcall_stalled_closes_total", "Connections closed for not keeping up."),
            budget_used: new.ratios(
                "rollcall_budget_used_ratio",
                "Used share of a budget in bytes; 1 is full.",
                "what",
            ),
            watched: Arc::default(),
            lines_dropped: new
                .counter("rollcall_log_lines_dropped_total", "Log lines nobody read in time."),
            tasks: new.gauge("rollcall_tasks", "Tasks of the async runtime."),
            redis_seconds: new.seconds("rollcall_redis_seconds", "One function call to Redis."),
            http_requests: new.counters(
                "rollcall_http_requests_total",
                "HTTP requests, by status class.",
                ("status", CLASSES),
            ),
            http_seconds: new.seconds(
                "rollcall_http_request_seconds",
                "From an HTTP request to the head of its response.",
            ),
            registry: new.0,
        }
    }

    /// Counts an HTTP request that was answered with `status`.
    pub fn http_request(&self, status: u16, took: Duration) {
        let class = CLASSES.get(usize::from(status / 100).wrapping_sub(1)).unwrap_or(&"5xx");
        self.http_requests.with_label_values(&[class]).inc();
        self.http_seconds.observe(took.as_secs_f64());
    }

    /// Shows a figure that is read at each scrape.
    ///
    /// # Panics
    /// If a metric has that name already.
    pub fn watch(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> f64 + Send + 'static,
    ) {
        let gauge = Maker(self.registry.clone()).registered(Gauge::new(name, help));
        self.watched().push((gauge, Box::new(read)));
    }

    /// Shows which share of a budget is used, as `what`.
    pub fn watch_budget(&self, what: &'static str, used: impl Fn() -> f64 + Send + 'static) {
        self.watched().push((self.budget_used.with_label_values(&[what]), Box::new(used)));
    }

    /// Says which release this is: always 1, to be counted or joined with other figures.
    ///
    /// # Panics
    /// If it was said before.
    pub fn name_build(&self, release: &str) {
        let options = Opts::new("rollcall_build_info", "The release; always 1.")
            .const_label("release", release)
            .const_label("version", env!("CARGO_PKG_VERSION"));
        Maker(self.registry.clone()).registered(IntGauge::with_opts(options)).set(1);
    }

    fn watched(&self) -> MutexGuard<'_, Vec<(Gauge, Reading)>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exposition format, version 0.0.4.
    ///
    /// # Panics
    /// Outside a Tokio runtime: its tasks are counted here.
    #[must_use]
    pub fn text(&self) -> String {
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        self.tasks.set(i64::try_from(tasks).unwrap_or(i64::MAX));
        self.lines_dropped
            .inc_by(logging::dropped_lines().saturating_sub(self.lines_dropped.get()));
        for (gauge, read) in &*self.watched() {
            gauge.set(read());
        }
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

/// Shows every label from the start: what reads the difference of two scrapes needs the first zero.
fn from_zero<B: MetricVecBuilder>(metrics: MetricVec<B>, labels: &[&str]) -> MetricVec<B> {
    for label in labels {
        let _ = metrics.with_label_values(&[label]);
    }
    metrics
}

/// Makes metrics that a registry has from the start.
struct Maker(Registry);

impl Maker {
    fn registered<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        metric: prometheus::Result<C>,
    ) -> C {
        let metric = metric.expect("metric names are constants, valid ones");
        self.0.register(Box::new(metric.clone())).expect("each metric is registered once");
        metric
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.registered(IntCounter::new(name, help))
    }

    /// `by`: a label, and what it may be.
    fn counters(&self, name: &str, help: &str, by: (&str, &[&str])) -> IntCounterVec {
        let (label, values) = by;
        from_zero(self.registered(IntCounterVec::new(Opts::new(name, help), &[label])), values)
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.registered(IntGauge::new(name, help))
    }

    /// `by`: a label, and what it may be.
    fn gauges(&self, name: &str, help: &str, by: (&str, &[&str])) -> IntGaugeVec {
        let (label, values) = by;
        from_zero(self.registered(IntGaugeVec::new(Opts::new(name, help), &[label])), values)
    }

    fn ratios(&self, name: &str, help: &str, label: &str) -> GaugeVec {
        self.registered(GaugeVec::new(Opts::new(name, help), &[label]))
    }

    fn seconds(&self, name: &str, help: &str) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(DELIVERY_BUCKETS.to_vec());
        self.registered(Histogram::with_opts(options))
    }
}
