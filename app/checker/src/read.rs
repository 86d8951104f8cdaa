//! Reading a history, a record at a time: which client it is about, and which part of the checker it concerns.

use super::{
    anomaly::{Anomaly, Place},
    checker::Checker,
    clients::{Role, Served, note_unrecovered},
    late,
    ops::Outcome,
    view::Seat,
};
use crate::history::{Gone, Op, Record, What};

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
            | What::Changed(_)
            | What::Noted { .. }
            | What::Banner { .. }
            | What::Reading { .. }
            | What::Read { .. } => self.read_in_pages(what),
            What::End => self.ended = true,
            What::Began { .. } | What::Join { .. } | What::Leave { .. } | What::Gone { .. } => {
                self.came_or_went(what);
            }
            What::Change { op } => self.change(*op),
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
    pub(super) fn unknown(&mut self, what: &str, form: &str) {
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

    fn change(&mut self, op: Op) {
        if !self.book.operations.is_change(op) {
            self.malformed(&format!("op {op} changes something, and never was"));
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
            What::Ok { .. } => {
                let it = self.book.operations.get(op);
                // A page is looked at now and then only.
                let sender = self.clients.all.get(&it.client).map(|sender| sender.role);
                let late = place.at.saturating_sub(it.invoked.at);
                let late = (sender != Some(Role::Page)).then_some(late);
                self.phases.acknowledged(it.invoked.at, late);
            }
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
}
