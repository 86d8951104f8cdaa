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
//!   is gone lies in the final log.
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
mod leaks;
mod logs;
mod names;
mod ops;
mod report;
#[cfg(test)]
mod tests;
mod view;

use std::{collections::HashSet, path::Path};

use self::{
    anomaly::Place,
    book::Book,
    clients::{Clients, compare},
    entries::{Content, Entries},
    figures::Meter,
    gaps::{Broken, Gap},
    leaks::{Leaks, Taken},
    logs::Logs,
    names::Name,
    ops::Outcome,
    view::Seat,
};
pub use self::{
    anomaly::{Anomaly, Finding, Found},
    figures::{Durations, Figures, Recovery},
    report::Report,
};
use crate::history::{self, Entered, Gone, Id, Record, What};

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
    /// Reads the next record.
    pub fn record(&mut self, Record { at, what }: &Record) {
        self.book.place = Place { line: self.book.place.line + 1, at: *at };
        match what {
            What::Run { seed, mutant } => {
                self.seed = Some(*seed);
                self.mutant.clone_from(mutant);
            }
            What::Healed => self.healed = Some(self.book.place),
            What::End => self.ended = true,
            What::Began { .. } | What::Join { .. } | What::Leave { .. } | What::Gone { .. } => {
                self.came_or_went(what);
            }
            What::Invoke { .. } | What::Ok { .. } | What::Fail { .. } | What::Info { .. } => {
                self.operation(what);
            }
            What::Connected { .. }
            | What::Lost { .. }
            | What::Silence { .. }
            | What::Live { .. } => {
                self.connection(what);
            }
            What::Joined { .. }
            | What::Message { .. }
            | What::Gap { .. }
            | What::Broken { .. }
            | What::Presence { .. }
            | What::Members { .. } => self.told(what),
            What::Fault { .. }
            | What::Undone { .. }
            | What::Destroying { .. }
            | What::Destroyed => self.nemesis(what),
            What::Entry { .. } | What::Observed { .. } | What::Resources { .. } => self.end(what),
        }
    }

    /// The history itself is wrong, so it proves nothing.
    fn malformed(&mut self, why: &str) {
        self.book.note(Anomaly::Incomplete, |_| why.to_owned());
    }

    fn seat(&mut self, client: &str, room: &str) -> Seat {
        let names = &mut self.book.names;
        let seat = Seat { client: names.number(client), room: names.number(room) };
        self.rooms.insert(seat.room);
        seat
    }

    fn came_or_went(&mut self, what: &What) {
        match what {
            What::Began { client, role, rooms } => {
                let name = self.book.names.number(client);
                let known = self.clients.all.entry(name).or_default();
                known.is_slow = role == "slow";
                known.gone = None;
                for room in rooms {
                    let seat = self.seat(client, room);
                    let view = self.clients.views.entry(seat).or_default();
                    view.leave();
                    view.enter();
                }
            }
            What::Join { client, room } => {
                let seat = self.seat(client, room);
                self.clients.views.entry(seat).or_default().enter();
            }
            What::Leave { client, room } => {
                let seat = self.seat(client, room);
                self.clients.views.entry(seat).or_default().leave();
            }
            What::Gone { client, how } => {
                let name = self.book.names.number(client);
                let place = self.book.place;
                self.clients.all.entry(name).or_default().gone = Some((*how, place));
                if *how == Gone::Expelled {
                    self.book.note(Anomaly::Expelled, |_| format!("{client} was turned away"));
                }
            }
            _ => {}
        }
    }

    fn operation(&mut self, what: &What) {
        let place = self.book.place;
        let (op, outcome) = match what {
            What::Invoke { op, client, room, hash } => {
                let Seat { client, room } = self.seat(client, room);
                let operations = &mut self.book.operations;
                if !operations.invoke(*op, client, room, hash.clone(), place) {
                    self.malformed(&format!("op {op} is not the only one of its number or text"));
                }
                return;
            }
            What::Ok { op, id, .. } => (op, Outcome::Ok { id: *id, place }),
            What::Fail { op, .. } => (op, Outcome::Fail(place)),
            What::Info { op, .. } => (op, Outcome::Info),
            _ => return,
        };
        if !self.book.operations.settle(*op, outcome) {
            self.malformed(&format!("op {op} had an outcome before, or never was"));
        }
    }

    fn connection(&mut self, what: &What) {
        let figures = &mut self.meter.figures;
        match what {
            What::Connected { client, member, why, .. } => {
                figures.moves += u64::from(why == "move");
                let names = &mut self.book.names;
                let (client, member) = (names.number(client), names.number(member));
                self.book.owners.insert(member, client);
                let client = self.clients.all.entry(client).or_default();
                client.member = Some(member);
                client.moves = why == "move";
                client.lives += u64::from(!client.moves);
            }
            What::Lost { abrupt, .. } => {
                figures.lost += 1;
                figures.abrupt += u64::from(*abrupt);
            }
            What::Silence { ms, .. } => self.meter.silence(self.book.place.at, *ms),
            _ => {}
        }
    }

    fn told(&mut self, what: &What) {
        match what {
            What::Joined { client, room, how, cursor, present } => {
                let seat = self.seat(client, room);
                let life = self.clients.all.entry(seat.client).or_default().lives;
                let fresh_in = (*how == Entered::Fresh).then_some(life);
                let view = self.clients.views.entry(seat).or_default();
                view.joined(&mut self.book, seat, *cursor, fresh_in);
                view.present = present.iter().map(|it| self.book.names.number(it)).collect();
            }
            What::Members { client, room, present } => {
                let seat = self.seat(client, room);
                let present = present.iter().map(|it| self.book.names.number(it)).collect();
                self.clients.views.entry(seat).or_default().present = present;
            }
            What::Presence { client, room, member, here } => {
                let seat = self.seat(client, room);
                let member = self.book.names.number(member);
                let present = &mut self.clients.views.entry(seat).or_default().present;
                if *here {
                    present.insert(member)
                } else {
                    present.remove(&member)
                };
            }
            What::Message { client, room, id, prev, member, n, hash } => {
                let seat = self.seat(client, room);
                let content = self.content(*prev, member, *n, hash);
                self.message(seat, *id, content, room);
            }
            What::Gap { client, room, after, resumes_at, reason } => {
                let seat = self.seat(client, room);
                self.gap(seat, *after, *resumes_at, reason == "rewound");
            }
            What::Broken { client, room, id, expected, got } => {
                let (seat, place) = (self.seat(client, room), self.book.place);
                let view = self.clients.views.entry(seat).or_default();
                self.broken.push(Broken {
                    seat,
                    place,
                    id: *id,
                    expected: *expected,
                    got: *got,
                    anomaly: view.silence(&self.book, place),
                    rewound_at: view.rewound_at,
                    moves: self.clients.all.get(&seat.client).is_some_and(|it| it.moves),
                });
            }
            _ => {}
        }
    }

    fn content(&mut self, prev: Id, member: &str, n: u64, hash: &str) -> Content {
        let member = self.book.names.number(member);
        Content { prev, member, n, op: self.book.operations.by_hash(hash) }
    }

    fn message(&mut self, seat: Seat, id: Id, content: Content, room: &str) {
        self.meter.figures.deliveries += 1;
        let index = self.entries.show(&mut self.book, (seat.room, id), content, Some(seat.client));
        let view = self.clients.views.entry(seat).or_default();
        view.message(&mut self.book, seat, &self.entries, index);
        let is_slow = self.clients.all.get(&seat.client).is_some_and(|client| client.is_slow);
        if let Some(op) = content.op.filter(|_| !is_slow) {
            let (sent, at) = (self.book.operations.get(op).invoked.at, self.book.place.at);
            self.meter.delivery(&self.book.faults, self.healed.is_some(), room, sent, at);
        }
    }

    fn gap(&mut self, seat: Seat, after: Id, resumes_at: Id, rewound: bool) {
        self.meter.figures.gaps += 1;
        let view = self.clients.views.entry(seat).or_default();
        view.gap(&self.book, after, resumes_at, rewound);
        self.gaps.push(Gap { seat, place: self.book.place, after, resumes_at, rewound });
    }

    fn nemesis(&mut self, what: &What) {
        let at = self.book.place.at;
        let faults = &mut self.book.faults;
        let makes_sense = match what {
            What::Fault { step, fault, target } => {
                faults.begin(*step, fault.clone(), target.clone(), at);
                true
            }
            What::Undone { step, fault } => faults.end(*step, fault, at),
            What::Destroying { loss } => {
                faults.destroying(*loss, at);
                true
            }
            What::Destroyed => faults.destroyed(at),
            _ => true,
        };
        if !makes_sense {
            self.malformed("the end of something that had not begun");
        }
    }

    fn end(&mut self, what: &What) {
        match what {
            What::Entry { room, id, prev, member, n, hash } => {
                let room = self.book.names.number(room);
                let content = self.content(*prev, member, *n, hash);
                let index = self.entries.show(&mut self.book, (room, *id), content, None);
                self.logs.entry(&mut self.book, self.entries.get(index));
            }
            What::Observed { room, replica, present } => {
                let names = &mut self.book.names;
                let room = names.number(room);
                let present = present.iter().map(|member| names.number(member)).collect();
                self.observed.push((self.book.place, room, replica.clone(), present));
            }
            What::Resources { when, container, rss, fds, threads, tasks } => {
                let taken = Taken { rss: *rss, fds: *fds, threads: *threads, tasks: *tasks };
                match when.as_str() {
                    "before" => self.leaks.before(container, taken),
                    _ => self.leaks.after(&mut self.book, container, taken),
                }
            }
            _ => {}
        }
    }

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
        let Self { mut book, meter, seed, mutant, .. } = self;
        let figures = meter.finish(&book.faults);
        if let Some((flood, quiet)) = figures.noisy_neighbour() {
            let detail = |_: &_| format!("p99 {flood:.1} ms beside the flood, {quiet:.1} ms quiet");
            book.note(Anomaly::NoisyNeighbour, detail);
        }
        let Book { place, faults, findings, .. } = book;
        let anomalies = findings.explained(|at| faults.around(at));
        let (records, seconds) = (place.line - 1, place.at as f64 / 1e6);
        Report { ok: anomalies.is_empty(), seed, mutant, records, seconds, anomalies, figures }
    }

    fn judge_end(&mut self, healed: Place) {
        let Self { book, logs, entries, clients, .. } = self;
        logs.find_lost(book, entries);
        logs.find_passed_over(book, entries);
        self.gaps.iter().for_each(|gap| gap.judge(book, logs));
        self.broken.iter().for_each(|broken| broken.judge(book, logs, &self.gaps));
        clients.find_repeated(book, logs);
        clients.find_unseen(book, logs, entries, healed);
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
