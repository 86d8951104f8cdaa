//! The members of a room, and what of that its listeners have yet to be told. Pure.
//!
//! Events come over the feed, one by one; snapshots come from the store, and may be older or newer than the last
//! event. Events since the last snapshot are kept, so that a snapshot that they have overtaken is brought up to date.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use rollcall_protocol::{EntryId, Member, PresenceEvent, ServerFrame};
use tokio::time::Instant;

use crate::presence::Snapshot;

/// A whole list is told this often at most; where it has many listeners, so seldom that it takes no more of what a
/// replica writes than so many bytes a second. While 500 came to each of six rooms, lists of 200 members each second were
/// more than the audience could read, so that clients gave up and came again, for which there were more lists.
const LIST_EVERY: Duration = Duration::from_secs(1);
const LIST_BYTES_PER_SECOND: usize = 512 << 10;
/// But however many they are, this often.
const LIST_AT_LEAST_EVERY: Duration = Duration::from_secs(10);

/// Turns a frame into what is written to a connection.
pub type Encode = fn(&ServerFrame) -> Bytes;

/// The bounds of a roster.
#[derive(Debug, Clone, Copy)]
pub struct RosterLimits {
    /// Members named in `joined` and `members`; in a room with more, changes are not told one by one.
    pub listed: usize,
    /// Presence and typing frames that wait for a hand-over.
    pub waiting: usize,
    /// Events kept to bring a snapshot up to date.
    pub early: usize,
}

/// Somebody came or left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub event: PresenceEvent,
    /// Who.
    pub member: Member,
}

/// What came of a snapshot.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Settled {
    /// The list is as the snapshot and the events after it say. This is what it changed.
    Changed(Vec<Change>),
    /// The snapshot is too old for the events that are kept: another one is needed.
    AskAgain,
}

/// Proof that a snapshot was asked for after what the feed lost last.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    generation: u64,
}

/// What live listeners are to be handed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signals {
    /// Frames, in order.
    pub frames: Bytes,
    /// The number of each of those that tell one thing, and where it begins; behind them may be the whole list.
    starts: Vec<(u64, usize)>,
    /// Where they end.
    end: usize,
    /// Whether presence is among them: a listener that cannot take them needs the whole list later.
    pub has_presence: bool,
    /// When there is more to hand over, even if nothing happens until then.
    pub again_at: Option<Instant>,
}

/// What waits to be told.
struct Waiting {
    number: u64,
    is_presence: bool,
    frame: Bytes,
}

impl Signals {
    /// Whether a listener that was told the list when so many had been noted knows some of this.
    #[must_use]
    pub fn begins_before(&self, noted: u64) -> bool {
        self.starts.first().is_some_and(|(number, _)| *number < noted)
    }

    /// What such a listener does not know yet.
    #[must_use]
    pub fn after(&self, noted: u64) -> Bytes {
        let unknown = self.starts.iter().find(|(number, _)| *number >= noted);
        self.frames.slice(unknown.map_or(self.end, |(_, start)| *start)..)
    }
}

/// Who is in a room.
pub struct Roster {
    room: String,
    limits: RosterLimits,
    encode: Encode,
    /// Member → name.
    members: BTreeMap<String, String>,
    /// Changes with every change of the list.
    version: u64,
    /// The `members` frame of a version.
    list: Option<(u64, Bytes)>,
    /// Feed events up to this ID are part of the list.
    at: EntryId,
    /// Events after the last snapshot, oldest first.
    recent: VecDeque<(EntryId, Change)>,
    /// A snapshot must be at least as new as this: events up to here are kept no more.
    needs: EntryId,
    /// Changes when the feed has lost something, and its IDs may begin anew.
    generation: u64,
    /// Frames for the next hand-over.
    waiting: VecDeque<Waiting>,
    /// Frames that ever waited: the next one's number.
    noted: u64,
    /// The frames that wait do not tell everything: the list is to be told anew.
    is_untold: bool,
    /// When the list may be told again.
    list_due: Option<Instant>,
}

