//! A page of a room's log, judged and encoded once for all listeners that wait for it. Pure.

use rollcall_protocol::{EntryId, GapReason, Message};

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
        let (gap, last) = (splice::gap(after, &page), page.last);
        let (entries, at_log_end) = unbroken(page);
        let frames = entries.into_iter().map(Frame::new).collect();
        Self { after, epoch, gap, frames, at_log_end, last }
    }

    /// Whether it shows that the log has lost the cursor's own entry.
    #[must_use]
    pub fn proves_loss(&self) -> bool {
        self.gap.is_some_and(|gap| gap.reason == GapReason::Rewound)
    }
}

/// What can be handed over of a page, and whether the log ends with it. Where an entry is missing inside,
/// or only another release can read it, the chain breaks: the next page begins there, and with a gap.
fn unbroken(mut page: Page) -> (Vec<Message>, bool) {
    let broken = page.entries.windows(2).position(|pair| pair[1].prev != pair[0].id);
    page.entries.truncate(broken.map_or(page.entries.len(), |index| index + 1));
    let at_log_end = page.entries.last().is_none_or(|entry| entry.id == page.last);
    (page.entries, at_log_end)
}
