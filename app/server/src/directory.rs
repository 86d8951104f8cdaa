//! All rooms that anybody spoke in, by when that was last: what a list of rooms is made of. In memory on each replica, which
//! hears of every message anyway; the logs say how it was before.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, broadcast};
use tracing::debug;

use crate::log::{self, Log};

/// When to ask the logs again that did not answer.
const RETRY: Duration = Duration::from_secs(1);
/// A room in which people talk goes to the front of the list this often at most, ms.
const MOVES_EVERY_MS: u64 = 1000;
/// News that wait for those that follow the list; a follower that is further behind reads the list anew.
const NEWS: usize = 1024;

/// Where a room stands in the list: its name, and when it was spoken in last, Unix ms, about.
pub type Place = (String, u64);

/// The list of rooms. Clones share it.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    most: usize,
    /// A std mutex: held for a moment's bookkeeping, never over an await.
    rooms: Mutex<Listed>,
    news: broadcast::Sender<String>,
    stale: Notify,
}

#[derive(Default)]
struct Listed {
    by_name: HashMap<String, u64>,
    by_time: BTreeSet<(Reverse<u64>, String)>,
}

impl Directory {
    /// An empty list, of `most` rooms at most: those that were silent for longest fall out. Needs [`Directory::keep`].
    #[must_use]
    pub fn new(most: usize) -> Self {
        let inner = Inner {
            most,
            rooms: Mutex::default(),
            news: broadcast::Sender::new(NEWS),
            stale: Notify::new(),
        };
        // What was said before is known only to the logs.
        inner.stale.notify_one();
        Self(Arc::new(inner))
    }

    fn rooms(&self) -> MutexGuard<'_, Listed> {
        self.0.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody spoke in a room, at `at`, Unix ms.
    pub fn spoke(&self, room: &str, at: u64) {
        if !log::is_probe(room) && self.rooms().spoke(room, at, self.0.most) {
            // Nobody may follow the list.
            let _ = self.0.news.send(room.to_owned());
        }
    }

    /// Not everything was told: the logs are asked.
    pub fn forget_order(&self) {
        self.0.stale.notify_one();
    }

    /// Up to `count` rooms that were spoken in at `since`, Unix ms, or later; the latest first, after the place `after` if it
    /// is given.
    #[must_use]
    pub fn latest(&self, since: u64, after: Option<&Place>, count: usize) -> Vec<Place> {
        let rooms = self.rooms();
        let from = after.map(|(name, at)| (Reverse(*at), name.clone()));
        let start = from.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let range = rooms.by_time.range((start, std::ops::Bound::Unbounded));
        let recent = range.take_while(|(Reverse(at), _)| *at >= since).take(count);
        recent.map(|(Reverse(at), room)| (room.clone(), *at)).collect()
    }

    /// When a room was spoken in last, Unix ms, about; none if that is not known.
    #[must_use]
    pub fn spoken_in(&self, room: &str) -> Option<u64> {
        self.rooms().by_name.get(room).copied()
    }

    /// The names of rooms that were spoken in, from now on.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<String> {
        self.0.news.subscribe()
    }

    /// Asks the logs whenever they know more, until cancelled by dropping.
    pub async fn keep(&self, log: &Log) {
        loop {
            self.0.stale.notified().await;
            loop {
                match log.rooms(self.0.most).await {
                    Ok(rooms) => {
                        rooms.iter().for_each(|(room, at)| self.spoke(room, *at));
                        break;
                    }
                    Err(error) => debug!(%error, "the list of rooms is not read yet"),
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

impl Listed {
    /// Whether that moves the room in the list.
    fn spoke(&mut self, room: &str, at: u64, most: usize) -> bool {
        let before = self.by_name.get(room).copied();
        if before.is_some_and(|before| at < before + MOVES_EVERY_MS) {
            return false;
        }
        if let Some(before) = before {
            self.by_time.remove(&(Reverse(before), room.to_owned()));
        }
        self.by_name.insert(room.to_owned(), at);
        self.by_time.insert((Reverse(at), room.to_owned()));
        while self.by_time.len() > most {
            if let Some((_, silent)) = self.by_time.pop_last() {
                self.by_name.remove(&silent);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(rooms: &[(String, u64)]) -> Vec<&str> {
        rooms.iter().map(|(room, _)| &**room).collect()
    }

    #[test]
    fn the_latest_come_first_and_pages_meet() {
        let directory = Directory::new(10);
        for (room, at) in [("a", 1_000), ("b", 2_000), ("c", 3_000), ("a", 4_000)] {
            directory.spoke(room, at);
        }
        assert_eq!(names(&directory.latest(0, None, 2)), ["a", "c"]);
        assert_eq!(names(&directory.latest(0, Some(&("c".to_owned(), 3_000)), 2)), ["b"]);
        assert_eq!(names(&directory.latest(2_500, None, 9)), ["a", "c"]);
        assert_eq!(directory.spoken_in("a"), Some(4_000));
    }

    #[test]
    fn a_full_list_forgets_the_most_silent() {
        let directory = Directory::new(2);
        for (room, at) in [("a", 1_000), ("b", 2_000), ("c", 3_000)] {
            directory.spoke(room, at);
        }
        assert_eq!(names(&directory.latest(0, None, 9)), ["c", "b"]);
        assert_eq!(directory.spoken_in("a"), None);
    }

    #[test]
    fn a_busy_room_is_told_once_a_second() {
        let directory = Directory::new(2);
        let mut news = directory.follow();
        (0..50).for_each(|i| directory.spoke("a", 10_000 + i * 100));
        let told = std::iter::from_fn(|| news.try_recv().ok()).count();
        assert_eq!(told, 5);
    }
}
