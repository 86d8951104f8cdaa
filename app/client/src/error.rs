//! Why something did not come about: a connection, a message, the client as a whole.

use std::time::Duration;

use rollcall_protocol::{CloseCode, ErrorCode};

/// How a connection was lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Loss {
    /// The server closed it.
    #[error("closed by the server: {code} {reason}")]
    Closed {
        /// The close code.
        code: u16,
        /// For people.
        reason: String,
    },
    /// It ended without a close frame.
    #[error("broke: {0}")]
    Broke(String),
    /// Nothing was heard for too long.
    #[error("silent for {0:?}")]
    Silent(Duration),
    /// The server sent what the protocol does not allow.
    #[error("protocol error: {0}")]
    Protocol(String),
}

/// Why a client ended that did not say `bye`: trying again would not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Final {
    /// The token is of no session that goes on. A client that has one never comes as a guest instead.
    #[error("the token is not valid: {detail}")]
    BadToken {
        /// For people.
        detail: String,
    },
    /// Banned, or signed out everywhere (close code 4403).
    #[error("dismissed: {detail}")]
    Dismissed {
        /// For people.
        detail: String,
    },
    /// A close code that says not to return.
    #[error("refused for good: close code {code} {reason}{}", .detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default())]
    Closed {
        /// The code.
        code: u16,
        /// For people.
        reason: String,
        /// The `error` frame before it.
        detail: Option<String>,
    },
    /// The handshake was answered with a status that says not to return.
    #[error("refused for good: HTTP {0}")]
    Handshake(u16),
    /// The URL is none.
    #[error("not a URL to connect to: {0}")]
    BadUrl(String),
}

impl Loss {
    /// Why the client ends with this connection, whose last `error` was `refusal`; none if another try is worth it.
    pub(crate) fn is_final(&self, refusal: Option<(ErrorCode, String)>) -> Option<Final> {
        let Self::Closed { code, reason } = self else { return None };
        if CloseCode::is_retryable(*code) {
            return None;
        }
        let (code, reason) = (*code, reason.clone());
        Some(match refusal {
            Some((ErrorCode::BadToken, detail)) => Final::BadToken { detail },
            refusal if code == CloseCode::Dismissed.code() => {
                Final::Dismissed { detail: refusal.map_or(reason, |(_, detail)| detail) }
            }
            refusal => Final::Closed { code, reason, detail: refusal.map(|(_, detail)| detail) },
        })
    }
}

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The room was not joined, or was left or refused.
    #[error("not in that room")]
    NotInRoom,
    /// Too many messages wait for their acknowledgement.
    #[error("the room's outbox is full")]
    Full,
    /// Longer than the server takes.
    #[error("the text is too long")]
    TooLong,
    /// The server that serves this client now knows no edits and removals.
    #[error("this server knows no edits")]
    NotSupported,
    /// The client has ended.
    #[error("the client has ended")]
    Ended,
}

/// The client has ended; its last event says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client has ended")]
pub struct Ended;
