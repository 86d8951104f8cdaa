//! The clients that exist, and what each must have seen and must be seen as when all has healed.

use std::collections::HashMap;

use super::{
    anomaly::{Anomaly, Place},
    book::Book,
    entries::Entries,
    logs::{Log, Logs, Readings, Snapshot},
    names::Name,
    ops::{OpIndex, Outcome},
    view::{Seat, Stay, View},
};
use crate::history::{Gone, Id};

/// How a client behaves, as far as it matters what it is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Role {
    #[default]
    Usual,
    /// It reads slowly on purpose: how late it gets things says nothing.
    Slow,
    /// It sits at a page, where what is shown is read: [`super::pages`] judges that.
    Page,
    /// It only posts: it is in no room, and nothing is told to it.
    Poster,
    /// It is a fault itself, and gives up when the fault is over: it may never know what became of
    /// what it sent.
    Nemesis,
}

impl From<&str> for Role {
    fn from(role: &str) -> Self {
        match role {
            "slow" => Self::Slow,
            "page" => Self::Page,
            "poster" => Self::Poster,
            "flooder" | "stormer" => Self::Nemesis,
            _ => Self::Usual,
        }
    }
}

/// What serves a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Served {
    pub replica: Name,
    pub release: Name,
}

#[derive(Debug, Default)]
pub(super) struct Client {
    pub role: Role,
    /// It neither reads slowly, nor drops connections or vanishes on purpose: what happens to its connections is the
    /// service's doing.
    pub is_steady: bool,
    /// It follows an event stream, or polls: it opens nothing beside what it has.
    pub is_stream: bool,
    /// Where its newest connection is, and the one beside which a move opened that.
    pub served: Option<Served>,
    served_before: Option<Served>,
    /// Its public ID; none before its first connection, and none ever for a client that only posts.
    pub member: Option<Name>,
    /// Connections it has had, but for those that a move opened beside another.
    pub lives: u64,
    /// The newest was opened for a move.
    pub moves: bool,
    /// When it was without service, from and until, microseconds.
    away: Vec<(u64, u64)>,
    pub gone: Option<(Gone, Place)>,
}

impl Client {
    /// It comes, or comes again.
    pub fn began(&mut self, role: &str) {
        self.role = role.into();
        let is_restless = ["ghost", "burster"].contains(&role);
        self.is_steady = self.role == Role::Usual && !is_restless;
        self.is_stream = ["stream", "poller"].contains(&role);
        self.gone = None;
    }

    pub fn is_gone(&self) -> bool {
        self.gone.is_some()
    }

    /// A connection was welcomed.
    pub fn welcomed(&mut self, by: Served, why: &str) {
        self.served_before = self.served.filter(|_| why == "move");
        self.served = Some(by);
    }

    /// The connection to that replica is lost. If that was the one of a move, the one before serves on.
    pub fn lost_to(&mut self, replica: Name) {
        let is_newest = self.served.is_some_and(|it| it.replica == replica);
        if let Some(before) = self.served_before.take().filter(|_| is_newest) {
            self.served = Some(before);
        }
    }

    /// Since when it has been without service.
    pub fn away_since(&self) -> Option<u64> {
        self.away.iter().filter(|(_, until)| *until == u64::MAX).map(|(from, _)| *from).min()
    }

    /// It has no connection any more.
    pub fn lost(&mut self, at: u64) {
        self.away.push((at, u64::MAX));
    }

    /// It has a connection, and had none since it lost the last. It may have lost two, in a move.
    pub fn back(&mut self, at: u64) {
        for (_, until) in &mut self.away {
            *until = at.min(*until);
        }
    }

    /// When the absence began in which this was sent, if it was the last one.
    pub fn away_at(&self, sent: u64) -> Option<u64> {
        let (from, until) = *self.away.last()?;
        (from..until).contains(&sent).then_some(from)
    }

    /// Whether it was without service at any time from `from` to `until`.
    pub fn was_away(&self, from: u64, until: u64) -> bool {
        self.away.iter().any(|(lost, back)| *lost <= until && *back >= from)
    }

    /// Whether it neither went by itself nor was turned away.
    fn was_kept(&self) -> bool {
        self.gone.is_none_or(|(how, _)| how == Gone::Dismissed)
    }

    /// Whether it was there to the end, which begins at `healed`.
    pub fn stayed(&self, healed: Place) -> bool {
        self.gone.is_none_or(|(how, place)| how == Gone::Dismissed && place.line > healed.line)
    }
}

#[derive(Debug, Default)]
pub(super) struct Clients {
    pub all: HashMap<Name, Client>,
    pub views: HashMap<Seat, View>,
}

