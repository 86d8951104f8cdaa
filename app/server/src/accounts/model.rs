//! Who somebody is, as far as that is known.

use rollcall_protocol::{Account, Mark};

use super::{name::Name, token::Token};
use crate::log::LogError;

/// Somebody with an account, as one of its sessions shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their public ID.
    pub member: String,
    /// Their name.
    pub name: String,
    /// The name without case: the account's key.
    pub folded: String,
    /// What is known of them.
    pub role: Mark,
    /// The session: its token's hash.
    pub session: String,
    /// How long it goes on, ms; none for ever.
    pub left_ms: Option<u64>,
}

impl Person {
    /// Whether they moderate everywhere.
    #[must_use]
    pub fn has_power(&self) -> bool {
        self.role == Mark::Moderator
    }

    /// Who is to be looked up again while they are here.
    #[must_use]
    pub fn seen(&self) -> Seen {
        Seen { member: self.member.clone(), session: Some(self.session.clone()) }
    }

    /// The account, as its owner sees it.
    #[must_use]
    pub fn account(&self) -> Account {
        Account { name: self.name.clone(), role: self.role }
    }
}

/// Who somebody turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Nobody that is known, and the name that others see.
    Guest {
        /// Not as they gave it, if that would pass for somebody else's.
        name: String,
    },
    /// Somebody with an account.
    Person(Person),
}

/// Why somebody may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotIdentified {
    /// The token is of no session that goes on.
    #[error("this session is over: sign in again")]
    BadToken,
    /// They may not be here.
    #[error("you may not be here")]
    Banned,
    /// The token cannot be looked up now.
    #[error("accounts cannot be looked up now")]
    Unavailable,
}

/// Who wants to come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arriving {
    /// The name that they give themselves.
    pub name: String,
    /// Their device's public ID.
    pub device: String,
    /// What shows whose account they come with.
    pub token: Option<Token>,
}

/// An account that was signed in to, or a bot that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// For its owner alone.
    pub token: Token,
    /// Who it is of.
    pub person: Person,
    /// When it ends, Unix ms by the store's clock; none for never.
    pub ends: Option<u64>,
    /// Sessions that ended for it.
    pub ended: Vec<String>,
}

/// Why something was not done with an account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The name, or one that looks like it, is somebody's.
    #[error("this name, or one that looks like it, is taken")]
    Taken,
    /// Only guests have such a name, or operators.
    #[error("nobody has a name like a guest's, or an operator's")]
    Reserved,
    /// Too short, or too long.
    #[error("a password has 8 to 256 bytes")]
    BadPassword,
    /// There is no such account, or that is not its password: which of the two is told to nobody.
    #[error("no account has this name and this password")]
    Wrong,
    /// Too many passwords wait to be looked at.
    #[error("too many people sign in just now")]
    Busy,
    /// Memory is short.
    #[error("no new accounts for now: memory is short")]
    Full,
    /// There is no such account.
    #[error("there is no such account")]
    Unknown,
    /// Bots stay bots.
    #[error("a bot has no other role")]
    IsBot,
    /// What keeps the accounts does not answer.
    #[error("the accounts cannot be reached now")]
    Log(#[from] LogError),
}

/// An account that is about to be.
#[derive(Debug, Clone)]
pub(super) struct NewAccount {
    pub name: Name,
    /// PHC; empty for a bot.
    pub password: String,
}

/// An account as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub name: String,
    pub member: String,
    pub role: Mark,
    pub password: String,
}

/// What became of an account that was to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Created,
    Rotated,
    Taken,
    Full,
}

/// What became of a session that was to be: when it ends, and the sessions that ended for it. None if the account is another by
/// now.
pub(super) type Started = Option<(u64, Vec<String>)>;

/// What became of a role that was to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RoleSet {
    Of { member: String, name: String },
    Nobody,
    Bot,
}

/// Somebody who is here, to be looked up again: their member ID, and the hash of their session's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Their public ID.
    pub member: String,
    /// Their session; none of a guest.
    pub session: Option<String>,
}

/// What is true of somebody who is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They may stay; their role, if they are no guest.
    Welcome(Option<Mark>),
    /// They may not be here any more.
    Banned,
    /// Their session is over.
    SignedOut,
}

/// Why a connection has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dismissed {
    /// Its member may not be here.
    Banned,
    /// Its session is over.
    SignedOut,
    /// Its member has another role: it is to come again with that.
    Changed,
}

/// A role as it is kept.
pub(super) fn role_word(role: Mark) -> &'static str {
    match role {
        Mark::Moderator => "moderator",
        Mark::Bot => "bot",
        Mark::Registered | Mark::Other => "registered",
    }
}

/// One that a later release knows is as good as the least.
pub(super) fn role_of(word: &str) -> Mark {
    match word {
        "moderator" => Mark::Moderator,
        "bot" => Mark::Bot,
        _ => Mark::Registered,
    }
}
