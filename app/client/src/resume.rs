//! What the client has of one room, and whether a message is the next one. No I/O.

use rollcall_protocol::{EntryId, GapReason};

/// A room's cursor: the last message ID that the client has processed, if it has been there.
///
/// One cursor serves every connection of a client, so whichever connection delivers a message
/// first wins and the other's copy is a duplicate.
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    at: Option<EntryId>,
    /// The last rewind: where the cursor stood, and where it was put. During a move both
    /// connections may tell of the same one, and it must not put the cursor back twice.
    rewound: Option<(EntryId, EntryId)>,
}

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It is the next one. The cursor already stands on it.
    Deliver,
    /// The client has it.
    Duplicate,
    /// Something between the cursor and this message is missing; the cursor stays.
    Broken {
        /// The cursor: the predecessor that was due.
        expected: EntryId,
        /// The predecessor that the message names.
        got: EntryId,
    },
}

impl Cursor {
    /// A cursor to resume from, or none for a room entered for the first time.
    #[must_use]
    pub fn new(after: Option<EntryId>) -> Self {
        Self { at: after, rewound: None }
    }

    /// Where it stands; nothing before the first `joined`.
    #[must_use]
    pub fn at(&self) -> Option<EntryId> {
        self.at
    }

    /// A room was entered. Only a client that was never there starts at its head.
    pub fn joined(&mut self, head: EntryId) {
        self.at.get_or_insert(head);
    }

    /// A message came. The cursor advances before the caller sees it, so a caller that stops
    /// half-way through showing it does not get it again.
    pub fn message(&mut self, id: EntryId, prev: EntryId) -> Seen {
        match self.at {
            // Left and not yet back: the coming `joined` names a head that covers it.
            None => Seen::Duplicate,
            Some(at) if id <= at => Seen::Duplicate,
            Some(at) if prev != at => Seen::Broken { expected: at, got: prev },
            Some(_) => {
                self.at = Some(id);
                Seen::Deliver
            }
        }
    }

    /// The log does not continue from `after`. False if that is no news to this cursor.
    pub fn gap(&mut self, after: EntryId, resumes_at: EntryId, reason: GapReason) -> bool {
        // Left and not yet back, as for a message.
        let Some(at) = self.at else { return false };
        let news = match reason {
            GapReason::Trimmed => resumes_at > at,
            // If it names the cursor itself, it is always news: an old connection may have led the
            // cursor back to where the log no longer is.
            GapReason::Rewound => {
                let known = |(abandoned, target)| target == resumes_at && after <= abandoned;
                after == at || !self.rewound.is_some_and(known)
            }
            // Whatever it is, either it begins here or it leads further.
            GapReason::Other => after == at || resumes_at > at,
        };
        if news {
            if reason == GapReason::Rewound {
                self.rewound = Some((at, resumes_at));
            }
            self.at = Some(resumes_at);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: u64) -> EntryId {
        EntryId::new(n, 0)
    }

    #[test]
    fn a_missing_predecessor_breaks_the_chain_and_keeps_the_cursor() {
        let mut cursor = Cursor::new(Some(id(1)));
        assert_eq!(cursor.message(id(3), id(2)), Seen::Broken { expected: id(1), got: id(2) });
        assert_eq!(cursor.at(), Some(id(1)));
        assert_eq!(cursor.message(id(2), id(1)), Seen::Deliver);
    }

    #[test]
    fn a_fresh_client_starts_at_the_head_and_a_resuming_one_does_not() {
        let mut fresh = Cursor::new(None);
        assert_eq!(fresh.message(id(1), EntryId::ZERO), Seen::Duplicate);
        fresh.joined(id(7));
        assert_eq!(fresh.at(), Some(id(7)));
        let mut resuming = Cursor::new(Some(id(3)));
        resuming.joined(id(7));
        assert_eq!(resuming.at(), Some(id(3)));
    }

    #[test]
    fn a_gap_of_the_time_before_a_leave_moves_no_cursor() {
        let mut cursor = Cursor::new(None);
        assert!(!cursor.gap(id(2), id(5), GapReason::Trimmed));
        assert!(!cursor.gap(id(9), id(5), GapReason::Rewound));
        assert_eq!(cursor.at(), None);
    }

    #[test]
    fn a_trimmed_gap_behind_the_cursor_is_no_gap() {
        let mut cursor = Cursor::new(Some(id(9)));
        assert!(!cursor.gap(id(2), id(5), GapReason::Trimmed));
        assert!(cursor.gap(id(9), id(12), GapReason::Trimmed));
        assert_eq!(cursor.at(), Some(id(12)));
    }

    #[test]
    fn a_rewind_told_by_both_connections_counts_once() {
        let mut cursor = Cursor::new(Some(id(9)));
        assert!(cursor.gap(id(9), id(4), GapReason::Rewound));
        assert_eq!(cursor.message(id(20), id(4)), Seen::Deliver);
        assert!(!cursor.gap(id(9), id(4), GapReason::Rewound), "the same rewind");
        assert_eq!(cursor.message(id(20), id(4)), Seen::Duplicate);
        assert!(cursor.gap(id(20), id(4), GapReason::Rewound), "a second rewind to the same place");
    }

    /// Otherwise every connection from then on ends at a broken chain, for ever.
    #[test]
    fn a_cursor_led_back_into_a_lost_history_is_rewound_again() {
        let mut cursor = Cursor::new(Some(id(9)));
        assert!(cursor.gap(id(9), id(0), GapReason::Rewound));
        assert_eq!(cursor.message(id(9), id(0)), Seen::Deliver, "by the old connection");
        assert!(cursor.gap(id(9), id(0), GapReason::Rewound));
        assert_eq!(cursor.message(id(20), id(0)), Seen::Deliver);
    }

    proptest! {
        /// Two connections deliver one log from any two places at or before the cursor, in any
        /// interleaving: the client sees the rest of the log once, in order.
        #[test]
        fn two_connections_deliver_once_in_order(
            steps in prop::collection::vec(1u64..5, 1..60),
            start in 0usize..60,
            back in (0usize..60, 0usize..60),
            turns in prop::collection::vec(any::<bool>(), 0..200),
        ) {
            let mut log = vec![EntryId::ZERO];
            for step in steps {
                log.push(id(log[log.len() - 1].ms + step));
            }
            let start = start % log.len();
            let mut at = [start.saturating_sub(back.0), start.saturating_sub(back.1)];
            let mut cursor = Cursor::new(Some(log[start]));
            let mut delivered = Vec::new();
            let tail = std::iter::repeat_n(true, log.len()).chain(std::iter::repeat_n(false, log.len()));
            for turn in turns.into_iter().chain(tail) {
                let connection = &mut at[usize::from(turn)];
                if *connection + 1 < log.len() {
                    *connection += 1;
                    match cursor.message(log[*connection], log[*connection - 1]) {
                        Seen::Deliver => delivered.push(log[*connection]),
                        Seen::Duplicate => {}
                        broken @ Seen::Broken { .. } => prop_assert!(false, "{broken:?}"),
                    }
                }
            }
            prop_assert_eq!(delivered, log[start + 1..].to_vec());
        }

        /// Whatever one entry is left out, the chain tells.
        #[test]
        fn a_left_out_entry_is_always_told(length in 2u64..40, hole in 1u64..40) {
            let hole = 1 + hole % (length - 1);
            let mut cursor = Cursor::new(Some(EntryId::ZERO));
            let told = (1..=length)
                .filter(|n| *n != hole)
                .any(|n| matches!(cursor.message(id(n), id(n - 1)), Seen::Broken { .. }));
            prop_assert!(told);
        }
    }
}
