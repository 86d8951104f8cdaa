//! What the stack tells of itself: figures, and no chat.

use serde::{Deserialize, Serialize};

use super::Id;

/// A replica's turn in a roll, as the roll itself tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// The replica.
    pub replica: String,
    /// The release before, if it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The release after.
    pub to: String,
    /// From its start to its end.
    pub seconds: f64,
    /// Of those, Ansible's own.
    #[serde(default)]
    pub ansible_seconds: f64,
    /// Connections that the drain closed at its deadline.
    pub forced: u64,
}

/// What a process of the stack takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// `before` any load, `during` the faults, or `after` everything.
    pub when: String,
    /// The container.
    pub container: String,
    /// When its first process started, clock ticks of the machine.
    #[serde(default)]
    pub since: Option<u64>,
    /// Resident memory, bytes.
    pub rss: u64,
    /// Open descriptors.
    pub fds: u64,
    /// Threads.
    pub threads: u64,
    /// Tasks of its async runtime; 0 where there is none.
    pub tasks: u64,
}

/// A message that a page shows in another way than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Whose page.
    pub client: String,
    /// Where.
    pub room: String,
    /// Its entry.
    pub id: Id,
    /// Of the text; [`UNSAID`](super::UNSAID) if it was taken away.
    pub hash: String,
}
