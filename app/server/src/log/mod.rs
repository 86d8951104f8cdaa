//! Room logs, the truth of what was said, and the feeds that carry it to every replica.

mod feeds;
mod link;
mod memory;
mod redis;
pub mod splice;

use std::time::Duration;

use rollcall_protocol::{EntryId, Message, PresenceEvent};
use tokio::sync::mpsc;

use crate::mutants::{self, Mutant};

pub(crate) use self::memory::unix_ms;
pub use self::{
    link::{Library, Link, feed_key, room_key},
    memory::MemoryLog,
    redis::RedisLog,
};

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
    /// It is not, because the member's last message has its `n` and another text.
    NumberTaken {
        /// The `n` that the log waits for.
        expected: u64,
    },
}

/// A stretch of a room log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Oldest first.
    pub entries: Vec<Message>,
    /// The last ID the log gave out, read at the same instant.
    pub last: EntryId,
}

/// Why the log did not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// No answer: what was asked may have been done, or may still be.
    #[error("the log did not answer: {0}")]
    Unknown(String),
    /// An answer, and it was no: nothing was done.
    #[error("the log refused: {0}")]
    Refused(String),
}

/// What a replica hears over the feeds.
#[derive(Debug, Clone)]
pub enum FeedEvent {
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
    /// The feeds were read: everything before this is told.
    Read,
    /// Events may be missing before the next one: every local room must be compared with its log.
    Missed,
}

/// The room logs, in Redis or, for a single replica, in memory.
#[derive(Clone)]
pub enum Log {
    /// Kept by Redis, shared by all replicas.
    Redis(RedisLog),
    /// Kept by this process, gone with it.
    Memory(MemoryLog),
}

impl Log {
    /// Appends once, however often it is tried with the same `n`.
    ///
    /// # Errors
    /// [`LogError::Unknown`] if it may have been taken: try the same `n` again.
    /// [`LogError::Refused`] if it was not.
    pub async fn append(&self, entry: &NewEntry) -> Result<Appended, LogError> {
        mutants::trouble().await.map_err(LogError::Refused)?;
        match self {
            Self::Redis(log) => log.append(entry).await,
            Self::Memory(log) => Ok(log.append(entry)),
        }
    }

    /// Appends, and tries again until it is known whether it was taken.
    ///
    /// # Errors
    /// [`LogError::Refused`]. After one unknown outcome even a refusal settles nothing, since the
    /// earlier try may have been taken: then this goes on until the log says.
    pub async fn append_settled(&self, entry: &NewEntry) -> Result<Appended, LogError> {
        let mut pause = Duration::from_millis(50);
        let mut unknown = false;
        loop {
            match self.append(entry).await {
                Err(LogError::Refused(_)) if unknown => {}
                outcome if mutants::active(Mutant::TimeoutIsFailure) => return outcome,
                Err(LogError::Unknown(_)) => unknown = true,
                settled => return settled,
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(Duration::from_secs(1));
        }
    }

    /// Up to `limit` entries after `after`, oldest first, and the log's last ID.
    ///
    /// # Errors
    /// If the log does not answer.
    pub async fn read_after(
        &self,
        room: &str,
        after: EntryId,
        limit: usize,
    ) -> Result<Page, LogError> {
        match self {
            Self::Redis(log) => log.read_after(room, after, limit).await,
            Self::Memory(log) => Ok(log.read_after(room, after, limit)),
        }
    }

    /// The newest `limit` entries (before `before`, if given), oldest first, and the log's last ID.
    ///
    /// # Errors
    /// If the log does not answer.
    pub async fn read_before(
        &self,
        room: &str,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Page, LogError> {
        match self {
            Self::Redis(log) => log.read_before(room, before, limit).await,
            Self::Memory(log) => Ok(log.read_before(room, before, limit)),
        }
    }

    /// Tells the room that a member is typing. Kept nowhere; lost if the log does not answer.
    pub async fn typing(&self, room: &str, member: &str, name: &str) {
        match self {
            Self::Redis(log) => log.typing(room, member, name).await,
            Self::Memory(log) => log.typing(room, member, name),
        }
    }

    /// Whether the log answers now.
    pub async fn is_up(&self) -> bool {
        match self {
            Self::Redis(log) => log.is_up().await,
            Self::Memory(_) => true,
        }
    }

    /// Sends every feed event to `events`, from now on and until cancelled by dropping.
    pub async fn follow(&self, events: mpsc::Sender<FeedEvent>) {
        match self {
            Self::Redis(log) => log.follow(events).await,
            Self::Memory(log) => log.follow(events).await,
        }
    }
}
