//! Entry IDs as they stand in a history. The server's own type is not used: what checks shares
//! no code with what is checked.

use std::{fmt, str::FromStr};

use rollcall_protocol::EntryId;
use serde::{Deserialize, Serialize, de};

/// `ms-seq`, ordered as in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Id {
    /// Milliseconds since 1970, by the clock of the log.
    pub ms: u64,
    /// Of the entries of one millisecond.
    pub seq: u64,
}

impl From<EntryId> for Id {
    fn from(EntryId { ms, seq }: EntryId) -> Self {
        Self { ms, seq }
    }
}

impl From<Id> for EntryId {
    fn from(Id { ms, seq }: Id) -> Self {
        Self { ms, seq }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// Not of the form `ms-seq`.
#[derive(Debug, thiserror::Error)]
#[error("not an entry ID: {0:?}")]
pub struct NotAnId(String);

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let parts =
            text.split_once('-').and_then(|(ms, seq)| ms.parse().ok().zip(seq.parse().ok()));
        parts.map(|(ms, seq)| Self { ms, seq }).ok_or_else(|| NotAnId(text.to_owned()))
    }
}

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AsText)
    }
}

/// Reads an ID without a copy of its text: a history has millions.
struct AsText;

impl de::Visitor<'_> for AsText {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry ID")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
        text.parse().map_err(E::custom)
    }
}
