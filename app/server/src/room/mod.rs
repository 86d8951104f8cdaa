//! One room on this replica: its newest frames, who listens, who is present.
//!
//! The feed pushes into the room; the room's own task hands on to the listeners, so that a
//! room with many or slow listeners delays nobody else. A listener is live while it takes
//! what the room hands over; otherwise it catches up by [`Room::pull`], from the ring or the log.

mod listener;
mod registry;
mod ring;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use rollcall_protocol::{EntryId, Member, Message, PresenceEvent, ServerFrame};
use tokio::{
    sync::{Notify, OnceCell},
    time::Instant,
};

use self::{
    listener::Batch,
    ring::{After, Ring},
};
pub use self::{
    listener::{Listener, Out},
    registry::{Rooms, Start},
    ring::Frame,
};
use crate::{
    log::{Page, splice, unix_ms},
    metrics::Metrics,
    mutants,
    presence::Snapshot,
    socket::{HIGH_WATER, wire},
};

/// Members named in `joined` and `members`; the rest are only counted.
const MAX_LISTED: usize = 200;
/// Presence and typing frames that may wait for a hand-over; more are dropped, oldest first.
const MAX_SIGNALS: usize = 256;
/// Presence events kept while the first snapshot is read.
const MAX_EARLY: usize = 1024;
/// Listeners served before other tasks get a turn.
const TURN: usize = 64;

/// One room on this replica.
pub struct Room {
    /// The room's name.
    pub name: String,
    state: Mutex<State>,
    /// Something new for the listeners.
    wake: Notify,
    /// Done once head and members are known.
    loaded: OnceCell<()>,
}

#[derive(Default)]
struct State {
    ring: Ring,
    /// The log's last entry known here.
    head: EntryId,
    /// The last entry handed to the listeners.
    handed: EntryId,
    signals: Vec<(bool, Bytes)>,
    signals_dropped: bool,
    listeners: HashMap<u64, Arc<Listener>>,
    /// Members connected here, and how often: their leases are ours to renew.
    local: HashMap<String, (String, usize)>,
    /// Everyone in the room, on any replica.
    members: BTreeMap<String, String>,
    /// Feed events up to this ID are part of `members` already.
    members_at: EntryId,
    /// Presence events that came before the first snapshot; afterwards `None`.
    early: Option<Vec<(EntryId, PresenceEvent, Member)>>,
    empty_since: Option<Instant>,
}

/// How far [`Room::pull`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// The listener is live.
    Live,
    /// The connection takes no more for now.
    Full,
    /// Read the log after this cursor, then pull again.
    NeedPage(EntryId),
}

impl Room {
    /// A room that nobody is in yet.
    #[doc(hidden)]
    #[must_use]
    pub fn new(name: String) -> Self {
        let state = State {
            early: Some(Vec::new()),
            empty_since: Some(Instant::now()),
            ..State::default()
        };
        Self { name, state: Mutex::new(state), wake: Notify::new(), loaded: OnceCell::new() }
    }

    /// A std mutex: held for a moment's bookkeeping, never over an await or a write.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The log's last entry known here.
    #[must_use]
    pub fn head(&self) -> EntryId {
        self.state().head
    }

    /// Adds a listener, and its member if it has one. Returns how many are present, and who, at most
    /// 200, the member among them: at one moment, so that whoever comes or goes is either in this
    /// list or told to the listener.
    pub fn attach(
        &self,
        connection: u64,
        listener: Arc<Listener>,
        member: Option<&Member>,
    ) -> (usize, Vec<Member>) {
        let mut state = self.state();
        state.empty_since = None;
        state.listeners.insert(connection, listener);
        if let Some(Member { member, name }) = member {
            state.local.entry(member.clone()).or_insert_with(|| (name.clone(), 0)).1 += 1;
        }
        state.list_members(member)
    }

    /// Removes a listener. Says whether its member has no other connection here.
    pub fn detach(&self, connection: u64, member: Option<&Member>) -> bool {
        let mut state = self.state();
        if state.listeners.remove(&connection).is_none() {
            return false;
        }
        if state.listeners.is_empty() {
            state.empty_since = Some(Instant::now());
        }
        let Some(Member { member, .. }) = member else { return false };
        let Some((_, connections)) = state.local.get_mut(member) else { return false };
        *connections -= 1;
        let last = *connections == 0;
        if last {
            state.local.remove(member);
        }
        last
    }

