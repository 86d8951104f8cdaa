//! The room logs as they lie there when all is over, or just before data is destroyed. They are
//! judged without mercy: whatever was destroyed on the way, what is left is one history.

use std::collections::HashMap;

use super::{
    anomaly::{Anomaly, Place},
    book::Book,
    entries::Entries,
    entry::Entry,
    faults::Cut,
    names::Name,
    ops::{OpIndex, Operation, Outcome},
};
use crate::history::Id;

#[derive(Debug, Default)]
pub(super) struct Logs {
    rooms: HashMap<Name, Log>,
    pub entries: u64,
    /// The entry that holds an operation.
    ops: HashMap<OpIndex, Id>,
}

/// The logs before data was destroyed.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// When they began to be read: whatever was certain by then, they have.
    pub begun: Place,
    pub logs: Logs,
}

/// Whenever the logs were read: before data was destroyed, and at the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Readings<'a> {
    pub snapshots: &'a [Snapshot],
    pub last: &'a Logs,
}

impl<'a> Readings<'a> {
    /// The next after `place`. What was gone by then is not in it, and what was there nothing has
    /// destroyed since.
    pub fn after(self, place: Place) -> &'a Logs {
        let next = self.snapshots.iter().find(|it| it.begun.line > place.line);
        next.map_or(self.last, |it| &it.logs)
    }
}

#[derive(Debug, Default)]
pub(super) struct Log {
    /// In the log's order.
    pub ids: Vec<Id>,
    /// What the oldest entry follows: everything up to there is gone.
    begin: Id,
    /// Each sender's last message and its number.
    last: HashMap<Name, (OpIndex, u64)>,
    /// When a cut began → between which entries that are there it can have taken others.
    cuts: HashMap<u64, Spared>,
}

/// What lies in a log on both sides of a cut.
#[derive(Debug, Clone, Copy)]
struct Spared {
    /// The newest that was seen before it.
    before: Option<Id>,
    /// The oldest that was sent after it.
    since: Option<Id>,
}

impl Log {
    pub fn has(&self, id: Id) -> bool {
        self.ids.binary_search(&id).is_ok()
    }

    /// The entries after `after`.
    pub fn after(&self, after: Id) -> &[Id] {
        &self.ids[self.ids.partition_point(|id| *id <= after)..]
    }

    fn spared(&mut self, room: Name, book: &Book, entries: &Entries, cut: Cut) -> Spared {
        let Self { ids, cuts, .. } = self;
        let find = |id: &Id| entries.find(room, *id);
        let seen_before = |id: &&Id| find(id).is_some_and(|it| it.shown.at < cut.begun);
        let sent = |id: &Id| Some(book.operations.get(find(id)?.content.op?).invoked.at);
        *cuts.entry(cut.begun).or_insert_with(|| Spared {
            before: ids.iter().rfind(seen_before).copied(),
            since: ids.iter().find(|id| sent(id).is_some_and(|sent| sent > cut.over)).copied(),
        })
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
        if let Some(op) = entry.content.op {
            let first = self.ops.get(&op).copied();
            log.in_turn(book, entry, op, first.is_some());
            self.ops.entry(op).or_insert(entry.id);
            settle(book, entry, op, first);
        }
    }

    /// Every acknowledged operation is there, where its acknowledgement said; and so is everything
    /// that a client was shown; if it was so by `until`.
    pub fn find_lost(&mut self, book: &mut Book, entries: &Entries, until: Place) {
        let mut shown = HashMap::new();
        for entry in &entries.all {
            if let Some(op) = entry.content.op {
                shown.insert(op, entry.id);
            }
        }
        for index in 0..OpIndex::try_from(book.operations.all.len()).unwrap_or(OpIndex::MAX) {
            let operation = book.operations.get(index);
            let Outcome::Ok { id, place } = operation.outcome else { continue };
            if !operation.is_acked_by(until) || self.ops.contains_key(&index) {
                continue;
            }
            let id = id.or_else(|| shown.get(&index).copied());
            if self.excuse(book, entries, operation, id) || !book.lost.insert(index) {
                continue;
            }
            book.note_at(Anomaly::LostWrite, place, |book| {
                let (what, id) = (book.describe_op(index), id.map(|id| format!(" as {id}")));
                format!("{what} was acknowledged{} and is not in the log", id.unwrap_or_default())
            });
        }
        self.find_vanished(book, entries, until);
    }

    /// What was shown, without having been acknowledged, and is not in the log.
    fn find_vanished(&mut self, book: &mut Book, entries: &Entries, until: Place) {
        for entry in entries.all.iter().filter(|entry| entry.shown.line <= until.line) {
            let Some(op) = entry.content.op else { continue };
            let (operation, is_there) = (book.operations.get(op), self.ops.contains_key(&op));
            let counted = !is_there && operation.is_acked_by(until);
            if counted
                || self.of(entry.room).is_some_and(|log| log.has(entry.id))
                || self.excuse(book, entries, operation, Some(entry.id))
                || (!is_there && !book.lost.insert(op))
            {
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
    /// takes everything from some point on, so nothing newer from before may have survived, and nothing
    /// older may be from after it. Nothing explains that its place is another one's.
    fn excuse(&mut self, book: &Book, entries: &Entries, it: &Operation, id: Option<Id>) -> bool {
        let log = self.rooms.entry(it.room).or_default();
        let (sent, room) = (it.invoked.at, it.room);
        let is_older = log.ids.is_empty() || id.is_none_or(|id| id <= log.begin);
        if is_older && book.faults.trimmed_since(sent) {
            return true;
        }
        let Some(id) = id else { return book.faults.cuts_since(sent).next().is_some() };
        let takes = |Spared { before, since }: Spared| {
            before.is_none_or(|kept| kept < id) && since.is_none_or(|newer| id < newer)
        };
        !log.has(id)
            && book.faults.cuts_since(sent).any(|cut| takes(log.spared(room, book, entries, cut)))
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
    fn in_turn(&mut self, book: &mut Book, entry: &Entry, op: OpIndex, again: bool) {
        let n = entry.content.n;
        let Some((last, last_n)) = self.last.insert(entry.content.member, (op, n)) else { return };
        let turn = |op| book.operations.get(op).turn;
        if again || (turn(op) > turn(last) && n > last_n) {
            return;
        }
        if turn(op) < turn(last) && book.was_cut_since(book.operations.get(op).invoked.at) {
            // What was cut may have had it, and with it its answer was lost: sent again, it comes after later ones.
            return;
        }
        book.note(Anomaly::ReorderedSender, |book| {
            let (what, last) = (book.describe_entry(entry), book.describe_op(last));
            format!("the log has {what} as n {n}, after {last} as n {last_n}")
        });
    }
}

/// An operation is in the log once, and where its acknowledgement said.
fn settle(book: &mut Book, entry: &Entry, op: OpIndex, first: Option<Id>) {
    let operation = book.operations.get(op);
    let (outcome, sent) = (operation.outcome, operation.invoked.at);
    if let Some(first) = first {
        return book.note(Anomaly::Duplicate, |book| {
            format!("the log has {}, and had it as {first} before", book.describe_entry(entry))
        });
    }
    if let Outcome::Ok { id: Some(id), .. } = outcome
        && id != entry.id
        && !book.was_cut_since(sent)
    {
        book.note(Anomaly::DivergentOrder, |book| {
            format!("{} was acknowledged as {id}", book.describe_entry(entry))
        });
    }
}
