//! What can be wrong with a history, and where it was found.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// Examples kept of each anomaly; all are counted.
const EXAMPLES: usize = 8;

macro_rules! anomalies {
    ($($(#[$doc:meta])* $anomaly:ident $name:literal;)*) => {
        /// Everything that must not happen.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Anomaly {
            $($(#[$doc])* $anomaly,)*
        }

        impl Anomaly {
            /// Each of them, in the order of reports.
            pub const ALL: &[Self] = &[$(Self::$anomaly),*];

            /// As it stands in reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$anomaly => $name,)*
                }
            }
        }
    };
}

anomalies! {
    /// Acknowledged, and not in the log.
    LostWrite "lost-write";
    /// One operation twice in the log, or delivered twice to one client.
    Duplicate "duplicate";
    /// Rejected, and seen all the same.
    AbortedRead "aborted-read";
    /// A message that nobody sent.
    Phantom "phantom";
    /// IDs went back, in a log or at a client.
    ReorderedRoom "reordered-room";
    /// One sender's messages in another order than sent, in a log or at a client.
    ReorderedSender "reordered-sender";
    /// Two clients, or a client and the log, disagree about an entry or about what is before it.
    DivergentOrder "divergent-order";
    /// The chain was broken without a gap.
    SkippedMessage "skipped-message";
    /// A gap although nothing was missing.
    FalseGap "false-gap";
    /// In the log, due to a client that was there, and never delivered.
    Unseen "unseen";
    /// Nothing went on, both sides were there, and yet a message or its acknowledgement took seconds; or something
    /// did, and it still had not come long after that was over.
    Late "late";
    /// Sent before all healed, and at the end its client still does not know what became of it.
    Unsettled "unsettled";
    /// Data was really destroyed, and a client that needed it was not told.
    SilentLoss "silent-loss";
    /// The members that a room is said to have are not those that it has.
    Presence "presence";
    /// A client was turned away for good.
    Expelled "expelled";
    /// While one room was flooded, messages in the others were late.
    NoisyNeighbour "noisy-neighbour";
    /// A member was shown under a name that is not its own.
    WrongName "wrong-name";
    /// Somebody who was there was said to go, or to come.
    Flap "flap";
    /// A client moved more often than rolls were planned.
    Restless "restless";
    /// A replica was rolled, and a client that it served never moved.
    Unmoved "unmoved";
    /// A replica was rolled to a release, and it is not what serves there.
    WrongRelease "wrong-release";
    /// The service closed a connection that it had no reason to close.
    ForcedClose "forced-close";
    /// A connection ended without a close frame, and nothing had been done to it.
    AbruptClose "abrupt-close";
    /// A client was without service for longer than the phase allows.
    Silent "silent";
    /// A client was still without service long after everything was healed.
    Unrecovered "unrecovered";
    /// Messages took longer than the phase allows.
    Slow "slow";
    /// After a roll one replica has many more clients than another.
    Unbalanced "unbalanced";
    /// A replica's turn in a roll took too long.
    SlowTurn "slow-turn";
    /// A message that nothing was wrong with was refused.
    FailedSend "failed-send";
    /// The probe made a request, and it failed.
    FailedRequest "failed-request";
    /// The command that was to do it did not succeed.
    CommandFailed "command-failed";
    /// A participant handed in nothing, or no end.
    Absent "absent";
    /// What the run is about did not happen, so nothing is proven of it.
    NotExercised "not-exercised";
    /// A form that the checker does not know.
    Unknown "unknown";
    /// A page said that it is without service while nothing was broken.
    FalseBanner "false-banner";
    /// A fault measured more of something than there may be.
    PastLimit "past-limit";
    /// A process takes much more at the end than at the beginning.
    Leak "leak";
    /// Something is missing from the history itself: nothing was proven.
    Incomplete "incomplete";
    /// Nothing was acknowledged or nothing delivered: nothing was tested.
    NothingHappened "nothing-happened";
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A place in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Counted from 1.
    pub line: u64,
    /// Microseconds since the run began.
    pub at: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)
    }
}

/// One anomaly found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Line of the history to look at first, from 1.
    pub line: u64,
    /// When that was, milliseconds since the run began.
    pub at_ms: u64,
    /// Operations, clients and IDs involved, in words.
    pub detail: String,
    /// The faults that were active then, or else the last before.
    pub faults: Vec<String>,
}

/// All of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<Finding>,
}

/// Everything found.
#[derive(Debug, Default)]
pub(super) struct Findings(BTreeMap<Anomaly, Noted>);

#[derive(Debug, Default)]
struct Noted {
    count: u64,
    examples: Vec<(Place, String)>,
}

impl Findings {
    /// Counts one more, and says whether it is to be described.
    pub fn count(&mut self, anomaly: Anomaly) -> bool {
        let noted = self.0.entry(anomaly).or_default();
        noted.count += 1;
        noted.examples.len() < EXAMPLES
    }

    pub fn describe(&mut self, anomaly: Anomaly, place: Place, detail: String) {
        self.0.entry(anomaly).or_default().examples.push((place, detail));
    }

    /// With the faults around each, as `faults` names them for a time in microseconds.
    pub fn explained(self, faults: impl Fn(u64) -> Vec<String>) -> BTreeMap<Anomaly, Found> {
        let finding = |(Place { line, at }, detail)| {
            let at_ms = at / 1000;
            Finding { line, at_ms, detail, faults: faults(at) }
        };
        let found = |(anomaly, Noted { count, examples })| {
            (anomaly, Found { count, examples: examples.into_iter().map(finding).collect() })
        };
        self.0.into_iter().map(found).collect()
    }
}
