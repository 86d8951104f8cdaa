//! Whether this replica delivers: the log answers, the feeds are read, rooms were compared. No I/O.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;

/// The longest time between two reads of the feeds, or two answers of the log, of a replica that delivers. One question
/// without an answer proves nothing: a planned change of Redis takes most of a second, for all replicas at once, and if
/// all were unready then, newcomers would be turned away.
const STALE: Duration = Duration::from_secs(2);

/// What is known of this replica's health. Clones share it.
#[derive(Debug, Clone)]
pub struct Health(Arc<Mutex<Signs>>);

#[derive(Debug, Clone, Copy)]
struct Signs {
    /// When the log answered last, and when the feeds were read.
    log_answered: Option<Instant>,
    feeds_read: Option<Instant>,
    began: Instant,
    /// Time was left out since the last sign.
    is_forgiven: bool,
}

impl Signs {
    fn seen(&mut self) -> Option<Instant> {
        self.is_forgiven = false;
        Some(Instant::now())
    }
}

/// What [`Health::look`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diagnosis {
    /// The log answers and the feeds are read.
    pub delivers: bool,
    /// How long either has been missing; zero while it delivers.
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
            feeds_read: None,
            began: Instant::now(),
            is_forgiven: false,
        })))
    }

    fn signs(&self) -> MutexGuard<'_, Signs> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The log was asked, and answered.
    pub fn log_answered(&self) {
        let mut signs = self.signs();
        signs.log_answered = signs.seen();
    }

    /// The feeds were read, and what they had has reached the rooms.
    pub fn feeds_read(&self) {
        let mut signs = self.signs();
        signs.feeds_read = signs.seen();
    }

    /// This process got no time for so long, as on a machine that hung: what came meanwhile it has yet to hear, so that
    /// time does not count. Once until there is a sign: one that gets no time again and again does not deliver.
    pub fn stood_still(&self, lasted: Duration) {
        let mut signs = self.signs();
        if std::mem::replace(&mut signs.is_forgiven, true) {
            return;
        }
        let now = Instant::now();
        let later = |at: Instant| (at + lasted).min(now);
        signs.log_answered = signs.log_answered.map(later);
        signs.feeds_read = signs.feeds_read.map(later);
        signs.began = later(signs.began);
    }

    /// How it stands now.
    pub fn look(&self) -> Diagnosis {
        let (now, signs) = (Instant::now(), *self.signs());
        let is_fresh = |at: Option<Instant>| at.is_some_and(|at| now - at <= STALE);
        let delivers = is_fresh(signs.log_answered) && is_fresh(signs.feeds_read);
        let missing_since = [signs.log_answered, signs.feeds_read]
            .map(|sign| sign.unwrap_or(signs.began))
            .into_iter()
            .min();
        Diagnosis {
            delivers,
            silent_for: missing_since
                .filter(|_| !delivers)
                .map_or(Duration::ZERO, |since| now - since),
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
        health.log_answered();
        assert!(!health.look().delivers, "the feeds were never read");
        health.feeds_read();
        assert!(health.look().delivers);
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        health.log_answered();
        let diagnosis = health.look();
        assert!(!diagnosis.delivers);
        assert_eq!(diagnosis.silent_for, Duration::from_millis(2_500));
        health.feeds_read();
        assert!(health.look().delivers);
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_this_process_did_not_have_does_not_count_but_once() {
        let health = Health::new();
        health.log_answered();
        health.feeds_read();
        let pause = Duration::from_secs(20);
        tokio::time::sleep(pause).await;
        health.log_answered();
        health.stood_still(pause);
        assert!(health.look().delivers);
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        assert!(!health.look().delivers, "no sign is from later than now");
        health.feeds_read();
        health.log_answered();
        for delivers in [true, false] {
            tokio::time::sleep(pause).await;
            health.stood_still(pause);
            assert_eq!(health.look().delivers, delivers);
        }
    }

    /// A planned change of Redis: all replicas were unready for a moment, and HAProxy had nobody to send newcomers to.
    #[tokio::test(start_paused = true)]
    async fn a_log_that_does_not_answer_for_a_second_is_no_outage_and_one_that_goes_on_is() {
        let health = Health::new();
        health.log_answered();
        health.feeds_read();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let diagnosis = health.look();
        assert!(diagnosis.delivers && diagnosis.silent_for.is_zero());
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        let diagnosis = health.look();
        assert!(!diagnosis.delivers);
        // Counted from the last sign, and not from when it was given up.
        assert_eq!(diagnosis.silent_for, Duration::from_millis(2_500));
    }
}
