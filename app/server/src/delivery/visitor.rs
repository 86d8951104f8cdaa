//! Somebody who comes to a room, as far as the room needs to know.

use rollcall_protocol::Member;

use crate::log::{About, Forbidden, unix_ms};

/// Somebody who comes to a room.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visitor<'a> {
    /// Their public ID; empty for somebody that is not known.
    pub member: &'a str,
    /// Whether they moderate everywhere.
    pub has_power: bool,
    /// As whom they are seen there; nobody sees one who only reads.
    pub seat: Option<&'a Member>,
}

impl<'a> Visitor<'a> {
    /// One who is seen.
    #[must_use]
    pub fn seated(member: &'a Member, has_power: bool) -> Self {
        Self { member: &member.member, has_power, seat: Some(member) }
    }

    /// Why a room is not for them; none if it is.
    #[must_use]
    pub fn barred_from(&self, about: &About) -> Option<Forbidden> {
        about.bars(self.member, self.has_power, unix_ms())
    }
}
