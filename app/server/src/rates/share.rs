//! A room's rate, shared among those who speak there. Pure.
//!
//! A room takes what comes until its bucket runs low. From then on what is left is for senders who have said no more
//! than the mean of all who speak there: however many messages the loud ones try, they get what the quiet ones leave.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::bucket::{Bucket, Quota};

/// What a sender said counts for one to two of these.
const WINDOW: Duration = Duration::from_secs(4);
/// Messages above the mean that still count as quiet: the difference between two who speak equally often.
const SLACK: u32 = 2;
/// Senders that a room tells apart; more than these share places. So many that a quiet one hardly ever shares a loud one's:
/// with a thousand, one flood took the share of somebody in every hundredth room of ten.
pub const PLACES: u32 = 1 << 16;

/// One room's bucket, and who has taken how much of it.
#[derive(Debug)]
pub struct Share {
    bucket: Bucket,
    window_began: Instant,
    /// Sender → messages taken in the window before and in this one. A sender who was refused is listed, with nothing.
    taken: HashMap<u32, [u32; 2]>,
    /// All of these together.
    all: u64,
}

impl Share {
    /// A room in which nobody has spoken.
    pub fn new(now: Instant) -> Self {
        Self { bucket: Bucket::default(), window_began: now, taken: HashMap::new(), all: 0 }
    }

    /// How long until a message of `sender` can pass, if `ahead` others of that sender go first. The sender counts as one
    /// who speaks here from now on, also if this is refused: a share that only messages taken could earn
    /// would never begin for a newcomer in a room that is full.
    pub fn wait(&mut self, quota: Quota, sender: u32, ahead: u32, now: Instant) -> Duration {
        self.turn(now);
        self.taken.entry(sender).or_default();
        let keep = if self.is_quiet(sender) { 0 } else { quota.burst / 2 };
        let until_next = self.bucket.wait(quota, 1 + keep, now);
        // All who speak here take turns, so a place behind another is a whole turn later.
        let turn = quota.every.saturating_mul(u32::try_from(self.taken.len()).unwrap_or(u32::MAX));
        match (until_next.is_zero(), ahead) {
            (true, 0) => Duration::ZERO,
            // Those who are refused at once must not all come back at once.
            (_, 0) if keep > 0 => until_next + turn.mul_f64(f64::from(sender) / f64::from(PLACES)),
            _ => until_next + turn.saturating_mul(ahead),
        }
    }

    /// Takes a message of `sender`, for which [`Self::wait`] said zero.
    pub fn take(&mut self, quota: Quota, sender: u32, now: Instant) {
        self.bucket.take(quota, 1, now);
        self.taken.entry(sender).or_default()[1] += 1;
        self.all += 1;
    }

    /// Whether nothing of what was said here counts any more.
    pub fn is_forgotten(&mut self, now: Instant) -> bool {
        self.turn(now);
        self.taken.is_empty() && self.bucket.is_full(now)
    }

    /// Whether `sender` has said no more than the mean of those who speak here.
    fn is_quiet(&self, sender: u32) -> bool {
        let sum = |counts: &[u32; 2]| u64::from(counts[0]) + u64::from(counts[1]);
        let senders = self.taken.len() as u64;
        let own = self.taken.get(&sender).map_or(0, sum);
        own * senders <= self.all + u64::from(SLACK) * senders
    }

    /// Begins a new window if this one is over, or two if both are.
    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.window_began);
        if age < WINDOW {
            return;
        }
        let keeps_last = age < 2 * WINDOW;
        self.taken.retain(|_, counts| {
            *counts = [if keeps_last { counts[1] } else { 0 }, 0];
            counts[0] > 0
        });
        self.all = self.taken.values().map(|counts| u64::from(counts[0])).sum();
        self.window_began = now;
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const LOUD: u32 = 700;

    fn quota() -> Quota {
        Quota::new(NonZeroU32::new(50).expect("not zero"), 25)
    }

    /// Ten senders with a message a second each, and one who tries every millisecond, for 60 s: the delays of the quiet
    /// ones, who come back when they were told to, in order, and how much the loud one got.
    fn beside_a_flood() -> (Vec<Duration>, u32) {
        let start = Instant::now();
        let mut share = Share::new(start);
        let mut due: Vec<_> = (0..10).map(|i| Duration::from_millis(97 * i)).collect();
        let mut since = due.clone();
        let mut delays = Vec::new();
        let mut loud = 0;
        for at in (0..60_000).map(Duration::from_millis) {
            let now = start + at;
            for quiet in (0..10).filter(|quiet| due[*quiet] <= at).collect::<Vec<_>>() {
                let wait = share.wait(quota(), quiet as u32, 0, now);
                if wait.is_zero() {
                    share.take(quota(), quiet as u32, now);
                    delays.push(at - since[quiet]);
                    since[quiet] += Duration::from_secs(1);
                    due[quiet] = since[quiet];
                } else {
                    due[quiet] = at + wait;
                }
            }
            while share.wait(quota(), LOUD, 0, now).is_zero() {
                share.take(quota(), LOUD, now);
                loud += 1;
            }
        }
        delays.sort();
        (delays, loud)
    }

    /// Fault S26: the sender that asked most often got every token.
    #[test]
    fn s26_a_flood_gets_what_the_quiet_ones_leave() {
        let (delays, loud) = beside_a_flood();
        assert!(delays.len() >= 590, "each quiet one speaks once a second: {}", delays.len());
        assert!(delays[delays.len() / 2] < Duration::from_millis(5), "{:?}", delays[300]);
        assert!(delays[delays.len() * 99 / 100] < Duration::from_millis(100), "{delays:?}");
        assert!(loud > 35 * 60, "and all the rest is for the loud one: {loud}");
    }

    #[test]
    fn one_who_speaks_alone_has_the_whole_bucket() {
        let now = Instant::now();
        let mut share = Share::new(now);
        let passes = |share: &mut Share| {
            let may = share.wait(quota(), LOUD, 0, now).is_zero();
            if may {
                share.take(quota(), LOUD, now);
            }
            may
        };
        assert_eq!((0..100).filter(|_| passes(&mut share)).count(), 25);
    }

    #[test]
    fn a_room_forgets_who_spoke_long_ago() {
        let now = Instant::now();
        let mut share = Share::new(now);
        share.take(quota(), 1, now);
        assert!(!share.is_forgotten(now + Duration::from_secs(5)));
        assert!(share.is_forgotten(now + Duration::from_secs(9)));
        let mut refused = Share::new(now);
        let _ = refused.wait(quota(), 1, 0, now);
        assert!(refused.is_forgotten(now + Duration::from_secs(5)));
    }
}
