//! The room logs of a single replica without Redis, so that `cargo run` is a working chat.

use std::{
    cmp::Ordering,
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use rollcall_protocol::{EntryId, Message};
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        mpsc,
    },
    time::Instant,
};

use super::{
    bounds::{LOG_LEAST, Squeeze, allowed},
    clock::unix_ms,
    model::{Appended, FeedEvent, LogError, NewEntry, Page, Refusal, Usage},
};
use crate::config::LogBounds;

/// How often the feed counts as read where it has nothing, and how often logs are kept within their bounds.
const TICK: Duration = Duration::from_secs(1);
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

/// Room logs in memory. Clones share them.
#[derive(Clone)]
pub struct MemoryLog {
    /// A std mutex, since no lock is held over an await.
    state: Arc<Mutex<State>>,
    feed: broadcast::Sender<FeedEvent>,
    bounds: Arc<LogBounds>,
}

#[derive(Default)]
struct State {
    logs: HashMap<String, RoomLog>,
    /// Of all logs; made exact each time they are tidied.
    bytes: usize,
}

struct RoomLog {
    entries: VecDeque<Message>,
    entry_bytes: usize,
    last: EntryId,
    senders: HashMap<String, Sender>,
    /// When something was said last, and when first of what is still there.
    spoke: Instant,
    first_spoke: Instant,
}

/// The last that the log took from a sender, and whether it is the text that they send now.
struct Seen {
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

impl MemoryLog {
    /// Empty logs within `bounds`; the feed lags after as many entries as a partition's would keep.
    #[must_use]
    pub fn new(bounds: LogBounds) -> Self {
        let feed = broadcast::Sender::new(bounds.feed_entries);
        Self { state: Arc::default(), feed, bounds: Arc::new(bounds) }
    }