impl Roster {
    /// Nobody is known to be in `room` before the first snapshot.
    #[must_use]
    pub fn new(room: &str, limits: RosterLimits, encode: Encode) -> Self {
        Self {
            room: room.to_owned(),
            limits,
            encode,
            members: BTreeMap::new(),
            version: 0,
            list: None,
            at: EntryId::ZERO,
            recent: VecDeque::new(),
            needs: EntryId::ZERO,
            generation: 0,
            waiting: VecDeque::new(),
            noted: 0,
            is_untold: false,
            list_due: None,
        }
    }

    /// The feed's next event, at its place there. Returns what it changed.
    pub fn event(&mut self, at: EntryId, event: PresenceEvent, member: Member) -> Option<Change> {
        if at <= self.at {
            return None;
        }
        self.at = at;
        let change = Change { event, member };
        self.recent.push_back((at, change.clone()));
        while self.recent.len() > self.limits.early {
            let Some((oldest, _)) = self.recent.pop_front() else { break };
            self.needs = oldest;
        }
        self.apply(change)
    }

    /// To be called before a snapshot is asked for, and given to [`Roster::settle`] with it.
    #[must_use]
    pub fn ask(&self) -> Ask {
        Ask { generation: self.generation }
    }

    /// Whether by this snapshot somebody is gone of whom nobody told so.
    #[must_use]
    pub fn loses(&self, snapshot: &Snapshot) -> bool {
        let members = self.brought_up_to_date(snapshot.at, snapshot.members.clone());
        self.members.keys().any(|member| !members.contains_key(member))
    }

    /// Makes the list that of a snapshot and of the events after it. One that is not whole only adds members.
    pub fn settle(&mut self, ask: Ask, snapshot: Snapshot) -> Settled {
        if ask.generation != self.generation || snapshot.at < self.needs {
            return Settled::AskAgain;
        }
        let members = self.brought_up_to_date(snapshot.at, snapshot.members);
        let is_gone = |member: &String| snapshot.is_whole && !members.contains_key(member);
        let left = self.members.iter().filter(|(member, _)| is_gone(member));
        let left: Vec<_> =
            left.map(|(member, name)| changed(PresenceEvent::Leave, member, name)).collect();
        let here = members.iter().map(|(member, name)| changed(PresenceEvent::Join, member, name));
        let changes = left.into_iter().chain(here);
        let changes = changes.filter_map(|change| self.apply(change)).collect();
        self.recent.retain(|(at, _)| *at > snapshot.at);
        self.needs = snapshot.at;
        self.at = self.at.max(snapshot.at);
        Settled::Changed(changes)
    }

    fn brought_up_to_date(
        &self,
        at: EntryId,
        mut members: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        for (_, Change { event, member }) in self.recent.iter().filter(|(event, _)| *event > at) {
            match event {
                PresenceEvent::Join => members.insert(member.member.clone(), member.name.clone()),
                PresenceEvent::Leave => members.remove(&member.member),
            };
        }
        members
    }

    /// The feed has lost something: until the next snapshot the list may be wrong, and whatever ID comes now is newer than
    /// those before.
    pub fn forget_order(&mut self) {
        self.generation += 1;
        self.at = EntryId::ZERO;
        self.needs = EntryId::ZERO;
        self.recent.clear();
    }

    /// Changes the list. Returns the change if it was one.
    fn apply(&mut self, change: Change) -> Option<Change> {
        let Member { member, name } = &change.member;
        let is_change = match change.event {
            PresenceEvent::Join => match self.members.insert(member.clone(), name.clone()) {
                None => true,
                Some(old) => {
                    // A new name is in the next list; nobody came.
                    self.version += u64::from(old != *name);
                    false
                }
            },
            PresenceEvent::Leave => self.members.remove(member).is_some(),
        };
        if !is_change {
            return None;
        }
        self.version += 1;
        self.signal_change(&change);
        Some(change)
    }

    fn signal_change(&mut self, Change { event, member }: &Change) {
        // A listener that was told a part of a large room's list needs all of it when the room is large no more.
        let largest = self.members.len() + usize::from(*event == PresenceEvent::Leave);
        if !self.is_untold && largest <= self.limits.listed {
            let Member { member, name } = member.clone();
            let room = self.room.clone();
            self.signal(true, &ServerFrame::Presence { room, event: *event, member, name });
        } else {
            self.tell_list_anew();
        }
    }

