//! What every connection and request of this replica shares.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio_util::task::TaskTracker;

use crate::{
    budget::Budget, config::Config, delivery::Rooms, health::Health, lifecycle::Lifecycle,
    memberships::Memberships, metrics::Metrics, rates::Rates, session::Greeting,
};

/// What every connection and request shares. Clones share it.
#[derive(Clone)]
pub struct App {
    /// The settings.
    pub config: Arc<Config>,
    /// The rooms, and behind them the logs.
    pub rooms: Rooms,
    /// Which rooms people with an account are in, and how far they have read.
    pub memberships: Memberships,
    /// The phase and the count of connections.
    pub lifecycle: Lifecycle,
    /// What is known of this replica's health.
    pub health: Health,
    /// What may wait for all connections together.
    pub outlets: Budget,
    /// The counters.
    pub metrics: Metrics,
    /// The rate limits.
    pub rates: Rates,
    /// Every task that outlives a request.
    pub tasks: TaskTracker,
    connections: Arc<AtomicU64>,
}

impl App {
    /// The shared parts of one replica.
    #[must_use]
    pub fn new(
        config: Config,
        rooms: Rooms,
        memberships: Memberships,
        health: Health,
        metrics: Metrics,
        tasks: TaskTracker,
    ) -> Self {
        let rates = Rates::new(&config.limits);
        Self {
            outlets: Budget::new(config.limits.outlets_bytes),
            config: Arc::new(config),
            rooms,
            memberships,
            health,
            lifecycle: Lifecycle::new(),
            metrics,
            rates,
            tasks,
            connections: Arc::default(),
        }
    }

    /// A number for a new connection, unique on this replica.
    #[must_use]
    pub fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// How this replica introduces itself.
    #[must_use]
    pub fn greeting(&self) -> Greeting {
        Greeting {
            replica: self.config.replica.clone(),
            release: self.config.release.clone(),
            heartbeat: self.config.heartbeat,
        }
    }

    /// The limits that clients are told.
    #[must_use]
    pub fn limits(&self) -> rollcall_protocol::Limits {
        let limits = &self.config.limits;
        rollcall_protocol::Limits {
            text_bytes: limits.text_bytes,
            frame_bytes: limits.frame_bytes,
            rooms: limits.rooms_per_connection,
            pending: limits.pending_sends,
        }
    }
}
