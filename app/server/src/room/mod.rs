//! One room on this replica: its newest frames, who is present, and its listeners, of which it knows nothing.
//!
//! The feed pushes into the room; [`Room::take_batch`] gathers what is new for all listeners at once. Everything here is
//! a moment's bookkeeping under one lock: nothing is written and nothing awaited under it.

mod batch;
mod ring;
pub mod roster;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use rollcall_protocol::{EntryId, Member, Message, PresenceEvent};
use tokio::{sync::Notify, time::Instant};

pub use self::{
    batch::Batch,
    ring::{After, Frame, RingLimits},
    roster::Roster,
};
use self::{
    ring::Ring,
    roster::{Ask, RosterLimits, Settled, Signals},
};
use crate::{budget::Budget, log::About, presence::Snapshot, wire};

/// Bounds of one room.
#[derive(Debug, Clone, Copy)]
pub struct RoomLimits {
    /// Of its ring.
    pub ring: RingLimits,
    /// About how many bytes of messages one hand-over has.
    pub batch_bytes: usize,
    /// Presence and typing frames that may wait for a hand-over.
    pub signals: usize,
    /// Presence events kept to bring a snapshot up to date.
    pub early: usize,
    /// Members named in `joined` and `members`; the rest are only counted.
    pub listed: usize,
}

/// One room on this replica, with listeners of type `L`.
pub struct Room<L> {
    /// The room's name.
    pub name: String,
    limits: RoomLimits,
    state: Mutex<State<L>>,
    /// Something new for the listeners.
    wake: Notify,
}

/// What is to be handed over, and to whom.
type HandOver<L> = (Batch, Vec<Arc<L>>);

struct State<L> {
    ring: Ring,
    /// Counts the times that the log turned out to have another history than the ring.
    epoch: u64,
    /// The epoch of the last hand-over.
    handed_epoch: u64,
    /// The log's last entry known here.
    head: EntryId,
    /// The last entry handed to the listeners.
    handed: EntryId,
    roster: Roster,
    /// What is true of the room beside what was said there.
    about: Arc<About>,
    /// And the listeners do not know it yet.
    about_is_new: bool,
    /// When the roster has more to tell, though nothing happens until then.
    tell_at: Option<Instant>,
    /// And what each was told already with the list of members.
    listeners: HashMap<u64, (Arc<L>, u64)>,
    /// Hand-overs for some of them that are due before the next.
    owed: VecDeque<HandOver<L>>,
    empty_since: Option<Instant>,
}

/// How a room stands at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    /// Counts the histories that the room has seen.
    pub epoch: u64,
    /// The log's last entry known here.
    pub head: EntryId,
}

/// What a room knows of a cursor at one instant.
#[derive(Debug)]
pub struct View {
    /// The history in which this holds.
    pub epoch: u64,
    /// What comes after the cursor.
    pub after: After,
}

impl<L> Room<L> {
    /// A room without listeners; its ring shares `rings` with the others of this replica.
    #[must_use]
    pub fn new(name: String, limits: RoomLimits, rings: &Budget) -> Self {
        let roster_limits =
            RosterLimits { listed: limits.listed, waiting: limits.signals, early: limits.early };
        let state = State {
            ring: Ring::new(limits.ring, rings),
            epoch: 0,
            handed_epoch: 0,
            head: EntryId::ZERO,
            handed: EntryId::ZERO,
            roster: Roster::new(&name, roster_limits, wire::text_frame),
            about: Arc::default(),
            about_is_new: false,
            tell_at: None,
            listeners: HashMap::new(),
            owed: VecDeque::new(),
            empty_since: Some(Instant::now()),
        };
        Self { name, limits, state: Mutex::new(state), wake: Notify::new() }
    }

