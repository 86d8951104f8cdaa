//! Somebody who comes to a room, as far as the room needs to know.

use rollcall_protocol::Member;

use crate::{
    log::{About, Forbidden, unix_ms},
    moderation::is_direct,
};

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

    /// Why a room is not for them; none if it is. A room of two is not, whether it was made or not: its name follows from who
    /// the two are, which everybody knows, and that they talk with each other is for nobody else to know.
    #[must_use]
    pub fn barred_from(&self, room: &str, about: &About) -> Option<Forbidden> {
        if is_direct(room) && !about.is_made() && !self.has_power {
            return Some(Forbidden::Private);
        }
        about.bars(self.member, self.has_power, unix_ms())
    }
}
