//! What the session knows of one connection. No I/O.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

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
    /// When anything came last.
    pub heard: Instant,
    pub ping_at: Instant,
    /// When the replica wants this client gone.
    pub leave_at: Option<Instant>,
    /// The caller knows that this connection is live in all rooms.
    pub told_live: bool,
    /// The last `error`, which explains a close.
    pub refusal: Option<String>,
}

impl Link {
    pub fn new(id: LinkId, welcome: Welcome, asked: Vec<String>, now: Instant) -> Self {
        let ping_at = now + welcome.heartbeat;
        let stages = asked.into_iter().map(|room| (room, Stage::Asked)).collect();
        let (leave_at, told_live, refusal) = (None, false, None);
        Self { id, welcome, stages, heard: now, ping_at, leave_at, told_live, refusal }
    }

    pub fn is_joined(&self, room: &str) -> bool {
        matches!(self.stages.get(room), Some(Stage::Joined | Stage::Live))
    }

    pub fn is_live(&self, room: &str) -> bool {
        self.stages.get(room) == Some(&Stage::Live)
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
