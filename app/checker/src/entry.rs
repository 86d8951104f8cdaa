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
    /// The text is the one that was said, and so tells the operation. It is not if the message was removed or edited since, or
    /// if it is a word of the room itself.
    pub is_said: bool,
}

impl Content {
    /// Whether both can be of one entry.
    pub fn agrees(self, other: Self) -> bool {
        let place = |it: Self| (it.prev, it.member, it.n);
        let are_said = self.is_said && other.is_said;
        place(self) == place(other) && (!are_said || self.op == other.op)
    }
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
