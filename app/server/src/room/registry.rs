//! The rooms of this replica: opened by the first listener, fed by the feeds, closed when empty.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream};
use rollcall_protocol::{EntryId, Member};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use super::Room;
use crate::{
    error::JoinError,
    log::{FeedEvent, Log, LogError, splice},
    metrics::Metrics,
    mutants::{self, Mutant},
    presence::Presence,
};

/// An empty room's frames are kept this long, for clients that are on the way back.
const KEEP_EMPTY: Duration = Duration::from_secs(60);
/// Rooms compared with their logs at once, and rooms whose leases are renewed at once.
const ROOMS_AT_ONCE: usize = 16;
/// Entries read to bridge a break; with more missing, clients read the log themselves.
const REPAIR_PAGE: usize = 256;
/// Feed events that wait for the rooms; then the feeds wait.
const FEED_QUEUE: usize = 256;
/// Leases renewed by one call.
const LEASES_A_CALL: usize = 128;

type OpenRooms = HashMap<String, (Arc<Room>, CancellationToken)>;

/// The rooms of this replica. Clones share them.
#[derive(Clone)]
pub struct Rooms {
    inner: Arc<Inner>,
}

struct Inner {
    open: Mutex<OpenRooms>,
    max: usize,
    log: Log,
    presence: Presence,
    metrics: Metrics,
    tasks: TaskTracker,
}

/// Where a listener starts in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the head.
    Fresh(EntryId),
    /// At its cursor.
    Resumed(EntryId),
    /// Elsewhere, since the log does not continue the cursor.
    Gap {
        /// The cursor.
        after: EntryId,
        /// Where it goes on.
        gap: splice::Gap,
    },
}

impl Rooms {
    /// No rooms yet, and at most `max`; their tasks run on `tasks`.
    #[must_use]
    pub fn new(
        max: usize,
        log: Log,
        presence: Presence,
        metrics: Metrics,
        tasks: TaskTracker,
    ) -> Self {
        let open = Mutex::default();
        Self { inner: Arc::new(Inner { open, max, log, presence, metrics, tasks }) }
    }

    fn open_rooms(&self) -> MutexGuard<'_, OpenRooms> {
        self.inner.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Arc<Room>> {
        self.open_rooms().values().map(|(room, _)| room.clone()).collect()
    }

