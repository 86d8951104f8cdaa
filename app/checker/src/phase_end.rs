//! What only the end of a phase can tell: whether everybody moved who had to, whether the release serves, how long
//! things took, and whether anything was done at all.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    anomaly::{Anomaly, Place},
    book::Book,
    bounds::{BALANCE, TURN_SECONDS},
    clients::Clients,
    figures::{Durations, PhaseFigures, TurnFigures},
    histogram::Histogram,
    names::Name,
    phases::{Counts, Part, Phases, Span},
};
use crate::history::Phase;

impl Phases {
    /// Ends the phase that lasts, if one does, and judges it by what is so now. Clients that were dismissed after
    /// `healed` are still there.
    pub fn close(&mut self, book: &mut Book, clients: &Clients, healed: Option<Place>) {
        let Some(span) = self.open.take() else { return };
        let there = There::of(&span, clients, healed);
        if span.is_roll() {
            span.find_unmoved(book, &there);
            span.find_wrong_releases(book, &there);
            span.find_slow_turns(book);
            span.find_unbalanced(book, &there);
        }
        if span.named {
            let probe = self.cast.is_some_and(|(_, probe)| probe);
            span.find_not_exercised(book, probe);
            span.find_failed(book);
        }
        let figures = span.figures(book, &there);
        span.find_slow(book, &figures);
        self.done.push(figures);
    }
}

/// Where those are at the end of a phase who belong to it.
struct There<'a> {
    parts: BTreeMap<Name, &'a Part>,
    /// Replica → releases that serve there → clients.
    serving: BTreeMap<Name, BTreeMap<Name, u64>>,
}

impl<'a> There<'a> {
    fn of(span: &'a Span, clients: &Clients, healed: Option<Place>) -> Self {
        let stayed = |name: &Name| {
            let client = clients.all.get(name);
            client.is_some_and(|it| healed.map_or(!it.is_gone(), |healed| it.stayed(healed)))
        };
        let parts = span.parts.iter().filter(|(name, _)| stayed(name));
        let parts: BTreeMap<_, _> = parts.map(|(name, part)| (*name, part)).collect();
        let mut serving: BTreeMap<Name, BTreeMap<Name, u64>> = BTreeMap::new();
        for (name, part) in &parts {
            // A replica that lost all of its clients counts.
            if let Some(from) = part.from {
                serving.entry(from.replica).or_default();
            }
            if let Some(served) = clients.all.get(name).and_then(|client| client.served) {
                *serving.entry(served.replica).or_default().entry(served.release).or_default() += 1;
            }
        }
        Self { parts, serving }
    }

    fn connections(&self) -> BTreeMap<Name, u64> {
        let sum = |releases: &BTreeMap<Name, u64>| releases.values().sum();
        self.serving.iter().map(|(replica, releases)| (*replica, sum(releases))).collect()
    }

    /// None if a replica has nobody, or nobody is anywhere.
    fn balance(&self) -> Option<f64> {
        let connections = self.connections();
        let (idlest, busiest) = (*connections.values().min()?, *connections.values().max()?);
        (idlest > 0).then(|| busiest as f64 / idlest as f64)
    }
}

impl Span {
    /// Each client that a rolled replica served has moved.
    fn find_unmoved(&self, book: &mut Book, there: &There<'_>) {
        let rolled: BTreeSet<Name> = self.turned.iter().map(|turn| turn.replica).collect();
        for (client, part) in &there.parts {
            let Some(from) = part.from.filter(|from| rolled.contains(&from.replica)) else {
                continue;
            };
            if part.moves + part.returns == 0 {
                book.note(Anomaly::Unmoved, |book| {
                    let (client, replica) = (book.names.of(*client), book.names.of(from.replica));
                    format!("{client} was on {replica}, which was rolled, and never moved")
                });
            }
        }
    }

