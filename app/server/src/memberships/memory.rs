//! Memberships of a single replica without Redis.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rollcall_protocol::EntryId;

use super::MOST_ROOMS;

/// Members who are in rooms, since there is no other bound.
const MOST_MEMBERS: usize = 65_536;

type Rooms = HashMap<String, EntryId>;

/// Memberships in memory. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryMemberships(Arc<Mutex<HashMap<String, Rooms>>>);

impl MemoryMemberships {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Rooms>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, member: &str, room: &str, id: EntryId) -> bool {
        let mut all = self.all();
        if all.len() >= MOST_MEMBERS && !all.contains_key(member) {
            return false;
        }
        let rooms = all.entry(member.to_owned()).or_default();
        if rooms.contains_key(room) {
            return true;
        }
        if rooms.len() >= MOST_ROOMS {
            return false;
        }
        rooms.insert(room.to_owned(), id);
        true
    }

    pub(super) fn leave(&self, member: &str, room: &str) {
        if let Some(rooms) = self.all().get_mut(member) {
            rooms.remove(room);
        }
    }

    pub(super) fn read(&self, member: &str, room: &str, id: EntryId) -> bool {
        let mut all = self.all();
        let read = all.get_mut(member).and_then(|rooms| rooms.get_mut(room));
        read.filter(|read| **read < id).map(|read| *read = id).is_some()
    }

    pub(super) fn of(&self, member: &str) -> Vec<(String, EntryId)> {
        let all = self.all();
        let rooms = all.get(member).into_iter().flatten();
        rooms.map(|(room, id)| (room.clone(), *id)).collect()
    }
}
