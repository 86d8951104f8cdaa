//! What goes on in open rooms while nothing happens: rooms compared with Redis, empty ones closed.

use std::{sync::PoisonError, time::Duration};

use futures_util::{StreamExt, stream};
use rollcall_protocol::EntryId;
use tokio::time::MissedTickBehavior;

use super::rooms::{OpenRoom, Rooms};
use crate::{
    log::LogError,
    mutants::{self, Mutant},
};

/// An empty room's frames are kept this long, for clients that are on the way back.
const KEEP_EMPTY: Duration = Duration::from_secs(60);
/// Rooms compared with their logs at once.
const ROOMS_AT_ONCE: usize = 16;

impl Rooms {
    /// Compares every room with Redis, twice a lease, and closes those that have long been empty, until cancelled by dropping: Redis can lose leases and log without a
    /// connection that breaks, and a quiet room's feed never tells.
    pub async fn keep_comparing(&self) {
        let mut ticks = tokio::time::interval(self.presence().compare_every());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.close_empty(KEEP_EMPTY);
            let rooms = self.all().into_iter().filter(|open| open.loaded.initialized());
            stream::iter(rooms)
                .for_each_concurrent(ROOMS_AT_ONCE, async |open| {
                    // The leases tell of an outage; the next time will do.
                    let _ = self.compare(&open).await;
                })
                .await;
        }
    }

    /// Reads a room's state anew where its log has gone on since: whatever changes the state says so there.
    async fn compare_state(&self, open: &OpenRoom, last: EntryId) -> Result<(), LogError> {
        let read_at = || open.about_at.lock().unwrap_or_else(PoisonError::into_inner);
        if *read_at() != last {
            open.room.set_about(self.log().about(&open.room.name).await?);
            *read_at() = last;
        }
        Ok(())
    }

    /// Looks both ways: what is known here may be of a history that the log has lost, or the log may have what the feed never
    /// told.
    async fn compare(&self, open: &OpenRoom) -> Result<(), LogError> {
        let room = &open.room;
        // Overtaken by events, it is of no use, and the next time will do.
        self.compare_presence(room).await?;
        let stand = room.stand();
        let last = self.log().last(&room.name).await?;
        self.compare_state(open, last).await?;
        if last > stand.head {
            if mutants::active(Mutant::DropFeedEntry) || mutants::is_deaf() {
                return Ok(());
            }
            self.bridge(open).await
        } else {
            room.compare(stand, last, None);
            Ok(())
        }
    }
}