    /// The logs behind the rooms.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.inner.log
    }

    /// Opens `name` for `member` (a lease begins) and finds where `after` stands in its log.
    ///
    /// # Errors
    /// If there are too many rooms, or the log does not answer.
    pub async fn join(
        &self,
        name: &str,
        member: Option<&Member>,
        after: Option<EntryId>,
    ) -> Result<(Arc<Room>, Start), JoinError> {
        let room = self.open(name)?;
        room.loaded.get_or_try_init(|| self.load(&room)).await?;
        if let Some(member) = member {
            match self.inner.presence.enter(name, std::slice::from_ref(member), false).await {
                // Redis refuses writes, but one can still read: the next renewal makes up for it.
                Ok(()) | Err(LogError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let start = match after {
            None => Start::Fresh(room.head()),
            Some(_) if mutants::active(Mutant::ResumeFromTail) => Start::Resumed(room.head()),
            Some(cursor) => self.locate(&room, cursor).await?,
        };
        Ok((room, start))
    }

    /// Ends a member's lease: it left, and is not just gone.
    pub async fn exit(&self, name: &str, member: &str) {
        if let Err(error) = self.inner.presence.exit(name, member).await {
            warn!(%error, "a lease could not be ended and will run out");
        }
    }

    fn open(&self, name: &str) -> Result<Arc<Room>, JoinError> {
        let mut open = self.open_rooms();
        if let Some((room, _)) = open.get(name) {
            return Ok(room.clone());
        }
        if open.len() >= self.inner.max {
            close_empty(&mut open, Duration::ZERO);
        }
        if open.len() >= self.inner.max {
            return Err(JoinError::TooManyRooms);
        }
        let (room, closed) = (Arc::new(Room::new(name.to_owned())), CancellationToken::new());
        open.insert(name.to_owned(), (room.clone(), closed.clone()));
        let (running, metrics) = (room.clone(), self.inner.metrics.clone());
        self.inner.tasks.spawn(async move {
            closed.run_until_cancelled(running.run(&metrics)).await;
        });
        Ok(room)
    }

    async fn load(&self, room: &Room) -> Result<(), LogError> {
        let snapshot = self.inner.presence.snapshot(&room.name).await?;
        let page = self.inner.log.read_before(&room.name, None, 0).await?;
        let mut state = room.state();
        state.head = state.head.max(page.last);
        drop(state);
        room.settle(snapshot);
        Ok(())
    }

    async fn locate(&self, room: &Room, cursor: EntryId) -> Result<Start, LogError> {
        if room.proves(cursor) {
            return Ok(Start::Resumed(cursor));
        }
        let page = self.inner.log.read_after(&room.name, cursor, 1).await?;
        Ok(match splice::gap(cursor, &page) {
            None => Start::Resumed(cursor),
            Some(gap) => Start::Gap { after: cursor, gap },
        })
    }

    /// Follows the feeds until cancelled by dropping.
    pub async fn follow_feeds(&self) {
        let (sender, mut events) = mpsc::channel(FEED_QUEUE);
        let deliver = async {
            while let Some(event) = events.recv().await {
                self.deliver(event).await;
            }
        };
        tokio::join!(self.inner.log.follow(sender), deliver);
    }

    async fn deliver(&self, event: FeedEvent) {
        let find = |name: &str| self.open_rooms().get(name).map(|(room, _)| room.clone());
        match event {
            FeedEvent::Message(message) => {
                if let Some(room) = find(&message.room) {
                    room.push(message);
                }
            }
            FeedEvent::Presence { at, room, event, member, name } => {
                if let Some(room) = find(&room) {
                    room.presence(at, event, Member { member, name });
                }
            }
            FeedEvent::Typing { room, member, name } => {
                if let Some(room) = find(&room) {
                    room.typing(member, name);
                }
            }
            FeedEvent::Missed => self.repair_all().await,
        }
    }

    /// Compares every room with its log and its leases, since the feeds did not tell everything.
    async fn repair_all(&self) {
        let rooms = self.all();
        stream::iter(rooms)
            .for_each_concurrent(ROOMS_AT_ONCE, |room| self.clone().repair_until_done(room))
            .await;
    }

    async fn repair_until_done(self, room: Arc<Room>) {
        while let Err(error) = self.repair(&room).await {
            warn!(%error, "room not yet compared with its log");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn repair(&self, room: &Room) -> Result<(), LogError> {
        if room.loaded.initialized() {
            let snapshot = self.inner.presence.snapshot(&room.name).await?;
            room.forget_presence();
            room.settle(snapshot);
        }
        let newest = room.newest();
        let from = newest.unwrap_or_default();
        let page = self.inner.log.read_after(&room.name, from, REPAIR_PAGE).await?;
        room.bridge(newest, page, REPAIR_PAGE);
        Ok(())
    }

    /// Renews the leases of everyone connected here, four times a lease, and closes rooms that have
    /// long been empty. Once a lease compares every room with Redis.
    pub async fn keep(&self, lease: Duration) {
        // Side by side: a slow comparison must not cost anybody a lease.
        tokio::join!(self.keep_leases(lease), self.keep_comparing(lease));
    }

    async fn keep_leases(&self, lease: Duration) {
        let mut ticks = tokio::time::interval(lease / 4);
        // Rounds that an outage made long are not made up for.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        // After an outage every lease may have run out, those of other replicas' members too: they
        // get the time to renew theirs before anybody is declared gone.
        let mut reap_from = Instant::now() + lease / 2;
        loop {
            ticks.tick().await;
            close_empty(&mut self.open_rooms(), KEEP_EMPTY);
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
        let renew = async |room: Arc<Room>| {
            let renewed = self.renew(&room, reap && !failed.load(Relaxed)).await;
            failed.fetch_or(renewed.is_err(), Relaxed);
            renewed
        };
        let occupied = self.all().into_iter().filter(|room| !room.is_empty());
        stream::iter(occupied)
            .map(&renew)
            .buffer_unordered(ROOMS_AT_ONCE)
            .fold(Ok(()), async |all, one| all.and(one))
            .await
    }

    async fn renew(&self, room: &Room, reap: bool) -> Result<(), LogError> {
        let members = room.local_members();
        // A room with nobody's lease to renew may have some to end.
        let calls = members.chunks(LEASES_A_CALL).chain(members.is_empty().then_some(&[][..]));
        for members in calls {
            self.inner.presence.enter(&room.name, members, reap).await?;
        }
        Ok(())
    }

    /// Redis can lose leases and log without a connection that breaks, and a quiet room's feed never tells.
    async fn keep_comparing(&self, lease: Duration) {
        let mut ticks = tokio::time::interval(lease);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let rooms = self.all().into_iter().filter(|room| room.loaded.initialized());
            stream::iter(rooms)
                .for_each_concurrent(ROOMS_AT_ONCE, async |room| {
                    // The leases tell of an outage; the next time will do.
                    let _ = self.compare(&room).await;
                })
                .await;
        }
    }

    async fn compare(&self, room: &Room) -> Result<(), LogError> {
        room.settle(self.inner.presence.snapshot(&room.name).await?);
        // Known before the log is asked, which may be ahead of it but never behind.
        let head = room.head();
        let page = self.inner.log.read_before(&room.name, None, 0).await?;
        if page.last < head {
            room.rewind(page.last);
        }
        Ok(())
    }

    /// Stops the rooms' tasks.
    pub fn close(&self) {
        self.open_rooms().drain().for_each(|(_, (_, closed))| closed.cancel());
    }
}

fn close_empty(open: &mut OpenRooms, after: Duration) {
    open.retain(|_, (room, closed)| {
        // Someone may be about to attach: then there is an owner besides this map and the room's task.
        let in_use = Arc::strong_count(room) > 2;
        let keep = in_use || room.empty_for().is_none_or(|empty| empty < after);
        if !keep {
            closed.cancel();
        }
        keep
    });
}
