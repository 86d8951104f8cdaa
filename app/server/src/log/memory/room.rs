//! One room's log in memory. `log.lua` and `about.lua` say why it does what it does.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use rollcall_protocol::{EntryId, Kind, Message};
use tokio::time::Instant;

use crate::{
    config::LogBounds,
    log::{
        about::About,
        bounds::Squeeze,
        clock::unix_ms,
        model::{Appended, Forbidden, NewEntry},
    },
};

/// What an entry takes beside its texts, about.
const ENTRY_BYTES: usize = 200;
/// What a room takes beside its entries, and a sender, about.
const ROOM_BYTES: usize = 500;
const SENDER_BYTES: usize = 150;
/// Where a sender's number is forgotten, it is looked for in so many of the newest entries at most, as `log.lua` does.
const RECALL: usize = 500;
/// How sequence parts of IDs are chosen; `log.lua` says why.
const NEW_BELOW: u64 = 1 << 52;
const ALWAYS_BELOW: u64 = 1 << 53;
const WINDOWS: u64 = 1 << 33;
const WINDOW: u64 = 1 << 19;
const STEP: u64 = 1 << 40;

/// One room's log.
pub(super) struct RoomLog {
    entries: VecDeque<Message>,
    entry_bytes: usize,
    pub last: EntryId,
    pub about: About,
    /// Of a message its newest edit, or its removal.
    changed: BTreeMap<EntryId, Newest>,
    /// When somebody spoke last, by member, where the room is slow.
    slow: HashMap<String, Instant>,
    senders: HashMap<String, Sender>,
    /// When something was said last, and when first of what is still there.
    pub spoke: Instant,
    first_spoke: Instant,
}

/// What was done last to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Newest {
    Edit(EntryId),
    Removal(EntryId),
}

/// The last that the log took from a sender, and whether it is the text that they send now.
pub(super) struct Seen {
    n: u64,
    id: EntryId,
    is_same: bool,
}

/// What the log remembers of a sender.
struct Sender {
    n: u64,
    id: EntryId,
    hash: u64,
    at: Instant,
}

impl Seen {
    /// The answer to a number that is not the next; none if it is.
    pub fn answer(&self, n: u64) -> Option<Appended> {
        let expected = self.n + 1;
        match n {
            n if n == expected => None,
            n if n > expected => Some(Appended::Expected(expected)),
            n if n < self.n => Some(Appended::Duplicate(None)),
            _ if !self.is_same => Some(Appended::NumberTaken { expected }),
            _ => Some(Appended::Duplicate(Some(self.id))),
        }
    }
}

impl RoomLog {
    pub fn new(now: Instant) -> Self {
        Self {
            entries: VecDeque::new(),
            entry_bytes: 0,
            last: EntryId::ZERO,
            about: About::default(),
            changed: BTreeMap::new(),
            slow: HashMap::new(),
            senders: HashMap::new(),
            spoke: now,
            first_spoke: now,
        }
    }

    pub fn bytes(&self) -> usize {
        ROOM_BYTES + self.entry_bytes + SENDER_BYTES * self.senders.len()
    }

    /// The sender's last number as it is remembered.
    pub fn remembered(&self, new: &NewEntry, kept: Duration, now: Instant) -> Option<Seen> {
        let last = self.senders.get(new.sender()).filter(|last| now - last.at < kept)?;
        Some(Seen { n: last.n, id: last.id, is_same: last.hash == hash(&new.said()) })
    }

    /// The same from what was taken after `since`, where it is forgotten.
    pub fn recalled(&self, new: &NewEntry, since: EntryId) -> Option<Seen> {
        let newest = self.entries.iter().rev().take(RECALL);
        let mut newest = newest.take_while(|entry| entry.id > since);
        let last = newest.find(|entry| entry.sender() == new.sender())?;
        Some(Seen { n: last.n, id: last.id, is_same: new.is_said_by(last) })
    }

    /// Whether one more sender's number can be remembered. Forgets the one that has been silent for longest if it must,
    /// but never one that spoke just now.
    pub fn has_place(
        &mut self,
        new: &NewEntry,
        bounds: &LogBounds,
        kept: Duration,
        now: Instant,
    ) -> bool {
        self.forget_senders(kept, now);
        if self.senders.len() < bounds.senders_for(new.is_in_room) {
            return true;
        }
        let oldest = self.senders.iter().min_by_key(|(_, sender)| sender.at);
        let oldest = oldest.filter(|(_, sender)| now - sender.at >= bounds.numbers_spared());
        let Some(member) = oldest.map(|(member, _)| member.clone()) else { return false };
        self.senders.remove(&member);
        true
    }

