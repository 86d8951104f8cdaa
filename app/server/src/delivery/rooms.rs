//! The rooms of this replica: opened by the first listener, closed when nobody has listened for a while.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use rollcall_protocol::EntryId;
use tokio::sync::{Notify, OnceCell};
use tokio_util::sync::CancellationToken;

use super::{
    fan_out::fan_out,
    listener::Listener,
    looks::Looks,
    page::PageRead,
    reads::{Read, Reads},
    visitor::Visitor,
};
use crate::{
    budget::Budget,
    config::Limits,
    directory::Directory,
    error::JoinError,
    health::Health,
    log::{Log, LogError, splice},
    metrics::Metrics,
    mutants::{self, Mutant},
    people::People,
    presence::{Presence, Seat},
    room::{RingLimits, Room, RoomLimits},
    supervise::Supervisor,
};

/// The rooms of this replica. Clones share them.
#[derive(Clone)]
pub struct Rooms {
    pub(super) inner: Arc<Inner>,
}

/// What rooms are made of.
pub struct Parts {
    /// The room logs.
    pub log: Log,
    /// The members of rooms.
    pub presence: Presence,
    /// What all rings together may hold.
    pub rings: Budget,
    /// The counters.
    pub metrics: Metrics,
    /// What is known of this replica's health.
    pub health: Health,
    /// All rooms, by when they were spoken in last.
    pub directory: Directory,
    /// Whose the connections here are.
    pub people: People,
    /// Runs the rooms' tasks.
    pub supervisor: Supervisor,
}

pub(super) struct Inner {
    open: Mutex<HashMap<String, Arc<OpenRoom>>>,
    max_rooms: usize,
    pub(super) room_limits: RoomLimits,
    pub(super) looks: Looks,
    page_entries: usize,
    reads: Reads,
    /// Some room is suspect.
    pub(super) suspicion: Notify,
    pub(super) parts: Parts,
}

/// A room with a task that hands on what is new.
pub(super) struct OpenRoom {
    pub room: Arc<Room<Listener>>,
    /// Done once head, newest entries and members are known.
    pub loaded: OnceCell<()>,
    /// The feeds did not tell everything: it is to be compared with its log and its leases.
    pub is_suspect: AtomicBool,
    /// Its state is another than the one known here.
    pub about_is_stale: AtomicBool,
    /// Where its log ended when its state was last read.
    pub about_at: Mutex<EntryId>,
    closed: CancellationToken,
}

/// What a listener needs to enter a room.
pub struct Entry {
    /// The room.
    pub room: Arc<Room<Listener>>,
    /// Its member's seat there, if it has a member: dropped, it keeps the member present for one lease.
    pub seat: Option<Seat>,
    /// Where it starts.
    pub start: Start,
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

impl Start {
    /// The cursor from which the listener goes on.
    #[must_use]
    pub fn cursor(&self) -> EntryId {
        match self {
            Self::Fresh(cursor) | Self::Resumed(cursor) => *cursor,
            Self::Gap { gap, .. } => gap.resumes_at,
        }
    }
}

impl Rooms {
    /// No rooms yet.
    #[must_use]
    pub fn new(limits: &Limits, parts: Parts) -> Self {
        let room_limits = RoomLimits {
            ring: RingLimits { frames: limits.ring_frames, bytes: limits.ring_bytes },
            batch_bytes: limits.outlet_bytes / 2,
            signals: limits.waiting_signals,
            early: limits.early_events,
            listed: limits.listed_members,
        };
        let inner = Inner {
            open: Mutex::default(),
            max_rooms: limits.rooms,
            looks: Looks::default(),
            room_limits,
            page_entries: limits.page_entries,
            reads: Reads::default(),
            suspicion: Notify::new(),
            parts,
        };
        Self { inner: Arc::new(inner) }
    }

    fn open_rooms(&self) -> MutexGuard<'_, HashMap<String, Arc<OpenRoom>>> {
        self.inner.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn all(&self) -> Vec<Arc<OpenRoom>> {
        self.open_rooms().values().cloned().collect()
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<OpenRoom>> {
        self.open_rooms().get(name).cloned()
    }

    /// The last entry of a room that is known here; [`EntryId::ZERO`] if none is.
    #[must_use]
    pub fn head(&self, name: &str) -> EntryId {
        self.find(name).map_or(EntryId::ZERO, |open| open.room.head())
    }

    /// How many rooms are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.open_rooms().len()
    }

    /// The logs behind the rooms.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.inner.parts.log
    }

    /// Whose the connections here are.
    #[must_use]
    pub fn people(&self) -> &People {
        &self.inner.parts.people
    }

