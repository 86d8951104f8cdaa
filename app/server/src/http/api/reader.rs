//! Who reads without being in a room.

use axum::http::HeaderMap;

use super::{auth, envelope::Failure};
use crate::{
    accounts::{Arriving, Identity},
    app::App,
    delivery::Visitor,
    moderation::Actor,
    people::Stay,
};

/// Somebody who reads a room, but is not seen there; by default nobody that is known.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    member: String,
    has_power: bool,
}

impl Reader {
    /// Whoever a request's headers name. Somebody who is known is noted as being here, so that what they read ends with their
    /// session, or when they are banned.
    ///
    /// # Errors
    /// As of a hello.
    pub async fn arrive(app: &App, headers: &HeaderMap) -> Result<(Self, Option<Stay>), Failure> {
        let (guest, token) = (auth::guest(headers)?, auth::token(&app.config, headers));
        if guest.is_none() && token.is_none() {
            return Ok((Self::default(), None));
        }
        let device = guest.unwrap_or_default();
        let arriving = Arriving { name: String::new(), device: device.clone(), token };
        let (who, stay) = app.arrive(&arriving).await;
        Ok((Self::known(who?, device), stay))
    }

    /// Somebody with an account, or the guest with a device.
    fn known(who: Identity, device: String) -> Self {
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
