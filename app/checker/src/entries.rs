//! Every entry that anybody was shown, once: phantoms, and entries that two saw differently.

use std::collections::HashMap;

use super::{
    anomaly::Anomaly,
    book::Book,
    entry::{Content, Entry, EntryIndex},
    names::Name,
};
use crate::history::Id;

#[derive(Debug, Default)]
pub(super) struct Entries {
    pub all: Vec<Entry>,
    index: HashMap<(Name, Id), EntryIndex>,
}

impl Entries {
    pub fn get(&self, index: EntryIndex) -> &Entry {
        &self.all[index as usize]
    }

    pub fn find(&self, room: Name, id: Id) -> Option<&Entry> {
        self.index.get(&(room, id)).map(|index| self.get(*index))
    }

    /// Compares an entry as it is shown now, to a client or (to nobody) in a log, with how it was
    /// shown before.
    pub fn show(
        &mut self,
        book: &mut Book,
        (room, id): (Name, Id),
        content: Content,
        to: Option<Name>,
    ) -> EntryIndex {
        if let Some(index) = self.index.get(&(room, id)).copied() {
            let known = &mut self.all[index as usize];
            if known.content.agrees(content) {
                if !known.content.is_said {
                    known.content = content;
                }
                return index;
            }
            // After a loss a log may give an ID out again.
            if !book.was_cut_since(known.shown.at) {
                diverged(book, known, content, to);
                return index;
            }
        }
        let index = EntryIndex::try_from(self.all.len()).unwrap_or(EntryIndex::MAX);
        self.all.push(Entry { room, id, content, shown: book.place, to });
        self.index.insert((room, id), index);
        index
    }

    /// With all told: every text was sent, to that room, by that member.
    pub fn find_phantoms(&self, book: &mut Book) {
        let members: HashMap<Name, Name> =
            book.owners.iter().map(|(member, client)| (*client, *member)).collect();
        for entry in &self.all {
            let Content { member, op, is_said, .. } = entry.content;
            if !is_said {
                continue;
            }
            let Some(operation) = op.map(|op| book.operations.get(op)) else {
                if !book.strangers || book.owners.contains_key(&member) {
                    book.note_at(Anomaly::Phantom, entry.shown, |book| book.describe_entry(entry));
                }
                continue;
            };
            let client = operation.client;
            let is_right_room = operation.room == entry.room;
            let is_itself = members.get(&client).is_none_or(|known| *known == member);
            // A client without a connection is never told its ID: what it says first tells.
            let owner = *book.owners.entry(member).or_insert(client);
            if !is_right_room || !is_itself || owner != client {
                book.note_at(Anomaly::Phantom, entry.shown, |book| {
                    let (owner, what) = (book.names.of(owner), book.describe_entry(entry));
                    format!("{what}: it never said that there; shown as said by {owner}")
                });
            }
        }
    }

    /// With all told: what was rejected was never shown.
    pub fn find_aborted(&self, book: &mut Book) {
        use super::ops::Outcome::Fail;
        for entry in &self.all {
            let outcome = entry.content.op.map(|op| book.operations.get(op).outcome);
            if let Some(Fail(place)) = outcome {
                book.note_at(Anomaly::AbortedRead, place, |book| {
                    let what = book.describe_entry(entry);
                    let to = entry.to.map_or("the log", |to| book.names.of(to));
                    format!("{what}, failed, and yet {to} has it ({})", entry.shown)
                });
            }
        }
    }
}

fn diverged(book: &mut Book, known: &Entry, now: Content, to: Option<Name>) {
    book.note(Anomaly::DivergentOrder, |book| {
        let who = |to: Option<Name>| to.map_or("the log", |to| book.names.of(to));
        let what = |content: Content| {
            let Content { prev, member, n, op, .. } = content;
            let op = op.map_or("a text that nobody sent".to_owned(), |op| book.describe_op(op));
            format!("n {n} of {} after {prev}, {op}", book.names.of(member))
        };
        let (room, id, shown) = (book.names.of(known.room), known.id, known.shown);
        let (first, second) = (who(known.to), who(to));
        let (was, is) = (what(known.content), what(now));
        format!("{id} in {room}: for {first} ({shown}) {was}; for {second} {is}")
    });
}
