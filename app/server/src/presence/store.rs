//! Where presence is kept: the same words for Redis and for memory.

use super::{
    entry::{Present, Renewed},
    local::Task,
    memory::MemoryPresence,
    redis::RedisPresence,
};
use crate::{
    log::LogError,
    mutants::{self, Mutant},
};

/// Where presence is kept. Who is in a room is held there by incarnations of replicas, each with a lease.
#[derive(Clone)]
pub enum Store {
    /// Shared by all replicas.
    Redis(RedisPresence),
    /// Of this process.
    Memory(MemoryPresence),
}

impl Store {
    /// Tells it what members do on `holder`, and by it the room who is new or gone. Of the members
    /// whose last connection closed ([`Task::Part`]), returns those that have none elsewhere, and stay for a lease.
    pub(super) async fn tell(
        &self,
        room: &str,
        holder: &str,
        task: &Task,
    ) -> Result<Vec<String>, LogError> {
        match self {
            _ if mutants::active(Mutant::PresenceStays) && matches!(task, Task::Leave(_)) => {
                Ok(Vec::new())
            }
            Self::Redis(store) => store.tell(room, holder, task).await,
            Self::Memory(store) => Ok(store.tell(room, holder, task)),
        }
    }

    /// Takes the incarnations `dead` from `members`, and ends what ran out; tells the room who is gone. Does nothing
    /// unless this was `asked` just now by the store's clock, which it returns, both in ms.
    pub(super) async fn reap(
        &self,
        room: &str,
        asked: u64,
        dead: &[String],
        members: &[String],
    ) -> Result<u64, LogError> {
        match self {
            _ if mutants::active(Mutant::PresenceStays) => Ok(asked),
            Self::Redis(store) => store.reap(room, asked, dead, members).await,
            Self::Memory(store) => Ok(store.reap(room, dead, members)),
        }
    }

    /// All that is kept of a room.
    pub(super) async fn present(&self, room: &str) -> Result<Present, LogError> {
        match self {
            Self::Redis(store) => store.present(room).await,
            Self::Memory(store) => Ok(store.present(room)),
        }
    }

    /// Renews the lease of an incarnation; one that is known to have had a lease may have lost it. If `asked` just
    /// now, by the store's clock, declares dead what was not renewed for a lease.
    pub(super) async fn renew(
        &self,
        holder: &str,
        asked: Option<u64>,
        is_known: bool,
    ) -> Result<Renewed, LogError> {
        match self {
            Self::Redis(store) => store.renew(holder, asked, is_known).await,
            Self::Memory(store) => Ok(store.renew(holder, asked.is_some(), is_known)),
        }
    }

    pub(super) async fn typing(&self, room: &str, member: &str, name: &str) {
        match self {
            Self::Redis(store) => store.typing(room, member, name).await,
            Self::Memory(store) => store.typing(room, member, name),
        }
    }
}
