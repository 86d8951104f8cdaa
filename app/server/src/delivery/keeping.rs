//! What goes on in open rooms while nothing happens: leases renewed, rooms compared with Redis, empty ones closed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::warn;

use super::{
    listener::Listener,
    rooms::{OpenRoom, Rooms},
};
use crate::{
    log::LogError,
    mutants::{self, Mutant},
    room::Room,
};

/// An empty room's frames are kept this long, for clients that are on the way back.
const KEEP_EMPTY: Duration = Duration::from_secs(60);
/// Rooms compared with their logs at once, and rooms whose leases are renewed at once.
const ROOMS_AT_ONCE: usize = 16;
/// Leases renewed by one call.
const LEASES_A_CALL: usize = 128;

impl Rooms {
    /// Renews the leases of all members connected here, four times a lease, and closes rooms that have long been empty, until
    /// cancelled by dropping.
    pub async fn keep_leases(&self, lease: Duration) {
        let mut ticks = tokio::time::interval(lease / 4);
        // Rounds that an outage made long are not made up for.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        // After an outage every lease may have run out, those of other replicas' members too: they
        // get the time to renew theirs before anybody is declared gone.
        let mut reap_from = Instant::now() + lease / 2;
        loop {
            ticks.tick().await;
            self.close_empty(KEEP_EMPTY);
            match self.renew_all(Instant::now() >= reap_from).await {
                Ok(()) => failing = false,
                Err(error) => {
                    reap_from = Instant::now() + lease / 2;
                    if !std::mem::replace(&mut failing, true) {
                        warn!(%error, "leases cannot be renewed");
                    }
                }
            }
        }
    }

    /// Renews what can be renewed, and tells the first error; after that nobody is declared gone any more.
    async fn renew_all(&self, reap: bool) -> Result<(), LogError> {
        let failed = AtomicBool::new(false);
        let renew = async |open: Arc<OpenRoom>| {
            let renewed = self.renew(&open.room, reap && !failed.load(Relaxed)).await;
            failed.fetch_or(renewed.is_err(), Relaxed);
            renewed
        };
        let occupied = self.all().into_iter().filter(|open| !open.room.is_empty());
        stream::iter(occupied)
            .map(&renew)
            .buffer_unordered(ROOMS_AT_ONCE)
            .fold(Ok(()), async |all, one| all.and(one))
            .await
    }

    async fn renew(&self, room: &Room<Listener>, reap: bool) -> Result<(), LogError> {
        let members = room.local_members();
        // A room with nobody's lease to renew may have some to end.
        let calls = members.chunks(LEASES_A_CALL).chain(members.is_empty().then_some(&[][..]));
        for members in calls {
            self.inner.parts.presence.enter(&room.name, members, reap).await?;
        }
        Ok(())
    }

    /// Compares every room with Redis, once a lease, until cancelled by dropping: Redis can lose leases and log without a
    /// connection that breaks, and a quiet room's feed never tells.
    pub async fn keep_comparing(&self, lease: Duration) {
        let mut ticks = tokio::time::interval(lease);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let rooms = self.all().into_iter().filter(|open| open.loaded.initialized());
            stream::iter(rooms)
                .for_each_concurrent(ROOMS_AT_ONCE, async |open| {
                    // The leases tell of an outage; the next time will do.
                    let _ = self.compare(&open).await;
                })
                .await;
        }
    }

    /// Looks both ways: what is known here may be of a history that the log has lost, or the log may have what the feed never
    /// told.
    async fn compare(&self, open: &OpenRoom) -> Result<(), LogError> {
        let room = &open.room;
        // Overtaken by events, it is of no use, and the next time will do.
        room.settle(self.inner.parts.presence.snapshot(&room.name).await?);
        let stand = room.stand();
        let last = self.log().last(&room.name).await?;
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
