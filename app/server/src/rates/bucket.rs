//! A bucket of tokens that fills with time. Pure.

use std::{num::NonZeroU32, time::Duration};

use tokio::time::Instant;

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// Time for one token.
    pub every: Duration,
    /// Tokens of a full bucket, at least one.
    pub burst: u32,
}

impl Quota {
    /// `rate` tokens per second; `burst` at once, at least one.
    pub fn new(rate: NonZeroU32, burst: u32) -> Self {
        Self { every: Duration::from_secs(1) / rate.get(), burst: burst.max(1) }
    }
}

/// The tokens, told by when there are as many as there can be. Full at first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    full_at: Option<Instant>,
}

impl Bucket {
    /// How long until `count` tokens are there. More than it holds count as if it went on filling.
    pub fn wait(&self, quota: Quota, count: u32, now: Instant) -> Duration {
        let missing = self.full_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        match count.checked_sub(quota.burst) {
            Some(beyond) => missing + quota.every.saturating_mul(beyond),
            None => missing.saturating_sub(quota.every.saturating_mul(quota.burst - count)),
        }
    }

    /// Takes `count` tokens, whether they are there or owed.
    pub fn take(&mut self, quota: Quota, count: u32, now: Instant) {
        let from = self.full_at.map_or(now, |at| at.max(now));
        self.full_at = Some(from + quota.every.saturating_mul(count));
    }

    /// How long until it is full.
    pub fn full_in(&self, now: Instant) -> Duration {
        self.full_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    /// Whether it is as good as new.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|at| at <= now)
    }
}
