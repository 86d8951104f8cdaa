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

use std::{collections::HashSet, path::Path};

use crate::{
    anomaly::{Anomaly, Place},
    book::Book,
    clients::Clients,
    entries::Entries,
    figures::Meter,
    gaps::{Broken, Gap},
    history::{self, Record},
    leaks::Leaks,
    logs::{Logs, Readings, Snapshot},
    names::Name,
    ops::Outcome,
    pages::{self, Screens},
    phases::Phases,
    presence::{Looks, compare},
    report::Report,
};

/// Checks a whole history.
pub fn check<'a>(records: impl IntoIterator<Item = &'a Record>) -> Report {
    let mut checker = Checker::default();
    records.into_iter().for_each(|record| checker.record(record));
    checker.finish()
}

/// Checks the history in a file, which need not fit into memory. A line that is no record is an anomaly like any other.
///
/// # Errors
///
/// If the file cannot be read.
pub fn check_file(path: &Path) -> anyhow::Result<Report> {
    let mut checker = Checker::default();
    for record in history::records(path)? {
        match record? {
            Ok(record) => checker.record(&record),
            Err(unknown) => checker.no_record(&unknown),
        }
    }
    Ok(checker.finish())
}

/// Checks a history while it is read.
#[derive(Debug, Default)]
pub struct Checker {
    pub(crate) book: Book,
    pub(crate) seed: Option<u64>,
    pub(crate) mutant: Option<String>,
    pub(crate) rooms: HashSet<Name>,
    pub(crate) clients: Clients,
    pub(crate) entries: Entries,
    pub(crate) logs: Logs,
    /// Being read.
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) screens: Screens,
    pub(crate) readings: pages::Readings,
    pub(crate) broken: Vec<Broken>,
    pub(crate) leaks: Leaks,
    pub(crate) meter: Meter,
    pub(crate) phases: Phases,
    pub(crate) looks: Looks,
    /// Members and their names, and the client that was told first.
    pub(crate) called: Vec<(Place, Name, Name, String)>,
    pub(crate) healed: Option<Place>,
    pub(crate) ended: bool,
    /// The members of each room as a newcomer was told them at the end.
    pub(crate) observed: Vec<(Place, Name, String, Vec<Name>)>,
}

impl Checker {
    /// Judges what only the end can tell.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.book.place.line += 1;
        self.entries.find_phantoms(&mut self.book);
        self.entries.find_aborted(&mut self.book);
        self.find_wrong_names();
        self.phases.close(&mut self.book, &self.clients, self.healed);
        match self.healed.filter(|_| self.ended && self.logs.entries > 0) {
            Some(healed) => self.judge_end(healed),
            None => self.malformed("it does not go on to `healed`, the logs' entries and `end`"),
        }
        self.count();
        let Self { mut book, meter, leaks, phases, seed, mutant, .. } = self;
        let tells = meter.has_floods_to_tell();
        let mut figures = meter.finish(&book.faults);
        figures.watched = leaks.finish(&mut book);
        figures.phases = phases.done;
        let skipped = book.skipped.iter();
        figures.skipped =
            skipped.map(|(release, count)| (book.names.of(*release).to_owned(), *count)).collect();
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

    /// A line of the file that is no record.
    pub(crate) fn no_record(&mut self, why: &str) {
        self.book.place.line += 1;
        self.book.note(Anomaly::Unknown, |_| why.to_owned());
    }

    /// Members are called what they are.
    fn find_wrong_names(&mut self) {
        for (place, to, member, name) in &self.called {
            let Some(owner) = self.book.owners.get(member).copied() else { continue };
            // Where a guest's name is somebody's, others see that it is a guest.
            let plain = name.strip_suffix(" (guest)").unwrap_or(name);
            if self.book.names.of(owner) == plain {
                continue;
            }
            self.book.note_at(Anomaly::WrongName, *place, |book| {
                let (to, owner) = (book.names.of(*to), book.names.of(owner));
                format!("{to} was told that {owner} is called {name:?}")
            });
        }
    }

    fn judge_end(&mut self, healed: Place) {
        let Self { book, logs, entries, clients, snapshots, .. } = self;
        logs.find_lost(book, entries, book.place);
        logs.find_passed_over(book, entries);
        let read = Readings { snapshots, last: logs };
        self.gaps.iter().for_each(|gap| gap.judge(book, read));
        self.broken.iter().for_each(|broken| broken.judge(book, read, entries, &self.gaps));
        clients.find_unsettled(book, healed);
        clients.find_unrecovered(book, healed);
        if let Some((cast, _)) = self.phases.cast {
            clients.find_absent(book, cast);
        }
        clients.find_repeated(book, read);
        clients.find_unseen(book, logs, entries, healed);
        for snapshot in &self.snapshots {
            clients.find_unseen_then(book, logs, entries, snapshot, healed);
        }
        clients.find_wrong_views(book, healed);
        self.screens.find_unseen(book, (logs, entries), clients, healed);
        for (place, room, replica, present) in &self.observed {
            let expected = clients.expected(*room, healed);
            let present = present.iter().copied().collect();
            let who = |_: &Book| format!("{replica}'s view");
            compare(book, *place, *room, (&expected, &present), who);
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
