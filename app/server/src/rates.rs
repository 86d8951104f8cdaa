//! How fast clients, addresses and rooms may go.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter,
    clock::{Clock, DefaultClock, QuantaInstant},
};

use crate::config::Limits;

/// The limiters that all connections share. Clones share them.
#[derive(Clone)]
pub struct Rates(Arc<Inner>);

struct Inner {
    connects: DefaultKeyedRateLimiter<IpAddr>,
    address_sends: DefaultKeyedRateLimiter<IpAddr>,
    room_sends: DefaultKeyedRateLimiter<String>,
    per_client: NonZeroU32,
    clock: DefaultClock,
}

/// How many frames of any kind, for each send that a client may make.
const FRAMES_A_SEND: NonZeroU32 = NonZeroU32::new(5).expect("not zero");

/// One connection's frames.
pub struct FrameRate {
    limiter: DefaultDirectRateLimiter,
    /// The last frame came too soon: its share is the first that the limiter has again.
    owed: bool,
}

impl FrameRate {
    /// Counts a frame. How long to wait before the next is read, if it came too soon.
    #[must_use]
    pub fn count(&mut self) -> Option<Duration> {
        self.owed = self.owed && self.limiter.check().is_err();
        let not_until = self.limiter.check().err()?;
        self.owed = true;
        Some(not_until.wait_time_from(DefaultClock::default().now()))
    }
}

/// So many a second, and `burst` at once, at least one.
fn quota(rate: NonZeroU32, burst: u32) -> Quota {
    Quota::per_second(rate).allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN))
}

fn times(rate: NonZeroU32, factor: u32) -> u32 {
    rate.get().saturating_mul(factor)
}

impl Rates {
    /// The rates of `limits`.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let address = quota(limits.rate_address, times(limits.rate_address, 4));
        // Other rooms wait behind a burst of this one: a small one.
        let room = quota(limits.rate_room, limits.rate_room.get() / 2);
        Self(Arc::new(Inner {
            connects: RateLimiter::keyed(address),
            address_sends: RateLimiter::keyed(address),
            room_sends: RateLimiter::keyed(room),
            per_client: limits.rate_client,
            clock: DefaultClock::default(),
        }))
    }

    /// Whether `address` may open one more connection.
    #[must_use]
    pub fn allow_connection(&self, address: IpAddr) -> bool {
        self.0.connects.check_key(&address).is_ok()
    }

    /// The check for one connection's sends: its own rate, its address's, then the room's.
    pub fn throttle(
        &self,
        address: IpAddr,
    ) -> impl FnMut(&str) -> Result<(), Duration> + Send + 'static {
        let rates = self.clone();
        let per_client = rates.0.per_client;
        let own: DefaultDirectRateLimiter =
            RateLimiter::direct(quota(per_client, times(per_client, 2)));
        move |room| {
            own.check().map_err(|not_until| rates.wait(&not_until))?;
            rates.allow_send(address, room)
        }
    }

    /// The rate at which one connection's frames are read, whatever they are.
    #[must_use]
    pub fn frames(&self) -> FrameRate {
        let rate = self.0.per_client.saturating_mul(FRAMES_A_SEND);
        let quota = quota(rate, times(rate, FRAMES_A_SEND.get()));
        FrameRate { limiter: RateLimiter::direct(quota), owed: false }
    }

    /// Whether one more message may go from `address` to `room`; otherwise how long to wait.
    ///
    /// # Errors
    /// How long to wait.
    pub fn allow_send(&self, address: IpAddr, room: &str) -> Result<(), Duration> {
        let inner = &self.0;
        inner.address_sends.check_key(&address).map_err(|not_until| self.wait(&not_until))?;
        inner.room_sends.check_key(&room.to_owned()).map_err(|not_until| self.wait(&not_until))
    }

    fn wait(&self, not_until: &NotUntil<QuantaInstant>) -> Duration {
        not_until.wait_time_from(self.0.clock.now()).max(Duration::from_millis(1))
    }

    /// Forgets addresses and rooms that have been quiet.
    pub fn forget_quiet(&self) {
        self.0.connects.retain_recent();
        self.0.address_sends.retain_recent();
        self.0.room_sends.retain_recent();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use clap::Parser;

    use super::*;
    use crate::config::Config;

    #[test]
    fn frames_beyond_the_burst_wait_for_the_rate() {
        let config = Config::parse_from(["test", "--rate-client", "2"]);
        let mut frames = Rates::new(&config.limits).frames();
        let at_once = (0..100).take_while(|_| frames.count().is_none()).count();
        assert!((50..60).contains(&at_once), "five times the rate, five times: {at_once}");
        assert!(frames.count().is_some_and(|wait| wait <= Duration::from_millis(100)));
    }

    /// Anomaly `noisy-neighbour`: the burst of a room is what its neighbours wait behind.
    #[test]
    fn a_room_takes_half_a_second_at_once_and_others_are_not_asked() {
        let config = Config::parse_from(["test", "--rate-room", "40"]);
        let rates = Rates::new(&config.limits);
        let (address, said) = (IpAddr::from([127, 0, 0, 1]), 0..100);
        let at_once = said.take_while(|_| rates.allow_send(address, "loud").is_ok()).count();
        assert!((20..25).contains(&at_once), "half of its rate: {at_once}");
        assert_eq!(rates.allow_send(address, "quiet"), Ok(()));
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let config = Config::parse_from(["test", "--rate-client", "2"]);
        let rates = Rates::new(&config.limits);
        let mut throttle = rates.throttle(IpAddr::from([127, 0, 0, 1]));
        let start = Instant::now();
        let passed = (0..100).filter(|_| throttle("vault").is_ok()).count();
        assert!(passed >= 4, "a burst of twice the rate");
        assert!(passed <= 5 + 2 * start.elapsed().as_secs() as usize, "then the rate");
        assert!(throttle("vault").is_err_and(|wait| wait <= Duration::from_secs(1)));
    }
}
