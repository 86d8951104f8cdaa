//! What was looked up of rooms that are not open here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::log::About;

/// What was looked up of a room that is not open here is told again for so long: lists are asked for often, and by many.
const LOOKED_FOR: Duration = Duration::from_secs(2);
/// Rooms of which that is kept.
const MOST_LOOKS: usize = 4096;

/// A room's state and how many people are there, as they were looked up.
pub(super) type Look = (Arc<About>, usize);

/// What was looked up a moment ago of rooms that are not open here.
#[derive(Default)]
pub(super) struct Looks(Mutex<HashMap<String, (Instant, Look)>>);

impl Looks {
    /// A std mutex: held for a moment's bookkeeping, never over an await.
    fn all(&self) -> MutexGuard<'_, HashMap<String, (Instant, Look)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, name: &str) -> Option<Look> {
        let all = self.all();
        let (at, look) = all.get(name)?;
        (at.elapsed() < LOOKED_FOR).then(|| look.clone())
    }

    pub fn put(&self, name: &str, look: &Look) {
        let mut all = self.all();
        if all.len() >= MOST_LOOKS {
            all.clear();
        }
        all.insert(name.to_owned(), (Instant::now(), look.clone()));
    }

    pub fn forget(&self, name: &str) {
        self.all().remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One address that asks for the list again and again costs no more reads of the log than one that asks once.
    #[tokio::test(start_paused = true)]
    async fn what_was_looked_up_is_told_for_two_seconds_and_no_longer_than_it_is_true() {
        let looks = Looks::default();
        let look = (Arc::new(About::default()), 3);
        looks.put("hall", &look);
        assert_eq!(looks.get("hall").map(|(_, present)| present), Some(3));
        looks.forget("hall");
        assert!(looks.get("hall").is_none());
        looks.put("hall", &look);
        tokio::time::advance(LOOKED_FOR).await;
        assert!(looks.get("hall").is_none());
    }

    #[test]
    fn they_are_bounded() {
        let looks = Looks::default();
        let look = (Arc::new(About::default()), 3);
        (0..3 * MOST_LOOKS).for_each(|number| looks.put(&number.to_string(), &look));
        assert!(looks.all().len() <= MOST_LOOKS);
    }
}
