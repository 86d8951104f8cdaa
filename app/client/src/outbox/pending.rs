//! A message on its way, and what became of it. No I/O.

use std::time::Instant;

use rollcall_protocol::{EntryId, Kind, Message};

/// What a message does to one that is in the log already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// That message gets this text.
    Edit(EntryId),
    /// That message is taken away; the text is empty.
    Remove(EntryId),
}

impl Change {
    /// What a message of a room log changes; none if it is one by itself.
    #[must_use]
    pub fn of(message: &Message) -> Option<Self> {
        match (message.extra.kind, message.extra.of) {
            (Some(Kind::Edit), Some(of)) => Some(Self::Edit(of)),
            (Some(Kind::Remove), Some(of)) => Some(Self::Remove(of)),
            _ => None,
        }
    }

    /// The message that it is about.
    #[must_use]
    pub fn target(self) -> EntryId {
        match self {
            Self::Edit(of) | Self::Remove(of) => of,
        }
    }
}

/// A message on its way into the room log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its number on the wire. Changes if the log does not take a message before it.
    pub n: u64,
    /// Its number to the caller: the first `send` in this room is 1. Never changes.
    pub ticket: u64,
    /// What to say; empty for a removal.
    pub text: String,
    /// What it is about, if it is no message by itself.
    pub change: Option<Change>,
    /// When the caller said it.
    pub queued: Instant,
    /// The current connection carries it and has not answered.
    pub(super) on_its_way: bool,
    pub(super) trace: Trace,
}

impl Pending {
    /// It is in the log, and no answer to it is to come.
    pub(super) fn is_seen(&self) -> bool {
        !self.on_its_way && matches!(self.trace, Trace::Seen(_))
    }

    /// Whether this entry of the log is it. A text alone can be said twice; a number alone can be that of a message given
    /// up as unknown. What was removed since has no text any more. A release that knows no `kinds` tells an edit as if it
    /// were a message by itself.
    pub(super) fn is(&self, message: &Message, kinds: bool) -> bool {
        let same_text = message.extra.removed || self.text == message.text;
        let same_target = self.change == Change::of(message) || !kinds;
        self.n == message.n && same_text && same_target
    }
}

/// What the client knows of a message whose answer it never got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trace {
    /// No connection was lost with it.
    None,
    /// A connection was lost with it: it may be in the log.
    Sent,
    /// And the client could not see the place of the log where it would be.
    Skipped,
    /// It is in the log.
    Seen(EntryId),
}

/// A message to be sent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its number.
    pub n: u64,
    /// What to say.
    pub text: String,
    /// What it is about.
    pub change: Option<Change>,
}

/// What a `reject` meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It will be sent again: the message, which stays in the outbox.
    Retry(Pending),
    /// It never will: the message, out of the outbox.
    Dropped(Pending),
    /// It answers no message that is on its way.
    Stale,
}

/// Messages that were settled without an answer, and are out of the outbox now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// They were seen in the log.
    pub taken: Vec<(Pending, EntryId)>,
    /// Nobody can tell whether they are in the log. They are not sent again, or they could be there twice.
    pub unknown: Vec<Pending>,
    /// They are not in the log, and are not sent any more.
    pub unsent: Vec<Pending>,
}
