//! Memberships in Redis, shared by all replicas.

use ::redis::FromRedisValue;
use rollcall_protocol::EntryId;

use super::MOST_ROOMS;
use crate::log::{Library, Link, LogError, Refusal};

const LIBRARY: Library = Library {
    name: "rollcall_memberships_v1",
    text: concat!(
        "#!lua name=rollcall_memberships_v1\n",
        include_str!("../log/bounds.lua"),
        include_str!("memberships.lua")
    ),
};

/// The hashes of one Redis. Clones share the connection.
#[derive(Clone)]
pub struct RedisMemberships {
    link: Link,
    /// New ones are refused from this much of the memory on.
    new_below: f64,
}

impl RedisMemberships {
    /// Those behind `link`; `new_below` is how full it may be for new ones, 0 to 1.
    #[must_use]
    pub fn new(link: Link, new_below: f64) -> Self {
        Self { link, new_below }
    }

    async fn call<T: FromRedisValue>(
        &self,
        function: &'static str,
        member: &str,
        args: &[&str],
    ) -> Result<T, LogError> {
        let keys = [format!("{{chat}}:rooms-of:{member}")];
        self.link.call_in(&LIBRARY, function, &keys, args).await
    }

    pub(super) async fn enter(
        &self,
        member: &str,
        room: &str,
        id: EntryId,
    ) -> Result<bool, LogError> {
        let (id, most) = (id.to_string(), MOST_ROOMS.to_string());
        let args = [room, &*id, &*most, &*self.new_below.to_string()];
        let entered: String = self.call("rollcall_membership_enter_v1", member, &args).await?;
        match entered.as_str() {
            "entered" => Ok(true),
            "too_many" => Ok(false),
            "full" => Err(LogError::Refused(Refusal::NewRoom)),
            _ => Err(LogError::Unknown(format!("a room was {entered}"))),
        }
    }

    pub(super) async fn leave(&self, member: &str, room: &str) -> Result<(), LogError> {
        let _: u64 = self.call("rollcall_membership_leave_v1", member, &[room]).await?;
        Ok(())
    }

    pub(super) async fn read(
        &self,
        member: &str,
        room: &str,
        id: EntryId,
    ) -> Result<bool, LogError> {
        self.call("rollcall_membership_read_v1", member, &[room, &id.to_string()]).await
    }

    pub(super) async fn of(&self, member: &str) -> Result<Vec<(String, EntryId)>, LogError> {
        let rooms: Vec<(String, String)> =
            self.call("rollcall_read_memberships_v1", member, &[]).await?;
        // What is no ID was written by nobody that we know.
        Ok(rooms.into_iter().filter_map(|(room, id)| Some((room, id.parse().ok()?))).collect())
    }
}
