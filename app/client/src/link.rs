//! What the session knows of one connection. No I/O.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rollcall_protocol::{EntryId, ErrorCode, RoomCursor};

use crate::connection::Welcome;

/// Names a connection between the session and the driver; never used again.
pub type LinkId = u64;

/// How far a connection is into a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Asked for, in `hello` or by `join`.
    Asked,
    /// Entered; catching up.
    Joined,
    /// Caught up.
    Live,
    /// The server could not read the log; to be asked for again then.
    Later(Instant),
}

pub(crate) struct Link {
    pub id: LinkId,
    pub welcome: Welcome,
    pub stages: BTreeMap<String, Stage>,
    /// The cursor that each room was asked for with, and how far this connection has told it since.
    asked: BTreeMap<String, EntryId>,
    told: BTreeMap<String, EntryId>,
    /// When anything came last.
    pub heard: Instant,
    pub ping_at: Instant,
    /// When the replica wants this client gone.
    pub leave_at: Option<Instant>,
    /// It wants so because it cannot deliver, which may pass.
    pub isolated: bool,
    /// The replica has lost the log: what is sent waits for it.
    pub log_away: bool,
    /// The caller knows that this connection is live in all rooms.
    pub told_live: bool,
    /// The last `error`, which explains a close.
    pub refusal: Option<(ErrorCode, String)>,
}

impl Link {
    pub fn new(id: LinkId, welcome: Welcome, rooms: Vec<RoomCursor>, now: Instant) -> Self {
        let mut link = Self {
            id,
            ping_at: now + welcome.heartbeat,
            welcome,
            stages: BTreeMap::new(),
            asked: BTreeMap::new(),
            told: BTreeMap::new(),
            heard: now,
            leave_at: None,
            isolated: false,
            log_away: false,
            told_live: false,
            refusal: None,
        };
        rooms.into_iter().for_each(|it| link.ask(it.room, it.after));
        link
    }

    /// A room is asked for.
    pub fn ask(&mut self, room: String, after: Option<EntryId>) {
        match after {
            Some(after) => self.asked.insert(room.clone(), after),
            None => self.asked.remove(&room),
        };
        self.stages.insert(room, Stage::Asked);
    }

    /// This connection goes on from `at`, or from where it was asked to.
    pub fn goes_on(&mut self, room: &str, at: Option<EntryId>) {
        match at.or_else(|| self.asked.get(room).copied()) {
            Some(at) => self.told.insert(room.to_owned(), at),
            None => self.told.remove(room),
        };
    }

    /// This connection brings a message. Returns what it had told already, if this is not after it.
    pub fn brings(&mut self, room: &str, id: EntryId) -> Option<EntryId> {
        match self.told.get_mut(room) {
            Some(told) if id <= *told => Some(*told),
            Some(told) => {
                *told = id;
                None
            }
            None => {
                self.told.insert(room.to_owned(), id);
                None
            }
        }
    }

    pub fn is_joined(&self, room: &str) -> bool {
        matches!(self.stages.get(room), Some(Stage::Joined | Stage::Live))
    }

    pub fn is_live(&self, room: &str) -> bool {
        self.stages.get(room) == Some(&Stage::Live)
    }

    /// Whether the room's messages may go out here.
    pub fn sends_in(&self, room: &str) -> bool {
        self.is_live(room) && !self.log_away
    }

    /// Whether a `join` is due.
    pub fn should_ask(&self, room: &str, now: Instant) -> bool {
        match self.stages.get(room) {
            None => true,
            Some(Stage::Later(at)) => *at <= now,
            Some(_) => false,
        }
    }

    /// When a peer that stays silent is given up.
    pub fn give_up_at(&self) -> Instant {
        self.heard + self.patience()
    }

    pub fn patience(&self) -> Duration {
        self.welcome.heartbeat.mul_f64(2.5)
    }

    /// When this connection needs attention although nothing comes.
    pub fn wake_at(&self) -> Instant {
        let later = self.stages.values().filter_map(|stage| match stage {
            Stage::Later(at) => Some(*at),
            _ => None,
        });
        later.fold(self.ping_at.min(self.give_up_at()), Instant::min)
    }
}
