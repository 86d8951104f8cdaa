//! What goes into room logs and comes out of them and of the feeds.

use std::borrow::Cow;

use rollcall_protocol::{EntryId, Extra, Message, PresenceEvent};

/// A message on its way into a room log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The room's name.
    pub room: String,
    /// Who says it.
    pub member: String,
    /// Their name.
    pub name: String,
    /// Their number for it: one more than the last that was taken, or the same again.
    pub n: u64,
    /// What they say.
    pub text: String,
    /// What most messages do not have: the device, if it is not the member; what it is about.
    pub extra: Extra,
    /// Whether they moderate everywhere. (Whether they moderate this room, the log knows.)
    pub has_power: bool,
    /// Whether they are in the room by a connection. A request costs less than one, so that requests alone could otherwise
    /// take every place that the room has for senders.
    pub is_in_room: bool,
}

impl NewEntry {
    /// What two entries of one number must have in common to be one: the text and, of what is about another entry, which.
    #[must_use]
    pub fn said(&self) -> Cow<'_, str> {
        match (self.extra.kind, self.extra.of) {
            (Some(kind), Some(of)) => format!("{kind:?} {of} {}", self.text).into(),
            _ => self.text.as_str().into(),
        }
    }

    /// Whether an entry of the log is this one, if it has its number.
    #[must_use]
    pub fn is_said_by(&self, entry: &Message) -> bool {
        let (new, old) = (&self.extra, &entry.extra);
        (new.kind, new.of, &self.text) == (old.kind, old.of, &entry.text)
    }

    /// Whose number `n` is.
    #[must_use]
    pub fn sender(&self) -> &str {
        self.extra.sender.as_deref().unwrap_or(&self.member)
    }
}

/// What became of a [`NewEntry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is in the log now.
    Taken(EntryId),
    /// It has been there before; the ID is known for the member's last message only.
    Duplicate(Option<EntryId>),
    /// It is not, because the log waits for this `n` first.
    Expected(u64),
    /// It is not, because another text has its `n`.
    NumberTaken {
        /// The member's next number.
        expected: u64,
    },
}

/// A stretch of a room log.
///
/// One read after a cursor is an unbroken run: each entry names the one before as its predecessor. It ends where the log
/// does, at the limit that was asked for, or before an entry that does not continue it or that this release cannot read.
/// One read before an ID is what can be read of that stretch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The page begins with entries that this release cannot read, and this is the last of them. The cursor to go on from,
    /// once their gap was told.
    pub unread: Option<EntryId>,
    /// Oldest first.
    pub entries: Vec<Message>,
    /// The last ID the log gave out, read at the same instant.
    pub last: EntryId,
}

impl Page {
    /// The last ID on it, of an entry that can be read or not; none if the log had none to show.
    #[must_use]
    pub fn end(&self) -> Option<EntryId> {
        self.entries.last().map(|entry| entry.id).or(self.unread)
    }

    /// Whether the log had nothing after it.
    #[must_use]
    pub fn is_at_log_end(&self) -> bool {
        self.end().is_none_or(|end| end == self.last)
    }
}

/// Why the log did not do what it was asked. `Display` is for operators; [`Self::told`] is what clients may know.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// No answer: what was asked may have been done, or may still be.
    #[error("the log did not answer: {0}")]
    Unknown(String),
    /// An answer, and it was no: nothing was done.
    #[error("the log refused: {0}")]
    Refused(Refusal),
}

/// Why the log refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What keeps the log says no, in its own words.
    #[error("{0}")]
    Store(String),
    /// There is no such room yet, and too little memory for new ones.
    #[error("no new rooms while memory is short")]
    NewRoom,
    /// More members have just spoken in the room than it can remember the numbers of.
    #[error("too many members speak in this room")]
    Senders,
    /// The room's state forbids it, or what it is about does.
    #[error("{0:?}")]
    Forbidden(Forbidden),
}