    /// Continues a listener from the ring as far as `take` accepts.
    ///
    /// With the last frame taken the listener is live, and `on_live` learns its cursor and, if
    /// presence frames had to be skipped, who is here. The room's lock is held meanwhile, so that
    /// nothing falls between catching up and live delivery.
    pub fn pull(
        &self,
        listener: &Listener,
        mut take: impl FnMut(&Frame) -> bool,
        on_live: impl FnOnce(EntryId, Option<(usize, Vec<Member>)>),
    ) -> Pull {
        let state = self.state();
        let mut place = listener.place();
        match state.ring.after(place.cursor) {
            After::Frames(frames) => {
                for frame in frames {
                    if !take(&frame) {
                        return Pull::Full;
                    }
                    place.cursor = frame.id;
                }
            }
            After::Head => {}
            After::Beyond if place.is_at_log_end() => {}
            After::Beyond | After::Unknown => {
                place.needs_page();
                return Pull::NeedPage(place.cursor);
            }
        }
        place.live = true;
        let stale = std::mem::take(&mut place.presence_stale);
        on_live(place.cursor, stale.then(|| state.list_members(None)));
        Pull::Live
    }

    /// Whether the ring continues `cursor`, or ends there: the log need not be asked.
    #[must_use]
    pub fn proves(&self, cursor: EntryId) -> bool {
        matches!(self.state().ring.after(cursor), After::Frames(_) | After::Head)
    }

    /// The ring's newest entry.
    #[must_use]
    pub fn newest(&self) -> Option<EntryId> {
        self.state().ring.last()
    }

    /// Continues the ring from `newest` with what the log has after it, or starts anew where the
    /// log ends. A page of `full` entries may not be all.
    pub fn bridge(&self, newest: Option<EntryId>, page: Page, full: usize) {
        let continues = newest.is_some_and(|newest| splice::gap(newest, &page).is_none());
        if continues && page.entries.len() < full {
            page.entries.into_iter().for_each(|message| self.push(message));
        } else {
            self.rewind(page.last);
        }
    }

    /// Whether the ring has newer frames that do not continue `cursor`.
    #[must_use]
    pub fn contradicts(&self, cursor: EntryId) -> bool {
        matches!(self.state().ring.after(cursor), After::Unknown)
    }

    /// The log turned out to end at `last`: drops the frames, which may be of a lost history, and
    /// makes every listener compare its cursor with the log.
    pub fn rewind(&self, last: EntryId) {
        let mut state = self.state();
        state.ring.clear();
        state.head = last;
        state.handed = last;
        state.listeners.values().for_each(|listener| listener.recheck());
    }

    /// The feed's next message.
    #[doc(hidden)]
    pub fn push(&self, message: Message) {
        let mut state = self.state();
        let frame = Frame::new(message);
        state.head = state.head.max(frame.id);
        if state.ring.push(frame) {
            self.wake.notify_one();
        }
    }

    fn signal(&self, state: &mut State, presence: bool, frame: &ServerFrame) {
        if state.listeners.is_empty() {
            return;
        }
        if state.signals.len() >= MAX_SIGNALS {
            state.signals_dropped |= state.signals.remove(0).0;
        }
        state.signals.push((presence, wire::text_frame(frame)));
        self.wake.notify_one();
    }

    fn typing(&self, member: String, name: String) {
        let frame = ServerFrame::Typing { room: self.name.clone(), member, name };
        self.signal(&mut self.state(), false, &frame);
    }

    fn presence(&self, at: EntryId, event: PresenceEvent, member: Member) {
        let mut state = self.state();
        if at <= state.members_at {
            return;
        }
        match &mut state.early {
            Some(early) if early.len() < MAX_EARLY => early.push((at, event, member)),
            Some(_) => {}
            None => {
                state.members_at = at;
                self.apply(&mut state, event, member);
            }
        }
    }

