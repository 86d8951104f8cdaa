//! What the stage tells, one event a line: to the page, into a recording, and out of one.

use std::collections::BTreeMap;

use rollcall_protocol::GapReason;
use serde::{Deserialize, Serialize};

/// The version of these events. A recording of another one is refused.
pub const VERSION: u32 = 3;

/// Something that happened, `at` so many ms after the stage began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The first of all: what stage this is.
    Stage(Stage),
    /// All replicas, as they are now.
    Replicas {
        /// In the order in which they are shown.
        replicas: Vec<Replica>,
    },
    /// What became of connections in about a tenth of a second.
    Connections {
        /// In the order in which it happened.
        list: Vec<Step>,
    },
    /// A step of a deploy begins or ends.
    Phase(Phase),
    /// An entry of a room's log, as one of the witnesses got it.
    Message(Message),
    /// A witness is connected as this member, who is nobody of the audience.
    Witness {
        /// Its public ID.
        member: String,
    },
    /// A room's log does not go on where a witness was: `trimmed` while it was away, or `rewound`.
    Gap {
        /// The room.
        room: String,
        /// Why.
        reason: GapReason,
    },
    /// The replica that serves a witness has lost the log, or has it again.
    Log {
        /// Which witness.
        witness: usize,
        /// Which of both.
        up: bool,
    },
    /// What the hall is asked: the topic of its room, as one of the witnesses was told.
    Asked {
        /// All of it.
        topic: String,
    },
    /// What all of it comes to.
    Figures(Figures),
    /// The proxy's servers, as they are now.
    Proxy {
        /// All of them.
        servers: Vec<Server>,
    },
    /// An act begins or ends.
    Act(Act),
    /// The roll was called.
    Verdict(Verdict),
}

/// What stage this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// [`VERSION`].
    pub v: u32,
    /// The room whose chain is shown.
    pub room: String,
    /// Where the audience joins, if they may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
}

/// A replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Its name.
    pub name: String,
    /// The places where its process may run.
    pub slots: Vec<Slot>,
}

/// A place where a replica's process may run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// `blue` or `green`.
    pub slot: String,
    /// The release that runs there, or ran there last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// How it is.
    pub state: State,
}

/// How a slot is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing has run there yet.
    #[default]
    Empty,
    /// Its process runs, and takes nobody yet.
    Starting,
    /// It serves.
    Up,
    /// It moves everybody away.
    Draining,
    /// It was emptied, and has ended: its container is kept for the way back.
    Kept,
    /// It is gone with everybody it had.
    Down,
}

/// What became of one connection. It is known by replica, slot and number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What.
    pub is: Is,
    /// The replica that has it.
    pub replica: String,
    /// In this slot.
    pub slot: String,
    /// Its number there.
    pub number: u64,
    /// Whose it is: the same on every connection of that member. Told when it is opened.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub member: String,
    /// What others call them. Told when it is opened.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Of a goaway: until its moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_ms: Option<u64>,
    /// It happened so long before the event that tells it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ago_ms: u64,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Is {
    /// Its client has said `hello`.
    Opened,
    /// Nothing is missing in any of its rooms.
    Live,
    /// It was told to move at a moment of its own.
    Goaway,
    /// It has ended.
    Closed,
    /// The replica ended it, at a drain's deadline.
    Forced,
    /// The replica is gone, and it with it.
    Lost,
}

/// A step of a deploy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// The replica whose turn it is; empty for the deploy as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub replica: String,
    /// `start`, `smoke`, `ready`, `canary`, `drain`, `stop`, `undo`, …; `deploy` for the whole.
    pub phase: String,
    /// Which end of it.
    pub is: End,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<Seconds>,
    /// How many clients moved in it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub moved: u64,
    /// How many had not moved by its deadline, and were closed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub forced: u64,
    /// How it went: `ok`, `failed`; for the whole `done`, `failed`, `refused`, `interrupted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// What there is to say of it, such as the canary's figures, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// What the deploy is for. Told when it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
}

