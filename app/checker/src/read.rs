//! Reading a history, a record at a time: who is meant, and which part of the checker it concerns.

use super::{
    anomaly::{Anomaly, Place},
    book::Book,
    checker::Checker,
    clients::{Role, Served, note_unrecovered},
    entry::Content,
    gaps::{Broken, Gap},
    late,
    leaks::Taken,
    limits,
    logs::{Logs, Snapshot},
    ops::Outcome,
    pages::judge_banner,
    view::Seat,
};
use crate::history::{Entered, Gone, Id, Record, What};

impl Checker {
    /// Reads the next record.
    pub fn record(&mut self, Record { at, what }: &Record) {
        self.book.place = Place { line: self.book.place.line + 1, at: *at };
        self.looks.look(&mut self.book, &self.clients);
        match what {
            What::Run { seed, mutant } => {
                self.seed = Some(*seed);
                self.mutant.clone_from(mutant);
            }
            What::Cast { clients, probe, strangers } => {
                self.phases.cast = Some((*clients, *probe));
                self.book.strangers = *strangers;
            }
            What::PhaseBegan { .. }
            | What::PhaseEnded { .. }
            | What::Turn { .. }
            | What::Asked { .. } => self.phase(what),
            What::Named { client, member, name } => {
                let names = &mut self.book.names;
                let (client, member) = (names.number(client), names.number(member));
                self.called.push((self.book.place, client, member, name.clone()));
            }
            What::Healed => self.healed = Some(self.book.place),
            What::Listed { members } => self.book.listed = Some(*members),
            What::Incomplete { why } => self.malformed(why),
            What::Shown { .. }
            | What::Noted { .. }
            | What::Banner { .. }
            | What::Reading { .. }
            | What::Read { .. } => self.read_in_pages(what),
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
            | What::Repeated { .. }
            | What::Presence { .. }
            | What::Members { .. } => self.told(what),
            What::Fault { .. }
            | What::Undone { .. }
            | What::Measured { .. }
            | What::Snapshot
            | What::Destroying { .. }
            | What::Destroyed => self.nemesis(what),
            What::Entry { .. } | What::Observed { .. } | What::Resources { .. } => self.end(what),
        }
    }

    /// The history itself is wrong, so it proves nothing.
    pub(super) fn malformed(&mut self, why: &str) {
        self.book.note(Anomaly::Incomplete, |_| why.to_owned());
    }

    /// A form that nobody has told the checker of: what it means is not known, so it counts as broken.
    fn unknown(&mut self, what: &str, form: &str) {
        self.book.note(Anomaly::Unknown, |_| format!("{what} {form:?}"));
    }

    pub(super) fn seat(&mut self, client: &str, room: &str) -> Seat {
        let names = &mut self.book.names;
        let seat = Seat { client: names.number(client), room: names.number(room) };
        self.rooms.insert(seat.room);
        seat
    }

    fn came_or_went(&mut self, what: &What) {
        match what {
            What::Began { client, role, rooms } => {
                let name = self.book.names.number(client);
                self.clients.all.entry(name).or_default().began(role);
                for room in rooms {
                    let seat = self.seat(client, room);
                    let view = self.clients.views.entry(seat).or_default();
                    view.leave(self.book.place);
                    view.enter();
                }
            }
            What::Join { client, room } => {
                let seat = self.seat(client, room);
                self.clients.views.entry(seat).or_default().enter();
            }
            What::Leave { client, room } => {
                let seat = self.seat(client, room);
                self.clients.views.entry(seat).or_default().leave(self.book.place);
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
                let phase = self.book.faults.phase(place.at);
                let operations = &mut self.book.operations;
                if !operations.invoke(*op, client, room, hash.clone(), place, phase) {
                    self.malformed(&format!("op {op} is not the only one of its number or text"));
                }
                return self.phases.said();
            }
            What::Ok { op, id, .. } => (op, Outcome::Ok { id: *id, place }),
            What::Fail { op, .. } => (op, Outcome::Fail(place)),
            What::Info { op, .. } => (op, Outcome::Info),
            _ => return,
        };
        let Some(op) = self.book.operations.settle(*op, outcome) else {
            return self.malformed(&format!("op {op} had an outcome before, or never was"));
        };
        if outcome == Outcome::Info {
            let it = self.book.operations.get(op);
            let view = self.clients.views.get(&Seat { client: it.client, room: it.room });
            let blind =
                view.and_then(|view| view.blind).is_some_and(|at| at.line > it.invoked.line);
            self.book.operations.excuse(op, blind);
        }
        match what {
            What::Ok { .. } => self.phases.acknowledged(self.book.operations.get(op).invoked.at),
            What::Fail { code, .. } => {
                let which = self.book.describe_op(op);
                self.phases.refused(&mut self.book, &which, code);
            }
            _ => {}
        }
        if matches!(outcome, Outcome::Ok { .. })
            && let Some(sender) = self.clients.all.get(&self.book.operations.get(op).client)
        {
            late::judge(&mut self.book, op, [sender, sender], |_| "was acknowledged".to_owned());
        }
    }

