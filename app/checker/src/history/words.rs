//! The words that a history's lines share.

use serde::{Deserialize, Serialize};

/// The number of a `send`, over the whole run.
pub type Op = u64;

/// Stands for the hash of a text that no client said: the room's own, or nothing, because it was removed.
pub const UNSAID: &str = "";
/// Stands before the hash of a text that is not the one that was said there first, but that of a later edit.
pub const EDITED: char = '~';

/// How a room was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entered {
    /// For the first time; what was before is not told.
    Fresh,
    /// After the cursor.
    Resumed,
    /// The cursor could not be continued; a `gap` says so.
    Gap,
}

/// How a client ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gone {
    /// It said `bye`: nobody is to see it any more.
    Bye,
    /// It fell silent without a FIN: it is gone when its lease is over.
    Vanished,
    /// The run is over.
    Dismissed,
    /// The service turned it away for good, which it never should.
    Expelled,
}

/// What kind of data the nemesis really destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Everything, the senders' numbers too.
    Flushed,
    /// The oldest entries of every room log.
    Trimmed,
    /// The newest entries, numbers and all, as after a crash that lost the end of a file.
    Rewound,
}

/// What is promised while a part of a run lasts. A history that names no phases, as that of chaos, is judged by its
/// faults instead: what lasts between them is [`Phase::Quiet`], and its rolls are [`Phase::Roll`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing is done to the stack, or nothing that anybody may notice.
    Quiet,
    /// A planned change: each client moves once at most, and notices nothing.
    Roll,
    /// The same to a release that is known to be slow: how long messages take is not judged.
    SlowRoll,
    /// A planned change of the store: nobody moves, and what is said meanwhile waits for two seconds at most.
    Store,
    /// Something dies beside others that can take over at once.
    Kill,
    /// Something that everybody needs is away: nothing is lost, and everybody is back soon after its end.
    Outage,
    /// A show: all of that, in any order, and a room may be frozen, in which people are refused what they say.
    Show,
}
