//! Whether a room log still continues from a cursor. Pure.

use rollcall_protocol::{EntryId, GapReason};

use super::Page;

/// A cursor that the log cannot continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The cursor from which the chain of `prev` holds again.
    pub resumes_at: EntryId,
    /// What happened to the log.
    pub reason: GapReason,
}

/// Compares `cursor` with the page read after it.
///
/// The first entry must name the cursor as its predecessor; with no entry, the cursor must be the
/// last ID that the log gave out. Anything else is a gap: a predecessor above the cursor means
/// that entries between were trimmed, one below it that the log lost the cursor's own entry.
#[must_use]
pub fn gap(cursor: EntryId, page: &Page) -> Option<Gap> {
    let continues_from = page.entries.first().map_or(page.last, |entry| entry.prev);
    match continues_from.cmp(&cursor) {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => {
            Some(Gap { resumes_at: continues_from, reason: GapReason::Trimmed })
        }
        std::cmp::Ordering::Less => {
            Some(Gap { resumes_at: continues_from, reason: GapReason::Rewound })
        }
    }
}
