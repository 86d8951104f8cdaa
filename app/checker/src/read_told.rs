//! Reading what a history says that the clients were told, by frames, on the page and in pages of the log.

use super::{
    anomaly::Anomaly,
    book::Book,
    checker::Checker,
    clients::Role,
    entry::Content,
    gaps::{Broken, Gap},
    late,
    pages::judge_banner,
    view::Seat,
};
use crate::history::{Changed, EDITED, Entered, Id, UNSAID, What};

impl Checker {
    pub(super) fn told(&mut self, what: &What) {
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
                let client = self.clients.all.get(&seat.client);
                self.broken.push(Broken {
                    seat,
                    place,
                    id: *id,
                    expected: *expected,
                    got: *got,
                    anomaly: view.silence(&self.book, place),
                    rewound_at: view.rewound_at,
                    moves: client.is_some_and(|it| it.moves),
                    release: client.and_then(|it| it.served).map(|it| it.release),
                });
            }
            _ => {}
        }
    }

    pub(super) fn read_in_pages(&mut self, what: &What) {
        match what {
            What::Shown { client, room, id, hash } => {
                let seat = self.seat(client, room);
                self.meter.figures.deliveries += 1;
                self.screens.show(&mut self.book, seat, Some(*id));
                self.expect_said(hash, |_| format!("the page of {client} shows {id} in {room}"));
            }
            What::Changed(Changed { client, room, id, hash }) => {
                self.expect_said(hash, |_| format!("the page of {client} changes {id} in {room}"));
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

    pub(super) fn content(&mut self, prev: Id, member: &str, n: u64, hash: &str) -> Content {
        let member = self.book.names.number(member);
        if let Some(edited) = hash.strip_prefix(EDITED) {
            self.expect_said(edited, |book| {
                format!("an edit of {} after {prev}", book.names.of(member))
            });
        }
        let is_said = hash != UNSAID && !hash.starts_with(EDITED);
        Content { prev, member, n, op: self.book.operations.by_hash(hash), is_said }
    }

    /// A text that is not that of a new message: somebody said it all the same.
    fn expect_said(&mut self, hash: &str, what: impl FnOnce(&Book) -> String) {
        if hash != UNSAID && self.book.operations.by_hash(hash).is_none() {
            self.book.note(Anomaly::Phantom, |book| {
                format!("{}, with a text that nobody sent", what(book))
            });
        }
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
        // Clients that came later are told what was before, too.
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
}
