//! Figures while a run goes on, for people who watch it. The verdict is not made of these.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Counters of the whole run, and what happened since somebody last looked.
#[derive(Debug, Default)]
pub struct Live {
    /// Acknowledged operations.
    pub ok: AtomicU64,
    /// Rejected ones.
    pub fail: AtomicU64,
    /// Operations of unknown outcome.
    pub info: AtomicU64,
    /// Messages handed to clients.
    pub deliveries: AtomicU64,
    /// Gaps told to clients.
    pub gaps: AtomicU64,
    /// Connections lost.
    pub lost: AtomicU64,
    /// Clients that are live in all their rooms.
    pub serving: AtomicU64,
    /// Clients that ought to be.
    pub clients: AtomicU64,
    since: Mutex<Since>,
}

#[derive(Debug, Default)]
struct Since {
    /// When each text was handed to its sender's library, by hash.
    invoked: HashMap<String, Instant>,
    delays_ms: Vec<f64>,
    silence: Duration,
}

/// What happened since somebody last looked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    /// 99th percentile from `send` to delivery, ms, to those who do not read slowly on purpose.
    pub p99_ms: f64,
    /// The longest time that a client, now live again, was not.
    pub silence: Duration,
}

impl Live {
    pub(crate) fn invoked(&self, hash: &str) {
        self.since().invoked.insert(hash.to_owned(), Instant::now());
    }

    /// `received` is none of a client that reads slowly on purpose: how late it gets things says nothing.
    pub(crate) fn delivered(&self, hash: &str, received: Option<Instant>) {
        self.deliveries.fetch_add(1, Relaxed);
        let mut since = self.since();
        if let (Some(received), Some(invoked)) = (received, since.invoked.get(hash)) {
            let delay = received.saturating_duration_since(*invoked).as_secs_f64() * 1000.0;
            since.delays_ms.push(delay);
        }
    }

    pub(crate) fn silent(&self, lasted: Duration) {
        let mut since = self.since();
        since.silence = since.silence.max(lasted);
    }

    /// What happened since the last call.
    pub fn look(&self) -> Window {
        let mut since = self.since();
        let mut delays = std::mem::take(&mut since.delays_ms);
        let silence = std::mem::take(&mut since.silence);
        delays.sort_unstable_by(f64::total_cmp);
        let p99_ms = delays.get(delays.len() * 99 / 100).copied().unwrap_or(0.0);
        Window { p99_ms, silence }
    }

    fn since(&self) -> MutexGuard<'_, Since> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_slowly_on_purpose_is_counted_but_makes_nothing_late() {
        let live = Live::default();
        live.invoked("a");
        live.delivered("a", None);
        assert_eq!(live.deliveries.load(Relaxed), 1);
        assert!(live.look().p99_ms <= 0.0);

        live.delivered("a", Some(Instant::now() + Duration::from_secs(1)));
        assert!(live.look().p99_ms >= 1000.0);
    }
}