/// What a room's state forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidden {
    /// Nobody speaks there any more.
    Archived,
    /// Only those speak there who moderate it.
    Frozen,
    /// This member may not speak there for now.
    Muted,
    /// This member may not be there.
    Banned,
    /// This member was asked to leave, a moment ago.
    Kicked,
    /// Nobody made the room, and here only those are entered that somebody made.
    NotMade,
    /// The room is private, and this member was not let in.
    Private,
    /// This member spoke there a moment ago: so many ms are to pass.
    Slow(u64),
    /// There is no such message to edit or remove.
    NoMessage,
    /// The message to edit or remove is somebody else's.
    NotYours,
}

impl Forbidden {
    /// What a client is told.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::Archived => "this room is archived",
            Self::Frozen => "this room is frozen: only moderators speak",
            Self::Muted => "you may not speak here for now",
            Self::Banned => "you may not be in this room",
            Self::Kicked => "you were asked to leave this room",
            Self::NotMade => "there is no such room",
            Self::Private => "this room is private",
            Self::Slow(_) => "this room is slow: one message at a time",
            Self::NoMessage => "there is no such message",
            Self::NotYours => "this message is somebody else's",
        }
    }
}

impl From<String> for Refusal {
    fn from(words: String) -> Self {
        Self::Store(words)
    }
}

impl From<&str> for Refusal {
    fn from(words: &str) -> Self {
        Self::Store(words.to_owned())
    }
}

impl LogError {
    /// What a client is told: nothing of what is behind the log.
    #[must_use]
    pub fn told(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "the room's log did not answer",
            Self::Refused(Refusal::Store(_)) => "the room's log takes nothing now",
            Self::Refused(Refusal::NewRoom) => "no new rooms for now: memory is short",
            Self::Refused(Refusal::Senders) => "too many members speak in this room for now",
            Self::Refused(Refusal::Forbidden(why)) => why.told(),
        }
    }
}

/// Memory that the room logs and feeds may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes used.
    pub used: u64,
    /// Bytes that may be used; 0 for as many as there are.
    pub limit: u64,
}

/// Redis refuses what would take it past its limit. Where it holds so many times as much, the limit was lowered.
const LOWERED: f64 = 1.25;

impl Usage {
    /// The share that is used: 1 is full, 0 where there is no limit.
    #[must_use]
    pub fn ratio(self) -> f64 {
        if self.limit == 0 { 0.0 } else { self.used as f64 / self.limit as f64 }
    }

    /// Whether it is somebody's mistake rather than what was said that fills it.
    pub(super) fn was_lowered(self) -> bool {
        self.ratio() > LOWERED
    }

    /// The share that calls for room: none where the limit was lowered, since no history that is thrown away would do.
    pub(super) fn pressure(self) -> f64 {
        if self.was_lowered() { 0.0 } else { self.ratio() }
    }
}

/// Something that replicas tell each other about people. It is a hint: what is kept elsewhere is the truth, and looked at
/// again where hints may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The room; empty for all.
    pub room: String,
    /// What, in one word.
    pub what: String,
    /// Whom it is about.
    pub member: String,
    /// More of it.
    pub detail: String,
}

/// What a replica hears over the feeds.
#[derive(Debug, Clone)]
pub enum FeedEvent {
    /// Something about people.
    Control(Control),
    /// A new room log entry.
    Message(Message),
    /// Someone came or left; `at` is the place in the partition's feed.
    Presence {
        /// Feed ID, to be compared with a presence snapshot's.
        at: EntryId,
        /// The room's name.
        room: String,
        /// Which.
        event: PresenceEvent,
        /// Who.
        member: String,
        /// Their name.
        name: String,
    },
    /// Someone is typing.
    Typing {
        /// The room's name.
        room: String,
        /// Who.
        member: String,
        /// Their name.
        name: String,
    },
    /// This room has a new entry that this release cannot read: it must be compared with its log.
    Unread {
        /// The room's name.
        room: String,
    },
    /// Events may be missing before the next one: every local room must be compared with its log.
    Missed,
    /// The feeds were read just now, and all that they had was sent. Comes at least once a second while they can be.
    Read,
}
