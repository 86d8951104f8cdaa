//! What one client was told of one room, in the order in which it was told.
//!
//! A **stay** lasts from entering a room (at the start, or by `join`) to leaving it, over any
//! number of connections. Within a stay the cursor moves only along the chain or by a gap.

use std::collections::{BTreeSet, HashMap};

use super::{
    anomaly::{Anomaly, Place},
    book::Book,
    entries::Entries,
    entry::{Entry, EntryIndex},
    names::Name,
    ops::OpIndex,
};
use crate::history::Id;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Stay {
    /// Not there, and told nothing that counts.
    #[default]
    Out,
    /// It wants in; the next `joined` says from where on it is told everything.
    Entering,
    In,
}

/// A client's room.
#[derive(Debug, Default)]
pub(super) struct View {
    pub stay: Stay,
    /// Where this stay began: everything after it is due.
    pub first: Id,
    /// When.
    pub since: u64,
    /// The client's life, from one lost connection to the next, in which it began afresh, if it did.
    began_in: Option<u64>,
    cursor: Id,
    /// When it was put there.
    cursor_at: u64,
    /// All of this stay.
    pub heard: Vec<EntryIndex>,
    /// How many of them came before the last gap after a cut: perhaps of another history.
    before_cut: usize,
    /// Each sender's last message since then, and its number.
    last: HashMap<Name, (OpIndex, u64)>,
    /// Each sender's last message before then.
    lost: HashMap<Name, u32>,
    /// Trimmed stretches it was told of: after the one, up to the other.
    pub gaps: Vec<(Id, Id)>,
    pub rewound_at: Option<u64>,
    /// Entries that came again after they were said to be lost.
    pub again: Vec<(Place, Id)>,
    /// The members that are here, as it was told.
    pub present: BTreeSet<Name>,
    /// When a part of the log last passed it by: it left, or was told of a trimmed stretch.
    pub blind: Option<Place>,
    /// When it left last.
    pub left: Option<u64>,
    /// When it was last told that a member left.
    told_left: HashMap<Name, u64>,
}

/// Whose view of which room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Seat {
    pub client: Name,
    pub room: Name,
}

impl Seat {
    fn describe(self, book: &Book) -> String {
        format!("{} in {}", book.names.of(self.client), book.names.of(self.room))
    }
}

impl View {
    /// Wants in. A client that is in already stays as it is.
    pub fn enter(&mut self) {
        if self.stay == Stay::Out {
            let (blind, left) = (self.blind, self.left);
            *self = Self { stay: Stay::Entering, blind, left, ..Self::default() };
        }
    }

    pub fn leave(&mut self, at: Place) {
        self.stay = Stay::Out;
        self.blind = Some(at);
        self.left = Some(at.at);
    }

    /// Is told that a member came, or left.
    pub fn told(&mut self, member: Name, here: bool, at: u64) {
        if here {
            self.present.insert(member);
        } else {
            self.present.remove(&member);
            self.told_left.insert(member, at);
        }
    }

    /// Whether it has yet to be told of what a member did then.
    pub fn awaits(&self, member: Name, left: u64) -> bool {
        self.told_left.get(&member).is_none_or(|told| *told < left)
    }

    /// Told in the client's life of this number if afresh, and otherwise after its cursor.
    pub fn joined(&mut self, book: &mut Book, seat: Seat, cursor: Id, fresh_in: Option<u64>) {
        match self.stay {
            Stay::Out => return,
            Stay::Entering => self.begin(cursor, fresh_in, book.place.at),
            Stay::In if cursor == self.cursor => return,
            // The answer to the time before it left came late, and this is the one it waited for.
            Stay::In if fresh_in.is_some() && fresh_in == self.began_in => {
                self.begin(cursor, fresh_in, book.place.at);
            }
            // Another connection of the same stay goes on where the one before was.
            Stay::In => self.broke(book, |view, book| {
                let who = seat.describe(book);
                format!("{who}: stood at {}, came back at {cursor}, no gap between", view.cursor)
            }),
        }
        self.move_to(cursor, book.place.at);
    }

    fn begin(&mut self, cursor: Id, fresh_in: Option<u64>, at: u64) {
        self.stay = Stay::In;
        self.since = at;
        self.first = cursor;
        self.began_in = fresh_in;
    }

    pub fn message(&mut self, book: &mut Book, seat: Seat, entries: &Entries, index: EntryIndex) {
        if self.stay != Stay::In {
            return;
        }
        let entry = entries.get(index);
        if entry.id <= self.cursor {
            self.went_back(book, seat, index, entry);
        } else {
            if entry.content.prev != self.cursor {
                self.broke(book, |view, book| {
                    let (who, what) = (seat.describe(book), book.describe_entry(entry));
                    let (cursor, prev) = (view.cursor, entry.content.prev);
                    format!("{who}: stood at {cursor}, was given {what} that follows {prev}")
                });
            }
            self.in_turn(book, seat, entries, entry);
            self.move_to(entry.id, book.place.at);
        }
        self.heard.push(index);
    }

