//! The room logs of a single replica without Redis, so that `cargo run` is a working chat.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rollcall_protocol::{EntryId, Message};
use tokio::sync::{
    broadcast::{self, error::RecvError},
    mpsc,
};

use super::{Appended, FeedEvent, NewEntry, Page};

/// A feed in which nothing happens says this often that it is read.
const READ_EVERY: Duration = Duration::from_millis(500);

/// Room logs in memory. Clones share them.
#[derive(Clone)]
pub struct MemoryLog {
    /// A std mutex, since no lock is held over an await.
    state: Arc<Mutex<State>>,
    feed: broadcast::Sender<FeedEvent>,
    log_entries: usize,
}

#[derive(Default)]
struct State {
    logs: HashMap<String, RoomLog>,
    /// (room, member) → last accepted `n`, its entry, and the hash of its text.
    sent: HashMap<(String, String), (u64, EntryId, u64)>,
}

#[derive(Default)]
struct RoomLog {
    entries: VecDeque<Message>,
    last: EntryId,
}

impl MemoryLog {
    /// An empty log that keeps `log_entries` a room; its feed lags after `feed_entries`.
    #[must_use]
    pub fn new(log_entries: usize, feed_entries: usize) -> Self {
        Self { state: Arc::default(), feed: broadcast::Sender::new(feed_entries), log_entries }
    }

    /// Where presence publishes, too.
    #[must_use]
    pub fn feed(&self) -> broadcast::Sender<FeedEvent> {
        self.feed.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn append(&self, new: &NewEntry) -> Appended {
        let mut state = self.state();
        let sender = (new.room.clone(), new.member.clone());
        let text = hash(&new.text);
        if let Some(&(last, id, last_text)) = state.sent.get(&sender) {
            if new.n == last && text != last_text {
                return Appended::NumberTaken { expected: last + 1 };
            } else if new.n == last {
                return Appended::Duplicate(Some(id));
            } else if new.n < last {
                return Appended::Duplicate(None);
            } else if new.n > last + 1 {
                return Appended::Expected(last + 1);
            }
        }
        let log = state.logs.entry(new.room.clone()).or_default();
        let entry = log.push(new, self.log_entries);
        let id = entry.id;
        // Sent under the lock, so that the feed has the log's order. No receiver is no error.
        let _ = self.feed.send(FeedEvent::Message(entry));
        state.sent.insert(sender, (new.n, id, text));
        Appended::Taken(id)
    }

    pub(super) fn read_after(&self, room: &str, after: EntryId, limit: usize) -> Page {
        let state = self.state();
        let Some(log) = state.logs.get(room) else { return Page::empty() };
        let start = log.entries.partition_point(|entry| entry.id <= after);
        Page {
            entries: log.entries.iter().skip(start).take(limit).cloned().collect(),
            last: log.last,
        }
    }

    pub(super) fn read_before(&self, room: &str, before: Option<EntryId>, limit: usize) -> Page {
        let state = self.state();
        let Some(log) = state.logs.get(room) else { return Page::empty() };
        let end = before.map_or(log.entries.len(), |id| log.entries.partition_point(|e| e.id < id));
        let start = end.saturating_sub(limit);
        Page { entries: log.entries.range(start..end).cloned().collect(), last: log.last }
    }

    pub(super) fn typing(&self, room: &str, member: &str, name: &str) {
        let (room, member, name) = (room.to_owned(), member.to_owned(), name.to_owned());
        let _ = self.feed.send(FeedEvent::Typing { room, member, name });
    }

    pub(super) async fn follow(&self, events: mpsc::Sender<FeedEvent>) {
        let mut feed = self.feed.subscribe();
        let mut ticks = tokio::time::interval(READ_EVERY);
        // What was appended before the subscription.
        let mut event = FeedEvent::Missed;
        while events.send(event).await.is_ok() {
            event = tokio::select! {
                biased;
                event = feed.recv() => match event {
                    Ok(event) => event,
                    Err(RecvError::Lagged(_)) => FeedEvent::Missed,
                    Err(RecvError::Closed) => return,
                },
                _ = ticks.tick() => FeedEvent::Read,
            };
        }
    }
}

impl RoomLog {
    fn push(&mut self, new: &NewEntry, max: usize) -> Message {
        let now = unix_ms();
        let id = if now > self.last.ms {
            EntryId::new(now, 0)
        } else {
            EntryId::new(self.last.ms, self.last.seq + 1)
        };
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
        self.last = id;
        self.entries.push_back(entry.clone());
        if self.entries.len() > max {
            self.entries.pop_front();
        }
        entry
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

impl Page {
    fn empty() -> Self {
        Self { entries: Vec::new(), last: EntryId::ZERO }
    }
}

/// This machine's time, by which a log without Redis goes. Nothing else may, but for figures.
#[expect(clippy::disallowed_methods, reason = "there is no other clock")]
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