    /// A replica has the release to which it was rolled last, and somebody is served by it.
    fn find_wrong_releases(&self, book: &mut Book, there: &There<'_>) {
        let last: BTreeMap<Name, &str> =
            self.turned.iter().map(|turn| (turn.replica, turn.to.as_str())).collect();
        for (replica, to) in last {
            let serving = there.serving.get(&replica);
            let wrong: Vec<String> = serving
                .into_iter()
                .flatten()
                .filter(|(release, count)| **count > 0 && book.names.of(**release) != to)
                .map(|(release, count)| format!("{count} by {}", book.names.of(*release)))
                .collect();
            let nobody = serving.is_none_or(|releases| releases.values().sum::<u64>() == 0);
            let how = match nobody {
                true => "nobody is served there".to_owned(),
                false if wrong.is_empty() => continue,
                false => format!("clients are served there {}", wrong.join(", ")),
            };
            book.note(Anomaly::WrongRelease, |book| {
                format!("{} was rolled to {to:?}, and {how}", book.names.of(replica))
            });
        }
    }

    fn find_slow_turns(&self, book: &mut Book) {
        for turn in &self.turned {
            let (seconds, forced) = (turn.seconds, turn.forced);
            if seconds > TURN_SECONDS {
                book.note(Anomaly::SlowTurn, |book| {
                    let replica = book.names.of(turn.replica);
                    format!("{replica}: its turn took {seconds:.1} s, at most {TURN_SECONDS}")
                });
            }
            // The clients have told of theirs; these may be others'.
            if forced > self.counts.forced {
                book.note(Anomaly::ForcedClose, |book| {
                    let replica = book.names.of(turn.replica);
                    format!("{replica}: its drain closed {forced} connections at the deadline")
                });
            }
        }
    }

    /// Only a roll of all replicas evens them out.
    fn find_unbalanced(&self, book: &mut Book, there: &There<'_>) {
        if !self.turns || self.turned.is_empty() {
            return;
        }
        let balance = there.balance();
        if balance.is_none_or(|balance| balance > BALANCE) {
            book.note(Anomaly::Unbalanced, |book| {
                let connections = there.connections().into_iter();
                let each = connections.map(|(it, count)| format!("{}: {count}", book.names.of(it)));
                format!("clients of each replica: {}", each.collect::<Vec<_>>().join(", "))
            });
        }
    }

    /// Whatever the phase is about has happened, and somebody was there to notice.
    fn find_not_exercised(&self, book: &mut Book, probe: bool) {
        let Counts { requests, said, said_after, .. } = self.counts;
        let mut missing = Vec::new();
        if self.parts.is_empty() {
            missing.push("nobody was there".to_owned());
        }
        let is_over = self.ended.is_some();
        if is_over && said == 0 {
            missing.push("nobody said anything".to_owned());
        }
        if is_over && probe && requests == 0 {
            missing.push("0 of 0 requests succeeded".to_owned());
        }
        if is_over && said_after == 0 {
            missing.push("nothing was taken after it".to_owned());
        }
        let moves = self.parts.values().map(|part| part.moves + part.returns).sum::<u32>();
        match self.phase {
            Phase::Roll | Phase::SlowRoll if self.turns => missing.extend(self.without_turn(book)),
            Phase::Roll | Phase::SlowRoll if self.rolls > 0 && moves == 0 => {
                missing.push("nothing was rolled: nobody moved".to_owned());
            }
            Phase::Kill if self.counts.abrupt + self.counts.forced == 0 => {
                missing.push("nothing was killed: nobody lost a connection".to_owned());
            }
            _ => {}
        }
        for what in missing {
            let phase = self.phase;
            book.note(Anomaly::NotExercised, |_| format!("{phase:?}: {what}"));
        }
    }

    /// The replicas that served when the roll began, and that it did not touch.
    fn without_turn(&self, book: &Book) -> Vec<String> {
        if self.turned.is_empty() {
            return vec!["nothing was rolled: no replica had a turn".to_owned()];
        }
        let served: BTreeSet<Name> =
            self.parts.values().filter_map(|part| part.from).map(|it| it.replica).collect();
        let rolled: BTreeSet<Name> = self.turned.iter().map(|turn| turn.replica).collect();
        let left = served.difference(&rolled);
        left.map(|replica| format!("{} had no turn", book.names.of(*replica))).collect()
    }