    /// A gap was told. Whether it had a cause is [`super::gaps`]' matter.
    pub fn gap(&mut self, book: &Book, after: Id, resumes_at: Id, rewound: bool) {
        if self.stay != Stay::In {
            return;
        }
        if rewound {
            self.rewound_at = Some(book.place.at);
        } else {
            self.gaps.push((after.min(self.cursor), resumes_at));
            self.blind = Some(book.place);
        }
        // What a client had of a lost history may come again under other IDs; but only then. A log
        // that was cut, went on and was trimmed after that looks trimmed to clients that come back late.
        if book.faults.explain_gap(true, book.place.at) {
            for (sender, (op, _)) in self.last.drain() {
                let turn = book.operations.get(op).turn;
                let lost = self.lost.entry(sender).or_default();
                *lost = turn.max(*lost);
            }
            self.before_cut = self.heard.len();
        }
        self.move_to(resumes_at, book.place.at);
    }

    /// Whether it has been there since before that.
    pub fn was_in(&self, place: Place) -> bool {
        self.stay == Stay::In && self.since < place.at
    }

    /// What it was told last.
    pub fn cursor(&self) -> Id {
        self.cursor
    }

    fn move_to(&mut self, cursor: Id, at: u64) {
        self.cursor = cursor;
        self.cursor_at = at;
    }

    /// Something is missing, and no gap said so. If data was destroyed since the cursor was last
    /// good, then that is what was passed over in silence.
    fn broke(&self, book: &mut Book, detail: impl FnOnce(&Self, &Book) -> String) {
        book.note(self.silence(book, book.place), |book| detail(self, book));
    }

    /// What a broken chain at `place` is called.
    pub fn silence(&self, book: &Book, place: Place) -> Anomaly {
        match book.faults.anything_between(self.cursor_at, place.at) {
            true => Anomaly::SilentLoss,
            false => Anomaly::SkippedMessage,
        }
    }

    fn went_back(&self, book: &mut Book, seat: Seat, index: EntryIndex, entry: &Entry) {
        let again = self.heard.contains(&index);
        let anomaly = if again { Anomaly::Duplicate } else { Anomaly::ReorderedRoom };
        book.note(anomaly, |book| {
            let (who, what) = (seat.describe(book), book.describe_entry(entry));
            let how = if again { "a second time" } else { "late" };
            format!("{who}: had {}, was given {what}, {how}", self.cursor)
        });
    }

    /// One sender's messages come in its order, with rising numbers, each once.
    fn in_turn(&mut self, book: &mut Book, seat: Seat, entries: &Entries, entry: &Entry) {
        let Some(op) = entry.content.op else { return };
        let (sender, n) = (entry.content.member, entry.content.n);
        let (turn, sent) = (book.operations.get(op).turn, book.operations.get(op).invoked.at);
        if self.lost.get(&sender).is_some_and(|lost| turn <= *lost) {
            // A retry, or a copy that a frozen replica still held, can bring it back as another
            // entry: the log that knew it is gone. But only if it was sent before that.
            let had = self.find(entries, op, ..self.before_cut);
            if had == Some(entry.id) {
                // From a replica that has not noticed the loss: wrong if it is not really lost.
                self.again.push((book.place, entry.id));
                return;
            }
            if had.is_some() && !book.was_cut_since(sent) {
                return twice(book, seat, entry, had);
            }
        }
        let before = self.last.insert(sender, (op, n));
        let Some((last, last_n)) = before else { return };
        let last_turn = book.operations.get(last).turn;
        if turn > last_turn && n > last_n {
            return;
        }
        if turn < last_turn {
            self.last.insert(sender, (last, last_n));
        }
        let had = self.find(entries, op, self.before_cut..);
        if had.is_some() {
            return twice(book, seat, entry, had);
        }
        if turn < last_turn && book.was_cut_since(sent) {
            // What was cut may have had it, and with it its answer was lost: sent again, it comes after later ones.
            return;
        }
        book.note(Anomaly::ReorderedSender, |book| {
            let (who, what) = (seat.describe(book), book.describe_entry(entry));
            let last = book.describe_op(last);
            format!("{who}: {what} as n {n}, after {last} as n {last_n}")
        });
    }

    /// The ID under which an operation was heard.
    fn find(
        &self,
        entries: &Entries,
        op: OpIndex,
        range: impl std::slice::SliceIndex<[EntryIndex], Output = [EntryIndex]>,
    ) -> Option<Id> {
        let mut heard = self.heard[range].iter().map(|index| entries.get(*index));
        heard.find(|heard| heard.content.op == Some(op)).map(|heard| heard.id)
    }
}

fn twice(book: &mut Book, seat: Seat, entry: &Entry, had: Option<Id>) {
    book.note(Anomaly::Duplicate, |book| {
        let (who, what) = (seat.describe(book), book.describe_entry(entry));
        format!("{who}: was given {what}, and had it as {} before", had.unwrap_or_default())
    });
}
