//! Whether this replica delivers: the log answers, the feeds are read, rooms were compared. No I/O.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;

/// The longest time between two reads of the feeds, or two answers of the log, of a replica that delivers.
const STALE: Duration = Duration::from_secs(2);

/// What is known of this replica's health. Clones share it.
#[derive(Debug, Clone)]
pub struct Health(Arc<Mutex<Signs>>);

#[derive(Debug, Clone, Copy)]
struct Signs {
    /// When the log answered last, and whether it did the last time it was asked.
    log_answered: Option<Instant>,
    log_answers: bool,
    feeds_read: Option<Instant>,
    /// When all of it was last true; at first, when this began.
    delivered: Instant,
}

/// What [`Health::look`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diagnosis {
    /// The log answers and the feeds are read.
    pub delivers: bool,
    /// How long that has not been so.
    pub silent_for: Duration,
    /// Time since the feeds were last read; none if never.
    pub feeds_read_ago: Option<Duration>,
}

impl Health {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Signs {
            log_answered: None,
            log_answers: false,
            feeds_read: None,
            delivered: Instant::now(),
        })))
    }

    fn signs(&self) -> MutexGuard<'_, Signs> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The log was asked, and did or did not answer.
    pub fn log_answered(&self, answered: bool) {
        let mut signs = self.signs();
        signs.log_answers = answered;
        if answered {
            signs.log_answered = Some(Instant::now());
        }
    }

    /// The feeds were read, and what they had has reached the rooms.
    pub fn feeds_read(&self) {
        self.signs().feeds_read = Some(Instant::now());
    }

    /// How it stands now.
    pub fn look(&self) -> Diagnosis {
        let now = Instant::now();
        let mut signs = self.signs();
        let is_fresh = |at: Option<Instant>| at.is_some_and(|at| now - at <= STALE);
        let delivers =
            signs.log_answers && is_fresh(signs.log_answered) && is_fresh(signs.feeds_read);
        if delivers {
            signs.delivered = now;
        }
        Diagnosis {
            delivers,
            silent_for: now - signs.delivered,
            feeds_read_ago: signs.feeds_read.map(|at| now - at),
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault S1: a replica was ready as long as a ping was answered, also when its feeds stood still.
    #[tokio::test(start_paused = true)]
    async fn s1_a_replica_whose_feeds_stand_still_does_not_deliver() {
        let health = Health::new();
        assert!(!health.look().delivers, "nothing is known yet");
        health.log_answered(true);
        assert!(!health.look().delivers, "the feeds were never read");
        health.feeds_read();
        assert!(health.look().delivers);
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        health.log_answered(true);
        let diagnosis = health.look();
        assert!(!diagnosis.delivers);
        assert_eq!(diagnosis.silent_for, Duration::from_millis(2_500));
        health.feeds_read();
        assert!(health.look().delivers);
        health.log_answered(false);
        assert!(!health.look().delivers, "the log did not answer");
    }
}
