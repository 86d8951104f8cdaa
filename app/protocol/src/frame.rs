use serde::{Deserialize, Serialize};

use crate::{
    EntryId,
    code::{ErrorCode, GapReason, LogStatus, RejectCode},
    message::Message,
    state::{Account, RoomState, Standing},
};

/// The `goaway.reason` of a replica that cannot deliver: the client keeps its connection until another replica takes it.
pub const ISOLATED: &str = "isolated";

/// Why a client says `hello`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// First connection of this client key.
    Fresh,
    /// The last connection was lost.
    Resume,
    /// The last connection is still open; this one replaces it (after a `goaway`).
    Move,
}

/// A room to be in, and the last message ID the client has processed there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomCursor {
    /// The room's name.
    pub room: String,
    /// The cursor; without it the client starts at the room's head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<EntryId>,
}

/// Client → server.
///
/// Unknown fields are ignored; an unknown `type` parses as [`ClientFrame::Unknown`] and is
/// answered with an `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientFrame {
    /// The first frame of every connection.
    Hello {
        /// Protocol version, [`crate::VERSION`].
        v: u32,
        /// The client key: 32 lower-case hex digits (128 random bits). A secret.
        client: String,
        /// The name others see.
        name: String,
        /// Why this connection exists.
        why: Why,
        /// The client obeys `goaway`. A connection without this is closed with 1012 shortly after its own moment, so
        /// that it does not hold up a roll.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        moves: bool,
        /// A session's or a bot's token: whoever has it speaks as its account. A secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// The rooms to be in from the start.
        #[serde(default)]
        rooms: Vec<RoomCursor>,
    },
    /// Enter one more room.
    Join {
        /// The room's name.
        room: String,
        /// Cursor to resume from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<EntryId>,
        /// The token of a private room's invitation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invite: Option<String>,
    },
    /// This connection leaves a room; others see it. An account's membership stays.
    Leave {
        /// The room's name.
        room: String,
    },
    /// Say something.
    Send {
        /// The room's name.
        room: String,
        /// This client's message number in this room: 1, 2, 3 …; the same number again is a retry.
        n: u64,
        /// What to say; empty with `remove`.
        text: String,
        /// The message of one's own that gets this text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        edit: Option<EntryId>,
        /// The message that is taken away: one's own, or with power any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remove: Option<EntryId>,
    },
    /// This person has read a room up to an entry. Never answered.
    Read {
        /// The room's name.
        room: String,
        /// The last entry that was read.
        id: EntryId,
    },
    /// Tell the room that this member is typing.
    Typing {
        /// The room's name.
        room: String,
    },
    /// A heartbeat; answered by `pong` with the same `t`.
    Ping {
        /// Anything below 2^53, usually the client's clock in ms.
        t: u64,
    },
    /// The client is done: its presence ends at once in every room.
    Bye,
    /// A type this version does not know.
    #[serde(other)]
    Unknown,
}

impl ClientFrame {
    /// Enter a room that needs no invitation.
    #[must_use]
    pub fn join(room: impl Into<String>, after: Option<EntryId>) -> Self {
        Self::Join { room: room.into(), after, invite: None }
    }

    /// A message that is about no other.
    #[must_use]
    pub fn send(room: impl Into<String>, n: u64, text: impl Into<String>) -> Self {
        Self::Send { room: room.into(), n, text: text.into(), edit: None, remove: None }
    }
}

/// Someone in a room.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Member {
    /// Public ID: the first 16 hex digits of the client key's SHA-256.
    pub member: String,
    /// Display name.
    pub name: String,
}

/// What a fresh connection may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest `text`, in bytes of UTF-8.
    pub text_bytes: usize,
    /// Longest frame, in bytes.
    pub frame_bytes: usize,
    /// Most rooms of one connection.
    pub rooms: usize,
    /// Most `send` frames of one connection that may wait for their `ack`.
    pub pending: usize,
}

/// How a room was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinStatus {
    /// No cursor was given: the client starts at `head`.
    Fresh,
    /// Everything after the cursor follows.
    Resumed,
    /// The log no longer continues from the cursor: a `gap` frame follows.
    Gap,
}

/// Coming or going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PresenceEvent {
    /// The member came.
    Join,
    /// The member left, or was not seen for a lease.
    Leave,
}

