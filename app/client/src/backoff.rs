//! How long to wait before the next attempt. No I/O.

use std::time::Duration;

use rand::{Rng, RngExt};

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);

/// Full jitter: a random time below a bound that doubles, so that the clients of a dead replica
/// do not come back in step.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    attempt: u32,
}

impl Backoff {
    /// The time to wait before the next attempt.
    pub fn next(&mut self, rng: &mut impl Rng) -> Duration {
        let bound = FIRST.saturating_mul(2u32.saturating_pow(self.attempt)).min(LONGEST);
        self.attempt += 1;
        bound.mul_f64(rng.random_range(0.0..=1.0))
    }

    /// Like [`Self::next`], but with no wait if this is the first attempt since the client was
    /// live: a replica that restarts asks its clients to come back at once.
    pub fn next_at_once(&mut self, rng: &mut impl Rng) -> Duration {
        let wait = if self.attempt == 0 { 0 } else { 1 };
        self.next(rng) * wait
    }

    /// The client is live again.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    proptest! {
        #[test]
        fn waits_stay_below_a_doubling_bound(seed in any::<u64>(), attempts in 1u32..40) {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut backoff = Backoff::default();
            for attempt in 0..attempts {
                let bound = (0.2 * 2f64.powi(attempt.try_into().unwrap_or(i32::MAX))).min(10.0);
                prop_assert!(backoff.next(&mut rng).as_secs_f64() <= bound + 1e-9);
            }
        }
    }

    #[test]
    fn only_the_first_attempt_after_being_live_goes_at_once() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next_at_once(&mut rng), Duration::ZERO);
        assert_ne!(backoff.next_at_once(&mut rng), Duration::ZERO);
        backoff.reset();
        assert_eq!(backoff.next_at_once(&mut rng), Duration::ZERO);
    }

    #[test]
    fn jitter_uses_the_whole_range() {
        let mut rng = StdRng::seed_from_u64(1);
        let waits: Vec<_> = (0..200).map(|_| Backoff::default().next(&mut rng)).collect();
        assert!(waits.iter().any(|wait| *wait < FIRST / 10));
        assert!(waits.iter().any(|wait| *wait > FIRST * 9 / 10));
    }
}
