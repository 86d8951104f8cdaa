//! Where accounts are kept: the same words for Redis and for memory.

use std::time::Duration;

use rollcall_protocol::Mark;

use super::{
    memory::MemoryAccounts,
    model::{Kept, Made, NewAccount, Person, RoleSet, Seen, Standing, Started},
    name::Name,
    redis::RedisAccounts,
};
use crate::log::LogError;

/// Where accounts, sessions and bans are kept.
#[derive(Clone)]
pub enum Store {
    /// Shared by all replicas.
    Redis(RedisAccounts),
    /// Of this process.
    Memory(MemoryAccounts),
}

/// Asks whichever it is; what is in memory answers at once.
macro_rules! ask {
    ($store:expr, $call:ident($($arg:expr),*)) => {
        match $store {
            Store::Redis(store) => store.$call($($arg),*).await,
            Store::Memory(store) => Ok(store.$call($($arg),*)),
        }
    };
}

impl Store {
    /// Makes an account, unless its name would pass for another.
    pub(super) async fn create(&self, new: &NewAccount) -> Result<Made, LogError> {
        ask!(self, create(new))
    }

    /// Makes a bot with a token of that hash, or gives one that token in place of its own.
    pub(super) async fn make_bot(&self, name: &Name, hash: &str) -> Result<Made, LogError> {
        ask!(self, make_bot(name, hash))
    }

    pub(super) async fn account(&self, folded: &str) -> Result<Option<Kept>, LogError> {
        ask!(self, account(folded))
    }

    /// Begins a session, if the account's password is that one still.
    pub(super) async fn open_session(
        &self,
        (folded, password): (&str, &str),
        hash: &str,
        ttl: Duration,
        most: usize,
    ) -> Result<Started, LogError> {
        ask!(self, open_session(folded, password, hash, ttl, most))
    }

    /// Who has a session, and whether they are banned.
    pub(super) async fn session(&self, hash: &str) -> Result<Option<(Person, bool)>, LogError> {
        ask!(self, session(hash))
    }

    /// When it ends then, Unix ms; none if it is over, or never ends.
    pub(super) async fn renew(&self, hash: &str, ttl: Duration) -> Result<Option<u64>, LogError> {
        ask!(self, renew(hash, ttl))
    }

    pub(super) async fn end_session(&self, hash: &str) -> Result<(), LogError> {
        ask!(self, end_session(hash))
    }

    pub(super) async fn end_sessions(&self, folded: &str) -> Result<(), LogError> {
        ask!(self, end_sessions(folded))
    }

    pub(super) async fn set_role(&self, folded: &str, role: Mark) -> Result<RoleSet, LogError> {
        ask!(self, set_role(folded, role))
    }

    /// Whether a name would pass for a reserved one, and whether that member is banned.
    pub(super) async fn guest(&self, name: &Name, member: &str) -> Result<(bool, bool), LogError> {
        ask!(self, guest(name, member))
    }

    /// Bans for so long; zero is for ever. False if too many are banned.
    pub(super) async fn ban(&self, member: &str, span: Duration) -> Result<bool, LogError> {
        ask!(self, ban(member, span))
    }

    pub(super) async fn unban(&self, member: &str) -> Result<(), LogError> {
        ask!(self, unban(member))
    }

    /// What is true of each of these now.
    pub(super) async fn standing(&self, seen: &[Seen]) -> Result<Vec<Standing>, LogError> {
        ask!(self, standing(seen))
    }
}
