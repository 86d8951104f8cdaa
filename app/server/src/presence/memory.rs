//! What is kept of presence in memory: for a single replica without Redis, and for tests with several.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use rollcall_protocol::{EntryId, Member, PresenceEvent};
use tokio::{sync::broadcast, time::Instant};

use super::{
    entry::{Entry, Present, Renewed},
    local::Task,
    pulse::incarnation_lease,
};
use crate::log::FeedEvent;

/// The rooms' members in memory, announced on a feed. Clones share them.
#[derive(Clone)]
pub struct MemoryPresence {
    /// Length of a lease, ms.
    lease_ms: u64,
    incarnation_ms: u64,
    feed: broadcast::Sender<FeedEvent>,
    /// When its clock was 0.
    began: Instant,
    /// A std mutex, since no lock is held over an await.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    rooms: HashMap<String, BTreeMap<String, Entry>>,
    /// Incarnation → when it last renewed its lease, ms.
    leases: HashMap<String, u64>,
    /// Counts events, as a feed's IDs do.
    at: u64,
}

impl MemoryPresence {
    /// Leases of the length `lease`, announced on `feed`.
    #[must_use]
    pub fn new(lease: Duration, feed: broadcast::Sender<FeedEvent>) -> Self {
        let lease_ms = lease.as_millis() as u64;
        let incarnation_ms = incarnation_lease(lease).as_millis() as u64;
        Self { lease_ms, incarnation_ms, feed, began: Instant::now(), state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// Sent under the lock, so that events come in the order of what they tell.
    fn announce(&self, at: &mut u64, room: &str, event: PresenceEvent, member: &str, name: &str) {
        *at += 1;
        // No receiver is no error.
        let _ = self.feed.send(FeedEvent::Presence {
            at: EntryId::new(*at, 0),
            room: room.to_owned(),
            event,
            member: member.to_owned(),
            name: name.to_owned(),
        });
    }

    pub(super) fn tell(&self, room: &str, holder: &str, task: &Task) -> Vec<String> {
        match task {
            Task::Enter(members) => self.enter(room, holder, members),
            Task::Part(members) => return self.part(room, holder, members),
            Task::Leave(members) => self.leave(room, holder, members),
        }
        Vec::new()
    }

    fn enter(&self, room: &str, holder: &str, members: &[Member]) {
        let State { rooms, at, .. } = &mut *self.state();
        let entries = rooms.entry(room.to_owned()).or_default();
        for Member { member, name } in members {
            let is_new = !entries.contains_key(member);
            let entry = entries.entry(member.clone()).or_default();
            entry.name.clone_from(name);
            entry.lingers = None;
            entry.on.retain(|on| on != holder);
            entry.on.push(holder.to_owned());
            if is_new {
                self.announce(at, room, PresenceEvent::Join, member, name);
            }
        }
    }

    fn part(&self, room: &str, holder: &str, members: &[String]) -> Vec<String> {
        let until = self.now() + self.lease_ms;
        let mut state = self.state();
        let Some(entries) = state.rooms.get_mut(room) else { return Vec::new() };
        let mut lingering = Vec::new();
        for member in members {
            let Some(entry) = entries.get_mut(member) else { continue };
            entry.on.retain(|on| on != holder);
            if entry.on.is_empty() {
                entry.lingers = Some(until);
                lingering.push(member.clone());
            }
        }
        lingering
    }

    fn leave(&self, room: &str, holder: &str, members: &[String]) {
        for member in members {
            self.change(room, member, |entry| {
                entry.on.retain(|on| on != holder);
                entry.lingers = None;
            });
        }
    }

    pub(super) fn reap(&self, room: &str, dead: &[String], members: &[String]) -> u64 {
        for member in members {
            self.change(room, member, |entry| entry.on.retain(|on| !dead.contains(on)));
        }
        self.now()
    }

    /// Changes who holds a member; if nobody does any more, it is gone.
    fn change(&self, room: &str, member: &str, change: impl FnOnce(&mut Entry)) {
        let now = self.now();
        let State { rooms, at, .. } = &mut *self.state();
        let Some(entries) = rooms.get_mut(room) else { return };
        let Some(entry) = entries.get_mut(member) else { return };
        change(entry);
        if entry.on.is_empty() && entry.lingers.is_none_or(|until| until <= now) {
            let name = std::mem::take(&mut entry.name);
            entries.remove(member);
            if entries.is_empty() {
                rooms.remove(room);
            }
            self.announce(at, room, PresenceEvent::Leave, member, &name);
        }
    }

    pub(super) fn present(&self, room: &str) -> Present {
        let state = self.state();
        let held = state.rooms.get(room).cloned().unwrap_or_default();
        Present { at: EntryId::new(state.at, 0), now: self.now(), held, v2: None }
    }

    pub(super) fn renew(&self, holder: &str, ends: bool, is_known: bool) -> Renewed {
        let now = self.now();
        let leases = &mut self.state().leases;
        if is_known && !leases.contains_key(holder) {
            return Renewed { now, living: None };
        }
        leases.insert(holder.to_owned(), now);
        leases.retain(|_, renewed| !ends || *renewed + self.incarnation_ms > now);
        let living: BTreeSet<String> = leases.keys().cloned().collect();
        Renewed { now, living: Some(living) }
    }

    pub(super) fn typing(&self, room: &str, member: &str, name: &str) {
        let (room, member, name) = (room.to_owned(), member.to_owned(), name.to_owned());
        let _ = self.feed.send(FeedEvent::Typing { room, member, name });
    }
}
