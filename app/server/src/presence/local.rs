//! The members with connections on this replica, and what of that the store has yet to be told. Pure.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use rollcall_protocol::Member;
use tokio::{sync::Mutex as AsyncMutex, time::Instant};

use crate::log::LogError;

/// Members told to the store in one call.
pub(super) const MEMBERS_A_CALL: usize = 128;

/// What a member does on this replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stay {
    /// It has so many connections.
    Here(usize),
    /// Its last connection closed without a word, which the store is to be told.
    Closed,
    /// The store knows that, and keeps it until this moment unless it comes back anywhere.
    Lingers(Instant),
    /// It said that it leaves, which the store is to be told.
    Left,
}

/// A member of one room, as this replica has it.
struct Holding {
    name: String,
    stay: Stay,
    /// The epoch in which the store was told that it is here; none if it may not know.
    told: Option<u64>,
}

/// A room with members who are, or lately were, connected here.
#[derive(Default)]
struct Place {
    /// Calls about this room's members go to the store one after the other, so that none is overtaken by an earlier one.
    line: Arc<AsyncMutex<()>>,
    members: BTreeMap<String, Holding>,
    /// When a call that was to tell who is here failed last, and how.
    failed: Option<(Instant, LogError)>,
}

/// What the store is to be told next of one room.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// These are here.
    Enter(Vec<Member>),
    /// The last connections of these closed.
    Part(Vec<String>),
    /// These left.
    Leave(Vec<String>),
}

/// The members with connections on this replica, by room.
#[derive(Default)]
pub(super) struct Local {
    rooms: HashMap<String, Place>,
    /// Rooms of which the store has yet to be told something.
    owed: BTreeSet<String>,
    /// What the store was told in an earlier epoch, it may have lost.
    epoch: u64,
}

impl Local {
    /// A member's connection enters. Returns the room's line.
    pub fn arrive(&mut self, room: &str, member: &Member) -> Arc<AsyncMutex<()>> {
        let place = self.rooms.entry(room.to_owned()).or_default();
        let new = || Holding { name: String::new(), stay: Stay::Here(0), told: None };
        let holding = place.members.entry(member.member.clone()).or_insert_with(new);
        if holding.name != member.name {
            holding.name.clone_from(&member.name);
            holding.told = None;
        }
        holding.stay = match holding.stay {
            Stay::Here(connections) => Stay::Here(connections + 1),
            Stay::Closed | Stay::Lingers(_) | Stay::Left => Stay::Here(1),
        };
        place.line.clone()
    }

    /// A member's connection is here no more; `left` if it said so. True if it was the last.
    pub fn depart(&mut self, room: &str, member: &str, left: bool) -> bool {
        let Some(place) = self.rooms.get_mut(room) else { return false };
        let Some(holding) = place.members.get_mut(member) else { return false };
        holding.stay = match holding.stay {
            Stay::Here(connections) if connections > 1 => Stay::Here(connections - 1),
            Stay::Here(_) if left => Stay::Left,
            Stay::Here(_) => Stay::Closed,
            other => other,
        };
        let is_last = !matches!(holding.stay, Stay::Here(_));
        if is_last {
            self.owed.insert(room.to_owned());
        }
        is_last
    }

    /// A room's line.
    pub fn line(&self, room: &str) -> Option<Arc<AsyncMutex<()>>> {
        self.rooms.get(room).map(|place| place.line.clone())
    }

    /// Whether the store knows, in this epoch, that a member is here.
    pub fn is_told(&self, room: &str, member: &str) -> bool {
        let holding = self.rooms.get(room).and_then(|place| place.members.get(member));
        holding.is_some_and(|holding| holding.told == Some(self.epoch))
    }

    /// How telling who is here failed since `since`, if it did.
    pub fn failed_since(&self, room: &str, since: Instant) -> Option<LogError> {
        let failed = self.rooms.get(room)?.failed.as_ref()?;
        (failed.0 >= since).then(|| failed.1.clone())
    }

    /// The store may have lost everything that it was told.
    pub fn begin_epoch(&mut self) {
        self.epoch += 1;
        self.owed = self.rooms.keys().cloned().collect();
    }

