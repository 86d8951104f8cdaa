//! The room logs and the feed as Redis keeps them: one append, at one instant. A model of
//! `functions.lua`, with the accidents that can befall a real one.

use std::collections::BTreeMap;

use rollcall_protocol::{EntryId, Kind, Message};
use rollcall_server::log::{Appended, Forbidden, LogError, NewEntry, Page, Refusal, splice};

use crate::wrong::Wrong;

/// Entries that the feed keeps: few, so that replicas fall behind.
const FEED: usize = 8;

pub struct SimLog {
    /// Milliseconds; an entry's ID.
    pub now: u64,
    pub wrong: Wrong,
    rooms: BTreeMap<String, RoomLog>,
    /// Everything ever appended that is not lost, in order; trimmed or not.
    journal: Vec<Message>,
    /// (room, device) → last `n` and its entry.
    sent: BTreeMap<(String, String), (u64, EntryId, String)>,
    pub feed: Vec<(u64, Message)>,
    fed: u64,
}

#[derive(Default)]
struct RoomLog {
    entries: Vec<Message>,
    last: EntryId,
    trimmed_to: EntryId,
}

impl SimLog {
    pub fn new(wrong: Wrong) -> Self {
        let (rooms, sent) = (BTreeMap::new(), BTreeMap::new());
        Self { now: 1_000, wrong, rooms, journal: Vec::new(), sent, feed: Vec::new(), fed: 0 }
    }

    pub fn append(&mut self, new: &NewEntry) -> Result<Appended, LogError> {
        let sender = (new.room.clone(), new.sender().to_owned());
        if let Some((last, id, text)) = self.sent.get(&sender) {
            let (last, id) = (*last, *id);
            let dedups = self.wrong != Wrong::NoDedup;
            match new.n {
                _ if self.wrong == Wrong::AnyNumber => {}
                n if n == last && dedups && *text != new.text => {
                    return Ok(Appended::NumberTaken { expected: last + 1 });
                }
                n if n == last && dedups => return Ok(Appended::Duplicate(Some(id))),
                n if n < last && dedups => return Ok(Appended::Duplicate(None)),
                n if n > last + 1 => return Ok(Appended::Expected(last + 1)),
                _ => {}
            }
        }
        if let Some(of) = new.extra.of
            && !self.has(&new.room, of)
        {
            return Err(LogError::Refused(Refusal::Forbidden(Forbidden::NoMessage)));
        }
        let last = self.last(&new.room);
        let id = match self.now > last.ms {
            true => EntryId::new(self.now, 0),
            false => EntryId::new(last.ms, last.seq + 1),
        };
        let mut entry = message(new, id, last);
        if self.wrong == Wrong::Garble && id.ms % 7 == 0 {
            entry.text.push('?');
        }
        self.take(entry.clone());
        self.fed += 1;
        self.feed.push((self.fed, entry.clone()));
        if self.feed.len() > FEED {
            self.feed.remove(0);
        }
        self.journal.push(entry);
        Ok(Appended::Taken(id))
    }

    /// Whether there is such a message, and it was not removed.
    fn has(&self, room: &str, of: EntryId) -> bool {
        self.entries(room).any(|entry| entry.id == of) && !self.removed(room, of)
    }

    fn removed(&self, room: &str, id: EntryId) -> bool {
        let removes =
            |entry: &Message| entry.extra.kind == Some(Kind::Remove) && entry.extra.of == Some(id);
        self.entries(room).any(removes)
    }

    /// A room's entries as they are told: what was removed has no text any more, neither as it was said nor as it was edited.
    pub fn shown(&self, room: &str) -> impl Iterator<Item = Message> {
        self.entries(room).cloned().map(move |mut entry| {
            let is_edit = entry.extra.kind == Some(Kind::Edit);
            let of = entry.extra.of.filter(|_| is_edit).unwrap_or(entry.id);
            if self.removed(room, of) {
                entry.text.clear();
                entry.extra.removed = true;
            }
            entry
        })
    }

    fn take(&mut self, entry: Message) {
        let sender = (entry.room.clone(), entry.sender().to_owned());
        self.sent.insert(sender, (entry.n, entry.id, entry.text.clone()));
        let log = self.rooms.entry(entry.room.clone()).or_default();
        log.last = entry.id;
        if entry.id > log.trimmed_to {
            log.entries.push(entry);
        }
    }

    pub fn last(&self, room: &str) -> EntryId {
        self.rooms.get(room).map_or(EntryId::ZERO, |log| log.last)
    }

    pub fn read_after(&self, room: &str, after: EntryId, limit: usize) -> Page {
        let entries = self.shown(room).filter(|entry| entry.id > after).take(limit);
        splice::page(entries.map(|entry| (entry.id, Some(entry))), self.last(room))
    }

    pub fn entries(&self, room: &str) -> impl Iterator<Item = &Message> {
        self.rooms.get(room).into_iter().flat_map(|log| &log.entries)
    }

    /// Everything is lost, numbers and feed too.
    pub fn flush(&mut self) {
        self.rooms.clear();
        self.journal.clear();
        self.sent.clear();
        self.feed.clear();
    }

    /// The last `lost` appends are undone everywhere, as after a crash that lost a file's end.
    pub fn rewind(&mut self, lost: usize) {
        self.journal.truncate(self.journal.len().saturating_sub(lost));
        self.feed.truncate(self.feed.len().saturating_sub(lost));
        self.sent.clear();
        for log in self.rooms.values_mut() {
            log.entries.clear();
            log.last = EntryId::ZERO;
        }
        for entry in self.journal.clone() {
            self.take(entry);
        }
    }

    /// The oldest `count` entries of a room are lost.
    pub fn trim(&mut self, room: &str, count: usize) {
        if let Some(log) = self.rooms.get_mut(room) {
            let mut gone = log.entries.drain(..count.min(log.entries.len()));
            log.trimmed_to = gone.next_back().map_or(log.trimmed_to, |entry| entry.id);
        }
    }
}

fn message(new: &NewEntry, id: EntryId, prev: EntryId) -> Message {
    let NewEntry { room, member, name, n, text, .. } = new.clone();
    Message { room, id, prev, member, name, n, text, at: id.ms, extra: new.extra.clone() }
}
