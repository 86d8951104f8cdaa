//! The rooms of people who have an account, and how far they have read: the same on all their devices.

mod memory;
mod redis;

use rollcall_protocol::EntryId;

pub use self::{memory::MemoryMemberships, redis::RedisMemberships};
use crate::log::LogError;

/// Rooms of one person.
pub const MOST_ROOMS: usize = 500;

/// Where memberships are kept.
#[derive(Clone)]
pub enum Memberships {
    /// Shared by all replicas.
    Redis(RedisMemberships),
    /// Of this process.
    Memory(MemoryMemberships),
}

impl Memberships {
    /// A member is in a room, and has read up to `id` if they were not in it before. False if they are in [`MOST_ROOMS`].
    ///
    /// # Errors
    /// If what keeps them does not answer.
    pub async fn enter(&self, member: &str, room: &str, id: EntryId) -> Result<bool, LogError> {
        match self {
            Self::Redis(store) => store.enter(member, room, id).await,
            Self::Memory(store) => Ok(store.enter(member, room, id)),
        }
    }

    /// A member is in a room no more.
    ///
    /// # Errors
    /// As [`Self::enter`].
    pub async fn leave(&self, member: &str, room: &str) -> Result<(), LogError> {
        match self {
            Self::Redis(store) => store.leave(member, room).await,
            Self::Memory(store) => {
                store.leave(member, room);
                Ok(())
            }
        }
    }

    /// A member has read a room up to `id`. True if that is further than before: their other devices are to be told.
    ///
    /// # Errors
    /// As [`Self::enter`].
    pub async fn read(&self, member: &str, room: &str, id: EntryId) -> Result<bool, LogError> {
        match self {
            Self::Redis(store) => store.read(member, room, id).await,
            Self::Memory(store) => Ok(store.read(member, room, id)),
        }
    }

    /// A member's rooms, each with how far they have read. In no order.
    ///
    /// # Errors
    /// As [`Self::enter`].
    pub async fn of(&self, member: &str) -> Result<Vec<(String, EntryId)>, LogError> {
        match self {
            Self::Redis(store) => store.of(member).await,
            Self::Memory(store) => Ok(store.of(member)),
        }
    }
}
