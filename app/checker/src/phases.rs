//! The phases of a run: what each client went through in the one that lasts, held against its bounds line by line.
//! What only its end can tell is in [`super::phase_end`].

use std::collections::{BTreeMap, BTreeSet};

use super::{
    anomaly::{Anomaly, Place},
    book::Book,
    bounds::{Bounds, STREAM_SILENCE},
    clients::{Clients, Served},
    figures::PhaseFigures,
    histogram::Histogram,
    names::Name,
};
use crate::history::Phase;

/// The news of a member's coming or going may take this long to reach a client that does not read slowly on purpose.
/// Microseconds.
pub(super) const NEWS: u64 = 5_000_000;

/// A phase that lasts.
#[derive(Debug)]
pub(super) struct Span {
    pub phase: Phase,
    pub bounds: Bounds,
    /// Nobody moves more often.
    pub rolls: u32,
    /// Each replica that serves must have a turn.
    pub turns: bool,
    /// The history names it; otherwise it is made of a fault that is a roll.
    pub named: bool,
    pub begun: Place,
    /// When what is done in it was done, and how that ended.
    pub ended: Option<(u64, i32)>,
    /// Clients that were there when it began.
    pub parts: BTreeMap<Name, Part>,
    pub turned: Vec<Turned>,
    pub counts: Counts,
    pub requests: Histogram,
    /// Of what was sent before the end: until somebody was given it, and until its sender was told that it is taken.
    pub delivery: Histogram,
    pub sends: Histogram,
    /// Replicas that lost a connection.
    pub suspects: BTreeSet<Name>,
}

/// What one client goes through in a phase.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Where it was when the phase began.
    pub from: Option<Served>,
    /// Connections that it opened beside one that still served.
    pub moves: u32,
    /// Connections that it opened after it had lost one.
    pub returns: u32,
    /// The longest, microseconds.
    pub silence: u64,
}

#[derive(Debug)]
pub(super) struct Turned {
    pub replica: Name,
    pub to: String,
    pub seconds: f64,
    pub ansible_seconds: f64,
    pub forced: u64,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub forced: u64,
    pub abrupt: u64,
    pub flaps: u64,
    pub requests: u64,
    pub failed_requests: u64,
    pub retried_sends: u64,
    pub failed_sends: u64,
    pub said: u64,
    /// Acknowledged after what was to be done was done.
    pub said_after: u64,
}

#[derive(Debug, Default)]
pub(super) struct Phases {
    pub open: Option<Span>,
    pub done: Vec<PhaseFigures>,
    /// The cast, if the history tells it: clients, and whether there is a probe.
    pub cast: Option<(u64, bool)>,
}

impl Span {
    pub fn new(phase: Phase, rolls: u32, begun: Place, clients: &Clients) -> Self {
        let there = clients.all.iter().filter(|(_, client)| client.is_steady && !client.is_gone());
        let part = |served: Option<Served>| Part { from: served, ..Part::default() };
        Self {
            phase,
            bounds: phase.into(),
            rolls,
            turns: false,
            named: true,
            begun,
            ended: None,
            parts: there.map(|(name, client)| (*name, part(client.served))).collect(),
            turned: Vec::new(),
            counts: Counts::default(),
            requests: Histogram::default(),
            delivery: Histogram::default(),
            sends: Histogram::default(),
            suspects: BTreeSet::new(),
        }
    }

    /// Whether the phase is one in which the bounds of a roll hold.
    pub fn is_roll(&self) -> bool {
        matches!(self.phase, Phase::Roll | Phase::SlowRoll)
    }

    /// Whether this was sent while that was done which the phase is about.
    fn covers(&self, sent: u64) -> bool {
        sent >= self.begun.at && self.ended.is_none_or(|(ended, _)| sent <= ended)
    }

    fn most_moves(&self) -> u32 {
        if self.is_roll() { self.rolls } else { 0 }
    }
}

impl Phases {
    /// A connection was welcomed.
    pub fn connected(&mut self, book: &mut Book, client: Name, why: &str) {
        let Some(span) = &mut self.open else { return };
        let (most, losses) = (span.most_moves(), span.bounds.losses);
        let Some(part) = span.parts.get_mut(&client) else { return };
        match why {
            "move" => part.moves += 1,
            _ => part.returns += 1,
        }
        let count = part.moves + part.returns;
        // A client that loses its connection comes back, as often as that happens.
        if count > most && !losses && (span.named || why == "move") {
            book.note(Anomaly::Restless, |book| {
                let client = book.names.of(client);
                format!("{client}: connected anew for the {count}. time, of {most} planned rolls")
            });
        }
    }

