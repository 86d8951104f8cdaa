//! Gaps and broken chains, judged by what the logs had when they were read next.

use super::{
    anomaly::{Anomaly, Place},
    book::Book,
    entries::Entries,
    logs::Readings,
    names::Name,
    view::Seat,
};
use crate::history::Id;

/// An old connection that outlives a move by this much brings nothing any more, microseconds.
const STALE: u64 = 15_000_000;

#[derive(Debug)]
pub(super) struct Gap {
    pub seat: Seat,
    pub place: Place,
    pub after: Id,
    pub resumes_at: Id,
    pub rewound: bool,
}

/// A message that the client refused, since it did not follow its cursor.
#[derive(Debug)]
pub(super) struct Broken {
    pub seat: Seat,
    pub place: Place,
    pub id: Id,
    pub expected: Id,
    pub got: Id,
    /// What it is called if nothing excuses it.
    pub anomaly: Anomaly,
    /// When the client was last told that this room was rewound.
    pub rewound_at: Option<u64>,
    /// The client's newest connection was opened for a move, so it may have two.
    pub moves: bool,
    /// The release that served it on its newest connection.
    pub release: Option<Name>,
}

impl Gap {
    /// A gap needs a destruction of its kind before it, and nothing that it says is gone may lie
    /// in the log: a trim spared nothing up to `resumes_at`, a rewind did not spare the cursor.
    pub fn judge(&self, book: &mut Book, read: Readings) {
        let Self { seat, place, after, resumes_at, rewound } = *self;
        let log = read.after(place).of(seat.room);
        let there = match rewound {
            true => log.and_then(|log| log.has(after).then_some(after)),
            false => log.and_then(|log| log.after(after).first().copied()),
        };
        let there = there.filter(|id| rewound || *id <= resumes_at);
        let wrong_way = if rewound { resumes_at >= after } else { resumes_at <= after };
        let why = if !book.faults.explain_gap(rewound, place.at) {
            "nothing was destroyed that way".to_owned()
        } else if let Some(id) = there {
            format!("{id} is in the log")
        } else if wrong_way {
            "it goes the wrong way".to_owned()
        } else {
            return;
        };
        book.note_at(Anomaly::FalseGap, place, |book| {
            let (client, room) = (book.names.of(seat.client), book.names.of(seat.room));
            let kind = if rewound { "rewound" } else { "trimmed" };
            format!("{client} in {room}: {kind}, after {after}, on from {resumes_at}; but {why}")
        });
    }
}

impl Broken {
    /// Two connections may tell of one loss at different times, and nothing else is excused:
    /// - the old one still brings what the log has lost when the new one has told of the loss;
    /// - the one brought it when the other had been asked for what follows the cursor before it. The
    ///   client then stands on what is lost, refuses what comes, asks again, and must be told then.
    pub fn judge(&self, book: &mut Book, read: Readings, entries: &Entries, gaps: &[Gap]) {
        let Self { seat, place, id, expected, got, anomaly, .. } = *self;
        let log = read.after(place).of(seat.room);
        let is_gone = |id| !log.is_some_and(|log| log.has(id));
        let is_told = |gap: &Gap| {
            let later = gap.place.line > place.line && book.faults.explain_gap(true, place.at);
            later && gap.seat == seat && gap.rewound && gap.after == expected
        };
        if is_gone(id) && self.is_of_lost_history(book, entries) {
            return;
        }
        if self.moves && is_gone(expected) && gaps.iter().any(is_told) {
            return;
        }
        if let Some(release) = self.release {
            *book.skipped.entry(release).or_default() += 1;
        }
        book.note_at(anomaly, place, |book| {
            let (client, room) = (book.names.of(seat.client), book.names.of(seat.room));
            format!("{client} in {room}: stood at {expected}, was given {id} that follows {got}")
        });
    }

    /// Whether the message may be one that was lost before the client was told of a loss. That it is not in
    /// the log says little if the log was trimmed or flushed before it was read. If any client was shown the message,
    /// that tells when it was there; if none was, only how soon it came tells anything.
    fn is_of_lost_history(&self, book: &Book, entries: &Entries) -> bool {
        let told = self.rewound_at.filter(|at| book.faults.explain_gap(true, *at));
        let Some(told) = told else { return false };
        let Some(entry) = entries.find(self.seat.room, self.id) else {
            return self.place.at <= told + STALE;
        };
        let sent = entry.content.op.map_or(entry.shown.at, |op| book.operations.get(op).invoked.at);
        let was_cut = |since| book.faults.cuts_since(since).any(|cut| cut.begun <= told);
        was_cut(entry.shown.at) || (was_cut(sent) && self.place.at <= told + STALE)
    }
}