/// Server → client.
///
/// A client ignores a `type` it does not know ([`ServerFrame::Unknown`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The answer to `hello`.
    Welcome {
        /// Protocol version spoken.
        v: u32,
        /// The client's public ID.
        member: String,
        /// The replica that serves this connection.
        replica: String,
        /// Its release.
        release: String,
        /// Ping this often; silence of 2.5 times this ends the connection.
        heartbeat_ms: u64,
        /// What this connection may do.
        limits: Limits,
        /// The name that others see: not the one of the `hello` if that would pass for somebody else's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The device's public ID. A message is this device's if its `sender`, or without one its `member`, is this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sender: Option<String>,
        /// The account that the token was of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<Account>,
        /// What this server can do beside the protocol's first frames.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        features: Vec<String>,
    },
    /// A room was entered. Then follow: `gap` if so, every message after the cursor, `live`.
    Joined {
        /// The room's name.
        room: String,
        /// The room log's last entry known here; a fresh client's cursor.
        head: EntryId,
        /// How.
        status: JoinStatus,
        /// How many are here.
        present: usize,
        /// The people here, at most 200 of them.
        members: Vec<Member>,
    },
    /// A room's state: told after `joined`, and whenever it changes.
    Room {
        /// The room's name.
        room: String,
        /// The state.
        #[serde(flatten)]
        state: RoomState,
        /// What it means for this person.
        you: Standing,
    },
    /// Another device of this person has read a room up to an entry. If the client has no such room: the person has entered it
    /// elsewhere, or somebody made a room of two with them.
    Read {
        /// The room's name.
        room: String,
        /// The last entry that was read.
        id: EntryId,
    },
    /// A message.
    Message(Message),
    /// Catch-up is done: what follows comes as it happens.
    Live {
        /// The room's name.
        room: String,
        /// The connection's cursor at this moment.
        id: EntryId,
    },
    /// Messages after `after` cannot be had. The cursor becomes `resumes_at`.
    Gap {
        /// The room's name.
        room: String,
        /// The cursor that could not be continued.
        after: EntryId,
        /// The new cursor: the next message names it as `prev`. Lower than `after` if rewound.
        resumes_at: EntryId,
        /// Why.
        reason: GapReason,
    },
    /// A message was taken: it is in the log.
    Ack {
        /// The room's name.
        room: String,
        /// Its number.
        n: u64,
        /// Its entry; absent for a duplicate of anything but the member's last message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<EntryId>,
        /// It had been taken before.
        duplicate: bool,
    },
    /// A message was not taken, and `n` is free still.
    Reject {
        /// The room's name.
        room: String,
        /// Its number.
        n: u64,
        /// Why.
        code: RejectCode,
        /// For people.
        detail: String,
        /// With `out_of_order`: the number that is due.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected: Option<u64>,
        /// When to try again, if trying again can help.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_ms: Option<u64>,
    },
    /// Someone came or left. Never sent for a move.
    Presence {
        /// The room's name.
        room: String,
        /// Which.
        event: PresenceEvent,
        /// Who.
        member: String,
        /// Their name.
        name: String,
    },
    /// The people here, told anew: sent when `presence` frames had to be skipped.
    Members {
        /// The room's name.
        room: String,
        /// How many are here.
        present: usize,
        /// At most 200 of them.
        members: Vec<Member>,
    },
    /// Someone is typing.
    Typing {
        /// The room's name.
        room: String,
        /// Who.
        member: String,
        /// Their name.
        name: String,
    },
    /// The answer to `ping`.
    Pong {
        /// As in the `ping`.
        t: u64,
    },
    /// A frame was refused; the connection stays open unless a close follows.
    Error {
        /// Why.
        code: ErrorCode,
        /// For people.
        detail: String,
        /// The room it concerns, if it concerns one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room: Option<String>,
    },
    /// Open a new connection in `in_ms`; this one keeps delivering until `deadline_ms` from now.
    Goaway {
        /// This client's own moment, ms from now.
        in_ms: u64,
        /// When the server closes what is left, ms from now.
        deadline_ms: u64,
        /// `drain`, `rebalance` or [`ISOLATED`]; whatever else it is, the client moves as for a drain.
        reason: String,
    },
    /// The log went away or came back: told after `welcome` if it is away, and whenever it changes.
    Status {
        /// Which.
        log: LogStatus,
    },
    /// A type this version does not know.
    #[serde(other)]
    Unknown,
}