    /// A std mutex: held for a moment's bookkeeping, never over an await or a write.
    fn state(&self) -> MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Adds a listener. Returns how many are present, and who, the member among them: at
    /// one moment, so that each member that comes or goes is either in this list or told to the listener, and not both.
    pub fn attach(
        &self,
        connection: u64,
        listener: Arc<L>,
        member: Option<&Member>,
    ) -> (usize, Vec<Member>) {
        let mut state = self.state();
        state.empty_since = None;
        let knows = state.roster.noted();
        state.listeners.insert(connection, (listener, knows));
        state.roster.listed(member)
    }

    /// Removes a listener.
    pub fn detach(&self, connection: u64) {
        let mut state = self.state();
        state.listeners.remove(&connection);
        if state.listeners.is_empty() && state.empty_since.is_none() {
            state.empty_since = Some(Instant::now());
        }
    }

    /// What comes after `cursor`, about `space` bytes of it.
    #[must_use]
    pub fn view(&self, cursor: EntryId, space: usize) -> View {
        let state = self.state();
        View { epoch: state.epoch, after: state.ring.after(cursor, space) }
    }

    /// Whether the ring continues `cursor`, or ends there: the log need not be asked.
    #[must_use]
    pub fn proves(&self, cursor: EntryId) -> bool {
        matches!(self.view(cursor, 1).after, After::Frames(_) | After::Head)
    }

    /// The log's last entry known here.
    #[must_use]
    pub fn head(&self) -> EntryId {
        self.state().head
    }

    /// The ring's newest entry.
    #[must_use]
    pub fn newest(&self) -> Option<EntryId> {
        self.state().ring.last()
    }

    /// Puts the log's newest entries, oldest first, before what the feed has told meanwhile. `last` is where the log ends.
    pub fn fill(&self, entries: Vec<Message>, last: EntryId) {
        let mut state = self.state();
        state.ring.fill(entries.into_iter().map(Frame::new).collect());
        let newest = state.ring.last().unwrap_or_default();
        state.head = state.head.max(last).max(newest);
        // What is in the ring now is for those that enter; there is no listener yet to be handed anything.
        state.handed = state.handed.max(newest);
    }

    /// The log turned out to end at `last`: drops the frames, which may be of a lost history, and makes every listener
    /// compare its cursor with the log.
    pub fn rewind(&self, last: EntryId) {
        let mut state = self.state();
        state.ring.clear();
        state.epoch += 1;
        state.head = last;
        state.handed = last;
        self.wake.notify_one();
    }

    /// How the room stands before its log is asked: the log may be ahead of that by then, but never behind it.
    #[must_use]
    pub fn stand(&self) -> Stand {
        let state = self.state();
        Stand { epoch: state.epoch, head: state.head }
    }

    /// The log ends at `last`, and has lost the entry `lost` if one is named. If the ring is of a history that the log does
    /// not have, the room is rewound: once, however many listeners find out. `stand` is from before the log was asked.
    pub fn compare(&self, stand: Stand, last: EntryId, lost: Option<EntryId>) {
        let is_of_another = {
            let state = self.state();
            let has_lost = stand.head > last || lost.is_some_and(|cursor| state.ring.has(cursor));
            has_lost && state.epoch == stand.epoch
        };
        if is_of_another {
            self.rewind(last);
        }
    }

    /// The feed's next message.
    pub fn push(&self, message: Message) {
        let frame = Frame::new(message);
        let mut state = self.state();
        state.head = state.head.max(frame.id);
        if state.ring.push(frame) {
            self.wake.notify_one();
        }
    }

    /// A member is typing.
    pub fn typing(&self, member: String, name: String) {
        self.state().roster.typing(member, name);
        self.wake.notify_one();
    }

    /// A presence event, `at` its place in the feed.
    pub fn presence(&self, at: EntryId, event: PresenceEvent, member: Member) {
        if self.state().roster.event(at, event, member).is_some() {
            self.wake.notify_one();
        }
    }

    /// What is true of the room beside what was said there, as far as known here.
    #[must_use]
    pub fn about(&self) -> Arc<About> {
        self.state().about.clone()
    }

