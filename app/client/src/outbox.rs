//! The messages of one room that the client has not seen acknowledged. No I/O.
//!
//! The log may have forgotten a device's number, and would then take any, so a number alone is no proof against a second
//! copy. What proves it is the room log itself: a connection tells every message after the cursor before it says `live`,
//! and among them those of this device that got there. So nothing is sent before `live`, at whatever age.

mod pending;
mod window;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rollcall_protocol::{GapReason, Message, RejectCode};

use pending::Trace;
pub use pending::{Change, Outgoing, Pending, Refusal, Settled};
use window::Window;

/// Pause before everything is sent again a second time in a row, so that a server that keeps
/// refusing is not asked in a hot loop.
const STUBBORN: Duration = Duration::from_millis(100);

/// The number that the log waits for, as a refusal told.
#[derive(Debug, Clone, Copy)]
struct Due {
    n: u64,
    /// Lower numbers are other texts': whatever is pending gets this one or a higher one.
    taken_below: bool,
}

/// One room's unacknowledged messages, in order.
///
/// After a refusal nothing is sent until every later message that was already on its way is
/// answered too: only then is it certain which number the log waits for, and an answer can never
/// be taken for that of a renumbered message.
#[derive(Debug, Clone)]
pub struct Outbox {
    pending: VecDeque<Pending>,
    capacity: usize,
    /// Number of the next message.
    next: u64,
    /// Messages ever queued.
    tickets: u64,
    /// The connection was live in the room, so what the log has of this device was seen.
    open: bool,
    /// This device's highest number that was seen in the log.
    seen: u64,
    window: Window,
    /// Settled once nothing is on its way.
    due: Option<Due>,
    /// A refusal stands between the messages on their way and the next one.
    settling: bool,
    hold_until: Option<Instant>,
    /// Times that everything was to be sent again since the last `ack`.
    refused_rounds: u32,
}

