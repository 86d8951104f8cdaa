//! Who exists, and what each must have seen and must be seen as when all has healed.

use std::collections::{BTreeSet, HashMap};

use super::{
    anomaly::{Anomaly, Place},
    book::Book,
    entries::Entries,
    logs::Logs,
    names::Name,
    view::{Seat, Stay, View},
};
use crate::history::{Gone, Id};

/// So many members are named at most when a room is entered, one of them the client itself.
const LISTED: usize = 199;

#[derive(Debug, Default)]
pub(super) struct Client {
    /// Its public ID; none before its first connection, and none ever for who only posts.
    pub member: Option<Name>,
    /// Connections it has had, but for those that a move opened beside another.
    pub lives: u64,
    /// The newest was opened for a move.
    pub moves: bool,
    /// It reads slowly on purpose: how late it gets things says nothing.
    pub is_slow: bool,
    pub gone: Option<(Gone, Place)>,
}

impl Client {
    /// Whether it was there to the end, which begins at `healed`.
    fn stayed(&self, healed: Place) -> bool {
        self.gone.is_none_or(|(how, place)| how == Gone::Dismissed && place.line > healed.line)
    }
}

#[derive(Debug, Default)]
pub(super) struct Clients {
    pub all: HashMap<Name, Client>,
    pub views: HashMap<Seat, View>,
}

impl Clients {
    /// The views of who stayed, in an order that does not change from run to run.
    fn staying(&self, healed: Place) -> Vec<(Seat, &View)> {
        let stayed = |client| self.all.get(client).is_some_and(|it: &Client| it.stayed(healed));
        let views = self.views.iter().filter(|(seat, _)| stayed(&seat.client));
        let mut views: Vec<_> = views.map(|(seat, view)| (*seat, view)).collect();
        views.sort_unstable_by_key(|(seat, _)| *seat);
        views
    }

    /// Everything in the log since it came has reached who is there.
    pub fn find_unseen(&self, book: &mut Book, logs: &Logs, entries: &Entries, healed: Place) {
        for (seat, view) in self.staying(healed) {
            match view.stay {
                Stay::Out => {}
                // Who has no connection at all has no view either, or only posts.
                Stay::Entering if self.member(seat).is_some() => {
                    book.note_at(Anomaly::Unseen, healed, |book| {
                        let (client, room) = (book.names.of(seat.client), book.names.of(seat.room));
                        format!("{client} never came into {room}")
                    });
                }
                Stay::Entering => {}
                Stay::In => find_unseen(book, logs, entries, healed, seat, view),
            }
        }
    }

    /// What came again after a gap had called it lost is lost indeed.
    pub fn find_repeated(&self, book: &mut Book, logs: &Logs) {
        for (seat, view) in &self.views {
            let there = |id| logs.of(seat.room).is_some_and(|log| log.has(id));
            for (place, id) in view.again.iter().filter(|(_, id)| there(*id)) {
                book.note_at(Anomaly::Duplicate, *place, |book| {
                    let (client, room) = (book.names.of(seat.client), book.names.of(seat.room));
                    format!("{client} in {room}: was given {id} again after a gap")
                });
            }
        }
    }

    fn member(&self, seat: Seat) -> Option<Name> {
        self.all.get(&seat.client).and_then(|client| client.member)
    }

    /// Who must be in a room at the end: who entered and neither left nor is gone.
    pub fn expected(&self, room: Name, healed: Place) -> BTreeSet<Name> {
        let views = self.staying(healed);
        let here = views.iter().filter(|(seat, view)| seat.room == room && view.stay == Stay::In);
        here.filter_map(|(seat, _)| self.member(*seat)).collect()
    }

    /// What each client that stayed believes.
    pub fn find_wrong_views(&self, book: &mut Book, healed: Place) {
        let mut rooms = HashMap::new();
        for (seat, view) in self.staying(healed) {
            let (Some(me), Stay::In) = (self.member(seat), view.stay) else { continue };
            let expected =
                rooms.entry(seat.room).or_insert_with(|| self.expected(seat.room, healed));
            let mut present = view.present.clone();
            present.insert(me);
            let who = |book: &Book| format!("{}'s view", book.names.of(seat.client));
            compare(book, healed, seat.room, expected, &present, who);
        }
    }
}

/// Compares who is said to be in a room with who is there.
pub(super) fn compare(
    book: &mut Book,
    place: Place,
    room: Name,
    expected: &BTreeSet<Name>,
    present: &BTreeSet<Name>,
    who: impl FnOnce(&Book) -> String,
) {
    let missing: Vec<_> = expected.difference(present).copied().collect();
    let extra: Vec<_> = present.difference(expected).copied().collect();
    let is_cut_short = expected.len() >= LISTED;
    if extra.is_empty() && (missing.is_empty() || is_cut_short) {
        return;
    }
    book.note_at(Anomaly::Presence, place, |book| {
        let name = |members: Vec<Name>| {
            let named = members.iter().map(|member| book.owners.get(member).unwrap_or(member));
            match members.is_empty() {
                true => "nobody".to_owned(),
                false => book.names.list(named.copied()),
            }
        };
        let (room, who) = (book.names.of(room), who(book));
        format!("{who} of {room}: lacks {}, has too many: {}", name(missing), name(extra))
    });
}

fn find_unseen(
    book: &mut Book,
    logs: &Logs,
    entries: &Entries,
    healed: Place,
    seat: Seat,
    view: &View,
) {
    let Some(log) = logs.of(seat.room) else { return };
    let mut heard: Vec<Id> = view.heard.iter().map(|index| entries.get(*index).id).collect();
    heard.sort_unstable();
    for id in log.after(view.first) {
        let told = |(after, resumes_at): &(Id, Id)| after < id && id <= resumes_at;
        if heard.binary_search(id).is_ok() || view.gaps.iter().any(told) {
            continue;
        }
        book.note_at(Anomaly::Unseen, healed, |book| {
            let (client, first) = (book.names.of(seat.client), view.first);
            let what = entries.find(seat.room, *id).map(|entry| book.describe_entry(entry));
            format!("{client}, there since {first}, never got {}", what.unwrap_or_default())
        });
    }
}
