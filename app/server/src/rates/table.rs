//! Buckets by their places.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    bucket::{Bucket, Quota},
    share::Share,
};

/// Buckets of one quota, each in its place.
pub(super) struct Table {
    pub quota: Quota,
    pub buckets: Mutex<HashMap<u32, Bucket>>,
}

impl Table {
    pub fn new(quota: Quota) -> Self {
        Self { quota, buckets: Mutex::default() }
    }

    /// How long until `count` tokens are there.
    pub fn wait(&self, place: u32, count: u32) -> Duration {
        let buckets = locked(&self.buckets);
        let bucket = buckets.get(&place).copied().unwrap_or_default();
        bucket.wait(self.quota, count, Instant::now())
    }

    pub fn take(&self, place: u32, count: u32) {
        locked(&self.buckets).entry(place).or_default().take(self.quota, count, Instant::now());
    }

    /// Takes one token if it is there.
    pub fn check(&self, place: u32) -> Result<(), Duration> {
        let wait = self.wait(place, 1);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.take(place, 1);
        Ok(())
    }

    /// Takes `count` tokens, and tells how long until none of them is owed.
    pub fn owe(&self, place: u32, count: u32) -> Duration {
        self.take(place, count);
        self.wait(place, 0)
    }
}

/// The rooms' buckets and their shares.
pub(super) struct Shares {
    pub quota: Quota,
    pub rooms: Mutex<HashMap<u32, Share>>,
}

impl Shares {
    pub fn wait(&self, room: u32, sender: u32, ahead: u32) -> Duration {
        let now = Instant::now();
        let mut rooms = locked(&self.rooms);
        let share = rooms.entry(room).or_insert_with(|| Share::new(now));
        share.wait(self.quota, sender, ahead, now)
    }

    pub fn take(&self, room: u32, sender: u32) {
        let now = Instant::now();
        let mut rooms = locked(&self.rooms);
        rooms.entry(room).or_insert_with(|| Share::new(now)).take(self.quota, sender, now);
    }
}

/// A std mutex, since no lock is held over an await. Numbers are not left half changed by a panic.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
