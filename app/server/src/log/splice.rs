//! Whether a room log still continues from a cursor. Pure.

use rollcall_protocol::{EntryId, GapReason};

use super::Page;
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
#[must_use]
pub fn gap(cursor: EntryId, page: &Page) -> Option<Gap> {
    if mutants::active(Mutant::NeverGap) {
        return None;
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rollcall_protocol::Message;

    use super::*;

    fn at(ms: u64) -> EntryId {
        EntryId::new(ms, 0)
    }

    fn entry(prev: u64, id: u64) -> Message {
        let (room, member, name, text) = Default::default();
        Message { room, id: at(id), prev: at(prev), member, name, n: 1, text, at: id }
    }

    /// The page after `cursor` of a log with these IDs, of which the first `trimmed` are gone.
    fn page_after(cursor: u64, ids: &[u64], trimmed: usize) -> Page {
        let chain = [0].iter().chain(ids).zip(ids);
        let entries = chain.skip(trimmed).map(|(prev, id)| entry(*prev, *id));
        let entries = entries.filter(|entry| entry.id > at(cursor)).collect();
        Page { entries, last: at(ids.last().copied().unwrap_or(0)) }
    }

    #[test]
    fn names_the_cursor_to_go_on_from() {
        let gap_after =
            |cursor, ids: &[u64], trimmed| gap(at(cursor), &page_after(cursor, ids, trimmed));
        let trimmed = |ms| Some(Gap { resumes_at: at(ms), reason: GapReason::Trimmed });
        let rewound = |ms| Some(Gap { resumes_at: at(ms), reason: GapReason::Rewound });
        assert_eq!(gap_after(2, &[1, 2, 3], 0), None);
        assert_eq!(gap_after(3, &[1, 2, 3], 3), None, "trimmed to nothing, but nothing missed");
        assert_eq!(gap_after(1, &[1, 2, 3], 2), trimmed(2));
        assert_eq!(gap_after(1, &[1, 2, 3], 3), trimmed(3), "trimmed to nothing");
        assert_eq!(gap_after(9, &[1, 2, 3], 0), rewound(3));
        assert_eq!(gap_after(9, &[], 0), rewound(0), "all data lost");
        assert_eq!(gap_after(9, &[1, 12], 0), rewound(1), "data lost, and then more was said");
    }

    proptest! {
        /// However a log was trimmed, a client gets exactly what is left after its cursor, and is
        /// told of a gap exactly if something between was lost.
        #[test]
        fn a_gap_is_told_exactly_if_something_is_missing(
            count in 0_u64..20, position in 0_usize..20, trimmed in 0_usize..20,
        ) {
            let ids: Vec<u64> = (1..=count).map(|i| i * 10).collect();
            let position = position.min(ids.len());
            let trimmed = trimmed.min(ids.len());
            let cursor = position.checked_sub(1).map_or(0, |index| ids[index]);
            let page = page_after(cursor, &ids, trimmed);
            let found = gap(at(cursor), &page);
            prop_assert_eq!(found.is_some(), trimmed > position);
            let mut cursor = found.map_or(at(cursor), |gap| gap.resumes_at);
            for entry in page.entries {
                prop_assert_eq!(entry.prev, cursor);
                cursor = entry.id;
            }
            prop_assert_eq!(cursor, page.last);
        }
    }
}