    fn connection(&mut self, what: &What) {
        let at = self.book.place.at;
        match what {
            What::Connected { client, member, replica, release, why } => {
                self.connected(client, member, [replica, release], why);
            }
            What::Lost { client, replica, how, abrupt } => {
                let figures = &mut self.meter.figures;
                figures.lost += 1;
                figures.abrupt += u64::from(*abrupt);
                let names = &mut self.book.names;
                let (name, replica) = (names.number(client), names.number(replica));
                let client = self.clients.all.entry(name).or_default();
                client.lost(at);
                client.lost_to(replica);
                if client.is_steady && !client.is_gone() {
                    self.phases.lost(&mut self.book, name, replica, how, *abrupt);
                }
            }
            What::Silence { client, ms } => {
                self.meter.silence(at, *ms);
                // An event stream says nothing else of its connections.
                let name = self.book.names.number(client);
                let client = self.clients.all.entry(name).or_default();
                let since = at.saturating_sub(ms.saturating_mul(1000));
                client.lost(since);
                client.back(at);
                if client.is_steady {
                    self.phases.silent(&mut self.book, name, *ms, client.is_stream);
                }
                if client.role == Role::Usual {
                    note_unrecovered(&mut self.book, name, since);
                }
            }
            // It has a connection: one that a move had opened before it lost the other.
            What::Live { client, .. } => {
                let name = self.book.names.number(client);
                self.clients.all.entry(name).or_default().back(at);
            }
            _ => {}
        }
    }