    /// All rooms, by when they were spoken in last.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.inner.parts.directory
    }

    /// The members of rooms, on all replicas.
    #[must_use]
    pub fn presence(&self) -> &Presence {
        &self.inner.parts.presence
    }

    /// Opens `name`, seats the visitor there, and finds where `after` stands in its log.
    ///
    /// # Errors
    /// If there are too many rooms, the log does not answer, or the room is not for this visitor.
    pub async fn join(
        &self,
        name: &str,
        visitor: Visitor<'_>,
        after: Option<EntryId>,
    ) -> Result<Entry, JoinError> {
        let open = self.open(name)?;
        open.loaded.get_or_try_init(|| self.load(&open.room)).await?;
        let about = open.room.about();
        if let Some(why) = visitor.barred_from(name, &about) {
            return Err(JoinError::Barred(why));
        }
        self.check_made(name, &about)?;
        let seat = match visitor.seat {
            Some(member) => {
                if after.is_some() && mutants::active(Mutant::LeaveJoinOnMove) {
                    self.presence().expel(name, &member.member).await;
                }
                Some(self.presence().enter(name, member).await?)
            }
            None => None,
        };
        let start = match after {
            None => Start::Fresh(open.room.head()),
            Some(_) if mutants::active(Mutant::ResumeFromTail) => Start::Resumed(open.room.head()),
            Some(cursor) => self.locate(&open.room, cursor).await?,
        };
        Ok(Entry { room: open.room.clone(), seat, start })
    }

    fn open(&self, name: &str) -> Result<Arc<OpenRoom>, JoinError> {
        let mut open = self.open_rooms();
        if let Some(room) = open.get(name) {
            return Ok(room.clone());
        }
        if open.len() >= self.inner.max_rooms {
            close_empty(&mut open, Duration::ZERO);
        }
        if open.len() >= self.inner.max_rooms {
            return Err(JoinError::TooManyRooms);
        }
        let Parts { rings, metrics, supervisor, .. } = &self.inner.parts;
        let opened = Arc::new(OpenRoom {
            room: Arc::new(Room::new(name.to_owned(), self.inner.room_limits, rings)),
            loaded: OnceCell::new(),
            is_suspect: AtomicBool::new(false),
            about_is_stale: AtomicBool::new(false),
            about_at: Mutex::default(),
            closed: CancellationToken::new(),
        });
        open.insert(name.to_owned(), opened.clone());
        supervisor.spawn("a room", {
            let (room, closed, metrics) =
                (opened.room.clone(), opened.closed.clone(), metrics.clone());
            async move {
                closed.run_until_cancelled(fan_out(&room, &metrics)).await;
            }
        });
        Ok(opened)
    }

    /// Fills a room that was opened just now. The feed may be ahead of what is read here, but never behind.
    async fn load(&self, room: &Room<Listener>) -> Result<(), LogError> {
        let page = self.log().read_before(&room.name, None, self.inner.page_entries).await?;
        if page.last == EntryId::ZERO {
            // A new room, which may have to wait until there is memory for it.
            self.log().open(&room.name).await?;
        }
        room.fill(page.entries, page.last);
        room.set_about(self.log().about(&room.name).await?);
        loop {
            let ask = room.ask();
            let snapshot = self.presence().snapshot(&room.name).await?;
            // Too old is one that more events overtook than are kept.
            if room.settle(ask, snapshot) {
                return Ok(());
            }
        }
    }

    /// Compares who is in a room with what the store says. False if that was overtaken: it is to be done once more.
    pub(super) async fn compare_presence(&self, room: &Room<Listener>) -> Result<bool, LogError> {
        let ask = room.ask();
        let snapshot = self.presence().compare(&room.name, |snapshot| room.loses(snapshot)).await?;
        Ok(room.settle(ask, snapshot))
    }

    async fn locate(&self, room: &Arc<Room<Listener>>, cursor: EntryId) -> Result<Start, LogError> {
        if room.proves(cursor) {
            return Ok(Start::Resumed(cursor));
        }
        let page = self.read_page(room, cursor).await?;
        Ok(match page.gap {
            None => Start::Resumed(cursor),
            Some(gap) => Start::Gap { after: cursor, gap },
        })
    }

    /// The page of a room's log after `cursor`. One read at a time serves all who ask for the same.
    pub fn read_page(&self, room: &Arc<Room<Listener>>, cursor: EntryId) -> Read {
        let (log, limit) = (self.log().clone(), self.inner.page_entries);
        self.inner.reads.join(&room.name, cursor, || {
            let room = room.clone();
            async move {
                let stand = room.stand();
                let page = log.read_after(&room.name, cursor, limit).await?;
                let read = PageRead::new(cursor, stand.epoch, page);
                room.compare(stand, read.last, read.proves_loss().then_some(cursor));
                Ok(Arc::new(read))
            }
        })
    }

    /// A feed had something for this room that cannot be read: it is compared with its log, by and by.
    pub(super) fn suspect(&self, name: &str) {
        if let Some(open) = self.find(name) {
            open.is_suspect.store(true, Relaxed);
            self.inner.suspicion.notify_one();
        }
    }

    /// The feeds did not tell everything: each room is compared with its log and its leases, by and by.
    pub(super) fn suspect_all(&self) {
        for open in self.all() {
            open.room.forget_presence();
            open.is_suspect.store(true, Relaxed);
            open.about_is_stale.store(true, Relaxed);
        }
        self.inner.suspicion.notify_one();
    }

    /// Closes rooms in which nobody has listened for `after`.
    pub(super) fn close_empty(&self, after: Duration) {
        close_empty(&mut self.open_rooms(), after);
    }

    /// Stops the rooms' tasks, and tells where members are no more.
    pub async fn close(&self) {
        self.presence().close().await;
        self.open_rooms().drain().for_each(|(_, open)| open.closed.cancel());
    }
}

fn close_empty(open: &mut HashMap<String, Arc<OpenRoom>>, after: Duration) {
    open.retain(|_, open| {
        // A connection may be about to enter: then the room has an owner besides this map and its own task, or its entry
        // here has another owner.
        let in_use = Arc::strong_count(&open.room) > 2 || Arc::strong_count(open) > 1;
        let keep = in_use || open.room.empty_for().is_none_or(|empty| empty < after);
        if !keep {
            open.closed.cancel();
        }
        keep
    });
}