impl Clients {
    /// The views of clients that stayed, in an order that does not change from run to run.
    pub fn staying(&self, healed: Place) -> Vec<(Seat, &View)> {
        let views = self.views.iter().filter(|(seat, _)| self.stayed(seat.client, healed));
        let mut views: Vec<_> = views.map(|(seat, view)| (*seat, view)).collect();
        views.sort_unstable_by_key(|(seat, _)| *seat);
        views
    }

    /// Each participant hands in something, and is seen to its end.
    pub fn find_absent(&self, book: &mut Book, cast: u64) {
        let counts = |client: &&Client| client.role != Role::Nemesis;
        let came = self.all.values().filter(counts).count() as u64;
        if came < cast {
            book.note(Anomaly::Absent, |_| format!("{came} of {cast} handed in anything"));
        }
        let mut lost: Vec<Name> = self
            .all
            .iter()
            .filter(|(_, client)| counts(client) && !client.is_gone())
            .map(|(name, _)| *name)
            .collect();
        lost.sort_unstable();
        for name in lost {
            book.note(Anomaly::Absent, |book| {
                format!("{}: what it handed in has no end", book.names.of(name))
            });
        }
    }

    /// Nobody who stayed is still without service at the end, long after all was over.
    pub fn find_unrecovered(&self, book: &mut Book, healed: Place) {
        let away = |client: &Client| client.away_since().filter(|_| client.stayed(healed));
        let mut away: Vec<_> = self
            .all
            .iter()
            .filter(|(_, client)| client.role == Role::Usual)
            .filter_map(|(name, client)| Some((*name, away(client)?)))
            .collect();
        away.sort_unstable();
        for (name, since) in away {
            note_unrecovered(book, name, since);
        }
    }

    /// Whether a client was there to the end.
    pub fn stayed(&self, client: Name, healed: Place) -> bool {
        self.all.get(&client).is_some_and(|it| it.stayed(healed))
    }

    /// The views of those who are told by frames, and of those who never came in.
    pub fn told(&self, healed: Place) -> Vec<(Seat, &View)> {
        let mut views = self.staying(healed);
        views.retain(|(seat, it)| it.stay != Stay::In || !self.is(seat.client, Role::Page));
        views
    }

    /// Those at pages that have shown a room, from which message on each needs to see it.
    pub fn at_pages(&self, healed: Place) -> Vec<(Seat, Id)> {
        let mut views = self.staying(healed);
        views.retain(|(seat, it)| it.stay == Stay::In && self.is(seat.client, Role::Page));
        views.into_iter().map(|(seat, view)| (seat, view.first)).collect()
    }

    /// Everything in the log since it came has reached the clients that are there.
    pub fn find_unseen(&self, book: &mut Book, logs: &Logs, entries: &Entries, healed: Place) {
        for (seat, view) in self.told(healed) {
            match view.stay {
                Stay::Out => {}
                Stay::Entering if self.is(seat.client, Role::Poster) => {}
                Stay::Entering => {
                    book.note_at(Anomaly::Unseen, healed, |book| {
                        let (client, room) = (book.names.of(seat.client), book.names.of(seat.room));
                        format!("{client} never came into {room}")
                    });
                }
                Stay::In => find_unseen(book, logs, entries, healed, seat, view),
            }
        }
    }

    /// Nobody has passed over what is in the logs now, before data is destroyed.
    ///
    /// What a client has not come to yet, a cut may take from it, and it need not be told: it never
    /// stood on it.
    pub fn find_passed_over(&self, book: &mut Book, entries: &Entries, it: &Snapshot) {
        let mut views: Vec<_> = self.views.iter().collect();
        views.retain(|(seat, _)| !self.is(seat.client, Role::Page));
        views.sort_unstable_by_key(|(seat, _)| **seat);
        for (seat, view) in views {
            let Some(log) = it.logs.of(seat.room).filter(|_| view.was_in(it.begun)) else {
                continue;
            };
            for id in unheard(log, entries, view).into_iter().filter(|id| *id <= view.cursor()) {
                note_unseen(book, entries, *seat, id, it.begun);
            }
        }
    }

    /// What a trim took has reached the clients that were there, or a gap has said that it will not. After a cut
    /// the same may be gone without a word, so that is not judged.
    pub fn find_unseen_then(
        &self,
        book: &mut Book,
        logs: &Logs,
        entries: &Entries,
        it: &Snapshot,
        healed: Place,
    ) {
        if book.faults.cuts_since(it.begun.at).next().is_some() {
            return;
        }
        for (seat, view) in self.told(healed) {
            let (Some(now), Some(then)) = (logs.of(seat.room), it.logs.of(seat.room)) else {
                continue;
            };
            if view.was_in(it.begun) {
                for id in unheard(then, entries, view).into_iter().filter(|id| !now.has(*id)) {
                    note_unseen(book, entries, seat, id, it.begun);
                }
            }
        }
    }

