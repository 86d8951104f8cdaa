//! What a client keeps of one room.

use rollcall_protocol::{EntryId, GapReason, RejectCode};

use crate::{outbox::Outbox, resume::Cursor};

pub struct Room {
    /// False after a `leave`: only the numbering is kept.
    pub wanted: bool,
    /// Why the server does not have the client there, until it asks to enter again: what had not gone out never will.
    pub put_out: Option<(RejectCode, String)>,
    pub cursor: Cursor,
    pub outbox: Outbox,
    /// Up to where this person has read it, until that was told.
    pub untold_read: Option<EntryId>,
    /// Up to where another device has read it, as far as the caller knows. Two connections may tell the same.
    read: EntryId,
}

impl Room {
    /// One that was never entered.
    pub fn new(capacity: usize) -> Self {
        Self {
            wanted: false,
            put_out: None,
            cursor: Cursor::default(),
            outbox: Outbox::new(capacity),
            untold_read: None,
            read: EntryId::ZERO,
        }
    }

    /// From now on the client wants to be there.
    pub fn enter(&mut self, after: Option<EntryId>) {
        self.wanted = true;
        self.put_out = None;
        self.cursor = Cursor::new(after);
    }

    pub fn leave(&mut self) {
        self.wanted = false;
        self.cursor = Cursor::default();
        self.untold_read = None;
        self.read = EntryId::ZERO;
        // Whatever comes until the return is never seen.
        self.outbox.skipped();
    }

    /// The log does not continue from `after`. False if that is no news.
    pub fn gap(&mut self, after: EntryId, resumes_at: EntryId, reason: GapReason) -> bool {
        let is_news = self.cursor.gap(after, resumes_at, reason);
        if is_news {
            self.outbox.gap(reason);
            if reason == GapReason::Rewound {
                self.read = self.read.min(resumes_at);
            }
        }
        is_news
    }

    /// Another device has read up to there. False if that is no news.
    pub fn read_elsewhere(&mut self, id: EntryId) -> bool {
        let is_news = id > self.read;
        self.read = self.read.max(id);
        is_news
    }
}
