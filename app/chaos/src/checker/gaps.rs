//! Gaps and broken chains, judged once the final logs are known.

use super::{
    anomaly::{Anomaly, Place},
    book::Book,
    logs::Logs,
    view::Seat,
};
use crate::history::Id;

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
}

impl Gap {
    /// A gap needs a destruction of its kind before it, and nothing that it says is gone may lie
    /// in the log: a trim spared nothing up to `resumes_at`, a rewind did not spare the cursor.
    pub fn judge(&self, book: &mut Book, logs: &Logs) {
        let Self { seat, place, after, resumes_at, rewound } = *self;
        let log = logs.of(seat.room);
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
    /// During a move, the old connection may still bring what the log has lost when the new one has
    /// told of the loss already. That is refused, rightly, and nothing else is excused.
    pub fn judge(&self, book: &mut Book, logs: &Logs) {
        let Self { seat, place, id, expected, got, anomaly, rewound_at } = *self;
        let is_gone = !logs.of(seat.room).is_some_and(|log| log.has(id));
        if is_gone && rewound_at.is_some_and(|at| book.faults.explain_gap(true, at)) {
            return;
        }
        book.note_at(anomaly, place, |book| {
            let (client, room) = (book.names.of(seat.client), book.names.of(seat.room));
            format!("{client} in {room}: stood at {expected}, was given {id} that follows {got}")
        });
    }
}
