//! How large streams may be and how long rooms may be silent, by how full the memory is. Pure; `bounds.lua` and
//! `janitor.lua` go by the same rules in Redis.

use std::time::Duration;

use tokio::time::Instant;

use super::model::Forbidden;
use crate::config::{LogBounds, RoomPolicy};

/// No room log is trimmed below this by how full the memory is.
pub(super) const LOG_LEAST: usize = 32 << 10;
/// Nor a feed below this.
pub(super) const FEED_LEAST: usize = 256 << 10;
/// The memory is short from so much less than what refuses new rooms: they must be welcome again by themselves.
const SHORT_BEFORE: f64 = 0.05;
/// How long each step beyond the least bytes lasts: what it makes too silent must have the time to be found.
const STEP: Duration = Duration::from_secs(10);
/// However short the memory, a room may be silent for this long while others speak.
const SILENCE: Duration = Duration::from_secs(60);
/// With so few times of their lives, what rooms may keep of their silence makes no room any more: then what they may keep
/// of their words becomes less, too.
const FEWEST_LIVES: f64 = 1.0 / 16.0;
const ROUND_PAUSE: Duration = Duration::from_secs(60);
/// How the names of rooms begin in which a roll tries a new slot. Nobody but it knows how they go on, and nobody comes back.
const PROBES: &str = "rollcall-probe-";
/// How the names of rooms of two begin. Nobody else makes such a room, or speaks in one before it is made: its name follows
/// from who the two are, which everybody knows.
pub const DIRECT: &str = "direct-";

impl LogBounds {
    /// The share of the memory from which on rooms without a log are refused.
    #[must_use]
    pub fn new_rooms_below(&self) -> f64 {
        f64::from(self.new_rooms_below_percent) / 100.0
    }

    /// Whether the janitor must make room.
    pub(super) fn is_short(&self, full: f64) -> bool {
        full >= self.new_rooms_below() - SHORT_BEFORE
    }

    /// Most senders that a room remembers when it must remember one more, by whether that one is in it.
    pub(super) fn senders_for(&self, is_in_room: bool) -> usize {
        if is_in_room { self.senders } else { self.senders.div_ceil(2) }
    }

    /// How long a sender's last number is remembered whatever comes.
    pub(super) fn numbers_spared(&self) -> Duration {
        self.numbers_kept / 10
    }

    /// How long it is remembered while the memory is so full.
    pub(super) fn numbers_kept_at(&self, full: f64) -> Duration {
        if self.is_short(full) { self.numbers_spared() } else { self.numbers_kept }
    }

    /// How long this room may be silent.
    pub(super) fn expiry_of(&self, room: &str) -> Duration {
        if is_probe(room) { self.probe_expiry.min(self.room_expiry) } else { self.room_expiry }
    }

    /// Why nobody speaks in this room as long as it was not made; none where any name is a room. That two people have not talked
    /// with each other is for nobody else to know: to others their room is as if it were there.
    pub(super) fn unmade(&self, room: &str) -> Option<Forbidden> {
        if room.starts_with(DIRECT) {
            return Some(Forbidden::Private);
        }
        (self.rooms == RoomPolicy::Created && !is_probe(room)).then_some(Forbidden::NotMade)
    }

    /// Between two rounds of the janitor while there is memory enough.
    pub(super) fn round_pause(&self) -> Duration {
        ROUND_PAUSE.min(self.room_expiry / 4).min(self.probe_expiry)
    }

    /// However short the memory, a room may be silent for this long.
    pub(super) fn least_silence(&self) -> Duration {
        SILENCE.min(self.room_expiry)
    }
}

/// Whether a room is one that an operator's probes talk in: no list has it.
pub(crate) fn is_probe(room: &str) -> bool {
    room.starts_with(PROBES)
}

/// The bytes that a stream may have of its `most`: all while the memory is half empty, and half as many for each 5 % more.
pub(super) fn allowed(most: usize, least: usize, full: f64) -> usize {
    let halvings = ((full - 0.5) / 0.05).max(0.0);
    let share = most as f64 / halvings.exp2();
    (share as usize).max(least.min(most))
}