    fn connected(&mut self, client: &str, member: &str, by: [&str; 2], why: &str) {
        if !["fresh", "resume", "move"].contains(&why) {
            self.unknown("a connection was opened for", why);
        }
        self.meter.figures.moves += u64::from(why == "move");
        let names = &mut self.book.names;
        let (name, member) = (names.number(client), names.number(member));
        let [replica, release] = by.map(|name| names.number(name));
        self.book.owners.insert(member, name);
        let client = self.clients.all.entry(name).or_default();
        client.member = Some(member);
        client.moves = why == "move";
        client.lives += u64::from(!client.moves);
        client.back(self.book.place.at);
        client.welcomed(Served { replica, release }, why);
        if client.is_steady {
            self.phases.connected(&mut self.book, name, why);
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
                self.presence(client, room, member, *here);
            }
            What::Message { client, room, id, prev, member, n, hash } => {
                let seat = self.seat(client, room);
                let content = self.content(*prev, member, *n, hash);
                self.message(seat, *id, content, room);
            }
            What::Gap { client, room, after, resumes_at, reason } => {
                let seat = self.seat(client, room);
                if !["trimmed", "rewound"].contains(&reason.as_str()) {
                    self.unknown("a gap because of", reason);
                }
                self.gap(seat, *after, *resumes_at, reason == "rewound");
            }
            What::Repeated { client, room, id, after } => {
                self.book.note(Anomaly::Duplicate, |_| {
                    format!("{client} in {room}: one connection brought {id} after {after}")
                })
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

    fn read_in_pages(&mut self, what: &What) {
        match what {
            What::Shown { client, room, id, hash } => {
                let seat = self.seat(client, room);
                self.meter.figures.deliveries += 1;
                self.screens.show(&mut self.book, seat, Some(*id));
                if self.book.operations.by_hash(hash).is_none() {
                    self.book.note(Anomaly::Phantom, |_| {
                        format!(
                            "the page of {client} shows {id} in {room}, a text that nobody sent"
                        )
                    });
                }
            }
            What::Noted { client, room } => {
                let seat = self.seat(client, room);
                self.screens.show(&mut self.book, seat, None);
            }
            What::Banner { client, words } => judge_banner(&mut self.book, client, words),
            What::Reading { client, room } => {
                let seat = self.seat(client, room);
                self.readings.begin(&self.book, seat);
            }
            What::Read { client, room, id, prev, member, n, hash } => {
                let seat = self.seat(client, room);
                let content = self.content(*prev, member, *n, hash);
                let entry = (seat.room, *id);
                self.entries.show(&mut self.book, entry, content, Some(seat.client));
                self.readings.read(&mut self.book, seat, (*id, *prev));
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
        let Some(client) = self.clients.all.get(&seat.client) else { return };
        let Some(op) = content.op.filter(|_| client.role != Role::Slow) else { return };
        let Book { operations, faults, place, .. } = &self.book;
        let healed = self.healed.is_some();
        let it = operations.get(op);
        let sender = self.clients.all.get(&it.client).unwrap_or(client);
        let away = [client, sender]
            .iter()
            .filter_map(|it| it.away_at(operations.get(op).invoked.at))
            .min();
        self.meter.delivery(faults, healed, room, it, away, place.at);
        // Who came later is told what was before too.
        if view.was_in(it.invoked) {
            let sent = it.invoked.at;
            self.phases.delivered(sent, place.at.saturating_sub(sent));
            self.meter.held(faults, it.invoked.at, place.at);
            late::judge(&mut self.book, op, [sender, client], |book| {
                format!("reached {}", book.names.of(seat.client))
            });
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
        if let What::Measured { figure, of, value, limit } = what {
            let limits = &mut self.meter.figures.limits;
            limits::judge(&mut self.book, limits, figure, of, (*value, *limit));
        }
        if matches!(what, What::Destroying { .. }) {
            self.judge_snapshot();
        }
        let faults = &mut self.book.faults;
        let makes_sense = match what {
            What::Fault { step, fault, target } => {
                faults.begin(*step, fault.clone(), target.clone(), at);
                self.roll_under_faults(fault);
                true
            }
            What::Undone { step, fault } => {
                let known = faults.end(*step, fault, at);
                self.roll_under_faults("");
                known
            }
            What::Destroying { loss } => {
                faults.destroying(*loss, at);
                true
            }
            What::Destroyed => faults.destroyed(at),
            What::Snapshot => {
                self.snapshot = Some(Snapshot { begun: self.book.place, logs: Logs::default() });
                true
            }
            _ => true,
        };
        if !makes_sense {
            self.malformed("the end of something that had not begun");
        }
    }

    /// The logs have been read, and will be destroyed: what is missing now is not the nemesis' doing.
    fn judge_snapshot(&mut self) {
        if let Some(mut snapshot) = self.snapshot.take() {
            snapshot.logs.find_lost(&mut self.book, &self.entries, snapshot.begun);
            self.clients.find_passed_over(&mut self.book, &self.entries, &snapshot);
            self.snapshots.push(snapshot);
        }
    }

    fn end(&mut self, what: &What) {
        match what {
            What::Entry { room, id, prev, member, n, hash } => {
                let room = self.book.names.number(room);
                let content = self.content(*prev, member, *n, hash);
                let index = self.entries.show(&mut self.book, (room, *id), content, None);
                let logs = self.snapshot.as_mut().map_or(&mut self.logs, |it| &mut it.logs);
                logs.entry(&mut self.book, self.entries.get(index));
            }
            What::Observed { room, replica, present } => {
                let names = &mut self.book.names;
                let room = names.number(room);
                let present = present.iter().map(|member| names.number(member)).collect();
                self.observed.push((self.book.place, room, replica.clone(), present));
            }
            What::Resources { when, container, since, rss, fds, threads, tasks } => {
                let taken = Taken { rss: *rss, fds: *fds, threads: *threads, tasks: *tasks };
                if let Some(since) = since {
                    self.leaks.look(container, *since, taken, self.book.place.at);
                }
                match when.as_str() {
                    "before" => self.leaks.before(container, taken),
                    "after" => self.leaks.after(&mut self.book, container, taken),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}
