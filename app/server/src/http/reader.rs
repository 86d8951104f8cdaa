//! Who reads without being in a room.

use crate::{accounts::Identity, delivery::Visitor, moderation::Actor};

/// Somebody who reads a room, but is not seen there; by default nobody that is known.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    member: String,
    has_power: bool,
}

impl Reader {
    /// Somebody with an account, or the guest with a device.
    #[must_use]
    pub fn known(who: Identity, device: String) -> Self {
        match who {
            Identity::Guest { .. } => Self { member: device, has_power: false },
            Identity::Person(person) => {
                let has_power = person.has_power();
                Self { member: person.member, has_power }
            }
        }
    }

    /// As the rooms want to know it.
    #[must_use]
    pub fn visitor(&self) -> Visitor<'_> {
        Visitor { member: &self.member, has_power: self.has_power, seat: None }
    }
}

impl From<Option<Actor>> for Reader {
    fn from(actor: Option<Actor>) -> Self {
        actor.map_or_else(Self::default, |actor| Self {
            member: actor.member.member,
            has_power: actor.has_power,
        })
    }
}
