//! The room logs of a single replica without Redis, so that `cargo run` is a working chat.

mod room;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use rollcall_protocol::{EntryId, Extra, Kind};
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        mpsc,
    },
    time::Instant,
};

use self::room::RoomLog;
use super::{
    about::{About, Change, Changed, Needs},
    bounds::{LOG_LEAST, Squeeze, allowed},
    clock::unix_ms,
    model::{Appended, Control, FeedEvent, LogError, NewEntry, Page, Refusal, Usage},
};
use crate::config::LogBounds;

/// How often the feed counts as read where it has nothing, and how often logs are kept within their bounds.
const TICK: Duration = Duration::from_secs(1);
/// Rooms that one member makes; in Redis each of the partitions has a count of its own.
const MOST_MADE: usize = 1600;

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
    /// How many rooms a member has made.
    made: HashMap<String, usize>,
    /// Of all logs; made exact each time they are tidied.
    bytes: usize,
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

    pub(super) fn bounds(&self) -> &LogBounds {
        &self.bounds
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
        let State { logs, bytes, .. } = &mut *self.state();
        let full = self.usage_of(*bytes).ratio();
        let kept = self.bounds.numbers_kept_at(full);
        let remembered = logs.get(&new.room).and_then(|log| log.remembered(new, kept, now));
        let is_known = remembered.is_some();
        let seen = remembered.or_else(|| logs.get(&new.room)?.recalled(new, since?));
        if let Some(answer) = seen.and_then(|seen| seen.answer(new.n)) {
            return Ok(answer);
        }
        let nothing = RoomLog::new(now);
        let log = logs.get(&new.room).unwrap_or(&nothing);
        let unmade = self.bounds.unmade(&new.room).filter(|_| !log.about.is_made());
        if let Some(why) = unmade.or_else(|| log.refusal(new, now)) {
            return Err(LogError::Refused(Refusal::Forbidden(why)));
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
        Page { entries: log.after(after, limit), last: log.last, unread: None }
    }

    pub(super) fn read_before(
        &self,
        room: &str,
        before: Option<EntryId>,
        limit: usize,
        latest: bool,
    ) -> Page {
        let state = self.state();
        let Some(log) = state.logs.get(room) else { return Page::default() };
        Page { entries: log.before(before, limit, latest), last: log.last, unread: None }
    }

    pub(super) fn read_around(&self, room: &str, id: EntryId, limit: usize) -> Page {
        let state = self.state();
        let Some(log) = state.logs.get(room) else { return Page::default() };
        Page { entries: log.around(id, limit), last: log.last, unread: None }
    }

    pub(super) fn about(&self, room: &str) -> About {
        self.state().logs.get(room).map(|log| log.about.clone()).unwrap_or_default()
    }

    pub(super) fn change(&self, change: &Change) -> Result<Changed, LogError> {
        let (now, at) = (Instant::now(), unix_ms());
        let State { logs, made, bytes } = &mut *self.state();
        let full = self.usage_of(*bytes).ratio();
        if !logs.contains_key(&change.room) && full >= self.bounds.new_rooms_below() {
            return Err(LogError::Refused(Refusal::NewRoom));
        }
        let is_there = logs.get(&change.room).is_some_and(|log| log.last != EntryId::ZERO);
        let log = logs.entry(change.room.clone()).or_insert_with(|| RoomLog::new(now));
        let is_unmade = self.bounds.unmade(&change.room).is_some() && !log.about.is_made();
        match change.needs {
            Needs::Power | Needs::Nothing if is_unmade => return Ok(Changed::Forbidden),
            Needs::New if log.about.is_made() || (is_there && !change.has_power) => {
                return Ok(Changed::Exists);
            }
            Needs::Power if !log.about.moderates(&change.by.member, change.has_power, at) => {
                return Ok(Changed::Forbidden);
            }
            Needs::New | Needs::Power | Needs::Nothing => {}
        }
        if !log.about.has_room(&change.set) {
            log.about.sweep(at);
        }
        if !log.about.has_room(&change.set) {
            return Ok(Changed::Full);
        }
        if change.needs == Needs::New && !change.has_power {
            let made = made.entry(change.by.member.clone()).or_default();
            if *made >= MOST_MADE {
                return Ok(Changed::TooMany);
            }
            *made += 1;
        }
        if !log.about.set(&change.set, at) {
            return Ok(Changed::Same);
        }
        let before = log.bytes();
        let entry = log.add(&notice(change), now);
        let id = entry.id;
        *bytes = (*bytes + log.bytes()).saturating_sub(before);
        let _ = self.feed.send(FeedEvent::Message(entry));
        Ok(Changed::Yes(id))
    }

    /// The rooms that were spoken in last, with when, Unix ms.
    pub(super) fn rooms(&self) -> Vec<(String, u64)> {
        self.state().logs.iter().map(|(room, log)| (room.clone(), log.last.ms)).collect()
    }

    pub(super) fn tell_control(&self, control: &Control) {
        let _ = self.feed.send(FeedEvent::Control(control.clone()));
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
        let State { logs, bytes, .. } = &mut *self.state();
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
            // What is true of a room that somebody made stays for good: it would be anybody's without.
            times <= 2.0 || !log.is_empty() || log.about.is_made()
        });
        *bytes = logs.values().map(RoomLog::bytes).sum();
    }
}

/// The entry that says that a room's state changed.
fn notice(change: &Change) -> NewEntry {
    NewEntry {
        room: change.room.clone(),
        member: change.by.member.clone(),
        name: change.by.name.clone(),
        n: 0,
        text: change.notice.clone(),
        extra: Extra { kind: Some(Kind::Notice), mark: change.mark, ..Extra::default() },
        has_power: true,
        is_in_room: true,
    }
}