    /// What the store is to be told next of a room, and in which epoch. First, who left.
    pub fn next_task(&mut self, room: &str) -> Option<(Task, u64)> {
        let epoch = self.epoch;
        let place = self.rooms.get_mut(room)?;
        let mut left = Vec::new();
        let mut closed = Vec::new();
        let mut here = Vec::new();
        for (member, holding) in &mut place.members {
            match holding.stay {
                // Whatever comes of telling it, the store may not know this member any more.
                Stay::Left if left.len() < MEMBERS_A_CALL => {
                    holding.told = None;
                    left.push(member.clone());
                }
                Stay::Closed if closed.len() < MEMBERS_A_CALL => {
                    holding.told = None;
                    closed.push(member.clone());
                }
                Stay::Here(_) if here.len() < MEMBERS_A_CALL && holding.told != Some(epoch) => {
                    here.push(Member { member: member.clone(), name: holding.name.clone() });
                }
                _ => {}
            }
        }
        let task = if !left.is_empty() {
            Task::Leave(left)
        } else if !here.is_empty() {
            Task::Enter(here)
        } else if !closed.is_empty() {
            Task::Part(closed)
        } else {
            return None;
        };
        Some((task, epoch))
    }

    /// The store was told that `members` are here, in `epoch`.
    pub fn entered(&mut self, room: &str, members: &[Member], epoch: u64) {
        let Some(place) = self.rooms.get_mut(room) else { return };
        place.failed = None;
        for Member { member, name } in members {
            let holding = place.members.get_mut(member).filter(|holding| holding.name == *name);
            if let Some(holding) = holding {
                holding.told = Some(epoch);
            }
        }
    }

    /// It could not be told who is here.
    pub fn not_entered(&mut self, room: &str, error: LogError) {
        self.owed.insert(room.to_owned());
        if let Some(place) = self.rooms.get_mut(room) {
            place.failed = Some((Instant::now(), error));
        }
    }

    /// The store was told that the connections of `members` closed; it keeps those of `lingering` for `lease`.
    pub fn parted(
        &mut self,
        room: &str,
        members: &[String],
        lingering: &[String],
        lease: Duration,
    ) {
        let until = Instant::now() + lease;
        self.each(room, members, |member, stay| match stay {
            Stay::Closed if lingering.contains(member) => Some(Stay::Lingers(until)),
            Stay::Closed => None,
            other => Some(other),
        });
    }

    /// The store was told that `members` left.
    pub fn left(&mut self, room: &str, members: &[String]) {
        self.each(room, members, |_, stay| (stay != Stay::Left).then_some(stay));
    }

    /// Whose time is over, by room.
    pub fn overdue(&self, now: Instant) -> Vec<(String, Vec<String>)> {
        let is_over = |stay| matches!(stay, Stay::Lingers(until) if until <= now);
        let rooms = self.rooms.iter().map(|(room, place)| {
            let over = place.members.iter().filter(|(_, holding)| is_over(holding.stay));
            (room.clone(), over.map(|(member, _)| member.clone()).collect::<Vec<_>>())
        });
        rooms.filter(|(_, members)| !members.is_empty()).collect()
    }

    /// The store was asked to end what ran out of `members`.
    pub fn reaped(&mut self, room: &str, members: &[String], now: Instant) {
        self.each(room, members, |_, stay| match stay {
            Stay::Lingers(until) if until <= now => None,
            other => Some(other),
        });
    }

    /// Members who are here, as the store was told.
    pub fn told(&self, room: &str) -> Vec<String> {
        let members = self.rooms.get(room).into_iter().flat_map(|place| &place.members);
        let is_told = |holding: &Holding| {
            matches!(holding.stay, Stay::Here(_)) && holding.told == Some(self.epoch)
        };
        members.filter(|(_, holding)| is_told(holding)).map(|(member, _)| member.clone()).collect()
    }

    /// The store is to be told again that these are here, if they are. How many are.
    pub fn tell_again(&mut self, room: &str, members: &[String]) -> usize {
        let Some(place) = self.rooms.get_mut(room) else { return 0 };
        let mut here = 0;
        for member in members {
            let holding = place.members.get_mut(member);
            if let Some(holding) = holding.filter(|it| matches!(it.stay, Stay::Here(_))) {
                holding.told = None;
                here += 1;
            }
        }
        if here > 0 {
            self.owed.insert(room.to_owned());
        }
        here
    }

