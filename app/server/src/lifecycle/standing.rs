//! How a replica stands: as its connections see it, and as operators do.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::nudge::Nudge;

/// Connections of an isolated replica go at moments spread over this time at most.
pub const ISOLATED_SPREAD: Duration = Duration::from_secs(1);

/// Why a connection was asked to move: what its `goaway` said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The replica drains.
    Drain,
    /// A nudge: the replica goes on.
    Rebalance,
    /// The replica cannot deliver.
    Isolated,
}

impl Reason {
    /// All of them.
    pub const ALL: [&str; 3] = ["drain", "rebalance", "isolated"];

    /// As in the frame.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize]
    }
}

/// Where a replica is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not yet ready for clients.
    Starting,
    /// Serving.
    Ready,
    /// Refusing new connections, moving the others.
    Draining(Drain),
    /// About to exit.
    Stopped,
}

/// How a replica stands, as its connections see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Where it is in its life.
    pub phase: Phase,
    /// The log answers and the feeds are read: what is said is taken, and arrives.
    pub delivers: bool,
    /// It has not delivered for so long that its clients are better off elsewhere.
    pub isolated: bool,
    /// While it is: somebody who was told to go was served elsewhere, so that those who obey no goaway will be, too. Without
    /// that they stay: where no replica delivers, they would stand before a shut door.
    pub others_serve: bool,
    /// The last nudge.
    pub nudge: Option<Nudge>,
}

/// How a drain goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// Connections are told to move at moments spread over this time.
    pub spread: Duration,
    /// What is left then is closed.
    pub deadline: Instant,
}

/// A drain's state, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// `starting`, `ready`, `draining` or `stopped`.
    pub phase: &'static str,
    /// Open connections.
    pub connections: usize,
    /// Connections that left after their goaway, since the last drain began.
    pub moved: u64,
    /// Connections closed at the deadline, since the last drain began.
    pub forced: u64,
    /// Connections closed after their own moment because they do not obey a goaway, since the last drain began.
    pub ignored: u64,
    /// Whether the log answers and the feeds are read.
    pub delivers: bool,
    /// Whether clients are told to go because this replica has not delivered for seconds.
    pub isolated: bool,
    /// Whether newcomers are let in, as far as an operator has said: `/accepting`.
    pub accepting: bool,
    /// Time left to the deadline, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_in_ms: Option<u64>,
}
