//! A page of a room's log, judged and encoded once for all listeners that wait for it. Pure.

use rollcall_protocol::{EntryId, GapReason};

use crate::{
    log::{
        Page,
        splice::{self, Gap},
    },
    room::Frame,
};

/// A page of a room's log after a cursor.
#[derive(Debug)]
pub struct PageRead {
    /// The cursor.
    pub after: EntryId,
    /// The history of the room in which it was asked for.
    pub epoch: u64,
    /// What it begins with if it does not continue the cursor.
    pub gap: Option<Gap>,
    /// An unbroken run of messages.
    pub frames: Vec<Frame>,
    /// The log ends with them.
    pub at_log_end: bool,
    /// Where the log ends.
    pub last: EntryId,
}

impl PageRead {
    /// Judges `page`, which was asked for in `epoch`.
    #[must_use]
    pub fn new(after: EntryId, epoch: u64, page: Page) -> Self {
        let gap = splice::gap(after, &page);
        let at_log_end = page.is_at_log_end();
        let last = page.last;
        let frames = page.entries.into_iter().map(Frame::new).collect();
        Self { after, epoch, gap, frames, at_log_end, last }
    }

    /// Whether it shows that the log has lost the cursor's own entry.
    #[must_use]
    pub fn proves_loss(&self) -> bool {
        self.gap.is_some_and(|gap| gap.reason == GapReason::Rewound)
    }
}
