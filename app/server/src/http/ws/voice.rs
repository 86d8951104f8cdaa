//! What a connection says to its client, and what is counted of it.

use std::{collections::VecDeque, sync::Arc};

use rollcall_protocol::{RejectCode, ServerFrame, Why};
use tokio::time::Instant;

use super::outlet::Outlet;
use crate::{
    log::{Appended, LogError},
    metrics::Metrics,
    mutants::{self, Mutant},
    wire,
};

/// A connection's voice.
#[derive(Clone)]
pub(super) struct Voice {
    pub outlet: Arc<Outlet>,
    metrics: Metrics,
}

impl Voice {
    pub fn new(outlet: Arc<Outlet>, metrics: Metrics) -> Self {
        Self { outlet, metrics }
    }

    /// Answers the client: never skipped, and a client that takes no answers ends.
    pub fn reply(&self, frame: &ServerFrame) {
        self.count(frame);
        self.outlet.put_reply(&wire::text_frame(frame));
        if mutants::active(Mutant::SaysMore) {
            self.outlet.put_reply(&wire::text_frame(&ServerFrame::Unknown));
        }
    }

    /// Tells what a room has to tell, where there is room for it.
    pub fn tell(&self, frame: &ServerFrame) {
        self.count(frame);
        self.outlet.put_frame(&wire::text_frame(frame));
    }

    fn count(&self, frame: &ServerFrame) {
        let outcome = match frame {
            ServerFrame::Ack { duplicate: false, .. } => "taken",
            ServerFrame::Ack { duplicate: true, .. } => "duplicate",
            ServerFrame::Reject { code: RejectCode::Unavailable, .. } => "failed",
            ServerFrame::Reject { .. } => "rejected",
            ServerFrame::Gap { reason, .. } => {
                return self.metrics.gaps.with_label_values(&[reason.as_str()]).inc();
            }
            _ => return,
        };
        self.metrics.messages_in.with_label_values(&[outcome]).inc();
    }

    pub fn count_hello(&self, why: Why) {
        let why = match why {
            Why::Fresh => "fresh",
            Why::Resume => "resume",
            Why::Move => "move",
        };
        self.metrics.hellos.with_label_values(&[why]).inc();
    }
}

/// When each of the session's pending sends came, for the time to their acks.
#[derive(Default)]
pub(super) struct SendTimes(VecDeque<Instant>);

impl SendTimes {
    /// A frame was heard, and the session now has so many sends pending.
    pub fn heard(&mut self, pending: usize, at: Instant) {
        if pending > self.0.len() {
            self.0.push_back(at);
        }
    }

    /// The log answered the front send, and so many are left; with a refusal, the session may have answered some behind it.
    pub fn answered(
        &mut self,
        pending: usize,
        outcome: &Result<Appended, LogError>,
        metrics: &Metrics,
    ) {
        let answered = self.0.len() - pending;
        let front = self.0.drain(..answered).next();
        let acked = matches!(outcome, Ok(Appended::Taken(_) | Appended::Duplicate(_)));
        if let Some(came) = front.filter(|_| acked) {
            metrics.send_seconds.observe(came.elapsed().as_secs_f64());
        }
    }
}
