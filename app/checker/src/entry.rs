//! An entry of a room log, as somebody was shown it.

use super::{anomaly::Place, names::Name, ops::OpIndex};
use crate::history::Id;

/// Index of an entry.
pub(super) type EntryIndex = u32;

/// What an entry says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content {
    pub prev: Id,
    pub member: Name,
    pub n: u64,
    /// None for a text that nobody sent.
    pub op: Option<OpIndex>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub room: Name,
    pub id: Id,
    pub content: Content,
    /// When it was first shown, and to whom; to nobody if only a log has it.
    pub shown: Place,
    pub to: Option<Name>,
}
