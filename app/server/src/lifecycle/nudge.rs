//! Asking connections to move while the replica stays ready: after a change of the proxy, or for balance.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::time::Instant;

/// Which connections a nudge asks to move, and over what time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nudge {
    /// Tells it from the one before; the first is 1.
    pub number: u64,
    /// The connections' moments are spread over this time.
    pub spread: Duration,
    /// Connections that were opened later stay: they came when all was new already.
    opened_by: Option<Instant>,
    /// At most this many connections are asked.
    most: usize,
}

impl Nudge {
    /// Whether it asks a connection that was opened then.
    fn means(&self, opened: Instant) -> bool {
        self.opened_by.is_some_and(|by| opened <= by)
    }
}

/// What nudges have asked of one connection: once, however many follow.
#[derive(Debug, Default)]
pub struct Asked {
    /// The last nudge that may have asked.
    by: Option<u64>,
    is_asked: bool,
}

impl Asked {
    /// Whether a nudge has asked it to move.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// The moment of a connection that was opened then, if `nudge` asks it now. `moment` gives it its own in the nudge, or
    /// none if that has asked enough others.
    pub fn ask(
        &mut self,
        nudge: Option<Nudge>,
        opened: Instant,
        moment: impl FnOnce(&Nudge) -> Option<Duration>,
    ) -> Option<Duration> {
        let nudge = nudge.filter(|_| !self.is_asked)?;
        let is_new = self.by.replace(nudge.number) != Some(nudge.number);
        let moment = (is_new && nudge.means(opened)).then(|| moment(&nudge))??;
        self.is_asked = true;
        Some(moment)
    }
}

/// What became of all nudges since the replica started, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NudgeStatus {
    /// Nudges so far.
    pub nudges: u64,
    /// Connections that were asked to move.
    pub told: u64,
    /// Of these, those that left by themselves.
    pub moved: u64,
    /// And those that were closed after their own moment, because they do not obey a goaway.
    pub ignored: u64,
    /// And those that are still here.
    pub left: u64,
}

/// How a connection went that had been asked to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// By itself.
    Moved,
    /// It was closed after its own moment.
    Ignored,
    /// Closed for another reason, such as a drain's deadline.
    Otherwise,
}

/// The nudges of a replica, and their counts.
#[derive(Default)]
pub(super) struct Nudges {
    told: AtomicU64,
    moved: AtomicU64,
    ignored: AtomicU64,
    gone: AtomicU64,
    round: Mutex<Round>,
    number: AtomicU64,
}

/// How far the present nudge is.
#[derive(Default)]
struct Round {
    number: u64,
    /// Connections that may be meant, as far as could be known when it began.
    expected: usize,
    given: usize,
}

impl Nudges {
    fn round(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new nudge of at most `most` of the `connections`, of those that were opened at least `age` ago.
    pub fn begin(&self, spread: Duration, age: Duration, most: usize, connections: usize) -> Nudge {
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        *self.round() = Round { number, expected: connections.min(most).max(1), given: 0 };
        Nudge { number, spread, opened_by: Instant::now().checked_sub(age), most }
    }

    /// One connection's own moment in a nudge, evenly spread in the order of asking. None if enough others have been asked,
    /// or another nudge has begun.
    pub fn moment(&self, nudge: &Nudge) -> Option<Duration> {
        let mut round = self.round();
        if round.number != nudge.number || round.given >= nudge.most {
            return None;
        }
        let nth = round.given % round.expected;
        round.given += 1;
        self.told.fetch_add(1, Ordering::Relaxed);
        let of = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Some(nudge.spread * of(nth) / of(round.expected))
    }

    /// A connection that was asked to move is gone.
    pub fn count_gone(&self, how: Gone) {
        match how {
            Gone::Moved => self.moved.fetch_add(1, Ordering::Relaxed),
            Gone::Ignored => self.ignored.fetch_add(1, Ordering::Relaxed),
            Gone::Otherwise => 0,
        };
        self.gone.fetch_add(1, Ordering::Relaxed);
    }

    pub fn status(&self) -> NudgeStatus {
        // First those that are gone, so that there are never more of them than were told.
        let gone = self.gone.load(Ordering::Relaxed);
        let told = self.told.load(Ordering::Relaxed);
        NudgeStatus {
            nudges: self.number.load(Ordering::Relaxed),
            told,
            moved: self.moved.load(Ordering::Relaxed),
            ignored: self.ignored.load(Ordering::Relaxed),
            left: told.saturating_sub(gone),
        }
    }
}