impl Outbox {
    /// An outbox for at most `capacity` messages.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            pending: VecDeque::new(),
            capacity,
            next: 1,
            tickets: 0,
            open: false,
            seen: 0,
            window: Window::default(),
            due: None,
            settling: false,
            hold_until: None,
            refused_rounds: 0,
        }
    }

    /// Queues a message and returns its ticket, or nothing if the outbox is full.
    pub fn push(&mut self, text: String, change: Option<Change>, now: Instant) -> Option<u64> {
        if self.pending.len() >= self.capacity {
            return None;
        }
        self.tickets += 1;
        let (n, ticket) = (self.next, self.tickets);
        self.next += 1;
        let (on_its_way, trace) = (false, Trace::None);
        let queued = now;
        self.pending.push_back(Pending { n, ticket, text, change, queued, on_its_way, trace });
        Some(ticket)
    }

    /// The connection that carries the sends is live in the room, as it may have been before.
    pub fn live(&mut self) -> Settled {
        let first = !std::mem::replace(&mut self.open, true);
        let mut settled = Settled::default();
        if !first && !self.pending.iter().any(Pending::is_seen) {
            return settled;
        }
        for pending in std::mem::take(&mut self.pending) {
            match pending.trace {
                Trace::Seen(id) if pending.is_seen() => settled.taken.push((pending, id)),
                Trace::Skipped if first => settled.unknown.push(pending),
                _ => self.pending.push_back(pending),
            }
        }
        // The log has our number, but not this text under it: its turn comes after that.
        if first && self.pending.front().map_or(self.next, |front| front.n) <= self.seen {
            self.renumber(self.seen + 1);
        }
        settled
    }

    /// Takes the messages to send now, at most `room_for`, in order.
    pub fn take_due(&mut self, room_for: usize, now: Instant) -> Vec<Outgoing> {
        self.settle(now);
        let held = self.hold_until.is_some_and(|until| now < until);
        if !self.open || self.settling || held {
            return Vec::new();
        }
        self.hold_until = None;
        let room_for = room_for.min(self.window.size().saturating_sub(self.on_its_way()));
        let waiting = self.pending.iter_mut().filter(|pending| !pending.on_its_way);
        waiting
            .take(room_for)
            .map(|pending| {
                pending.on_its_way = true;
                Outgoing { n: pending.n, text: pending.text.clone(), change: pending.change }
            })
            .collect()
    }

    /// The log took `n`. Returns the message, unless it was settled before.
    pub fn ack(&mut self, n: u64) -> Option<Pending> {
        let index = self.position(n)?;
        self.refused_rounds = 0;
        self.window.acked();
        self.pending.remove(index)
    }

    /// The log did not take `n`.
    pub fn reject(
        &mut self,
        n: u64,
        code: RejectCode,
        expected: Option<u64>,
        retry: Option<Duration>,
        now: Instant,
    ) -> Refusal {
        let Some(index) = self.position(n) else { return Refusal::Stale };
        self.settling = true;
        self.window.refused(code);
        let numbering = matches!(code, RejectCode::OutOfOrder | RejectCode::NumberTaken);
        let refusal = if !numbering && retry.is_none() {
            self.due = Some(Due { n, taken_below: false });
            self.pending.remove(index).map_or(Refusal::Stale, Refusal::Dropped)
        } else {
            self.expect(n, code, expected);
            let pending = &mut self.pending[index];
            pending.on_its_way = false;
            if pending.trace == Trace::Skipped {
                pending.trace = Trace::Sent; // this try was answered
            }
            self.hold_until = retry.map(|wait| now + wait).max(self.hold_until);
            Refusal::Retry(pending.clone())
        };
        self.settle(now);
        refusal
    }

    /// This device's own message came, on whichever connection: one that tells what `kinds` entries are, or whose release
    /// knows none.
    pub fn seen(&mut self, message: &Message, kinds: bool) {
        self.seen = self.seen.max(message.n);
        if let Some(own) = self.pending.iter_mut().find(|pending| pending.is(message, kinds)) {
            own.trace = Trace::Seen(message.id);
        }
    }

    /// Gives up what waits and fits. What is on its way stays until it is answered, or its connection is lost.
    pub fn give_up(&mut self, fits: impl Fn(&Pending) -> bool) -> Settled {
        let mut settled = Settled::default();
        for pending in std::mem::take(&mut self.pending) {
            match pending.trace {
                _ if pending.on_its_way || !fits(&pending) => self.pending.push_back(pending),
                Trace::None => settled.unsent.push(pending),
                Trace::Sent | Trace::Skipped => settled.unknown.push(pending),
                Trace::Seen(id) => settled.taken.push((pending, id)),
            }
        }
        settled
    }

    /// The log does not continue where the client was.
    pub fn gap(&mut self, reason: GapReason) {
        if reason == GapReason::Rewound {
            // What was lost is not in the log any more: that goes again.
            self.seen = 0;
            for pending in &mut self.pending {
                if matches!(pending.trace, Trace::Seen(_)) {
                    pending.trace = Trace::Sent;
                }
            }
        } else {
            self.skipped();
        }
    }

    /// Part of the log passes unseen: it may hold what has no answer.
    pub fn skipped(&mut self) {
        for pending in &mut self.pending {
            let unanswered = pending.on_its_way || pending.trace == Trace::Sent;
            if unanswered && !matches!(pending.trace, Trace::Seen(_)) {
                pending.trace = Trace::Skipped;
            }
        }
    }

    /// The connection that carried the messages is gone, and with it the answers: everything that
    /// is not in the log by the next `live` goes again, with the same numbers.
    pub fn connection_lost(&mut self) {
        for pending in &mut self.pending {
            if std::mem::take(&mut pending.on_its_way) && pending.trace == Trace::None {
                pending.trace = Trace::Sent;
            }
        }
        self.open = false;
        self.window = Window::default();
        // A due number that was not settled is forgotten: the log will name it again.
        self.due = None;
        self.settling = false;
        self.hold_until = None;
    }

    /// When [`Self::take_due`] may have something that it does not have now.
    #[must_use]
    pub fn wake_at(&self) -> Option<Instant> {
        // After a refusal first the answers to the others have to come.
        self.hold_until.filter(|_| self.open && !self.settling && !self.pending.is_empty())
    }

    /// Messages that the current connection carries.
    #[must_use]
    pub fn on_its_way(&self) -> usize {
        self.pending.iter().filter(|pending| pending.on_its_way).count()
    }

    /// Messages that are neither acknowledged nor dropped.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether everything is settled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    fn expect(&mut self, n: u64, code: RejectCode, expected: Option<u64>) {
        let known = self.due.filter(|due| due.taken_below);
        match (code, expected, known) {
            (RejectCode::NumberTaken, expected, _) => {
                let n = expected.unwrap_or(n + 1);
                self.due = Some(Due { n, taken_below: true });
            }
            (RejectCode::OutOfOrder, Some(n), Some(known)) => {
                self.due = Some(Due { n: n.max(known.n), ..known });
            }
            (RejectCode::OutOfOrder, expected, None) => {
                self.due = expected.map(|n| Due { n, taken_below: false });
            }
            _ => {}
        }
    }

    /// After a refusal, once nothing is on its way: gives the number that is due to the first
    /// message if no message has it, and the numbers after it to the rest.
    fn settle(&mut self, now: Instant) {
        if !self.settling || self.on_its_way() > 0 {
            return;
        }
        self.settling = false;
        self.refused_rounds += 1;
        if self.refused_rounds > 1 {
            self.hold_until = self.hold_until.max(Some(now + STUBBORN));
        }
        let Some(Due { n, taken_below }) = self.due.take() else { return };
        // With the front at or below `due`, what the log waits for is in the outbox: what is below was taken, and
        // will be acknowledged as a duplicate. Lower than the front, perhaps acknowledged once: the log lost its end.
        if taken_below || self.pending.front().is_none_or(|front| front.n > n) {
            self.renumber(n);
        }
    }

    fn renumber(&mut self, from: u64) {
        self.next = from;
        for pending in &mut self.pending {
            pending.n = self.next;
            self.next += 1;
        }
    }

    fn position(&self, n: u64) -> Option<usize> {
        self.pending.iter().position(|pending| pending.n == n && pending.on_its_way)
    }
}

#[cfg(test)]
mod tests;