    pub fn forget_senders(&mut self, kept: Duration, now: Instant) {
        self.senders.retain(|_, sender| now - sender.at < kept);
        self.slow.retain(|_, spoke| now - *spoke < kept);
    }

    /// Whether nothing is left that anybody could miss.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Why the room does not take an entry.
    pub fn refusal(&self, new: &NewEntry, now: Instant) -> Option<Forbidden> {
        let (about, member) = (&self.about, &new.member);
        if let Some(why) = about.silences(member, new.has_power, unix_ms()) {
            return Some(why);
        }
        let slow = Duration::from_millis(about.state().slow_ms);
        let spoke = self.slow.get(member).filter(|_| new.extra.kind.is_none());
        let left = spoke.map(|spoke| slow.saturating_sub(now - *spoke)).unwrap_or_default();
        if !left.is_zero() && !about.moderates(member, new.has_power, unix_ms()) {
            return Some(Forbidden::Slow(left.as_millis().max(1) as u64));
        }
        self.wrong_target(new)
    }

    fn wrong_target(&self, new: &NewEntry) -> Option<Forbidden> {
        let of = new.extra.of?;
        let is_message = |entry: &&Message| entry.extra.kind.is_none();
        let Some(entry) = self.entry(of).filter(is_message) else {
            return Some(Forbidden::NoMessage);
        };
        if matches!(self.changed.get(&of), Some(Newest::Removal(_))) {
            return Some(Forbidden::NoMessage);
        }
        let removes = new.extra.kind == Some(Kind::Remove);
        let may = entry.member == new.member
            || (removes && self.about.moderates(&new.member, new.has_power, unix_ms()));
        (!may).then_some(Forbidden::NotYours)
    }

    fn entry(&self, id: EntryId) -> Option<&Message> {
        let at = self.entries.binary_search_by_key(&id, |entry| entry.id).ok()?;
        self.entries.get(at)
    }

    /// An entry as it may be given out: without what was removed, and with `latest` with the text of its newest edit.
    fn as_changed(&self, entry: &Message, latest: bool) -> Message {
        let mut entry = entry.clone();
        let is_edit = entry.extra.kind == Some(Kind::Edit);
        let about = entry.extra.of.filter(|_| is_edit).unwrap_or(entry.id);
        match self.changed.get(&about) {
            None => {}
            Some(Newest::Removal(_)) => {
                entry.text.clear();
                entry.extra.removed = true;
            }
            Some(Newest::Edit(edit)) if latest && !is_edit => {
                if let Some(newest) = self.entry(*edit) {
                    entry.text.clone_from(&newest.text);
                    entry.extra.edited = Some(*edit);
                }
            }
            Some(Newest::Edit(_)) => {}
        }
        entry
    }

    /// Up to `limit` entries after `after`.
    pub fn after(&self, after: EntryId, limit: usize) -> Vec<Message> {
        let start = self.entries.partition_point(|entry| entry.id <= after);
        let entries = self.entries.iter().skip(start).take(limit);
        entries.map(|entry| self.as_changed(entry, false)).collect()
    }

    /// The newest `limit` entries, before `before` if given.
    pub fn before(&self, before: Option<EntryId>, limit: usize, latest: bool) -> Vec<Message> {
        let end =
            before.map_or(self.entries.len(), |id| self.entries.partition_point(|e| e.id < id));
        let start = end.saturating_sub(limit);
        self.entries.range(start..end).map(|entry| self.as_changed(entry, latest)).collect()
    }

    /// Half of `limit` entries before `id`, and as many from it on.
    pub fn around(&self, id: EntryId, limit: usize) -> Vec<Message> {
        let half = (limit / 2).max(1);
        let middle = self.entries.partition_point(|entry| entry.id < id);
        let end = (middle + half).min(self.entries.len());
        let entries = self.entries.range(middle.saturating_sub(half)..end);
        entries.map(|entry| self.as_changed(entry, true)).collect()
    }

    /// Notes what an entry that was taken changes.
    fn note(&mut self, entry: &Message, now: Instant) {
        let extra = &entry.extra;
        match extra.of {
            Some(of) => {
                let newest = match extra.kind {
                    Some(Kind::Remove) => Newest::Removal(entry.id),
                    _ => Newest::Edit(entry.id),
                };
                self.changed.insert(of, newest);
            }
            None if extra.kind.is_none() && self.about.state().slow_ms > 0 => {
                self.slow.insert(entry.member.clone(), now);
            }
            None => {}
        }
    }

