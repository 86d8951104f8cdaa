//! What a connection counts.

use rollcall_protocol::{RejectCode, ServerFrame, Why};

use super::connection::Connection;
use crate::log::{Appended, LogError};

impl Connection {
    pub(super) fn count_hello(&self, why: Why) {
        let why = match why {
            Why::Fresh => "fresh",
            Why::Resume => "resume",
            Why::Move => "move",
        };
        self.app.metrics.hellos.with_label_values(&[why]).inc();
    }

    pub(super) fn count_reply(&self, frame: &ServerFrame) {
        let outcome = match frame {
            ServerFrame::Ack { duplicate: false, .. } => "taken",
            ServerFrame::Ack { duplicate: true, .. } => "duplicate",
            ServerFrame::Reject { code: RejectCode::Unavailable, .. } => "failed",
            ServerFrame::Reject { .. } => "rejected",
            ServerFrame::Gap { reason, .. } => {
                return self.app.metrics.gaps.with_label_values(&[reason.as_str()]).inc();
            }
            _ => return,
        };
        self.app.metrics.messages_in.with_label_values(&[outcome]).inc();
    }

    /// Notes when a send came, if the frame just heard was one that the session took.
    pub(super) fn note_send(&mut self) {
        if self.session.pending() > self.sends.len() {
            self.sends.push_back(self.heard);
        }
    }

    /// The log answered the front send; with a refusal, the session may have answered some behind it.
    pub(super) fn count_answered(&mut self, outcome: &Result<Appended, LogError>) {
        let answered = self.sends.len() - self.session.pending();
        let front = self.sends.drain(..answered).next();
        let acked = matches!(outcome, Ok(Appended::Taken(_) | Appended::Duplicate(_)));
        if let Some(came) = front.filter(|_| acked) {
            self.app.metrics.send_seconds.observe(came.elapsed().as_secs_f64());
        }
    }
}