    /// Changes the list of members, and tells the listeners if it did change.
    fn apply(&self, state: &mut State, event: PresenceEvent, Member { member, name }: Member) {
        let changed = match event {
            PresenceEvent::Join => state.members.insert(member.clone(), name.clone()).is_none(),
            PresenceEvent::Leave => state.members.remove(&member).is_some(),
        };
        if changed {
            let frame = ServerFrame::Presence { room: self.name.clone(), event, member, name };
            self.signal(state, true, &frame);
        }
    }

    /// The feeds have lost something: whatever ID the next snapshot has, it is newer than what they told before.
    fn forget_presence(&self) {
        self.state().members_at = EntryId::ZERO;
    }

    /// Makes the list of members that of `snapshot`, then applies what came meanwhile.
    fn settle(&self, snapshot: Snapshot) {
        let mut state = self.state();
        if snapshot.at < state.members_at {
            // Events have overtaken it; the next one will do.
            return;
        }
        state.members_at = snapshot.at;
        let gone: Vec<_> = state
            .members
            .iter()
            .filter(|(member, _)| !snapshot.members.contains_key(*member))
            .map(|(member, name)| Member { member: member.clone(), name: name.clone() })
            .collect();
        for member in gone {
            self.apply(&mut state, PresenceEvent::Leave, member);
        }
        for (member, name) in snapshot.members {
            self.apply(&mut state, PresenceEvent::Join, Member { member, name });
        }
        for (at, event, member) in state.early.take().into_iter().flatten() {
            if at > snapshot.at {
                state.members_at = at;
                self.apply(&mut state, event, member);
            }
        }
    }

    fn local_members(&self) -> Vec<Member> {
        let state = self.state();
        let local = state.local.iter();
        local
            .map(|(member, (name, _))| Member { member: member.clone(), name: name.clone() })
            .collect()
    }

    fn is_empty(&self) -> bool {
        self.state().listeners.is_empty()
    }

    fn empty_for(&self) -> Option<Duration> {
        self.state().empty_since.map(|since| since.elapsed())
    }

    /// Hands on what is new, until cancelled by dropping.
    async fn run(&self, metrics: &Metrics) {
        loop {
            self.wake.notified().await;
            mutants::wait_for_a_second().await;
            while let Some((batch, listeners)) = self.take_batch() {
                for turn in listeners.chunks(TURN) {
                    turn.iter().for_each(|listener| listener.hear(&batch));
                    tokio::task::yield_now().await;
                }
                let now = unix_ms();
                for frame in &batch.frames {
                    let late = now.saturating_sub(frame.id.ms);
                    metrics.delivery_seconds.observe(late as f64 / 1000.0);
                }
                metrics.messages_out.inc_by((batch.frames.len() * listeners.len()) as u64);
            }
        }
    }

    /// What the listeners have not been handed yet, at most half of what an outlet holds.
    fn take_batch(&self) -> Option<(Batch, Vec<Arc<Listener>>)> {
        let mut state = self.state();
        let mut bytes = BytesMut::new();
        let mut frames = Vec::new();
        for frame in state.ring.newer_than(state.handed) {
            bytes.extend_from_slice(&frame.wire);
            frames.push(frame.clone());
            if bytes.len() >= HIGH_WATER / 2 {
                break;
            }
        }
        let signals = std::mem::take(&mut state.signals);
        let dropped = std::mem::take(&mut state.signals_dropped);
        if frames.is_empty() && signals.is_empty() {
            return None;
        }
        state.handed = frames.last().map_or(state.handed, |frame| frame.id);
        let batch = Batch {
            frames,
            messages: bytes.freeze(),
            has_presence: dropped || signals.iter().any(|(presence, _)| *presence),
            signals: signals.iter().flat_map(|(_, frame)| frame.iter().copied()).collect(),
        };
        Some((batch, state.listeners.values().cloned().collect()))
    }
}

impl State {
    fn list_members(&self, me: Option<&Member>) -> (usize, Vec<Member>) {
        let missing = me.filter(|me| !self.members.contains_key(&me.member));
        let listed = self.members.iter().take(MAX_LISTED - 1);
        let listed =
            listed.map(|(member, name)| Member { member: member.clone(), name: name.clone() });
        let count = self.members.len() + usize::from(missing.is_some());
        (count, missing.cloned().into_iter().chain(listed).collect())
    }
}
