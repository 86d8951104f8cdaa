//! What happened, in the order in which this one process saw it: the only thing the checker reads.
//!
//! A history is a file of JSON lines, a [`Record`] each, packed if its name ends in `.gz`. Workload, nemesis, bots and
//! drills write, nobody rewrites. Operations are `ok` (acknowledged), `fail` (rejected, and never to be seen) or `info`
//! (nobody knows: a timeout is `info`, never `fail`), as in Jepsen.

mod figures;
mod file;
mod id;
mod read;
mod recorder;
mod what;
mod words;

use serde::{Deserialize, Serialize};

pub use figures::{Changed, Resources, Turn};
pub use id::Id;
pub use read::{read, records};
pub use recorder::Recorder;
pub use what::What;
pub use words::{EDITED, Entered, Gone, Loss, Op, Phase, UNSAID};

/// One line of a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When it happened, microseconds since the run began by the process's own monotonic clock. What a socket
    /// brought happened when it was read, so it may lie a little before the line above.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}
