//! The room logs as they lie there when all is over. They are judged without mercy: whatever was
//! destroyed on the way, what is left is one history.

use std::collections::HashMap;

use super::{
    anomaly::Anomaly,
    book::Book,
    entries::{Entries, Entry},
    names::Name,
    ops::{OpIndex, Operation, Outcome},
};
use crate::history::Id;

#[derive(Debug, Default)]
pub(super) struct Logs {
    rooms: HashMap<Name, Log>,
    pub entries: u64,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    /// In the log's order.
    pub ids: Vec<Id>,
    /// What the oldest entry follows: everything up to there is gone.
    begin: Id,
    /// Each sender's last message and its number.
    last: HashMap<Name, (OpIndex, u64)>,
    /// When a cut began → the newest entry that was seen before and is there still.
    survivors: HashMap<u64, Option<Id>>,
}

impl Log {
    pub fn has(&self, id: Id) -> bool {
        self.ids.binary_search(&id).is_ok()
    }

    /// The entries after `after`.
    pub fn after(&self, after: Id) -> &[Id] {
        &self.ids[self.ids.partition_point(|id| *id <= after)..]
    }

    fn survivor(&mut self, room: Name, entries: &Entries, cut: u64) -> Option<Id> {
        let Self { ids, survivors, .. } = self;
        let seen_before = |id: &&Id| entries.find(room, **id).is_some_and(|it| it.shown.at < cut);
        *survivors.entry(cut).or_insert_with(|| ids.iter().rfind(seen_before).copied())
    }
}

impl Logs {
    pub fn of(&self, room: Name) -> Option<&Log> {
        self.rooms.get(&room)
    }

    /// The next entry of a room's log.
    pub fn entry(&mut self, book: &mut Book, entry: &Entry) {
        self.entries += 1;
        let log = self.rooms.entry(entry.room).or_default();
        match log.ids.last().copied() {
            None => log.begin = entry.content.prev,
            Some(before) if entry.id <= before => book.note(Anomaly::ReorderedRoom, |book| {
                format!("the log has {} after {before}", book.describe_entry(entry))
            }),
            Some(before) if entry.content.prev != before => {
                book.note(Anomaly::DivergentOrder, |book| {
                    let (what, prev) = (book.describe_entry(entry), entry.content.prev);
                    format!("the log has {what} after {before}, and it says after {prev}")
                });
            }
            Some(_) => {}
        }
        log.ids.push(entry.id);
        log.in_turn(book, entry);
        if let Some(op) = entry.content.op {
            settle(book, entry, op);
        }
    }

    /// Every acknowledged operation is there, where its acknowledgement said; and so is everything
    /// that a client was shown.
    pub fn find_lost(&mut self, book: &mut Book, entries: &Entries) {
        let mut shown = HashMap::new();
        for entry in &entries.all {
            if let Some(op) = entry.content.op {
                shown.insert(op, entry.id);
            }
        }
        for index in 0..OpIndex::try_from(book.operations.all.len()).unwrap_or(OpIndex::MAX) {
            let operation = book.operations.get(index);
            let Outcome::Ok { id, place } = operation.outcome else { continue };
            let id = id.or_else(|| shown.get(&index).copied());
            if operation.logged.is_some() || self.excuse(book, entries, operation, id) {
                continue;
            }
            book.note_at(Anomaly::LostWrite, place, |book| {
                let (what, id) = (book.describe_op(index), id.map(|id| format!(" as {id}")));
                format!("{what} was acknowledged{} and is not in the log", id.unwrap_or_default())
            });
        }
        self.find_vanished(book, entries);
    }

    /// What was shown, without having been acknowledged, and is not in the log.
    fn find_vanished(&mut self, book: &mut Book, entries: &Entries) {
        for entry in entries.all.iter().filter(|entry| !entry.logged) {
            let Some(operation) = entry.content.op.map(|op| book.operations.get(op)) else {
                continue;
            };
            let counted =
                operation.logged.is_none() && matches!(operation.outcome, Outcome::Ok { .. });
            if counted || self.excuse(book, entries, operation, Some(entry.id)) {
                continue;
            }
            book.note_at(Anomaly::DivergentOrder, entry.shown, |book| {
                let to = entry.to.map_or("?", |to| book.names.of(to));
                format!("{to} was shown {}; the log does not have it", book.describe_entry(entry))
            });
        }
    }

    /// Whether destruction explains that an operation is not in the log, where it was `id`.
    ///
    /// A trim takes the oldest entries, so the log must begin after it. A flush or a lost tail
    /// takes everything from some point on, so nothing newer from before may have survived.
    fn excuse(&mut self, book: &Book, entries: &Entries, it: &Operation, id: Option<Id>) -> bool {
        let log = self.rooms.entry(it.room).or_default();
        let (sent, room) = (it.invoked.at, it.room);
        let is_older = log.ids.is_empty() || id.is_none_or(|id| id <= log.begin);
        if is_older && book.faults.trimmed_since(sent) {
            return true;
        }
        let mut cuts = book.faults.cuts_since(sent);
        cuts.any(|cut| id.zip(log.survivor(room, entries, cut)).is_none_or(|(id, kept)| kept < id))
    }

    /// The chain passes over no entry that is known to have been there.
    pub fn find_passed_over(&self, book: &mut Book, entries: &Entries) {
        let mut known: Vec<&Entry> = entries.all.iter().collect();
        known.sort_by_key(|entry| (entry.room, entry.id));
        for pair in known.windows(2) {
            let [before, entry] = pair else { continue };
            let passed = before.room == entry.room && before.id > entry.content.prev;
            let Some(sent) = before.content.op.map(|op| book.operations.get(op).invoked.at) else {
                continue;
            };
            if !passed || book.faults.cuts_since(sent).next().is_some() {
                continue;
            }
            let trimmed = book.faults.trimmed_since(sent);
            let anomaly = if trimmed { Anomaly::SilentLoss } else { Anomaly::SkippedMessage };
            book.note_at(anomaly, entry.shown, |book| {
                let (what, over) = (book.describe_entry(entry), book.describe_entry(before));
                format!("{what} follows {}, which passes over {over}", entry.content.prev)
            });
        }
    }
}

impl Log {
    fn in_turn(&mut self, book: &mut Book, entry: &Entry) {
        let Some(op) = entry.content.op else { return };
        let n = entry.content.n;
        let Some((last, last_n)) = self.last.insert(entry.content.member, (op, n)) else { return };
        let turn = |op| book.operations.get(op).turn;
        let again = book.operations.get(op).logged.is_some();
        if again || (turn(op) > turn(last) && n > last_n) {
            return;
        }
        book.note(Anomaly::ReorderedSender, |book| {
            let (what, last) = (book.describe_entry(entry), book.describe_op(last));
            format!("the log has {what} as n {n}, after {last} as n {last_n}")
        });
    }
}

/// An operation is in the log once, and where its acknowledgement said.
fn settle(book: &mut Book, entry: &Entry, op: OpIndex) {
    let operation = book.operations.get_mut(op);
    let (outcome, sent) = (operation.outcome, operation.invoked.at);
    if let Some(first) = operation.logged {
        return book.note(Anomaly::Duplicate, |book| {
            format!("the log has {}, and had it as {first} before", book.describe_entry(entry))
        });
    }
    operation.logged = Some(entry.id);
    if let Outcome::Ok { id: Some(id), .. } = outcome
        && id != entry.id
        && !book.was_cut_since(sent)
    {
        book.note(Anomaly::DivergentOrder, |book| {
            format!("{} was acknowledged as {id}", book.describe_entry(entry))
        });
    }
}