/// Which end of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It begins.
    Begin,
    /// It ends.
    End,
}

/// A time in seconds, written with its fraction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seconds(pub f64);

impl Eq for Seconds {}

/// An entry of a room's log, as one of the witnesses got it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The room.
    pub room: String,
    /// The entry.
    pub id: String,
    /// The entry before it, as it says itself.
    pub prev: String,
    /// Who said it.
    pub member: String,
    /// Their name.
    pub name: String,
    /// What they said.
    pub text: String,
    /// What it is if it is no message by itself: `edit`, `remove`, `notice`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The entry that it is about, if it is an edit or a removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The release that took it, as far as is known: the one that served its sender then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Which of the witnesses got it.
    pub witness: usize,
    /// It did not follow what the witness had: something is missing. The witness refuses it, and asks again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub broken: bool,
    /// From the log to the witness. Absent if it was told later, in a catch-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
}

/// What all of it comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Messages that the witnesses know of.
    pub messages: u64,
    /// Of these, those that did not come to a witness.
    pub lost: u64,
    /// And those that came twice to one.
    pub doubled: u64,
    /// Moves from one connection to the next, live before the old one closed.
    pub moved: u64,
    /// Connections that were not spared: ended at a deadline, or lost with their replica.
    pub cut: u64,
    /// The longest time that somebody whose replica let them go had no live connection.
    pub silence_ms: u64,
    /// From the log to a witness: 99 of 100 messages take no longer. Absent if there was none lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<u64>,
    /// People who are here.
    pub here: u64,
    /// What the last drain of each replica comes to, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub drains: BTreeMap<String, Drain>,
    /// What the audience made of it.
    #[serde(default, skip_serializing_if = "Audience::is_silent")]
    pub audience: Audience,
}

/// What a drain comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Connections that were told to go.
    pub told: u64,
    /// And those of them that have moved.
    pub moved: u64,
}

/// What the audience says by its phones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// Which replica is to die next, and how many want that.
    pub votes: BTreeMap<String, u64>,
    /// Taps within a second of one's own move.
    pub noticed: u64,
    /// And all others.
    pub false_alarms: u64,
    /// People who have answered the roll call by themselves.
    pub answered: u64,
}

impl Audience {
    fn is_silent(&self) -> bool {
        *self == Self::default()
    }

    /// The replica with most votes; of several the first by name.
    #[must_use]
    pub fn voted(&self) -> Option<&str> {
        let most = self.votes.values().max()?;
        self.votes.iter().find(|(_, count)| *count == most).map(|(name, _)| &**name)
    }
}

/// One of the proxy's servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The replica.
    pub replica: String,
    /// The slot.
    pub slot: String,
    /// As the proxy calls it: `UP`, `DOWN`, `DRAIN`, `MAINT`, ….
    pub status: String,
    /// Connections through the proxy.
    pub sessions: u64,
}

/// An act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Its name, such as `roll`.
    pub act: String,
    /// Which end of it.
    pub is: End,
    /// What the hall reads.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
}

/// What the roll call came to: the checker's words, not the stage's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Every promise was held.
    pub ok: bool,
    /// Clients that were called.
    pub clients: u64,
    /// Of these, those that did not answer.
    pub absent: u64,
    /// What they said.
    #[serde(alias = "messages_sent")]
    pub messages: u64,
    /// How often a client was given a message.
    pub deliveries: u64,
    /// Messages that did not come where they should have come next.
    pub lost: u64,
    /// Those that came twice.
    #[serde(alias = "duplicated")]
    pub doubled: u64,
    /// Those that came in another order.
    pub reordered: u64,
    /// Moves from one connection to the next.
    pub moves: u64,
    /// Release → how often it passed a message over.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, u64>,
    /// The promises that were broken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<String>,
}

fn is_false(it: &bool) -> bool {
    !it
}

fn is_zero(ms: &u64) -> bool {
    *ms == 0
}
