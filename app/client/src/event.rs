//! What a client tells its caller.

use std::time::{Duration, Instant};

use rollcall_protocol::{
    Account, EntryId, ErrorCode, GapReason, JoinStatus, Member, Message, PresenceEvent, RejectCode,
    RoomState, Standing, Why,
};

use crate::{
    error::{Final, Loss},
    outbox::Change,
};

/// What the client saw, in the order in which it saw it. Nothing is left out: a gap, a broken
/// chain and a lost connection are events like any other.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A connection was opened and welcomed. During a move the one before still serves.
    #[non_exhaustive]
    Connected {
        /// The person's public ID: an account's on all of its devices, and otherwise the device's own.
        member: String,
        /// This device's public ID: messages whose [`Message::sender`] it is are this client's own.
        sender: String,
        /// The name that others see. Not that of the configuration if it would pass for somebody else's.
        name: String,
        /// The account that the token is of; none for a guest.
        account: Option<Account>,
        /// What the server can do beside talking: see [`crate::feature`].
        features: Vec<String>,
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
    /// The next entry of a room's log: exactly once, in the order of the log. Edits and removals are entries too, and so is
    /// what a room says of itself: `message.extra.kind` tells which.
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
        /// What it was about: an edit or a removal.
        change: Option<Change>,
        /// Its entry, if the server still knew.
        id: Option<EntryId>,
        /// An earlier try had put it there, as the server says or catch-up showed.
        duplicate: bool,
        /// From `send` to here.
        took: Duration,
    },
    /// A message of this client was refused.
    #[non_exhaustive]
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
        /// What it said: the caller may want to say it in another way.
        text: String,
        /// What it was about: an edit or a removal.
        change: Option<Change>,
        /// The client sends it again; otherwise it is dropped and not in the log.
        retried: bool,
    },
    /// Whether a message of this client is in the log cannot be known: the answer was lost with a connection, and the
    /// place of the log where it would be could not be seen. It is there once or not at all, and is not sent again.
    #[non_exhaustive]
    Unknown {
        /// The room.
        room: String,
        /// What `send` returned.
        ticket: u64,
        /// Its number at that time.
        n: u64,
        /// What it said.
        text: String,
        /// What it was about: an edit or a removal.
        change: Option<Change>,
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
    /// What is true of a room, and what that means for this client: told when it is entered, and when it changes. A server
    /// that tells no such thing has no room that is anything but open.
    RoomState {
        /// The room.
        room: String,
        /// Its state.
        state: RoomState,
        /// What it means for this client.
        you: Standing,
    },
    /// This person has read a room up to there, on another device.
    Read {
        /// The room.
        room: String,
        /// The last entry that was read.
        id: EntryId,
    },
    /// The client is in a room no more, and does not ask for it again by itself: `banned`, `private`, or `kicked`. Messages
    /// that had not gone out are [`Event::Rejected`]. All other rooms go on.
    PutOut {
        /// The room.
        room: String,
        /// Why.
        code: ErrorCode,
        /// For people.
        detail: String,
    },
    /// The server refused a frame.
    Refused {
        /// Why.
        code: ErrorCode,
        /// For people.
        detail: String,
        /// The room it concerns. A room refused for good is left out from then on, and messages that had not gone out there are
        /// [`Event::Rejected`].
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