    fn find_failed(&self, book: &mut Book) {
        match self.ended {
            Some((_, 0)) => {}
            Some((_, exit)) => book.note(Anomaly::CommandFailed, |_| {
                format!("what the command said tells why; its status was {exit}")
            }),
            None if self.phase == Phase::Quiet => {}
            None => book.note(Anomaly::Incomplete, |_| "what was done never ended".to_owned()),
        }
    }

    fn find_slow(&self, book: &mut Book, figures: &PhaseFigures) {
        let (silence, delivery) = (figures.silence, figures.delivery);
        if let Some(most) = self.bounds.silence_p99_ms.filter(|most| silence.p99_ms > *most) {
            book.note(Anomaly::Silent, |_| {
                format!(
                    "99 in 100 clients were silent for {} ms at most, not {most}",
                    silence.p99_ms
                )
            });
        }
        // Before the command everybody has only just come.
        let judged = self.named && self.ended.is_some();
        let Some((p99, longest)) = self.bounds.delivery_ms.filter(|_| judged) else { return };
        if delivery.p99_ms > p99 || delivery.max_ms > longest {
            let phase = self.phase;
            book.note(Anomaly::Slow, |_| {
                let Durations { p99_ms, max_ms, .. } = delivery;
                format!("{phase:?}: from send to delivery p99 {p99_ms:.1} ms, max {max_ms:.1} ms")
            });
        }
    }

    fn figures(&self, book: &Book, there: &There<'_>) -> PhaseFigures {
        let name = |name: Name| book.names.of(name).to_owned();
        let mut silences = Histogram::default();
        there.parts.values().for_each(|part| silences.add(part.silence));
        let each: Vec<u32> = there.parts.values().map(|it| it.moves + it.returns).collect();
        let moves: u64 = each.iter().copied().map(u64::from).sum();
        let before = there.parts.values().filter_map(|part| part.from);
        let before: BTreeSet<String> = before.map(|it| name(it.release)).collect();
        let after = there.serving.values().flatten().filter(|(_, count)| **count > 0);
        let after: BTreeSet<String> = after.map(|(release, _)| name(*release)).collect();
        let connections = there.connections().into_iter();
        let turns = self.turned.iter().map(|turn| TurnFigures {
            replica: name(turn.replica),
            to: turn.to.clone(),
            seconds: turn.seconds,
            ansible_seconds: turn.ansible_seconds,
        });
        let until = self.ended.map_or(book.place.at, |(ended, _)| ended);
        PhaseFigures {
            phase: self.phase,
            seconds: until.saturating_sub(self.begun.at) as f64 / 1e6,
            clients: there.parts.len() as u64,
            moves_per_client: moves as f64 / there.parts.len().max(1) as f64,
            most_moves: each.iter().copied().max().unwrap_or(0),
            silence: (&silences).into(),
            delivery: (&self.delivery).into(),
            send: (&self.sends).into(),
            requests: self.counts.requests,
            failed_requests: self.counts.failed_requests,
            retried_sends: self.counts.retried_sends,
            request: (&self.requests).into(),
            failed_sends: self.counts.failed_sends,
            flaps: self.counts.flaps,
            forced: self.forced(),
            abrupt: self.counts.abrupt,
            releases_before: before,
            releases_after: after,
            balance: there.balance(),
            connections: connections.map(|(replica, count)| (name(replica), count)).collect(),
            turns: turns.collect(),
            suspects: self.suspects.iter().map(|replica| name(*replica)).collect(),
            exit: self.ended.map(|(_, exit)| exit),
        }
    }

    /// As the roll counted them, or as the clients did where that is more.
    fn forced(&self) -> u64 {
        let told = self.turned.iter().map(|turn| turn.forced).sum();
        self.counts.forced.max(told)
    }
}
