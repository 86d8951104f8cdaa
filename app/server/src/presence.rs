//! Who is in a room: leases, so that a replica's death needs no witness.
//!
//! A lease belongs to the member, not to the connection. While a client moves, its new replica
//! renews the same lease, and nobody sees it leave or join.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use rollcall_protocol::{EntryId, Member, PresenceEvent};
use tokio::{sync::broadcast, time::Instant};

use crate::{
    log::{FeedEvent, Link, LogError, feed_key, room_key},
    mutants::{self, Mutant},
};

/// Who was in a room at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Feed events up to this ID are part of it.
    pub at: EntryId,
    /// Member → name.
    pub members: BTreeMap<String, String>,
}

/// The presence leases, in Redis or in memory, beside the room logs.
#[derive(Clone)]
pub enum Presence {
    /// Shared by all replicas.
    Redis(RedisPresence),
    /// Of this process.
    Memory(MemoryPresence),
}

impl Presence {
    /// Starts or renews leases, and with `reap` ends those that ran out. Tells the room of whoever is
    /// new or gone.
    ///
    /// # Errors
    /// If Redis does not answer, or with `reap` not by the clock it had: leases may have been renewed all the
    /// same, but none was ended, since others may have had no chance to renew theirs.
    pub async fn enter(&self, room: &str, members: &[Member], reap: bool) -> Result<(), LogError> {
        let reap = reap && !mutants::active(Mutant::PresenceStays);
        match self {
            Self::Redis(presence) => presence.enter(room, members, reap).await,
            Self::Memory(presence) => {
                presence.enter(room, members, reap);
                Ok(())
            }
        }
    }

    /// Ends one lease now, and tells the room.
    ///
    /// # Errors
    /// If Redis does not answer; the lease then runs out by itself.
    pub async fn exit(&self, room: &str, member: &str) -> Result<(), LogError> {
        match self {
            _ if mutants::active(Mutant::PresenceStays) => Ok(()),
            Self::Redis(presence) => presence.exit(room, member).await,
            Self::Memory(presence) => {
                presence.exit(room, member);
                Ok(())
            }
        }
    }

    /// Who is there.
    ///
    /// # Errors
    /// If Redis does not answer.
    pub async fn snapshot(&self, room: &str) -> Result<Snapshot, LogError> {
        match self {
            Self::Redis(presence) => presence.snapshot(room).await,
            Self::Memory(presence) => Ok(presence.snapshot(room)),
        }
    }
}

/// Presence leases in Redis.
#[derive(Clone)]
pub struct RedisPresence {
    link: Link,
    lease: Duration,
    /// What Redis' clock said last, ms, and when.
    clock: Arc<Mutex<Option<(u64, Instant)>>>,
}

impl RedisPresence {
    /// Leases of the length `lease`.
    #[must_use]
    pub fn new(link: Link, lease: Duration) -> Self {
        Self { link, lease, clock: Arc::default() }
    }

    fn clock(&self) -> MutexGuard<'_, Option<(u64, Instant)>> {
        self.clock.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What Redis' clock should say now, ms; none before it has said anything.
    fn expected_ms(&self) -> Option<u64> {
        self.clock().map(|(said, at)| said + at.elapsed().as_millis() as u64)
    }

    async fn enter(&self, room: &str, members: &[Member], reap: bool) -> Result<(), LogError> {
        let lease = self.lease.as_millis().to_string();
        let feed_max = self.link.feed_entries().to_string();
        let expected = self.expected_ms();
        // Whether this is too late to declare anybody gone is decided where it may have had to wait.
        let asked = expected.filter(|_| reap).map(|ms| ms.to_string()).unwrap_or_default();
        let mut args = vec![room, &lease, &feed_max, &asked];
        for Member { member, name } in members {
            args.extend([member.as_str(), name]);
        }
        let now: u64 = self.link.call("rollcall_enter_v2", &keys(room), &args).await?;
        let most = self.lease.as_millis() as u64 / 4;
        let surprise = expected.filter(|expected| now.abs_diff(*expected) >= most);
        if surprise.is_some() && !reap {
            // Left for who would declare somebody gone.
            return Ok(());
        }
        *self.clock() = Some((now, Instant::now()));
        match surprise {
            Some(expected) => Err(LogError::Unknown(format!(
                "asked at {expected} ms of its clock, it answered at {now}"
            ))),
            None => Ok(()),
        }
    }

    async fn exit(&self, room: &str, member: &str) -> Result<(), LogError> {
        let feed_max = self.link.feed_entries().to_string();
        self.link.call("rollcall_exit_v2", &keys(room), &[room, member, &feed_max]).await
    }

    async fn snapshot(&self, room: &str) -> Result<Snapshot, LogError> {
        let [_, names, feed] = keys(room);
        let (at, members): (String, BTreeMap<String, String>) =
            self.link.call("rollcall_present_v2", &[names, feed], &[]).await?;
        let at = at.parse().map_err(|error| LogError::Unknown(format!("{error}")))?;
        Ok(Snapshot { at, members })
    }
}

fn keys(room: &str) -> [String; 3] {
    [room_key(room, "present"), room_key(room, "names"), feed_key(room)]
}

/// Presence leases of a single replica.
#[derive(Clone)]
pub struct MemoryPresence {
    lease: Duration,
    feed: broadcast::Sender<FeedEvent>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    rooms: HashMap<String, BTreeMap<String, Lease>>,
    /// Counts events, as a feed's IDs do.
    at: u64,
}

struct Lease {
    name: String,
    ends: Instant,
}

impl MemoryPresence {
    /// Leases of the length `lease`, announced on `feed`.
    #[must_use]
    pub fn new(lease: Duration, feed: broadcast::Sender<FeedEvent>) -> Self {
        Self { lease, feed, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Sent under the lock, so that events come in the order of what they tell.
    fn announce(&self, at: &mut u64, room: &str, event: PresenceEvent, member: &str, name: &str) {
        *at += 1;
        let _ = self.feed.send(FeedEvent::Presence {
            at: EntryId::new(*at, 0),
            room: room.to_owned(),
            event,
            member: member.to_owned(),
            name: name.to_owned(),
        });
    }

    fn enter(&self, room: &str, members: &[Member], reap: bool) {
        let now = Instant::now();
        let State { rooms, at } = &mut *self.state();
        let leases = rooms.entry(room.to_owned()).or_default();
        for Member { member, name } in members {
            let lease = Lease { name: name.clone(), ends: now + self.lease };
            if leases.insert(member.clone(), lease).is_none() {
                self.announce(at, room, PresenceEvent::Join, member, name);
            }
        }
        leases.retain(|member, lease| {
            let holds = !reap || lease.ends > now;
            if !holds {
                self.announce(at, room, PresenceEvent::Leave, member, &lease.name);
            }
            holds
        });
    }

    fn exit(&self, room: &str, member: &str) {
        let State { rooms, at } = &mut *self.state();
        if let Some(lease) = rooms.get_mut(room).and_then(|leases| leases.remove(member)) {
            self.announce(at, room, PresenceEvent::Leave, member, &lease.name);
        }
    }

    fn snapshot(&self, room: &str) -> Snapshot {
        let state = self.state();
        let members = state.rooms.get(room).into_iter().flatten();
        let members = members.map(|(member, lease)| (member.clone(), lease.name.clone())).collect();
        Snapshot { at: EntryId::new(state.at, 0), members }
    }
}