    /// A connection was lost, of a client that is neither slow on purpose nor about to vanish.
    pub fn lost(&mut self, book: &mut Book, client: Name, replica: Name, how: &str, abrupt: bool) {
        let is_calm = book.faults.is_calm(book.place.at);
        let excused = match &mut self.open {
            Some(span) => {
                span.suspects.insert(replica);
                let count = if abrupt { &mut span.counts.abrupt } else { &mut span.counts.forced };
                *count += 1;
                // What an earlier fault broke may be noticed during a roll only.
                let is_old = !span.named && book.faults.is_felt(span.begun.at, book.place.at);
                span.bounds.losses || abrupt && is_old
            }
            None => !is_calm,
        };
        if excused {
            return;
        }
        let anomaly = if abrupt { Anomaly::AbruptClose } else { Anomaly::ForcedClose };
        book.note(anomaly, |book| {
            let (client, replica) = (book.names.of(client), book.names.of(replica));
            format!("{client} lost its connection to {replica}: {how}")
        });
    }

    /// A client is live again after a time without service.
    pub fn silent(&mut self, book: &mut Book, client: Name, ms: u64, is_stream: bool) {
        let Some(span) = &mut self.open else { return };
        let Some(part) = span.parts.get_mut(&client) else { return };
        part.silence = part.silence.max(ms.saturating_mul(1000));
        let since = book.place.at.saturating_sub(ms.saturating_mul(1000));
        let is_old = !span.named && book.faults.is_felt(span.begun.at, since);
        let bound = span.bounds.silence_ms.filter(|_| !is_old);
        let bound = bound.map(|bound| if is_stream { bound.max(STREAM_SILENCE) } else { bound });
        if let Some(most) = bound.filter(|most| ms > *most) {
            book.note(Anomaly::Silent, |book| {
                format!("{}: {ms} ms without service, at most {most}", book.names.of(client))
            });
        }
    }

    /// Whether nobody who is there may be said to come or go now.
    pub fn forbids_flaps(&self, book: &Book) -> bool {
        match &self.open {
            Some(span) => !span.bounds.flaps,
            None => book.faults.is_calm(book.place.at),
        }
    }

    /// Whether the history names the phase that lasts.
    pub fn is_named(&self) -> bool {
        self.open.as_ref().is_some_and(|span| span.named)
    }

    pub fn flapped(&mut self) {
        if let Some(span) = &mut self.open {
            span.counts.flaps += 1;
        }
    }

    pub fn said(&mut self) {
        if let Some(span) = &mut self.open {
            span.counts.said += 1;
        }
    }

    /// What was sent at `sent` was acknowledged so late. None if nobody looked when that was.
    pub fn acknowledged(&mut self, sent: u64, late: Option<u64>) {
        let Some(span) = &mut self.open else { return };
        let is_after = span.ended.is_some_and(|(ended, _)| sent >= ended);
        span.counts.said_after += u64::from(is_after);
        if let Some(late) = late.filter(|_| span.covers(sent)) {
            span.sends.add(late);
        }
    }

    /// A message was refused for good. In a history that names its phases nobody says what may be refused.
    pub fn refused(&mut self, book: &mut Book, what: &str, code: &str) {
        let Some(span) = self.open.as_mut().filter(|span| span.named) else { return };
        span.counts.failed_sends += 1;
        // What waits too long while nothing serves finds its queue full.
        let is_allowed = match code {
            "not-queued" => span.bounds.losses,
            "ReadOnly" => span.bounds.freezes,
            _ => false,
        };
        if !is_allowed {
            book.note(Anomaly::FailedSend, |_| format!("{what} was refused: {code}"));
        }
    }

    /// What was sent at `sent` was delivered so late.
    pub fn delivered(&mut self, sent: u64, late: u64) {
        let Some(span) = &mut self.open else { return };
        if span.covers(sent) {
            span.delivery.add(late);
        }
    }

    /// The probe was answered after `took`, or not as it should be. A `send` goes again.
    pub fn asked(&mut self, book: &mut Book, answered: Result<u64, &str>, send: bool) {
        let Some(span) = &mut self.open else { return };
        span.counts.requests += 1;
        let why = match answered {
            Ok(took) => return span.requests.add(took),
            Err(_) if send && span.bounds.retries => return span.counts.retried_sends += 1,
            Err(why) => why,
        };
        span.counts.failed_requests += 1;
        if !span.bounds.losses {
            book.note(Anomaly::FailedRequest, |_| format!("a request of the probe failed: {why}"));
        }
    }
}
