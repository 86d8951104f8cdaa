//! Room logs, the truth of what was said, and the feeds that carry it to every replica.

mod about;
mod bounds;
mod clock;
mod entry;
mod feeds;
mod fence;
mod janitor;
mod link;
mod memory;
mod model;
mod primary;
mod redis;
pub mod splice;
mod stores;
mod usage;

use std::time::Duration;

use rollcall_protocol::EntryId;
use tokio::sync::mpsc;

use crate::mutants::{self, Mutant};

pub use self::{
    about::{About, Change, Changed, FOR_EVER, Field, KICK_MS, Needs},
    bounds::DIRECT,
    link::{Library, Link, feed_key, room_key},
    memory::MemoryLog,
    model::{Appended, Control, FeedEvent, Forbidden, LogError, NewEntry, Page, Refusal, Usage},
    redis::RedisLog,
};
pub(crate) use self::{bounds::is_probe, clock::unix_ms};

/// The room logs, in Redis or, for a single replica, in memory.
#[derive(Clone)]
pub enum Log {
    /// Kept by Redis, shared by all replicas.
    Redis(RedisLog),
    /// Kept by this process, gone with it.
    Memory(MemoryLog),
}

impl Log {
    /// Appends once, however often it is tried with the same `n`, for as long as the log remembers that. If it does not,
    /// `n` is looked for in what it took after `since` (500 entries at most).
    ///
    /// # Errors
    /// [`LogError::Unknown`] if it may have been taken: try the same `n` again.
    /// [`LogError::Refused`] if it was not.
    pub async fn append(
        &self,
        entry: &NewEntry,
        since: Option<EntryId>,
    ) -> Result<Appended, LogError> {
        mutants::trouble().await.map_err(|words| LogError::Refused(words.into()))?;
        match self {
            Self::Redis(log) => log.append(entry, since).await,
            Self::Memory(log) => log.append(entry, since),
        }
    }

