//! What a client is told when something does not work.

use rollcall_protocol::ErrorCode;

use crate::log::LogError;

/// Why a room was not entered.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// This replica serves as many rooms as it may.
    #[error("this server has too many rooms open")]
    TooManyRooms,
    /// The room's log could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl JoinError {
    /// The code of the `error` frame that says so.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            // `too_many_rooms` would mean this connection's own limit, and that coming back is no use.
            Self::TooManyRooms | Self::Log(_) => ErrorCode::Unavailable,
        }
    }
}
