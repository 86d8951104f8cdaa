//! Memberships in Redis, shared by all replicas.

use ::redis::FromRedisValue;
use rollcall_protocol::EntryId;

use super::MOST_ROOMS;
use crate::log::{Library, Link, LogError};

const LIBRARY: Library =
    Library { name: "rollcall_memberships_v1", text: include_str!("memberships.lua") };

/// The hashes of one Redis. Clones share the connection.
#[derive(Clone)]
pub struct RedisMemberships {
    link: Link,
}

impl RedisMemberships {
    /// Those behind `link`.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { link }
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
        self.call("rollcall_membership_enter_v1", member, &[room, &id, &most]).await
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