    /// Where presence publishes, too.
    #[must_use]
    pub fn feed(&self) -> broadcast::Sender<FeedEvent> {
        self.feed.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn append(
        &self,
        new: &NewEntry,
        since: Option<EntryId>,
    ) -> Result<Appended, LogError> {
        let now = Instant::now();
        let State { logs, bytes } = &mut *self.state();
        let full = self.usage_of(*bytes).ratio();
        let kept = self.bounds.numbers_kept_at(full);
        let remembered = logs.get(&new.room).and_then(|log| log.remembered(new, kept, now));
        let is_known = remembered.is_some();
        let seen = remembered.or_else(|| logs.get(&new.room)?.recalled(new, since?));
        if let Some(answer) = seen.and_then(|seen| seen.answer(new.n)) {
            return Ok(answer);
        }
        if !logs.contains_key(&new.room) && full >= self.bounds.new_rooms_below() {
            return Err(LogError::Refused(Refusal::NewRoom));
        }
        let before = logs.get(&new.room).map_or(0, RoomLog::bytes);
        let log = logs.entry(new.room.clone()).or_insert_with(|| RoomLog::new(now));
        if !is_known && !log.has_place(new, &self.bounds, kept, now) {
            return Err(LogError::Refused(Refusal::Senders));
        }
        let entry = log.push(new, now);
        let id = entry.id;
        log.trim(self.bounds.log_entries, allowed(self.bounds.log_bytes, LOG_LEAST, full));
        *bytes = (*bytes + log.bytes()).saturating_sub(before);
        // Sent under the lock, so that the feed has the log's order. No receiver is no error.
        let _ = self.feed.send(FeedEvent::Message(entry));
        Ok(Appended::Taken(id))
    }

    pub(super) fn last(&self, room: &str) -> EntryId {
        self.state().logs.get(room).map_or(EntryId::ZERO, |log| log.last)
    }

    pub(super) fn read_after(&self, room: &str, after: EntryId, limit: usize) -> Page {
        let state = self.state();
        let Some(log) = state.logs.get(room) else { return Page::default() };
        let start = log.entries.partition_point(|entry| entry.id <= after);
        let entries = log.entries.iter().skip(start).take(limit).cloned().collect();
        Page { entries, last: log.last, unread: None }
    }

    pub(super) fn read_before(&self, room: &str, before: Option<EntryId>, limit: usize) -> Page {
        let state = self.state();
        let Some(log) = state.logs.get(room) else { return Page::default() };
        let end = before.map_or(log.entries.len(), |id| log.entries.partition_point(|e| e.id < id));
        let start = end.saturating_sub(limit);
        let entries = log.entries.range(start..end).cloned().collect();
        Page { entries, last: log.last, unread: None }
    }

    pub(super) async fn follow(&self, events: mpsc::Sender<FeedEvent>) {
        let mut feed = self.feed.subscribe();
        // What was appended before the subscription.
        let mut event = FeedEvent::Missed;
        while events.send(event).await.is_ok() {
            if feed.is_empty() && events.send(FeedEvent::Read).await.is_err() {
                return;
            }
            event = match tokio::time::timeout(TICK, feed.recv()).await {
                Err(_) => FeedEvent::Read,
                Ok(Ok(event)) => event,
                Ok(Err(RecvError::Lagged(_))) => FeedEvent::Missed,
                Ok(Err(RecvError::Closed)) => return,
            };
        }
    }

    pub(super) fn usage(&self) -> Usage {
        self.usage_of(self.state().bytes)
    }

    fn usage_of(&self, bytes: usize) -> Usage {
        Usage { used: bytes as u64, limit: self.bounds.logs_bytes as u64 }
    }

    pub(super) fn takes_new_rooms(&self) -> bool {
        self.usage().ratio() < self.bounds.new_rooms_below()
    }

    pub(super) async fn keep(&self) {
        let mut squeeze = Squeeze::default();
        loop {
            tokio::time::sleep(TICK).await;
            self.tidy(&squeeze);
            let is_short = self.bounds.is_short(self.usage().ratio());
            squeeze.press(is_short, self.bounds.log_bytes, Instant::now());
        }
    }

    fn tidy(&self, squeeze: &Squeeze) {
        let now = Instant::now();
        let State { logs, bytes } = &mut *self.state();
        let full = self.usage_of(*bytes).ratio();
        let most = allowed(self.bounds.log_bytes, LOG_LEAST, full);
        let most = most.min(squeeze.log_bytes(self.bounds.log_bytes));
        let kept = self.bounds.numbers_kept_at(full);
        let newest = logs.values().map(|log| log.spoke).max().unwrap_or(now);
        logs.retain(|room, log| {
            log.forget_senders(kept, now);
            let times = log.times_silent(room, &self.bounds, squeeze, now, newest);
            log.trim(self.bounds.log_entries, most);
            if times > 1.0 {
                log.empty();
            }
            times <= 2.0 || !log.entries.is_empty()
        });
        *bytes = logs.values().map(RoomLog::bytes).sum();
    }
}

impl Seen {
    /// The answer to a number that is not the next; none if it is.
    fn answer(&self, n: u64) -> Option<Appended> {
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
    fn new(now: Instant) -> Self {
        Self {
            entries: VecDeque::new(),
            entry_bytes: 0,
            last: EntryId::ZERO,
            senders: HashMap::new(),
            spoke: now,
            first_spoke: now,
        }
    }

    fn bytes(&self) -> usize {
        ROOM_BYTES + self.entry_bytes + SENDER_BYTES * self.senders.len()
    }

    /// The sender's last number as it is remembered.
    fn remembered(&self, new: &NewEntry, kept: Duration, now: Instant) -> Option<Seen> {
        let last = self.senders.get(&new.member).filter(|last| now - last.at < kept)?;
        Some(Seen { n: last.n, id: last.id, is_same: last.hash == hash(&new.text) })
    }

    /// The same from what was taken after `since`, where it is forgotten.
    fn recalled(&self, new: &NewEntry, since: EntryId) -> Option<Seen> {
        let newest = self.entries.iter().rev().take(RECALL);
        let mut newest = newest.take_while(|entry| entry.id > since);
        let last = newest.find(|entry| entry.member == new.member)?;
        Some(Seen { n: last.n, id: last.id, is_same: last.text == new.text })
    }

    /// Whether one more sender's number can be remembered. Forgets the one that has been silent for longest if it must,
    /// but never one that spoke just now.
    fn has_place(
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

    fn forget_senders(&mut self, kept: Duration, now: Instant) {
        self.senders.retain(|_, sender| now - sender.at < kept);
    }

    fn push(&mut self, new: &NewEntry, now: Instant) -> Message {
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
        };
        if self.entries.is_empty() {
            self.first_spoke = now;
        }
        (self.last, self.spoke) = (id, now);
        self.entry_bytes += bytes_of(&entry);
        self.entries.push_back(entry.clone());
        let sender = Sender { n: new.n, id, hash: hash(&new.text), at: now };
        self.senders.insert(new.member.clone(), sender);
        entry
    }

    /// Takes the oldest entries, but never the last.
    fn trim(&mut self, most_entries: usize, most_bytes: usize) {
        while self.entries.len() > most_entries || self.entry_bytes > most_bytes {
            if self.entries.len() <= 1 {
                return;
            }
            self.drop_first();
        }
    }

    fn empty(&mut self) {
        while !self.entries.is_empty() {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.entry_bytes -= bytes_of(&entry);
        }
    }

    /// How many times as long as it may be it has been silent; `newest` is when anybody spoke last. As in `janitor.lua`.
    fn times_silent(
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