    /// Appends, and tries again until it is known whether it was taken. `head` is the room's last ID as far as known: what
    /// was taken at an earlier try comes after it, so it is found however short the log's memory of numbers is.
    ///
    /// # Errors
    /// [`LogError::Refused`]. After one unknown outcome even a refusal settles nothing, since the
    /// earlier try may have been taken: then this goes on until the log says.
    pub async fn append_settled(
        &self,
        entry: &NewEntry,
        head: EntryId,
    ) -> Result<Appended, LogError> {
        let mut pause = Duration::from_millis(50);
        let mut unknown = false;
        loop {
            match self.append(entry, Some(head)).await {
                Err(LogError::Refused(_)) if unknown => {}
                outcome if mutants::active(Mutant::TimeoutIsFailure) => return outcome,
                Err(LogError::Unknown(_)) => unknown = true,
                settled => return settled,
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(Duration::from_secs(1));
        }
    }

    /// Why nobody speaks or listens in this room as long as it was not made; none where any name is a room.
    #[must_use]
    pub fn unmade(&self, room: &str) -> Option<Forbidden> {
        match self {
            Self::Redis(log) => log.bounds().unmade(room),
            Self::Memory(log) => log.bounds().unmade(room),
        }
    }

    /// The room's last ID; [`EntryId::ZERO`] if nothing was ever said there.
    ///
    /// # Errors
    /// If the log does not answer, or cannot be read.
    pub async fn last(&self, room: &str) -> Result<EntryId, LogError> {
        match self {
            Self::Redis(log) => log.last(room).await,
            Self::Memory(log) => Ok(log.last(room)),
        }
    }

    /// The same, for a room that somebody is about to enter.
    ///
    /// # Errors
    /// As [`Self::last`]; [`Refusal::NewRoom`] if it has no log yet, and memory is too short for new ones.
    pub async fn open(&self, room: &str) -> Result<EntryId, LogError> {
        let last = self.last(room).await?;
        let takes_new_rooms = match self {
            Self::Redis(log) => log.takes_new_rooms(),
            Self::Memory(log) => log.takes_new_rooms(),
        };
        if last == EntryId::ZERO && !takes_new_rooms {
            return Err(LogError::Refused(Refusal::NewRoom));
        }
        Ok(last)
    }

    /// The memory that the logs use, not much longer than a second ago. Kept up by [`Self::keep`].
    #[must_use]
    pub fn usage(&self) -> Usage {
        match self {
            Self::Redis(log) => log.usage(),
            Self::Memory(log) => log.usage(),
        }
    }

    /// Watches the memory, and keeps logs within their bounds, until cancelled by dropping. One replica at a time does
    /// the second.
    pub async fn keep(&self) {
        match self {
            Self::Redis(log) => log.keep().await,
            Self::Memory(log) => log.keep().await,
        }
    }

    /// Up to `limit` entries after `after`, oldest first, and the log's last ID.
    ///
    /// # Errors
    /// If the log does not answer, or cannot be read.
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

    /// What can be read of the newest `limit` entries (before `before`, if given), oldest first, and the log's last ID.
    ///
    /// # Errors
    /// If the log does not answer, or cannot be read.
    pub async fn read_before(
        &self,
        room: &str,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Page, LogError> {
        match self {
            Self::Redis(log) => log.read_before(room, before, limit).await,
            Self::Memory(log) => Ok(log.read_before(room, before, limit, false)),
        }
    }

    /// As [`Self::read_before`], for people who look back: each message has the text of its newest edit.
    ///
    /// # Errors
    /// If the log does not answer, or cannot be read.
    pub async fn history(
        &self,
        room: &str,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Page, LogError> {
        match self {
            Self::Redis(log) => log.history(room, before, limit).await,
            Self::Memory(log) => Ok(log.read_before(room, before, limit, true)),
        }
    }

    /// The same of half of `limit` entries before `id`, and as many from it on.
    ///
    /// # Errors
    /// If the log does not answer, or cannot be read.
    pub async fn read_around(
        &self,
        room: &str,
        id: EntryId,
        limit: usize,
    ) -> Result<Page, LogError> {
        match self {
            Self::Redis(log) => log.read_around(room, id, limit).await,
            Self::Memory(log) => Ok(log.read_around(room, id, limit)),
        }
    }

    /// What is true of a room beside what was said there.
    ///
    /// # Errors
    /// If the log does not answer, or cannot be read.
    pub async fn about(&self, room: &str) -> Result<About, LogError> {
        Ok(self.look(room).await?.0)
    }

    /// The same, and how many people are there, about. Only what is open here knows that of a log in memory.
    ///
    /// # Errors
    /// As [`Self::about`].
    pub async fn look(&self, room: &str) -> Result<(About, usize), LogError> {
        match self {
            Self::Redis(log) => log.about(room).await,
            Self::Memory(log) => Ok((log.about(room), 0)),
        }
    }

    /// Changes what is true of a room, and says so in its log. Done twice it is the same, so an unknown outcome may simply be
    /// tried again.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn change(&self, change: &Change) -> Result<Changed, LogError> {
        match self {
            Self::Redis(log) => log.change(change).await,
            Self::Memory(log) => log.change(change),
        }
    }

    /// The rooms that were spoken in last, at least `count` of them if there are as many, with when, Unix ms. In no order.
    ///
    /// # Errors
    /// If the log does not answer, or cannot be read.
    pub async fn rooms(&self, count: usize) -> Result<Vec<(String, u64)>, LogError> {
        match self {
            Self::Redis(log) => log.rooms(count).await,
            Self::Memory(log) => Ok(log.rooms()),
        }
    }

    /// Tells all replicas something about people.
    ///
    /// # Errors
    /// If it may not have been told: whoever it is about learns of it when they are looked up again.
    pub async fn tell_control(&self, control: &Control) -> Result<(), LogError> {
        match self {
            Self::Redis(log) => log.tell_control(control).await,
            Self::Memory(log) => {
                log.tell_control(control);
                Ok(())
            }
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
