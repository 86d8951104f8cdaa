//! Who is in a room, as the feed's events and snapshots tell it. Pure.

use std::collections::BTreeMap;

use rollcall_protocol::{EntryId, Member, PresenceEvent};

use crate::presence::Snapshot;

/// A change of the list that listeners are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub event: PresenceEvent,
    /// Who.
    pub member: Member,
}

/// Who is in a room.
pub struct Roster {
    members: BTreeMap<String, String>,
    /// Feed events up to this ID are part of `members` already.
    at: EntryId,
    /// Events that came before the first snapshot; afterwards `None`.
    early: Option<Vec<(EntryId, Change)>>,
    max_early: usize,
    max_listed: usize,
}

impl Roster {
    /// Nobody known yet. Lists at most `max_listed` members, and keeps `max_early` events until the first snapshot.
    #[must_use]
    pub fn new(max_listed: usize, max_early: usize) -> Self {
        Self {
            members: BTreeMap::new(),
            at: EntryId::ZERO,
            early: Some(Vec::new()),
            max_early,
            max_listed,
        }
    }

    /// An event of the feed; the change, if it is one.
    pub fn event(&mut self, at: EntryId, change: Change) -> Option<Change> {
        if at <= self.at {
            return None;
        }
        match &mut self.early {
            Some(early) if early.len() < self.max_early => early.push((at, change)),
            Some(_) => {}
            None => {
                self.at = at;
                return self.apply(change);
            }
        }
        None
    }

    fn apply(&mut self, change: Change) -> Option<Change> {
        let Member { member, name } = change.member.clone();
        let changed = match change.event {
            PresenceEvent::Join => self.members.insert(member, name).is_none(),
            PresenceEvent::Leave => self.members.remove(&member).is_some(),
        };
        changed.then_some(change)
    }

    /// The feeds have lost something: the next snapshot is newer than what they told before, whatever its ID.
    pub fn forget_place(&mut self) {
        self.at = EntryId::ZERO;
    }

    /// Makes the list that of `snapshot`, then applies what came meanwhile. None if events have overtaken the
    /// snapshot: a fresh one is needed.
    pub fn settle(&mut self, snapshot: Snapshot) -> Option<Vec<Change>> {
        if snapshot.at < self.at {
            return None;
        }
        self.at = snapshot.at;
        let gone =
            self.members.iter().filter(|(member, _)| !snapshot.members.contains_key(*member));
        let gone: Vec<_> =
            gone.map(member).map(|member| Change { event: PresenceEvent::Leave, member }).collect();
        let here = snapshot.members.iter().map(member);
        let here: Vec<_> =
            here.map(|member| Change { event: PresenceEvent::Join, member }).collect();
        let mut changes: Vec<_> =
            gone.into_iter().chain(here).filter_map(|it| self.apply(it)).collect();
        for (at, change) in self.early.take().into_iter().flatten() {
            if at > self.at {
                self.at = at;
                changes.extend(self.apply(change));
            }
        }
        Some(changes)
    }

    /// How many are here, `me` among them, and who: as many as are listed at most, `me` first if the feed has not told it yet.
    #[must_use]
    pub fn listed(&self, me: Option<&Member>) -> (usize, Vec<Member>) {
        let missing = me.filter(|me| !self.members.contains_key(&me.member)).cloned();
        let count = self.members.len() + usize::from(missing.is_some());
        let listed = missing.into_iter().chain(self.members.iter().map(member));
        (count, listed.take(self.max_listed).collect())
    }
}

fn member((member, name): (&String, &String)) -> Member {
    Member { member: member.clone(), name: name.clone() }
}
