//! How many sends of one room may be on their way. No I/O.

use rollcall_protocol::RejectCode;

/// Acks that one place more takes after the server found the client too fast.
const CAREFUL: usize = 4;

/// The places of one connection. One at first: a log that remembers nothing of a device takes any number, and so tells
/// nothing about the one before it. Each `ack` gives one place more. A server that is too busy refuses all that is on
/// its way, so after that it is one place again, and more come slowly: of two sends for one that it takes, one is in vain.
#[derive(Debug, Clone)]
pub(super) struct Window {
    size: usize,
    /// Acks since the size changed, and how many change it.
    acks: usize,
    step: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { size: 1, acks: 0, step: 1 }
    }
}

impl Window {
    pub fn size(&self) -> usize {
        self.size
    }

    pub fn acked(&mut self) {
        self.acks += 1;
        if self.acks >= self.step {
            self.size += 1;
            self.acks = 0;
        }
    }

    pub fn refused(&mut self, code: RejectCode) {
        match code {
            // None says anything of the server's pace: one follows from the refusal before it, the others are the fault of
            // the message, or of what its sender may do.
            RejectCode::OutOfOrder
            | RejectCode::BadText
            | RejectCode::ReadOnly
            | RejectCode::Muted
            | RejectCode::Banned
            | RejectCode::Private
            | RejectCode::NoMessage
            | RejectCode::NotYours => {}
            RejectCode::NumberTaken => *self = Self::default(),
            _ => *self = Self { size: 1, acks: 0, step: CAREFUL },
        }
    }
}
