//! What is true of a room and of a person, beside what was said.

use serde::{Deserialize, Serialize};

use crate::message::Mark;

/// Who may enter a room.
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Everybody.
    #[default]
    Open,
    /// Whom an invitation let in.
    Private,
    /// Two.
    Direct,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

/// An account, as its owner sees it.
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The name that it reserves.
    pub name: String,
    /// What is known of it.
    pub role: Mark,
}

/// What is true of a room beside what was said there.
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomState {
    /// What it is about; empty if nobody said so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// Who may enter.
    #[serde(default)]
    pub access: Access,
    /// Only moderators may speak.
    #[serde(default)]
    pub frozen: bool,
    /// Nobody may speak: it is there to be read.
    #[serde(default)]
    pub archived: bool,
    /// Between two messages of one person, milliseconds at least; 0 without a limit.
    #[serde(default)]
    pub slow_ms: u64,
    /// The member that made it, who moderates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// What a room's state means for one person.
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// They moderate it.
    #[serde(default)]
    pub moderates: bool,
    /// They may not speak before then, Unix milliseconds; 0: for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<u64>,
}
