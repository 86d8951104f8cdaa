//! Why something was refused, and what else a code tells.

use serde::{Deserialize, Serialize};

/// Why a log does not continue from a cursor.
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// Entries after the cursor were trimmed away.
    Trimmed,
    /// The log lost its newest entries, the cursor's among them.
    Rewound,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

impl GapReason {
    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trimmed => "trimmed",
            Self::Rewound => "rewound",
            Self::Other => "other",
        }
    }
}

/// Why a message was not taken. It consumed no `n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectCode {
    /// `n` is ahead; `expected` names the number that the log waits for.
    OutOfOrder,
    /// The sender is not in that room.
    NotJoined,
    /// Too fast; `retry_ms` says when to send again.
    RateLimited,
    /// Too many unacknowledged sends; `retry_ms` says when to send again.
    Busy,
    /// Empty, too long, or with characters that are not allowed.
    BadText,
    /// The log refused it for now; `retry_ms` says when to send again.
    Unavailable,
    /// `n` was taken by another text of this member; `expected` names the number that the log waits for.
    NumberTaken,
    /// The room is frozen or archived.
    ReadOnly,
    /// The sender may not speak there for now.
    Muted,
    /// The sender may not be there.
    Banned,
    /// The room is private, and the sender was not let in.
    Private,
    /// The sender spoke a moment ago; `retry_ms` says when to send again.
    SlowMode,
    /// There is no such message to edit or remove.
    NoMessage,
    /// The message to edit or remove is somebody else's.
    NotYours,
    /// One that this version does not know: `retry_ms`, or that it is absent, says what to do.
    #[serde(other)]
    Other,
}

/// What was wrong with a frame or a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not JSON, a missing field, or a field of the wrong type.
    BadFrame,
    /// A `type` this server does not know.
    UnknownType,
    /// Anything before `hello`, or a second `hello`.
    UnexpectedHello,
    /// A version this server does not speak.
    BadVersion,
    /// A client key that is not 32 lower-case hex digits.
    BadClient,
    /// A display name that is empty, too long or has characters that are not allowed.
    BadName,
    /// A room name that is empty, too long or has characters that are not allowed.
    BadRoom,
    /// More rooms than allowed, on this connection or on this server.
    TooManyRooms,
    /// The room's log cannot be read now.
    Unavailable,
    /// The token is of no session that goes on: sign in again, or come as a guest.
    BadToken,
    /// This person may not be here.
    Banned,
    /// The room is private, and this person was not let in.
    Private,
    /// A moderator asked this person to leave the room.
    Kicked,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

/// Whether messages can be taken and delivered now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStatus {
    /// They can.
    Up,
    /// The replica has lost the log: clients keep what they send until it is up.
    Away,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}
