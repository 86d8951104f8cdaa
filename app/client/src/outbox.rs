//! The messages of one room that the client has not seen acknowledged. No I/O.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rollcall_protocol::RejectCode;

/// Pause before everything is sent again a second time in a row, so that a server that keeps
/// refusing is not asked in a hot loop.
const STUBBORN: Duration = Duration::from_millis(100);

/// How long after an `ack` the log surely remembers this member's number (the protocol keeps it for
/// a day). A log that remembers nothing takes any number, so until then messages go one by one:
/// were the first refused and the second taken, the first would count as taken too.
const REMEMBERED: Duration = Duration::from_secs(12 * 3600);

/// A message on its way into the room log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its number on the wire. Changes if the log does not take a message before it.
    pub n: u64,
    /// Its number to the caller: the first `send` in this room is 1. Never changes.
    pub ticket: u64,
    /// What to say.
    pub text: String,
    /// When the caller said it.
    pub queued: Instant,
    /// The current connection carries it and has not answered.
    on_its_way: bool,
}

/// What a `reject` meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It will be sent again: the ticket.
    Retry(u64),
    /// It never will: the message, out of the outbox.
    Dropped(Pending),
    /// It answers no message that is on its way.
    Stale,
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
    /// The log's due number, as a refusal told; settled once nothing is on its way.
    due: Option<u64>,
    /// A refusal stands between the messages on their way and the next one.
    settling: bool,
    hold_until: Option<Instant>,
    acked_at: Option<Instant>,
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
            due: None,
            settling: false,
            hold_until: None,
            acked_at: None,
            refused_rounds: 0,
        }
    }

    /// Queues a message and returns its ticket, or nothing if the outbox is full.
    pub fn push(&mut self, text: String, now: Instant) -> Option<u64> {
        if self.pending.len() >= self.capacity {
            return None;
        }
        self.tickets += 1;
        let (n, ticket) = (self.next, self.tickets);
        self.next += 1;
        self.pending.push_back(Pending { n, ticket, text, queued: now, on_its_way: false });
        Some(ticket)
    }

    /// Takes the messages to send now, at most `room_for`, in order.
    pub fn take_due(&mut self, room_for: usize, now: Instant) -> Vec<(u64, String)> {
        self.settle(now);
        if self.settling || self.hold_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        self.hold_until = None;
        let is_remembered = self.acked_at.is_some_and(|at| now < at + REMEMBERED);
        let alone = 1usize.saturating_sub(self.on_its_way());
        let room_for = if is_remembered { room_for } else { room_for.min(alone) };
        let waiting = self.pending.iter_mut().filter(|pending| !pending.on_its_way);
        waiting
            .take(room_for)
            .map(|pending| {
                pending.on_its_way = true;
                (pending.n, pending.text.clone())
            })
            .collect()
    }

    /// The log took `n`. Returns the message, unless it was settled before.
    pub fn ack(&mut self, n: u64, now: Instant) -> Option<Pending> {
        let index = self.position(n)?;
        self.refused_rounds = 0;
        self.acked_at = Some(now);
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
        let Some(index) = self.position(n).filter(|index| self.pending[*index].on_its_way) else {
            return Refusal::Stale;
        };
        self.settling = true;
        let refusal = if code != RejectCode::OutOfOrder && retry.is_none() {
            self.due = Some(n);
            self.pending.remove(index).map_or(Refusal::Stale, Refusal::Dropped)
        } else {
            if code == RejectCode::OutOfOrder {
                self.due = expected;
            }
            self.pending[index].on_its_way = false;
            self.hold_until = retry.map(|wait| now + wait).max(self.hold_until);
            Refusal::Retry(self.pending[index].ticket)
        };
        self.settle(now);
        refusal
    }

    /// The connection that carried the messages is gone, and with it the answers: everything
    /// unacknowledged goes again, with the same numbers.
    pub fn connection_lost(&mut self) {
        for pending in &mut self.pending {
            pending.on_its_way = false;
        }
        // A due number that was not settled is forgotten: the log will name it again.
        self.due = None;
        self.settling = false;
        self.hold_until = None;
    }

    /// When [`Self::take_due`] may have something that it does not have now.
    #[must_use]
    pub fn wake_at(&self) -> Option<Instant> {
        // After a refusal first the answers to the others have to come.
        self.hold_until.filter(|_| !self.settling && !self.pending.is_empty())
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
        let Some(due) = self.due.take() else { return };
        // With the front at or below `due`, what the log waits for is in the outbox (what is
        // below was taken, and will be acknowledged as a duplicate).
        if self.pending.front().is_none_or(|front| front.n > due) {
            self.next = due;
            for pending in &mut self.pending {
                pending.n = self.next;
                self.next += 1;
            }
        }
    }

    fn position(&self, n: u64) -> Option<usize> {
        self.pending.iter().position(|pending| pending.n == n)
    }
}

#[cfg(test)]
mod tests;
