//! Reading what a history says of its phases, and what in them must not be said of anybody.

use super::{
    anomaly::Anomaly,
    checker::Checker,
    clients::Role,
    names::Name,
    phases::{NEWS, Span, Turned},
    view::{Seat, Stay},
};
use crate::history::{Gone, Phase, Turn, What};

/// The fault that is none: a roll.
const ROLL: &str = "roll";
/// Number of the step that a phase stands for in which something breaks. No plan is so long.
const PHASE: u32 = u32::MAX;

impl Checker {
    /// A fault begins or ends. If it is a roll, and nothing else goes on, then it is a phase until the next one does.
    pub(super) fn roll_under_faults(&mut self, fault: &str) {
        if self.phases.is_named() {
            return;
        }
        self.phases.close(&mut self.book, &self.clients, None);
        if fault == ROLL && self.book.faults.is_alone() {
            let span = Span::new(Phase::Roll, 1, self.book.place, &self.clients);
            self.phases.open = Some(Span { named: false, ..span });
        }
    }

    pub(super) fn phase(&mut self, what: &What) {
        let (place, book) = (self.book.place, &mut self.book);
        match what {
            What::PhaseBegan { phase, rolls, turns } => {
                self.phases.close(book, &self.clients, None);
                let span = Span::new(*phase, *rolls, place, &self.clients);
                self.phases.open = Some(Span { turns: *turns, ..span });
                if span_breaks(*phase) {
                    let name = format!("{phase:?}").to_lowercase();
                    book.faults.begin(PHASE, name, "the stack".to_owned(), place.at);
                }
            }
            What::PhaseEnded { exit } => {
                let Some(span) = &mut self.phases.open else {
                    return self.malformed("the end of a phase that had not begun");
                };
                span.ended = Some((place.at, *exit));
                if span_breaks(span.phase) {
                    let name = format!("{:?}", span.phase).to_lowercase();
                    book.faults.end(PHASE, &name, place.at);
                }
            }
            What::Turn(Turn { replica, to, seconds, ansible_seconds, forced, .. }) => {
                let turn = Turned {
                    replica: book.names.number(replica),
                    to: to.clone(),
                    seconds: *seconds,
                    ansible_seconds: *ansible_seconds,
                    forced: *forced,
                };
                match &mut self.phases.open {
                    Some(span) => span.turned.push(turn),
                    None => self.malformed("a turn of no roll"),
                }
            }
            What::Asked { ok, took, why, send } => {
                let answered = match ok {
                    true => Ok(*took),
                    false => Err(why.as_deref().unwrap_or("no reason given")),
                };
                self.phases.asked(book, answered, *send);
            }
            _ => {}
        }
    }

    pub(super) fn presence(&mut self, client: &str, room: &str, member: &str, here: bool) {
        let seat = self.seat(client, room);
        let member = self.book.names.number(member);
        // Those that go at the end do so one after the other, and it is nobody's matter any more.
        let owner = self.book.owners.get(&member).and_then(|owner| self.clients.all.get(owner));
        if owner.is_some_and(|owner| matches!(owner.gone, Some((Gone::Dismissed, _)))) {
            return;
        }
        self.find_flap(seat, member, here);
        let at = self.book.place.at;
        self.clients.views.entry(seat).or_default().told(member, here, at);
    }

    /// Somebody who is there was said to come or go.
    fn find_flap(&mut self, seat: Seat, member: Name, here: bool) {
        let Seat { client: to, room } = seat;
        let Some(owner) = self.book.owners.get(&member).copied().filter(|owner| *owner != to)
        else {
            return;
        };
        let (client, view) =
            (self.clients.all.get(&owner), self.clients.views.get(&Seat { client: owner, room }));
        let (Some(client), Some(view)) = (client, view) else { return };
        let reads_slowly = self.clients.all.get(&to).is_some_and(|to| to.role == Role::Slow);
        let is_there = view.stay == Stay::In && client.is_steady && !client.is_gone();
        // How late one is told that reads slowly on purpose says nothing.
        let now = self.book.place.at;
        let is_in_time = |since: u64| reads_slowly || since + NEWS >= now;
        let is_news = match here {
            // After faults it may be back only now, and have been given up before. In a phase that the history names
            // nobody is away for so long, unless all may be said to come.
            true => {
                let was_away = || client.was_away(now.saturating_sub(NEWS), now);
                is_in_time(view.since) || !self.phases.is_named() && was_away()
            }
            // It left and was back before this client was told that it left.
            false => view.left.is_some_and(|left| {
                is_in_time(left)
                    && self.clients.views.get(&seat).is_some_and(|to| to.awaits(member, left))
            }),
        };
        if !is_there || is_news || !self.phases.forbids_flaps(&self.book) {
            return;
        }
        self.phases.flapped();
        self.book.note(Anomaly::Flap, |book| {
            let [to, owner, room] = [to, owner, room].map(|name| book.names.of(name));
            let what = if here { "came" } else { "left" };
            format!("{to} was told that {owner} {what}, but {owner} was in {room} all the time")
        });
    }
}

/// Whether it is a fault as well.
fn span_breaks(phase: Phase) -> bool {
    matches!(phase, Phase::Kill | Phase::Outage | Phase::Show)
}
