use std::time::{Duration, Instant};

use rollcall_protocol::{
    EntryId, ErrorCode, GapReason, JoinStatus, Member, Message, PresenceEvent, RejectCode, Why,
};

/// What the client saw, in the order in which it saw it. Nothing is left out: a gap, a broken
/// chain and a lost connection are events like any other.
#[derive(Debug, Clone)]
pub enum Event {
    /// A connection was opened and welcomed. During a move the one before still serves.
    Connected {
        /// The client's public ID.
        member: String,
        /// The replica that serves it.
        replica: String,
        /// The replica's release.
        release: String,
        /// Why it was opened.
        why: Why,
    },
    /// A room was entered on a connection; told again by each new one.
    Joined {
        /// The room.
        room: String,
        /// Its newest entry then.
        head: EntryId,
        /// The cursor now: what the next message must name as `prev`.
        cursor: EntryId,
        /// How.
        status: JoinStatus,
        /// How many are here.
        present: usize,
        /// The people here, at most 200 of them.
        members: Vec<Member>,
    },
    /// Catch-up in one room is done, on one connection.
    Live {
        /// The room.
        room: String,
    },
    /// The serving connection is live in all rooms.
    AllLive {
        /// The replica that serves it.
        replica: String,
    },
    /// The next message of a room: exactly once, in the order of the log.
    Message {
        /// It.
        message: Message,
        /// When it was read from the socket.
        received: Instant,
    },
    /// Messages that cannot be had.
    Gap {
        /// The room.
        room: String,
        /// The cursor that could not be continued.
        after: EntryId,
        /// The cursor now.
        resumes_at: EntryId,
        /// Why.
        reason: GapReason,
    },
    /// A message did not follow the cursor; it was not delivered. The client connects again.
    Broken {
        /// The room.
        room: String,
        /// The message.
        id: EntryId,
        /// The predecessor that was due.
        expected: EntryId,
        /// The predecessor it named.
        got: EntryId,
    },
    /// A connection brought a message again, or one from before what it had told: the client may have it, and
    /// drops it then. Of two connections each may bring the same message once; this is one of them.
    Repeated {
        /// The room.
        room: String,
        /// The message.
        id: EntryId,
        /// What the connection had told already.
        after: EntryId,
    },
    /// A message of this client is in the log.
    Acked {
        /// The room.
        room: String,
        /// What `send` returned.
        ticket: u64,
        /// Its number in the log.
        n: u64,
        /// Its entry, if the server still knew.
        id: Option<EntryId>,
        /// An earlier try had put it there, as the server says or catch-up showed.
        duplicate: bool,
        /// From `send` to here.
        took: Duration,
    },
    /// A message of this client was refused.
    Rejected {
        /// The room.
        room: String,
        /// What `send` returned.
        ticket: u64,
        /// Its number at that time.
        n: u64,
        /// Why.
        code: RejectCode,
        /// For people.
        detail: String,
        /// The client sends it again; otherwise it is dropped and not in the log.
        retried: bool,
    },
    /// Whether a message of this client is in the log cannot be known: the answer was lost with a connection, and the
    /// place of the log where it would be could not be seen. It is there once or not at all, and is not sent again.
    Unknown {
        /// The room.
        room: String,
        /// What `send` returned.
        ticket: u64,
        /// Its number at that time.
        n: u64,
    },
    /// The serving replica has lost the log, or has it again. While it is away nothing goes out.
    Log {
        /// Which.
        up: bool,
        /// Messages that are not acknowledged now; they go out when the log is back.
        kept: usize,
    },
    /// Someone came or left. During a move both connections may tell.
    Presence {
        /// The room.
        room: String,
        /// Which.
        event: PresenceEvent,
        /// Who.
        member: String,
        /// Their name.
        name: String,
    },
    /// The people here, told anew.
    Members {
        /// The room.
        room: String,
        /// How many are here.
        present: usize,
        /// At most 200 of them.
        members: Vec<Member>,
    },
    /// Someone is typing.
    Typing {
        /// The room.
        room: String,
        /// Who.
        member: String,
        /// Their name.
        name: String,
    },
    /// The server refused a frame.
    Refused {
        /// Why.
        code: ErrorCode,
        /// For people.
        detail: String,
        /// The room it concerns. A room refused for good is left out from then on.
        room: Option<String>,
    },
    /// The serving replica asked the client to move.
    Goaway {
        /// The replica.
        replica: String,
        /// This client's moment, from now.
        wait: Duration,
        /// As the server says it.
        reason: String,
    },
    /// The move is done: the new connection is live in all rooms.
    Moved {
        /// The replica before.
        from: String,
        /// The replica now.
        to: String,
        /// How long no connection was live; zero if the new one was live before the old closed.
        silence: Duration,
    },
    /// A connection was lost. Never told of one that the client itself closed.
    Disconnected {
        /// The replica.
        replica: String,
        /// How.
        loss: Loss,
        /// No close frame came.
        abrupt: bool,
    },
    /// No connection could be opened; the next attempt comes after `retry_in`.
    ConnectFailed {
        /// Why, for people.
        error: String,
        /// Until the next attempt.
        retry_in: Duration,
    },
    /// The client is live again after it had no live connection.
    Silence {
        /// For how long.
        lasted: Duration,
    },
    /// The last event: the client is done.
    Ended(Result<(), Final>),
}

/// How a connection was lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
pub enum Final {
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
