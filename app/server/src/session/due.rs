//! The number that a room waits for after a refusal, and what must not overtake it. Pure.

use std::hash::{DefaultHasher, Hash, Hasher};

/// The lowest number that was refused in a room. What was sent after it must not overtake it: a log that remembers
/// nothing of this member would take a later number, and the refused one for a duplicate.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) n: u64,
    why: Why,
}

#[derive(Debug)]
enum Why {
    /// It came too fast, and so did as many behind it: each is told its own time.
    TooFast { behind: u32 },
    /// Its text cannot be taken, or nothing can be now.
    Refused,
    /// The number before belongs to another text, so this one is for the text with that hash. What has the number because
    /// it was sent right behind that text must not overtake it.
    For { text: u64 },
}

/// What a number that is barred is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Barred {
    /// To come again once this many others have passed.
    Later(u32),
    /// To come after the number that is due.
    OutOfOrder(u64),
}

impl Due {
    pub(super) fn too_fast(n: u64) -> Self {
        Self { n, why: Why::TooFast { behind: 0 } }
    }

    pub(super) fn refused(n: u64) -> Self {
        Self { n, why: Why::Refused }
    }

    pub(super) fn renumbered(n: u64, text: &str) -> Self {
        Self { n, why: Why::For { text: hash(text) } }
    }

    /// Whether a send must not pass before the one that is due, and what it is told then.
    pub(super) fn bars(&mut self, n: u64, text: &str) -> Option<Barred> {
        let overtakes = match self.why {
            Why::For { text: due } => n > self.n || (n == self.n && hash(text) != due),
            Why::TooFast { .. } | Why::Refused => n > self.n,
        };
        if !overtakes {
            return None;
        }
        if n == self.n {
            // Whatever has this number next was sent by a client that knows.
            self.why = Why::Refused;
        }
        match &mut self.why {
            Why::TooFast { behind } => {
                *behind = behind.saturating_add(1);
                Some(Barred::Later(*behind))
            }
            Why::Refused | Why::For { .. } => Some(Barred::OutOfOrder(self.n)),
        }
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
