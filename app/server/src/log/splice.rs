//! What can be handed over of a room log after a cursor, and whether the log still continues from it. Pure.

use rollcall_protocol::{EntryId, GapReason, Message};

use super::model::Page;
use crate::mutants::{self, Mutant};

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
/// Where the page begins with entries that cannot be read, the gap is over exactly those, and over what was trimmed before.
#[must_use]
pub fn gap(cursor: EntryId, page: &Page) -> Option<Gap> {
    if mutants::active(Mutant::NeverGap) {
        return None;
    }
    let first = page.entries.first();
    let continues_from = page.unread.or(first.map(|entry| entry.prev)).unwrap_or(page.last);
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

/// The page that these entries make, which the log has after a cursor, oldest first: what cannot be read of its beginning,
/// and the unbroken run behind that. What follows is for the next page, which then begins with what broke this one.
#[must_use]
pub fn page(entries: impl IntoIterator<Item = (EntryId, Option<Message>)>, last: EntryId) -> Page {
    let mut page = Page { last, ..Page::default() };
    for (id, entry) in entries {
        match entry {
            None if page.entries.is_empty() => page.unread = Some(id),
            Some(entry) if page.end().is_none_or(|end| end == entry.prev) => {
                page.entries.push(entry);
            }
            _ => break,
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rollcall_protocol::Extra;

    use super::*;

    fn at(ms: u64) -> EntryId {
        EntryId::new(ms, 0)
    }

    fn entry(prev: u64, id: u64) -> Message {
        let (room, member, name, text) = Default::default();
        Message {
            room,
            id: at(id),
            prev: at(prev),
            member,
            name,
            n: 1,
            text,
            at: id,
            extra: Extra::default(),
        }
    }

    /// How an entry of a log is when it is read.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum State {
        Whole,
        Unreadable,
        Gone,
    }
    use State::{Gone, Unreadable, Whole};

    /// The page of at most `limit` after `cursor` of a log whose entry `i` has the ID `10 * (i + 1)`.
    fn page_after(cursor: EntryId, log: &[State], limit: usize) -> Page {
        let entries = log.iter().zip(1_u64..).filter(|(state, _)| **state != Gone);
        let entries = entries
            .map(|(state, i)| (at(10 * i), (*state == Whole).then(|| entry(10 * (i - 1), 10 * i))));
        page(entries.filter(|(id, _)| *id > cursor).take(limit), at(10 * log.len() as u64))
    }

    #[test]
    fn names_the_cursor_to_go_on_from() {
        let gap_after = |cursor, log: &[State]| gap(at(cursor), &page_after(at(cursor), log, 100));
        let trimmed = |ms| Some(Gap { resumes_at: at(ms), reason: GapReason::Trimmed });
        let rewound = |ms| Some(Gap { resumes_at: at(ms), reason: GapReason::Rewound });
        assert_eq!(gap_after(20, &[Whole; 3]), None);
        assert_eq!(gap_after(30, &[Gone; 3]), None, "trimmed to nothing, but nothing missed");
        assert_eq!(gap_after(10, &[Gone, Gone, Whole]), trimmed(20));
        assert_eq!(gap_after(10, &[Gone; 3]), trimmed(30), "trimmed to nothing");
        assert_eq!(gap_after(90, &[Whole; 3]), rewound(30));
        assert_eq!(gap_after(90, &[]), rewound(0), "all data lost");
        let page = Page { entries: vec![entry(10, 120)], last: at(120), unread: None };
        assert_eq!(gap(at(90), &page), rewound(10), "data lost, and then more was said");
    }

    #[test]
    fn s14_readable_entries_behind_an_unreadable_one_are_kept() {
        let page = page_after(at(10), &[Whole, Unreadable, Unreadable, Whole, Whole], 100);
        let over = Gap { resumes_at: at(30), reason: GapReason::Trimmed };
        assert_eq!(gap(at(10), &page), Some(over), "over exactly those");
        assert_eq!(page.entries, [entry(30, 40), entry(40, 50)]);
        let page = page_after(at(0), &[Whole, Unreadable, Whole], 100);
        assert_eq!((gap(at(0), &page), page.entries.len()), (None, 1), "it ends before one");
        assert!(!page.is_at_log_end());
        let page = page_after(at(0), &[Unreadable, Whole], 1);
        assert_eq!((page.entries.len(), page.unread), (0, Some(at(10))), "a page of one");
        assert!(!page.is_at_log_end(), "one can be read behind it");
    }

    fn states() -> impl Strategy<Value = Vec<State>> {
        let state = prop_oneof![4 => Just(Whole), 1 => Just(Unreadable), 1 => Just(Gone)];
        prop::collection::vec(state, 0..20)
    }

    proptest! {
        /// Whatever was trimmed, deleted or cannot be read: a client that reads page after page gets each readable entry
        /// after its cursor once, in order, and gaps over exactly the others.
        #[test]
        fn a_reader_gets_all_that_can_be_read_and_a_gap_over_exactly_the_rest(
            log in states(), position in 0_usize..20, limit in 1_usize..5,
        ) {
            let position = position.min(log.len());
            let (mut cursor, end) = (at(10 * position as u64), at(10 * log.len() as u64));
            let (mut got, mut missing) = (Vec::new(), Vec::new());
            for _page in 0..100 {
                let page = page_after(cursor, &log, limit);
                if let Some(Gap { resumes_at, reason }) = gap(cursor, &page) {
                    prop_assert_eq!(reason, GapReason::Trimmed);
                    missing.extend((cursor.ms / 10..resumes_at.ms / 10).map(|i| i as usize));
                    cursor = resumes_at;
                }
                for entry in &page.entries {
                    prop_assert_eq!(entry.prev, cursor);
                    cursor = entry.id;
                    got.push(entry.id.ms as usize / 10 - 1);
                }
                if page.is_at_log_end() {
                    break;
                }
            }
            prop_assert_eq!(cursor, end, "it ends");
            let readable: Vec<_> = (position..log.len()).filter(|i| log[*i] == Whole).collect();
            let others: Vec<_> = (position..log.len()).filter(|i| log[*i] != Whole).collect();
            prop_assert_eq!(got, readable);
            prop_assert_eq!(missing, others);
        }
    }
}
