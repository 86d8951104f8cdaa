//! What is kept of presence in Redis, shared by all replicas.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use rollcall_protocol::EntryId;

use super::{
    entry::{Entry, Present, Renewed, V2},
    local::Task,
    pulse::incarnation_lease,
};
use crate::log::{Library, Link, LogError, feed_key, room_key};

const LIBRARY: Library =
    Library { name: "rollcall_presence_v3", text: include_str!("presence.lua") };
/// The incarnations that live. Of no partition: they hold members in rooms of all.
const LEASES: &str = "{presence}:leases";

/// The keys of one Redis. Clones share the connection.
#[derive(Clone)]
pub struct RedisPresence {
    link: Link,
    /// Length of a member's lease, and of an incarnation's, ms.
    lease_ms: u64,
    incarnation_ms: u64,
}

impl RedisPresence {
    /// Leases of members of the length `lease`.
    #[must_use]
    pub fn new(link: Link, lease: Duration) -> Self {
        let ms = |lease: Duration| lease.as_millis() as u64;
        Self { link, lease_ms: ms(lease), incarnation_ms: ms(incarnation_lease(lease)) }
    }

    async fn call<T: redis::FromRedisValue>(
        &self,
        function: &'static str,
        room: &str,
        args: &[&str],
    ) -> Result<T, LogError> {
        let (feed_max, lease) = (self.link.feed_entries().to_string(), self.lease_ms.to_string());
        let args = [&[room, &feed_max, &lease], args].concat();
        self.link.call_in(&LIBRARY, function, &keys(room), &args).await
    }

    pub(super) async fn tell(
        &self,
        room: &str,
        holder: &str,
        task: &Task,
    ) -> Result<Vec<String>, LogError> {
        let mut args = vec![holder];
        match task {
            Task::Enter(members) => {
                args.extend(members.iter().flat_map(|of| [&of.member[..], &of.name[..]]));
                self.call::<()>("rollcall_enter_v3", room, &args).await?;
                Ok(Vec::new())
            }
            Task::Part(members) => {
                args.extend(members.iter().map(String::as_str));
                self.call("rollcall_part_v3", room, &args).await
            }
            Task::Leave(members) => {
                args.extend(members.iter().map(String::as_str));
                self.call::<()>("rollcall_leave_v3", room, &args).await?;
                Ok(Vec::new())
            }
        }
    }

    pub(super) async fn reap(
        &self,
        room: &str,
        asked: u64,
        dead: &[String],
        members: &[String],
    ) -> Result<u64, LogError> {
        let counts = [asked.to_string(), dead.len().to_string()];
        let args = counts.iter().chain(dead).chain(members).map(String::as_str);
        self.call("rollcall_reap_v3", room, &args.collect::<Vec<_>>()).await
    }

    pub(super) async fn present(&self, room: &str) -> Result<Present, LogError> {
        type Reply = (
            String,
            u64,
            BTreeMap<String, String>,
            BTreeMap<String, String>,
            i64,
            HashMap<String, f64>,
        );
        // As `far` in `presence.lua`: half of it is left when it is told again.
        let far = (20 * self.lease_ms).min(500_000).max(2 * self.lease_ms);
        let near = (far / 2).to_string();
        let reply: Reply =
            self.link.call_in(&LIBRARY, "rollcall_present_v3", &keys(room), &[&near]).await?;
        let (at, now, held, names, ends_in, near) = reply;
        let at: EntryId = at.parse().map_err(|error| LogError::Unknown(format!("{error}")))?;
        let held = held.into_iter().map(|(member, value)| (member, Entry::parse(&value)));
        let v2 = V2 { names, ends_in: u64::try_from(ends_in).ok(), near };
        Ok(Present { at, now, held: held.collect(), v2: Some(v2) })
    }

    pub(super) async fn renew(
        &self,
        holder: &str,
        asked: Option<u64>,
        is_known: bool,
    ) -> Result<Renewed, LogError> {
        let (lease, asked) =
            (self.incarnation_ms.to_string(), asked.map(|ms| ms.to_string()).unwrap_or_default());
        let known = if is_known { "1" } else { "" };
        let args = [holder, &lease, &asked, known];
        let keys = [LEASES.to_owned()];
        let reply: Vec<String> =
            self.link.call_in(&LIBRARY, "rollcall_renew_v3", &keys, &args).await?;
        let [outcome, now, living @ ..] = &reply[..] else {
            return Err(LogError::Unknown(format!("renew answered {reply:?}")));
        };
        let now = now.parse().map_err(|error| LogError::Unknown(format!("{error}")))?;
        let living = (outcome == "kept").then(|| living.iter().cloned().collect());
        Ok(Renewed { now, living })
    }

    pub(super) async fn typing(&self, room: &str, member: &str, name: &str) {
        let feed_max = self.link.feed_entries().to_string();
        let args = [room, &feed_max, member, name];
        // Nobody misses one: a member that goes on typing says so again.
        let _: Result<String, _> =
            self.link.call_in(&LIBRARY, "rollcall_typing_v3", &[feed_key(room)], &args).await;
    }
}

/// Of the release before are `present` and `names`.
fn keys(room: &str) -> [String; 4] {
    [room_key(room, "held"), room_key(room, "present"), room_key(room, "names"), feed_key(room)]
}
