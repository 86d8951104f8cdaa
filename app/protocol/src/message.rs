//! An entry of a room log.

use serde::{Deserialize, Serialize};

use crate::EntryId;

/// One entry of a room log.
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The room's name.
    pub room: String,
    /// This entry.
    pub id: EntryId,
    /// The entry before it in the room log: a client whose cursor is not `prev` missed something.
    pub prev: EntryId,
    /// The member that said it.
    pub member: String,
    /// Their name when they said it.
    pub name: String,
    /// Their number for it.
    pub n: u64,
    /// What they said.
    pub text: String,
    /// Unix milliseconds at which the log took it, by Redis's clock.
    pub at: u64,
    /// What most messages do not have.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Message {
    /// Whose number `n` is: the device that sent it, which is the member itself if that is a guest.
    #[must_use]
    pub fn sender(&self) -> &str {
        self.extra.sender.as_deref().unwrap_or(&self.member)
    }
}

/// What an entry of a room log says beside who said what; most have nothing of it.
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extra {
    /// The device whose number it has: the public hash of its client key. Absent where it is the member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// What the entry is, if it is no message by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// The entry that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<EntryId>,
    /// What is known of who said it. Absent for guests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// The text is that of this later edit. Only in pages of history; those who follow a room hear of each edit as it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<EntryId>,
    /// The text was taken away, and is empty here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}

/// What an entry is that is no message by itself.
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The entry `of` has this text now.
    Edit,
    /// The entry `of` has no text any more.
    Remove,
    /// A sentence about the room: its state changed.
    Notice,
    /// One that this version does not know: it is shown as a message.
    #[serde(other)]
    Other,
}

/// What is known of somebody.
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The name is theirs: they have an account.
    Registered,
    /// As that, and they moderate.
    Moderator,
    /// A program that an operator let in.
    Bot,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}
