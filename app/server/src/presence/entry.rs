//! What is kept of a member in a room. Pure.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use rollcall_protocol::EntryId;

/// Who holds a member in a room. With nobody left, it is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// The member's name.
    pub name: String,
    /// Incarnations of replicas on which it has connections.
    pub on: Vec<String>,
    /// Until when it stays after its last connection closed without a word, ms of the store's clock.
    pub lingers: Option<u64>,
    /// When the lease ends that a replica of the release before had for it, ms of the store's clock.
    pub v2: Option<u64>,
}

impl Entry {
    /// Reads a value of the hash `held`, as `presence.lua` describes it.
    pub fn parse(value: &str) -> Self {
        let mut lines = value.split('\n');
        let mut entry =
            Self { name: lines.next().unwrap_or_default().to_owned(), ..Self::default() };
        for line in lines {
            let time = |from: &str| from.parse().ok();
            match line.split_at_checked(1) {
                Some(("~", until)) => entry.lingers = time(until),
                Some(("=", until)) => entry.v2 = time(until),
                _ => entry.on.push(line.to_owned()),
            }
        }
        entry
    }

    /// Whether a time that was set keeps it at `now`.
    fn is_timed(&self, now: u64) -> bool {
        self.lingers.max(self.v2).is_some_and(|until| until > now)
    }
}

/// What came of renewing a lease.
pub(super) struct Renewed {
    /// The store's clock, ms.
    pub now: u64,
    /// The incarnations that live; none if the lease was lost.
    pub living: Option<BTreeSet<String>>,
}

/// What replicas of the release before have of a room.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct V2 {
    /// Member → name.
    pub names: BTreeMap<String, String>,
    /// In how many ms the list above ends by itself; `None` if it does not, or is empty.
    pub ends_in: Option<u64>,
    /// Members whose lease ends soon, ms of the store's clock. Ours end later, unless they need renewal.
    pub near: HashMap<String, f64>,
}

/// All that is kept of a room, at one instant.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Present {
    /// Feed events up to this ID are part of it.
    pub at: EntryId,
    /// The store's clock, ms.
    pub now: u64,
    /// Member → who holds it.
    pub held: BTreeMap<String, Entry>,
    /// None where that release cannot be.
    pub v2: Option<V2>,
}

impl Present {
    /// Everybody who counts as present: member → name.
    pub fn members(&self) -> BTreeMap<String, String> {
        let names = self.v2.iter().flat_map(|v2| &v2.names);
        let mut members: BTreeMap<_, _> =
            names.map(|(member, name)| (member.clone(), name.clone())).collect();
        for (member, entry) in &self.held {
            // What has run out is listed until it is told that it left; v2 may have told that already.
            let listed = self.v2.is_none() || !entry.on.is_empty() || entry.is_timed(self.now);
            if listed {
                members.insert(member.clone(), entry.name.clone());
            }
        }
        members
    }

    /// Members who may be gone: held by none of `living`, or not for ever, or only by v2, whose lease ran out.
    pub fn suspects(&self, living: &BTreeSet<String>, lease: Duration) -> Vec<String> {
        let too_late = self.now + 2 * lease.as_millis() as u64;
        let held = self.held.iter().filter(|(_, entry)| {
            let dead = entry.on.iter().any(|holder| !living.contains(holder));
            let untimely =
                !entry.is_timed(self.now) || entry.lingers.is_some_and(|at| at > too_late);
            dead || (entry.on.is_empty() && untimely)
        });
        let v2 = self.v2.iter().flat_map(|v2| {
            let left = v2.names.keys().filter(|member| !self.held.contains_key(*member));
            left.filter(|member| v2.near.get(*member).is_none_or(|ends| *ends <= self.now as f64))
        });
        held.map(|(member, _)| member).chain(v2).cloned().collect()
    }

    /// Incarnations that hold one of `members`.
    pub fn holders(&self, members: &[String]) -> BTreeSet<String> {
        let entries = members.iter().filter_map(|member| self.held.get(member));
        entries.flat_map(|entry| entry.on.iter().cloned()).collect()
    }

    /// Whether an incarnation holds a member.
    pub fn is_on(&self, holder: &str, member: &str) -> bool {
        self.held.get(member).is_some_and(|entry| entry.on.iter().any(|on| on == holder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_is_written() {
        let entry = Entry::parse("Ada ~ =\nr1-0f\n~12\n=34\nr2-1e");
        assert_eq!((entry.name.as_str(), entry.lingers, entry.v2), ("Ada ~ =", Some(12), Some(34)));
        assert_eq!(entry.on, ["r1-0f", "r2-1e"]);
        assert_eq!(Entry::parse("Ada"), Entry { name: "Ada".to_owned(), ..Entry::default() });
    }
}