    /// That is so now.
    pub fn set_about(&self, about: About) {
        let mut state = self.state();
        if *state.about != about {
            state.about = Arc::new(about);
            state.about_is_new = true;
            self.wake.notify_one();
        }
    }

    /// The feeds have lost something: the next snapshot is newer than what they told before, whatever its ID.
    pub fn forget_presence(&self) {
        self.state().roster.forget_order();
    }

    /// To be called before a snapshot is read.
    #[must_use]
    pub fn ask(&self) -> Ask {
        self.state().roster.ask()
    }

    /// Whether by this snapshot somebody is gone of whom nobody told so.
    #[must_use]
    pub fn loses(&self, snapshot: &Snapshot) -> bool {
        self.state().roster.loses(snapshot)
    }

    /// Makes the list of members that of `snapshot`. False if it is too old: a fresh one is needed.
    pub fn settle(&self, ask: Ask, snapshot: Snapshot) -> bool {
        let settled = self.state().roster.settle(ask, snapshot);
        self.wake.notify_one();
        settled != Settled::AskAgain
    }

    /// The `members` frame: the same bytes for all listeners, until the list changes.
    #[must_use]
    pub fn list(&self) -> Bytes {
        self.state().roster.list()
    }

    /// How many people are here, and who, as far as they are named.
    #[must_use]
    pub fn members(&self) -> (usize, Vec<Member>) {
        self.state().roster.listed(None)
    }

    /// How many people are here.
    #[must_use]
    pub fn present(&self) -> usize {
        self.state().roster.present()
    }

    /// How long nobody has listened.
    #[must_use]
    pub fn empty_for(&self) -> Option<Duration> {
        self.state().empty_since.map(|since| since.elapsed())
    }

    /// Waits until [`Self::take_batch`] may have something.
    pub async fn something_new(&self) {
        let tell_at = self.state().tell_at;
        let due = async {
            match tell_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.wake.notified() => {}
            () = due => {}
        }
    }

    /// What the listeners have not been handed yet.
    #[must_use]
    pub fn take_batch(&self) -> Option<(Batch, Vec<Arc<L>>)> {
        let mut state = self.state();
        if let Some(owed) = state.owed.pop_front() {
            return Some(owed);
        }
        let mut bytes = BytesMut::new();
        let mut frames = Vec::new();
        for frame in state.ring.newer_than(state.handed) {
            bytes.extend_from_slice(&frame.wire);
            frames.push(frame.clone());
            if bytes.len() >= self.limits.batch_bytes {
                break;
            }
        }
        let listeners = state.listeners.len();
        let signals = state.roster.take_signals(Instant::now(), listeners);
        state.tell_at = signals.again_at;
        let is_rewound = state.handed_epoch != state.epoch;
        let has_state = std::mem::take(&mut state.about_is_new);
        if frames.is_empty() && signals.frames.is_empty() && !is_rewound && !has_state {
            return None;
        }
        state.handed_epoch = state.epoch;
        state.handed = frames.last().map_or(state.handed, |frame| frame.id);
        let batch = Batch {
            epoch: state.epoch,
            frames,
            messages: bytes.freeze(),
            has_state,
            has_presence: signals.has_presence,
            signals: signals.frames.clone(),
        };
        Some(state.hand_over(batch, &signals))
    }
}

impl<L> State<L> {
    /// To whom the batch goes as it is. Those that came meanwhile know some of its signals: what they get is owed to them.
    fn hand_over(&mut self, batch: Batch, signals: &Signals) -> HandOver<L> {
        let mut listeners = Vec::with_capacity(self.listeners.len());
        for (listener, knows) in self.listeners.values() {
            if !signals.begins_before(*knows) {
                listeners.push(listener.clone());
                continue;
            }
            let rest = signals.after(*knows);
            let has_presence = batch.has_presence && !rest.is_empty();
            let batch = Batch { signals: rest, has_presence, ..batch.clone() };
            self.owed.push_back((batch, vec![listener.clone()]));
        }
        (batch, listeners)
    }
}