    /// The store has `member` as held here. If it is not, the store is to be told that it left.
    pub fn disown(&mut self, room: &str, member: &str, name: &str) {
        let place = self.rooms.entry(room.to_owned()).or_default();
        if !place.members.contains_key(member) {
            let holding = Holding { name: name.to_owned(), stay: Stay::Left, told: None };
            place.members.insert(member.to_owned(), holding);
            self.owed.insert(room.to_owned());
        }
    }

    /// Every connection is gone: this replica ends.
    pub fn close_all(&mut self) {
        for (room, place) in &mut self.rooms {
            for holding in place.members.values_mut() {
                if matches!(holding.stay, Stay::Here(_)) {
                    holding.stay = Stay::Closed;
                    self.owed.insert(room.clone());
                }
            }
        }
    }

    /// Rooms of which the store has yet to be told something; the task that takes them tells it.
    pub fn take_owed(&mut self) -> Vec<(String, Arc<AsyncMutex<()>>)> {
        let owed = std::mem::take(&mut self.owed).into_iter();
        owed.filter_map(|room| {
            let line = self.rooms.get(&room)?.line.clone();
            Some((room, line))
        })
        .collect()
    }

    /// Not all could be told.
    pub fn owe(&mut self, room: &str) {
        self.owed.insert(room.to_owned());
    }

    /// Replaces what members do, or forgets them.
    fn each(
        &mut self,
        room: &str,
        members: &[String],
        change: impl Fn(&String, Stay) -> Option<Stay>,
    ) {
        let Some(place) = self.rooms.get_mut(room) else { return };
        for member in members {
            let Some(holding) = place.members.get_mut(member) else { continue };
            match change(member, holding.stay) {
                Some(stay) => holding.stay = stay,
                None => {
                    place.members.remove(member);
                }
            }
        }
        if place.members.is_empty() && Arc::strong_count(&place.line) == 1 {
            self.rooms.remove(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(12);

    fn ada() -> Member {
        Member { member: "ada".to_owned(), name: "Ada".to_owned() }
    }

    fn with_connections(count: usize) -> Local {
        let mut local = Local::default();
        (0..count).for_each(|_| drop(local.arrive("hall", &ada())));
        local.entered("hall", &[ada()], 0);
        local
    }

    #[test]
    fn only_the_last_connection_counts() {
        let mut local = with_connections(2);
        assert!(!local.depart("hall", "ada", true));
        assert_eq!(local.next_task("hall"), None);
        assert!(local.depart("hall", "ada", true));
        assert_eq!(local.next_task("hall"), Some((Task::Leave(vec!["ada".to_owned()]), 0)));
        local.left("hall", &["ada".to_owned()]);
        assert!(local.rooms.is_empty());
    }

    #[test]
    fn a_member_who_comes_back_is_told_again_once_its_end_was() {
        let mut local = with_connections(1);
        local.depart("hall", "ada", false);
        assert_eq!(local.next_task("hall"), Some((Task::Part(vec!["ada".to_owned()]), 0)));
        drop(local.arrive("hall", &ada()));
        local.parted("hall", &["ada".to_owned()], &["ada".to_owned()], LEASE);
        assert_eq!(local.next_task("hall"), Some((Task::Enter(vec![ada()]), 0)));
    }

    #[test]
    fn a_new_epoch_tells_everybody_again() {
        let mut local = with_connections(1);
        local.begin_epoch();
        assert!(!local.is_told("hall", "ada"));
        assert_eq!(local.next_task("hall"), Some((Task::Enter(vec![ada()]), 1)));
        // An answer to a call of the time before says nothing of this one.
        local.entered("hall", &[ada()], 0);
        assert_eq!(local.next_task("hall"), Some((Task::Enter(vec![ada()]), 1)));
    }

    #[tokio::test(start_paused = true)]
    async fn lingering_members_fall_due_after_a_lease() {
        let mut local = with_connections(1);
        local.depart("hall", "ada", false);
        local.parted("hall", &["ada".to_owned()], &["ada".to_owned()], LEASE);
        assert_eq!(local.overdue(Instant::now()), []);
        tokio::time::advance(LEASE).await;
        let due = local.overdue(Instant::now());
        assert_eq!(due, [("hall".to_owned(), vec!["ada".to_owned()])]);
        local.reaped("hall", &due[0].1, Instant::now());
        assert!(local.rooms.is_empty());
    }
}
