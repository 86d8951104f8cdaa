//! The connections that have said hello, for whoever watches them from the admin listener: who is here, and what becomes of
//! each. What happens is noted only while somebody watches.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::time::Instant;

/// Watchers at a time, at most.
const WATCHERS: usize = 4;
/// How often it is looked whether there are any.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What may wait for one of them. One that is further behind has to look anew.
const WAITING: usize = 20_000;

/// Whose a connection is, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Who {
    /// The member.
    pub member: String,
    /// What others call them.
    pub name: String,
}

/// A connection that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here {
    /// Its number, unique on this replica.
    pub number: u64,
    /// Whose it is.
    pub who: Arc<Who>,
    /// Whether it has been live in all its rooms.
    pub live: bool,
    /// The moment that it was told to move at.
    pub goes_at: Option<Instant>,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Is {
    /// It has said hello.
    Opened,
    /// It is live in all its rooms, for the first time.
    Live,
    /// It was told to move.
    Goaway,
    /// It is closed, because a drain's deadline has passed.
    Forced,
    /// It has ended.
    Closed,
}

/// Something that became of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub is: Is,
    /// Of which.
    pub number: u64,
    /// Whose it is, if that is new.
    pub who: Option<Arc<Who>>,
    /// Its moment to move, if it has one now.
    pub goes_at: Option<Instant>,
    /// When.
    pub at: Instant,
}

/// All connections of this replica that have said hello. Clones share it.
#[derive(Clone, Default)]
pub struct Register(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    here: BTreeMap<u64, Here>,
    /// What each watcher has not taken yet; none if that became too much.
    watchers: HashMap<u64, Option<Vec<Change>>>,
    watched: u64,
}

impl Register {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection has said hello. It is here until the entry is dropped.
    #[must_use]
    pub fn enter(&self, number: u64, member: &str, name: &str) -> Entry {
        let who = Arc::new(Who { member: member.to_owned(), name: name.to_owned() });
        let mut inner = self.inner();
        inner.here.insert(number, Here { number, who: who.clone(), live: false, goes_at: None });
        inner.note(Is::Opened, number, Some(who), None);
        Entry { register: self.clone(), number, is_live: false }
    }

    /// Watches from now on: who is here, and then what becomes of them. None if enough others watch.
    #[must_use]
    pub fn watch(&self) -> Option<(Vec<Here>, Watcher)> {
        let mut inner = self.inner();
        if inner.watchers.len() >= WATCHERS {
            return None;
        }
        inner.watched += 1;
        let number = inner.watched;
        inner.watchers.insert(number, Some(Vec::new()));
        let here = inner.here.values().cloned().collect();
        Some((here, Watcher { register: self.clone(), number }))
    }

    /// Until nobody watches.
    pub async fn unwatched(&self) {
        while !self.inner().watchers.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Inner {
    fn note(&mut self, is: Is, number: u64, who: Option<Arc<Who>>, goes_at: Option<Instant>) {
        if self.watchers.is_empty() {
            return;
        }
        let change = Change { is, number, who, goes_at, at: Instant::now() };
        for waiting in self.watchers.values_mut() {
            match waiting {
                Some(changes) if changes.len() < WAITING => changes.push(change.clone()),
                _ => *waiting = None,
            }
        }
    }
}

/// A connection's own entry.
pub struct Entry {
    register: Register,
    number: u64,
    is_live: bool,
}

impl Entry {
    /// Whether it has been live in all its rooms.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// It is.
    pub fn live(&mut self) {
        self.is_live = true;
        let mut inner = self.register.inner();
        if let Some(here) = inner.here.get_mut(&self.number) {
            here.live = true;
        }
        inner.note(Is::Live, self.number, None, None);
    }

    /// It was told to move at a moment of its own.
    pub fn goes(&self, at: Instant) {
        let mut inner = self.register.inner();
        if let Some(here) = inner.here.get_mut(&self.number) {
            here.goes_at = Some(at);
        }
        inner.note(Is::Goaway, self.number, None, Some(at));
    }

    /// It is closed at a drain's deadline.
    pub fn forced(&self) {
        self.register.inner().note(Is::Forced, self.number, None, None);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut inner = self.register.inner();
        inner.here.remove(&self.number);
        inner.note(Is::Closed, self.number, None, None);
    }
}

/// Somebody who watches, until dropped.
pub struct Watcher {
    register: Register,
    number: u64,
}

impl Watcher {
    /// What has happened since the last time; none if that was too much to keep, and what is known has to be forgotten.
    #[must_use]
    pub fn take(&self) -> Option<Vec<Change>> {
        let mut inner = self.register.inner();
        inner.watchers.get_mut(&self.number)?.as_mut().map(mem::take)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.register.inner().watchers.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(watcher: &Watcher) -> Vec<(u64, Is)> {
        let changes = watcher.take().expect("not too slow");
        changes.iter().map(|change| (change.number, change.is)).collect()
    }

    #[tokio::test]
    async fn who_is_here_is_told_first_and_then_what_becomes_of_them() {
        let register = Register::default();
        let mut teal = register.enter(1, "t", "Teal");
        let (here, watcher) = register.watch().expect("a place");
        assert_eq!(here.iter().map(|it| (it.number, it.live)).collect::<Vec<_>>(), [(1, false)]);
        teal.live();
        let plum = register.enter(2, "p", "Plum");
        teal.goes(Instant::now());
        assert_eq!(told(&watcher), [(1, Is::Live), (2, Is::Opened), (1, Is::Goaway)]);
        plum.forced();
        drop((teal, plum));
        assert_eq!(told(&watcher), [(2, Is::Forced), (1, Is::Closed), (2, Is::Closed)]);
        assert!(register.watch().expect("a place").0.is_empty());
    }

    #[tokio::test]
    async fn a_watcher_that_is_too_slow_has_to_look_anew_and_harms_nobody() {
        let register = Register::default();
        let (_, slow) = register.watch().expect("a place");
        let (_, quick) = register.watch().expect("a place");
        let mut entries = Vec::new();
        for number in 0..=WAITING as u64 {
            entries.push(register.enter(number, "m", "N"));
            if number % 1_000 == 0 {
                assert!(quick.take().is_some());
            }
        }
        assert_eq!(slow.take(), None);
        assert_eq!(slow.take(), None, "and never again");
        assert!(quick.take().is_some());
        drop(slow);
        assert_eq!(register.watch().expect("a place").0.len(), WAITING + 1);
    }

    #[tokio::test]
    async fn watchers_are_bounded_and_what_nobody_watches_is_not_kept() {
        let register = Register::default();
        let watchers: Vec<_> = (0..WATCHERS).map(|_| register.watch().expect("a place")).collect();
        assert!(register.watch().is_none());
        drop(watchers);
        let entry = register.enter(1, "m", "N");
        let (_, watcher) = register.watch().expect("a place");
        assert_eq!(told(&watcher), []);
        drop(entry);
        assert_eq!(told(&watcher), [(1, Is::Closed)]);
    }
}
