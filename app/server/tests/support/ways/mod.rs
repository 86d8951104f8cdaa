//! The three ways to be in a room, each written from the protocol's README: a WebSocket; an event stream and POST; long-polling
//! and POST.

pub mod events;
pub mod person;
pub mod polls;
pub mod posts;
pub mod websocket;

use std::{future::Future, net::SocketAddr};

use rollcall_protocol::{EntryId, GapReason, Message};

/// What a client hears.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Message(Message),
    /// What is after the cursor cannot be had.
    Gap { after: EntryId, resumes_at: EntryId, reason: GapReason },
    /// Nothing is missing.
    Live,
    /// A message of its own is in the log.
    Taken(u64),
    /// A message of its own is to go again, after so many ms.
    Again(u64, u64),
    /// It is to open a second connection, and to close this one once that is live.
    Goaway,
    /// This connection, or stream, has ended: it opens another.
    Ended,
}

/// Who a client is.
#[derive(Debug, Clone)]
pub struct Who {
    pub key: String,
    pub name: String,
    pub room: String,
}

/// A way to be in a room.
pub trait Way: Sized + Send + 'static {
    /// Enters the room at this replica, after a cursor; none if it is not let in.
    fn open(
        address: SocketAddr,
        who: &Who,
        after: EntryId,
    ) -> impl Future<Output = Option<Self>> + Send;

    /// What comes next.
    fn hear(&mut self) -> impl Future<Output = Heard> + Send;

    /// Says something. The answer is heard.
    fn say(&mut self, n: u64, text: &str) -> impl Future<Output = ()> + Send;

    /// Ends it properly.
    fn close(self) -> impl Future<Output = ()> + Send;
}