    /// Adds an entry, and remembers its number.
    pub fn push(&mut self, new: &NewEntry, now: Instant) -> Message {
        let entry = self.add(new, now);
        self.note(&entry, now);
        let sender = Sender { n: new.n, id: entry.id, hash: hash(&new.said()), at: now };
        self.senders.insert(new.sender().to_owned(), sender);
        entry
    }

    /// Adds an entry that has nobody's number.
    pub fn add(&mut self, new: &NewEntry, now: Instant) -> Message {
        let id = next_id(self.last, unix_ms());
        let entry = Message {
            room: new.room.clone(),
            id,
            prev: self.last,
            member: new.member.clone(),
            name: new.name.clone(),
            n: new.n,
            text: new.text.clone(),
            at: id.ms,
            extra: new.extra.clone(),
        };
        if self.entries.is_empty() {
            self.first_spoke = now;
        }
        (self.last, self.spoke) = (id, now);
        self.entry_bytes += bytes_of(&entry);
        self.entries.push_back(entry.clone());
        entry
    }

    /// Takes the oldest entries, but never the last.
    pub fn trim(&mut self, most_entries: usize, most_bytes: usize) {
        while self.entries.len() > most_entries || self.entry_bytes > most_bytes {
            if self.entries.len() <= 1 {
                return;
            }
            self.drop_first();
        }
    }

    pub fn empty(&mut self) {
        while !self.entries.is_empty() {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.entry_bytes -= bytes_of(&entry);
            // As long as the newest is there, an edit before it may be: its text is not to come back.
            let newest = [Newest::Edit(entry.id), Newest::Removal(entry.id)];
            if let Some(of) = entry.extra.of
                && self.changed.get(&of).is_some_and(|last| newest.contains(last))
            {
                self.changed.remove(&of);
            }
        }
    }

    /// How many times as long as it may be it has been silent; `newest` is when anybody spoke last. As in `janitor.lua`.
    pub fn times_silent(
        &self,
        room: &str,
        bounds: &LogBounds,
        squeeze: &Squeeze,
        now: Instant,
        newest: Instant,
    ) -> f64 {
        let life = self.spoke - self.first_spoke;
        let passed_over = squeeze.lives().map_or(0.0, |lives| {
            (newest - self.spoke).div_duration_f64(life.mul_f64(lives).max(bounds.least_silence()))
        });
        (now - self.spoke).div_duration_f64(bounds.expiry_of(room)).max(passed_over)
    }
}

fn bytes_of(entry: &Message) -> usize {
    ENTRY_BYTES + entry.room.len() + entry.member.len() + entry.name.len() + entry.text.len()
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The ID for the entry after `last`. The log of a process before may have given out IDs of this very moment, so chance
/// is in each.
fn next_id(last: EntryId, now: u64) -> EntryId {
    let nonce = rand::random::<u64>() % NEW_BELOW;
    let seq = match now.cmp(&last.ms) {
        Ordering::Greater => return EntryId::new(now, nonce),
        Ordering::Equal => last.seq + 1 + nonce % STEP,
        Ordering::Less => (last.seq + 1).max(NEW_BELOW + now % WINDOWS * WINDOW) + nonce % WINDOW,
    };
    if seq < ALWAYS_BELOW { EntryId::new(last.ms, seq) } else { EntryId::new(last.ms + 1, nonce) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s16_ids_grow_and_stay_what_javascript_can_tell_apart() {
        for behind in [0, 3_600_000] {
            let now = 1_800_000_000_000;
            let mut last = EntryId::new(now + behind, ALWAYS_BELOW - 1);
            for _ in 0..100_000 {
                let next = next_id(last, now);
                assert!(next > last && next.seq < ALWAYS_BELOW, "{next} after {last}");
                last = next;
            }
        }
    }

    /// Clients that have seen what was lost are shown what was said after it.
    #[test]
    fn s16_behind_the_stream_ids_grow_with_the_clock() {
        let kept = next_id(EntryId::ZERO, 1_800_000_000_000);
        for now in 1_790_000_000_000..1_790_000_001_000 {
            let lost = next_id(kept, now);
            assert!(next_id(kept, now + 1) > lost);
        }
    }
}