    /// Somebody is typing.
    pub fn typing(&mut self, member: String, name: String) {
        let room = self.room.clone();
        self.signal(false, &ServerFrame::Typing { room, member, name });
    }

    fn signal(&mut self, is_presence: bool, frame: &ServerFrame) {
        let frame = (self.encode)(frame);
        self.waiting.push_back(Waiting { number: self.noted, is_presence, frame });
        self.noted += 1;
        while self.waiting.len() > self.limits.waiting {
            let dropped = self.waiting.pop_front();
            if dropped.is_some_and(|dropped| dropped.is_presence) {
                self.tell_list_anew();
            }
        }
    }

    /// Live listeners are to get the whole list, which tells what any frame of presence could.
    fn tell_list_anew(&mut self) {
        self.is_untold = true;
        self.waiting.retain(|waiting| !waiting.is_presence);
    }

    /// How much has been noted that is to be told: a listener that is told the list now knows all of that.
    #[must_use]
    pub fn noted(&self) -> u64 {
        self.noted
    }

    /// Whether [`Roster::take_signals`] has something to hand over at `now`.
    #[must_use]
    pub fn has_signals(&self, now: Instant) -> bool {
        !self.waiting.is_empty() || (self.is_untold && self.list_due.is_none_or(|due| due <= now))
    }

    /// What so many live listeners are to be handed at `now`.
    pub fn take_signals(&mut self, now: Instant, listeners: usize) -> Signals {
        let waiting = std::mem::take(&mut self.waiting);
        let mut frames = BytesMut::new();
        let mut starts = Vec::with_capacity(waiting.len());
        for Waiting { number, frame, .. } in &waiting {
            starts.push((*number, frames.len()));
            frames.extend_from_slice(frame);
        }
        let end = frames.len();
        let mut has_presence = waiting.iter().any(|waiting| waiting.is_presence);
        let mut again_at = None;
        if self.is_untold {
            again_at = self.list_due.filter(|due| *due > now);
            if again_at.is_none() {
                self.is_untold = false;
                let list = self.list();
                self.list_due = Some(now + list_pause(list.len() * listeners));
                frames.extend_from_slice(&list);
                has_presence = true;
            }
        }
        Signals { frames: frames.freeze(), starts, end, has_presence, again_at }
    }

    /// The `members` frame: the same bytes for everybody, until the list changes.
    pub fn list(&mut self) -> Bytes {
        if let Some((_, frame)) = self.list.as_ref().filter(|(of, _)| *of == self.version) {
            return frame.clone();
        }
        let (present, members) = self.listed(None);
        let frame =
            (self.encode)(&ServerFrame::Members { room: self.room.clone(), present, members });
        self.list = Some((self.version, frame.clone()));
        frame
    }

    /// How many are here.
    #[must_use]
    pub fn present(&self) -> usize {
        self.members.len()
    }

    /// How many are here, and who, as far as they are named: `me` is, and counts, even if its coming is not heard of yet.
    #[must_use]
    pub fn listed(&self, me: Option<&Member>) -> (usize, Vec<Member>) {
        let is_me = |member: &String| me.is_some_and(|me| me.member == *member);
        let others = self.members.iter().filter(|(member, _)| !is_me(member));
        let named = others.take(self.limits.listed - me.map_or(0, |_| 1));
        let named =
            named.map(|(member, name)| Member { member: member.clone(), name: name.clone() });
        let is_new = me.is_some_and(|me| !self.members.contains_key(&me.member));
        (self.members.len() + usize::from(is_new), me.cloned().into_iter().chain(named).collect())
    }
}

/// How long no list is told again after one that took so many bytes.
fn list_pause(bytes: usize) -> Duration {
    let millis = bytes.saturating_mul(1_000) / LIST_BYTES_PER_SECOND;
    Duration::from_millis(millis as u64).clamp(LIST_EVERY, LIST_AT_LEAST_EVERY)
}

fn changed(event: PresenceEvent, member: &str, name: &str) -> Change {
    Change { event, member: Member { member: member.to_owned(), name: name.to_owned() } }
}