    /// What came again after a gap had called it lost is lost indeed.
    pub fn find_repeated(&self, book: &mut Book, read: Readings) {
        for (seat, view) in &self.views {
            let there = |(place, id): &&(Place, Id)| {
                read.after(*place).of(seat.room).is_some_and(|log| log.has(*id))
            };
            for (place, id) in view.again.iter().filter(there) {
                book.note_at(Anomaly::Duplicate, *place, |book| {
                    let (client, room) = (book.names.of(seat.client), book.names.of(seat.room));
                    format!("{client} in {room}: was given {id} again after a gap")
                });
            }
        }
    }

    /// A client that stayed was answered in the end: whatever was unknown while things were broken, it looks for in the log,
    /// or sends the same number again until the service says. Whoever only posts is dismissed before all has healed, when it
    /// has had its answers. Excused are a client that went by itself or was turned away, and one that said that nobody can know,
    /// after the part of the log where its message may be had passed it by.
    pub fn find_unsettled(&self, book: &mut Book, healed: Place) {
        for index in 0..OpIndex::try_from(book.operations.all.len()).unwrap_or(OpIndex::MAX) {
            let operation = book.operations.get(index);
            let (client, sent) = (operation.client, operation.invoked);
            let is_unknown = operation.outcome == Outcome::Info && !operation.excused;
            let is_open = is_unknown && sent.line < healed.line;
            let was_kept = self.all.get(&client).is_none_or(Client::was_kept);
            if is_open && was_kept && !self.is(client, Role::Nemesis) {
                book.note_at(Anomaly::Unsettled, sent, |book| {
                    format!("{} has no outcome at the end", book.describe_op(index))
                });
            }
        }
    }

    fn is(&self, client: Name, role: Role) -> bool {
        self.all.get(&client).is_some_and(|client| client.role == role)
    }

    pub fn member(&self, seat: Seat) -> Option<Name> {
        self.all.get(&seat.client).and_then(|client| client.member)
    }
}

/// A client was without service since then, until now or still. Whether that is too long.
pub(super) fn note_unrecovered(book: &mut Book, client: Name, since: u64) {
    let now = book.place.at;
    if book.faults.recovered(since).is_some_and(|due| now > due) {
        book.note(Anomaly::Unrecovered, |book| {
            let seconds = now.saturating_sub(since) as f64 / 1e6;
            format!("{} was without service for {seconds:.1} s", book.names.of(client))
        });
    }
}

fn find_unseen(
    book: &mut Book,
    logs: &Logs,
    entries: &Entries,
    healed: Place,
    seat: Seat,
    view: &View,
) {
    let Some(log) = logs.of(seat.room) else { return };
    let missed = unheard(log, entries, view);
    for id in &missed {
        book.note_at(Anomaly::Unseen, healed, |book| {
            let (client, first) = (book.names.of(seat.client), view.first);
            let what = entries.find(seat.room, *id).map(|entry| book.describe_entry(entry));
            format!("{client}, there since {first}, never got {}", what.unwrap_or_default())
        });
    }
    if missed.is_empty() {
        find_astray(book, log, healed, seat, view);
    }
}

fn note_unseen(book: &mut Book, entries: &Entries, seat: Seat, id: Id, at: Place) {
    book.note_at(Anomaly::Unseen, at, |book| {
        let client = book.names.of(seat.client);
        let what = entries.find(seat.room, id).map(|entry| book.describe_entry(entry));
        format!("{client} never got {}, since destroyed", what.unwrap_or_default())
    });
}

/// What of a log a client has neither been given nor been told to be trimmed.
fn unheard(log: &Log, entries: &Entries, view: &View) -> Vec<Id> {
    let oldest = log.ids.first().copied().unwrap_or_default();
    let heard = view.heard.iter().map(|index| entries.get(*index).id);
    let mut heard: Vec<Id> = heard.filter(|id| *id >= oldest).collect();
    heard.sort_unstable();
    let told = |id: &Id| view.gaps.iter().any(|(after, resumes_at)| after < id && id <= resumes_at);
    let mut missed = log.after(view.first).to_vec();
    missed.retain(|id| heard.binary_search(id).is_err() && !told(id));
    missed
}

/// With all heard, a client stands on the log's last entry.
///
/// Further, and nobody told it of a cut within the lease that a quiet room may take for that; or not as far,
/// and a client that was sent back is due what follows, again.
fn find_astray(book: &mut Book, log: &Log, healed: Place, seat: Seat, view: &View) {
    let Some(last) = log.ids.last().copied().filter(|last| *last != view.cursor()) else { return };
    let anomaly = match view.silence(book, healed) {
        Anomaly::SilentLoss => Anomaly::SilentLoss,
        _ => Anomaly::Unseen,
    };
    book.note_at(anomaly, healed, |book| {
        let (client, room) = (book.names.of(seat.client), book.names.of(seat.room));
        format!("{client} stands at {} in {room}, whose log ends at {last}", view.cursor())
    });
}