/// How hard the janitor presses while the memory is short: first on the largest logs, a class of size at a time; when all
/// are as small as they may be, on rooms that have been silent for longer than they were alive; and if none is left that has
/// been, on all logs again, since a Redis that takes nothing makes none any more silent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Squeeze {
    halvings: u32,
    /// Times of its life that a room may be silent, and since when it is so few.
    lives: Option<(f64, Instant)>,
}

impl Squeeze {
    /// After the janitor has been everywhere once: harder if the memory is still short, not at all if it is not.
    pub(super) fn press(&mut self, is_short: bool, log_bytes: usize, now: Instant) {
        if !is_short {
            *self = Self::default();
        } else if self.lives.is_none() && self.log_bytes(log_bytes) > LOG_LEAST.min(log_bytes) {
            self.halvings += 1;
        } else {
            match &mut self.lives {
                None => self.lives = Some((4.0, now)),
                Some((lives, since)) if now - *since >= STEP => {
                    *lives /= 2.0;
                    *since = now;
                }
                Some(_) => {}
            }
        }
    }

    /// The bytes that a room log may have of its `most`.
    pub(super) fn log_bytes(&self, most: usize) -> usize {
        let beyond = self.lives.map_or(0.0, |(lives, _)| (FEWEST_LIVES / lives).log2().max(0.0));
        let shrunk = |bytes: usize, halvings| bytes.checked_shr(halvings).unwrap_or(0);
        let least = LOG_LEAST.min(most);
        shrunk(most, self.halvings + beyond as u32).max(shrunk(least, beyond as u32))
    }

    /// The bytes that a feed may have of its `most`.
    pub(super) fn feed_bytes(&self, most: usize) -> usize {
        most.checked_shr(self.halvings).unwrap_or(0).max(FEED_LEAST.min(most))
    }

    /// Times of its life that a room may be silent; none for as long as any may.
    pub(super) fn lives(&self) -> Option<f64> {
        self.lives.map(|(lives, _)| lives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_make_room_first_and_small_ones_last() {
        let megabytes = |full| allowed(4 << 20, LOG_LEAST, full);
        assert_eq!(megabytes(0.0), 4 << 20);
        assert_eq!(megabytes(0.5), 4 << 20);
        assert!(megabytes(0.6).abs_diff(1 << 20) <= 1);
        assert_eq!(megabytes(1.0), LOG_LEAST);
        assert_eq!(allowed(1000, LOG_LEAST, 1.0), 1000, "a bound below the least stays what it is");
    }

    #[test]
    fn pressure_falls_on_bytes_before_it_falls_on_silence_and_ends_at_once() {
        let (mut squeeze, begin) = (Squeeze::default(), Instant::now());
        for _ in 0..7 {
            assert_eq!(squeeze.lives(), None);
            squeeze.press(true, 4 << 20, begin);
        }
        assert_eq!(squeeze.log_bytes(4 << 20), LOG_LEAST);
        assert_eq!(squeeze.feed_bytes(4 << 20), FEED_LEAST);
        squeeze.press(true, 4 << 20, begin);
        assert_eq!(squeeze.lives(), Some(4.0));
        squeeze.press(true, 4 << 20, begin + STEP / 2);
        assert_eq!(squeeze.lives(), Some(4.0), "a step takes its time");
        squeeze.press(true, 4 << 20, begin + STEP);
        assert_eq!(squeeze.lives(), Some(2.0));
        squeeze.press(false, 4 << 20, begin + STEP);
        assert_eq!(squeeze, Squeeze::default());
    }

    #[test]
    fn where_no_room_is_silent_all_logs_become_shorter() {
        let (mut squeeze, mut now) = (Squeeze::default(), Instant::now());
        let mut least = vec![];
        for _ in 0..30 {
            squeeze.press(true, LOG_LEAST, now);
            now += STEP;
            least.push(squeeze.log_bytes(LOG_LEAST));
        }
        assert_eq!(least[..7], [LOG_LEAST; 7], "rooms that are silent first");
        assert_eq!(least[7..10], [LOG_LEAST / 2, LOG_LEAST / 4, LOG_LEAST / 8]);
        assert!(least[29] < 100, "as far as it takes: {least:?}");
    }
}
