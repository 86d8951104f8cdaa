//! Reads a history and names what should not have happened. Pure; shares no code with the server.
//!
//! One pass, a record at a time ([`Checker::record`]), then what only the end can tell
//! ([`Checker::finish`]). Kept are one small struct an operation and an entry, and four bytes a delivery,
//! so that a history of an hour fits into memory and is checked in seconds.
//!
//! What real destruction excuses, and no more:
//! - an acknowledged operation may be missing from the log if it was sent before the destruction was
//!   over and lay where that kind of destruction takes: below the log's beginning for a trim, above
//!   everything older that survived for a flush or a lost tail;
//! - after a gap `rewound`, what a client had may come again as another entry, and numbers may start over;
//! - a gap has its reason if a destruction of its kind began before it, and nothing that it says
//!   is gone lies in the log when that is read next.
//!
//! What the logs had just before a destruction (a snapshot) is judged like the final logs, by what was
//! certain when they began to be read: no destruction hides what was wrong before it.
//!
//! It never excuses silence: a chain that breaks without a gap is an anomaly whatever was destroyed.

mod anomaly;
mod book;
mod clients;
mod entries;
mod faults;
mod figures;
mod gaps;
mod histogram;
mod late;
mod leaks;
mod logs;
mod names;
mod neighbours;
mod ops;
mod read;
mod report;
#[cfg(test)]
mod tests;
mod view;

use std::{collections::HashSet, path::Path};

use self::{
    anomaly::Place,
    book::Book,
    clients::{Clients, compare},
    entries::Entries,
    figures::Meter,
    gaps::{Broken, Gap},
    leaks::Leaks,
    logs::{Logs, Readings, Snapshot},
    names::Name,
    ops::Outcome,
};
pub use self::{
    anomaly::{Anomaly, Finding, Found},
    figures::{Durations, Figures, Recovery},
    neighbours::{Lateness, Neighbours},
    report::Report,
};
use crate::history::{self, Record};

/// Checks a whole history.
pub fn check<'a>(records: impl IntoIterator<Item = &'a Record>) -> Report {
    let mut checker = Checker::default();
    records.into_iter().for_each(|record| checker.record(record));
    checker.finish()
}

/// Checks the history in a file, which need not fit into memory.
///
/// # Errors
///
/// If the file cannot be read, or a line is no record; names the line.
pub fn check_file(path: &Path) -> anyhow::Result<Report> {
    let mut checker = Checker::default();
    for record in history::records(path)? {
        checker.record(&record?);
    }
    Ok(checker.finish())
}

/// Checks a history while it is read.
#[derive(Debug, Default)]
pub struct Checker {
    book: Book,
    seed: Option<u64>,
    mutant: Option<String>,
    rooms: HashSet<Name>,
    clients: Clients,
    entries: Entries,
    logs: Logs,
    /// Being read.
    snapshot: Option<Snapshot>,
    snapshots: Vec<Snapshot>,
    gaps: Vec<Gap>,
    broken: Vec<Broken>,
    leaks: Leaks,
    meter: Meter,
    healed: Option<Place>,
    ended: bool,
    /// Who was said to be where at the end.
    observed: Vec<(Place, Name, String, Vec<Name>)>,
}

impl Checker {
    /// Judges what only the end can tell.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.book.place.line += 1;
        self.entries.find_phantoms(&mut self.book);
        self.entries.find_aborted(&mut self.book);
        match self.healed.filter(|_| self.ended && self.logs.entries > 0) {
            Some(healed) => self.judge_end(healed),
            None => self.malformed("it does not go on to `healed`, the logs' entries and `end`"),
        }
        self.count();
        let Self { mut book, meter, leaks, seed, mutant, .. } = self;
        let tells = meter.has_floods_to_tell();
        let mut figures = meter.finish(&book.faults);
        figures.watched = leaks.finish(&mut book);
        match figures.neighbours {
            Some(it) if it.feel_it() => book.note(Anomaly::NoisyNeighbour, |_| it.to_string()),
            None if tells => book.note(Anomaly::Incomplete, |_| {
                "its floods do not tell whether other rooms feel them".to_owned()
            }),
            _ => {}
        }
        let Book { place, faults, findings, .. } = book;
        let anomalies = findings.explained(|at| faults.around(at));
        let (records, seconds) = (place.line - 1, place.at as f64 / 1e6);
        Report { ok: anomalies.is_empty(), seed, mutant, records, seconds, anomalies, figures }
    }

    fn judge_end(&mut self, healed: Place) {
        let Self { book, logs, entries, clients, snapshots, .. } = self;
        logs.find_lost(book, entries, book.place);
        logs.find_passed_over(book, entries);
        let read = Readings { snapshots, last: logs };
        self.gaps.iter().for_each(|gap| gap.judge(book, read));
        self.broken.iter().for_each(|broken| broken.judge(book, read, entries, &self.gaps));
        clients.find_unsettled(book, healed);
        clients.find_repeated(book, read);
        clients.find_unseen(book, logs, entries, healed);
        for snapshot in &self.snapshots {
            clients.find_unseen_then(book, logs, entries, snapshot, healed);
        }
        clients.find_wrong_views(book, healed);
        for (place, room, replica, present) in &self.observed {
            let expected = clients.expected(*room, healed);
            let present = present.iter().copied().collect();
            compare(book, *place, *room, &expected, &present, |_| format!("{replica}'s view"));
        }
    }

    fn count(&mut self) {
        let figures = &mut self.meter.figures;
        figures.clients = self.clients.all.len() as u64;
        figures.rooms = self.rooms.len() as u64;
        figures.entries = self.logs.entries;
        for operation in &self.book.operations.all {
            match operation.outcome {
                Outcome::Ok { .. } => figures.ok += 1,
                Outcome::Fail(_) => figures.fail += 1,
                Outcome::Info => figures.info += 1,
            }
        }
        if figures.ok == 0 || figures.deliveries == 0 {
            let (ok, deliveries) = (figures.ok, figures.deliveries);
            self.book.note(Anomaly::NothingHappened, |_| {
                format!("{ok} operations were acknowledged, {deliveries} messages delivered")
            });
        }
    }
}
