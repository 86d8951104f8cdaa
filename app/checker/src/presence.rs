//! The members that clients believe to be here, while it is calm. At the very end everybody is compared once more, and
//! without patience; here a view has to be wrong for a while.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    anomaly::{Anomaly, Place},
    book::Book,
    clients::{Clients, Role},
    names::Name,
    view::{Seat, Stay},
};
use crate::history::Gone;

/// From one look to the next, microseconds.
const EVERY: u64 = 5_000_000;
/// A view that was wrong at looks so far apart is wrong. What changed is told within a second.
const PATIENCE: u64 = 10_000_000;
/// Until whoever vanished is said to be gone: it is given up after 2.5 heartbeats, and its lease runs out after that.
const GHOST: u64 = 60_000_000;

#[derive(Debug, Default)]
pub(super) struct Looks {
    next: u64,
    /// Views that were wrong when they were last looked at, since when, and whether that was said.
    wrong: HashMap<Seat, (u64, bool)>,
}

impl Looks {
    /// Looks at every view, if it is time to.
    pub fn look(&mut self, book: &mut Book, clients: &Clients) {
        let at = book.place.at;
        if at < self.next {
            return;
        }
        self.next = at + EVERY;
        if !book.faults.is_calm(at) {
            return self.wrong.clear();
        }
        let here = clients.here();
        let mut wrong = HashMap::new();
        for (seat, view) in &clients.views {
            let client = clients.all.get(&seat.client);
            let Some(client) =
                client.filter(|it| !it.is_gone() && !matches!(it.role, Role::Slow | Role::Page))
            else {
                continue;
            };
            let (Some(me), Stay::In) = (client.member, view.stay) else { continue };
            let Some(expected) = here.get(&seat.room) else { continue };
            let (missing, extra) = difference(expected, &view.present, Some(me), book.listed());
            let extra = extra.into_iter().filter(|it| is_ghost(book, clients, *it));
            let extra: Vec<Name> = extra.collect();
            if missing.is_empty() && extra.is_empty() {
                continue;
            }
            let (since, told) = self.wrong.get(seat).copied().unwrap_or((at, false));
            let due = at.saturating_sub(since) >= PATIENCE;
            if due && !told {
                note(book, *seat, &missing, &extra);
            }
            wrong.insert(*seat, (since, told || due));
        }
        self.wrong = wrong;
    }
}

/// Whether it is of ours, and ought not to be seen any more.
fn is_ghost(book: &Book, clients: &Clients, member: Name) -> bool {
    let owner = book.owners.get(&member).and_then(|owner| clients.all.get(owner));
    owner.is_some_and(|owner| match owner.gone {
        Some((Gone::Vanished, Place { at, .. })) => book.place.at > at + GHOST,
        _ => true,
    })
}

fn note(book: &mut Book, seat: Seat, missing: &[Name], extra: &[Name]) {
    book.note(Anomaly::Presence, |book| {
        let (client, room) = (book.names.of(seat.client), book.names.of(seat.room));
        let (missing, extra) = (book.owned_by(missing), book.owned_by(extra));
        format!("{client}'s view of {room}, in peace: lacks {missing}, has too many: {extra}")
    });
}

impl Clients {
    /// Rooms, and the members who are there now.
    pub fn here(&self) -> BTreeMap<Name, BTreeSet<Name>> {
        let mut here: BTreeMap<Name, BTreeSet<Name>> = BTreeMap::new();
        for (seat, view) in &self.views {
            let client = self.all.get(&seat.client).filter(|client| !client.is_gone());
            if let (Some(member), Stay::In) = (client.and_then(|it| it.member), view.stay) {
                here.entry(seat.room).or_default().insert(member);
            }
        }
        here
    }

    /// Members that must be in a room at the end: those that entered, and neither left nor are gone.
    pub fn expected(&self, room: Name, healed: Place) -> BTreeSet<Name> {
        let views = self.staying(healed);
        let here = views.iter().filter(|(seat, view)| seat.room == room && view.stay == Stay::In);
        here.filter_map(|(seat, _)| self.member(*seat)).collect()
    }

    /// What each client that stayed believes.
    pub fn find_wrong_views(&self, book: &mut Book, healed: Place) {
        let mut rooms = HashMap::new();
        for (seat, view) in self.told(healed) {
            let (Some(me), Stay::In) = (self.member(seat), view.stay) else { continue };
            let expected =
                rooms.entry(seat.room).or_insert_with(|| self.expected(seat.room, healed));
            let mut present = view.present.clone();
            present.insert(me);
            let who = |book: &Book| format!("{}'s view", book.names.of(seat.client));
            compare(book, healed, seat.room, (expected, &present), who);
        }
    }
}

/// Members that are there and not said to be, and members that are said to be there and are not. Of many only some are
/// named. Whether a client is told of itself, `me`, does not matter.
fn difference(
    expected: &BTreeSet<Name>,
    present: &BTreeSet<Name>,
    me: Option<Name>,
    listed: usize,
) -> (Vec<Name>, Vec<Name>) {
    let is_other = |name: &&Name| Some(**name) != me;
    let extra = present.difference(expected).filter(is_other).copied().collect();
    let is_cut_short = expected.len() >= listed;
    let missing = expected.difference(present).filter(is_other).filter(|_| !is_cut_short);
    (missing.copied().collect(), extra)
}

/// Compares who is said to be in a room with who is there.
pub(super) fn compare(
    book: &mut Book,
    place: Place,
    room: Name,
    (expected, present): (&BTreeSet<Name>, &BTreeSet<Name>),
    who: impl FnOnce(&Book) -> String,
) {
    let (missing, mut extra) = difference(expected, present, None, book.listed());
    extra.retain(|member| !book.strangers || book.owners.contains_key(member));
    if missing.is_empty() && extra.is_empty() {
        return;
    }
    book.note_at(Anomaly::Presence, place, |book| {
        let (missing, extra) = (book.owned_by(&missing), book.owned_by(&extra));
        let (room, who) = (book.names.of(room), who(book));
        format!("{who} of {room}: lacks {missing}, has too many: {extra}")
    });
}
