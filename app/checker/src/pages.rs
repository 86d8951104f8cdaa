//! What is read in pages: the conversation on somebody's screen, and the history that the HTTP API tells.

use std::collections::HashMap;

use super::{
    anomaly::{Anomaly, Place},
    book::Book,
    clients::Clients,
    entries::Entries,
    faults::Phase,
    logs::Logs,
    names::Name,
    view::Seat,
};
use crate::history::Id;

/// What a page has shown of a room, from top to bottom. None where it says that something is missing.
#[derive(Debug, Default)]
pub(super) struct Screens(HashMap<Seat, Vec<(Place, Option<Id>)>>);

impl Screens {
    /// One more message, or the word that some are missing.
    pub fn show(&mut self, book: &mut Book, seat: Seat, id: Option<Id>) {
        let rows = self.0.entry(seat).or_default();
        let last = rows.last().copied().and_then(|(_, last)| last);
        // Below a gap what was shown may come again: the log is another.
        if let (Some(id), Some(last)) = (id, last)
            && id <= last
        {
            let again = rows.iter().any(|(_, shown)| *shown == Some(id));
            let anomaly = if again { Anomaly::Duplicate } else { Anomaly::ReorderedRoom };
            book.note(anomaly, |book| {
                let (client, room) = (book.names.of(seat.client), book.names.of(seat.room));
                format!("the page of {client} shows {id} in {room} below {last}")
            });
        }
        rows.push((book.place, id));
    }

    /// Between two messages of a screen the log has none that the screen lacks, and after its last neither, if it was there
    /// to the end.
    pub fn find_unseen(
        &self,
        book: &mut Book,
        (logs, entries): (&Logs, &Entries),
        clients: &Clients,
        healed: Place,
    ) {
        let mut screens: Vec<_> = self.0.iter().collect();
        screens.sort_unstable_by_key(|(seat, _)| **seat);
        for (seat, rows) in screens {
            let Some(log) = logs.of(seat.room) else { continue };
            let missing = |after: Id, before: Option<Id>| {
                let until = |id: &&Id| before.is_none_or(|before| **id < before);
                log.after(after).iter().take_while(until).copied().collect::<Vec<_>>()
            };
            let tell = |book: &mut Book, seat: Seat, place: Place, missing: Vec<Id>| {
                tell(book, entries, seat, place, missing);
            };
            for pair in rows.windows(2) {
                let [(_, Some(one)), (place, Some(next))] = pair else { continue };
                tell(book, *seat, *place, missing(*one, Some(*next)));
            }
            match rows.last() {
                Some((_, Some(last))) if clients.stayed(seat.client, healed) => {
                    tell(book, *seat, healed, missing(*last, None));
                }
                _ => {}
            }
        }
        // One that shows nothing at all lacks whatever was said since it was there.
        for (seat, first) in clients.at_pages(healed) {
            if let Some(log) = logs.of(seat.room).filter(|_| !self.0.contains_key(&seat)) {
                tell(book, entries, seat, healed, log.after(first).to_vec());
            }
        }
    }
}

/// Edits and removals change a line that is there, if any is, and have none of their own.
fn tell(book: &mut Book, entries: &Entries, seat: Seat, place: Place, missing: Vec<Id>) {
    let op = |id: &Id| entries.find(seat.room, *id)?.content.op;
    let missing: Vec<Id> = missing
        .into_iter()
        .filter(|id| !op(id).is_some_and(|op| book.operations.get(op).is_change))
        .collect();
    for id in missing {
        book.note_at(Anomaly::Unseen, place, |book| {
            let (client, room) = (book.names.of(seat.client), book.names.of(seat.room));
            format!("the page of {client} does not show {id} in {room}, and says nothing")
        });
    }
}

/// A page may say that it is without service while something is broken, or was a moment ago. A roll is no such thing.
pub(super) fn judge_banner(book: &mut Book, client: &str, words: &str) {
    let is_true = match book.faults.phase(book.place.at) {
        Phase::Quiet => false,
        Phase::One(fault) => book.faults.all[fault].name != "roll",
        Phase::Aftermath | Phase::Several => true,
    };
    if !words.is_empty() && !is_true {
        book.note(Anomaly::FalseBanner, |_| format!("the page of {client} says {words:?}"));
    }
}

/// The histories being read: when each reading began, and the message before.
#[derive(Debug, Default)]
pub(super) struct Readings(HashMap<(Name, Name), (u64, Option<Id>)>);

impl Readings {
    pub fn begin(&mut self, book: &Book, seat: Seat) {
        self.0.insert((seat.client, seat.room), (book.place.at, None));
    }

    /// Each message follows the one before it, over the edges of pages too.
    pub fn read(&mut self, book: &mut Book, seat: Seat, (id, prev): (Id, Id)) {
        let (began, last) = self.0.entry((seat.client, seat.room)).or_default();
        let (began, last) = (*began, last.replace(id));
        let Some(last) = last.filter(|last| *last != prev) else { return };
        // Pages before and after a loss need not fit.
        if book.faults.anything_between(began, book.place.at) {
            return;
        }
        book.note(Anomaly::SkippedMessage, |book| {
            let (client, room) = (book.names.of(seat.client), book.names.of(seat.room));
            format!("{client} read {id} in {room}, which follows {prev}, next to {last}")
        });
    }
}
