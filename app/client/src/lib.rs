//! The resuming Rollcall client.
//!
//! One task a client. [`Client::start`] returns a [`Handle`] to act through and [`Events`] to
//! listen to. The client keeps one cursor and one outbox a room; it moves on `goaway` before the
//! old connection closes, comes back after a loss, and ends only for reasons that say so.
//!
//! A caller that does not take its events holds up only itself: the event queue is bounded, and
//! while it is full the client reads no socket, so TCP pushes back on the server, which in time
//! closes the connection with 1013. The client then resumes from its cursors; nothing is skipped.
//! Dropping [`Events`] ends the client without a `bye`.

mod backoff;
mod connection;
mod driver;
mod event;
mod link;
mod outbox;
mod resume;
mod session;
mod tls;

use std::time::Duration;

pub use backoff::Backoff;
pub use event::{Event, Final, Loss};
pub use outbox::{CaughtUp, Outbox, Pending, Refusal};
pub use resume::{Cursor, Seen};
use rollcall_protocol::{EntryId, RoomCursor};
pub use tls::{NoCertificate, Tls};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use crate::driver::{Command, Driver};

/// The client without its sockets and clock, for simulations: what [`sim::Session`] decides is all
/// that there is to it. No promise is made about this part.
#[doc(hidden)]
pub mod sim {
    pub use crate::{
        connection::{DialError, Welcome},
        link::LinkId,
        session::{Effect, Session},
    };
}

/// Commands that may wait for the client's task.
const COMMANDS: usize = 64;

/// Who a client is and where it goes.
#[derive(Debug, Clone)]
pub struct Config {
    /// The service, as `http://host:port`, `https://host:port`, `ws://…` or `wss://…`.
    pub url: String,
    /// The client key: 32 lower-case hex digits. See [`new_key`].
    pub key: String,
    /// The name others see.
    pub name: String,
    /// Whom to believe over TLS; the authorities of this system if absent.
    pub tls: Option<Tls>,
    /// The rooms to be in from the start, with cursors if it has been there.
    pub rooms: Vec<RoomCursor>,
    /// Longest time from the first packet to `welcome`.
    pub dial_limit: Duration,
    /// Unacknowledged messages a room may hold.
    pub outbox: usize,
    /// Events that may wait for the caller.
    pub events: usize,
    /// Seed of the jitter; random if absent.
    pub seed: Option<u64>,
}

impl Config {
    /// A client with a new key that enters `rooms` for the first time.
    #[must_use]
    pub fn new(url: &str, name: &str, rooms: &[&str]) -> Self {
        let room = |room: &&str| RoomCursor { room: (*room).to_owned(), after: None };
        Self {
            url: url.to_owned(),
            key: new_key(),
            name: name.to_owned(),
            tls: None,
            rooms: rooms.iter().map(room).collect(),
            dial_limit: Duration::from_secs(5),
            outbox: 256,
            events: 256,
            seed: None,
        }
    }

    fn socket_url(&self) -> String {
        let base = self.url.trim_end_matches('/');
        let base = match base.split_once("://") {
            Some(("http", rest)) => format!("ws://{rest}"),
            Some(("https", rest)) => format!("wss://{rest}"),
            _ => base.to_owned(),
        };
        format!("{base}/api/v1/ws")
    }
}

/// A new client key: 128 random bits.
#[must_use]
pub fn new_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Starts clients.
#[derive(Debug)]
pub struct Client;

impl Client {
    /// Starts a client on the current Tokio runtime; it connects at once.
    #[must_use]
    pub fn start(config: Config) -> (Handle, Events) {
        let (commands, command_receiver) = mpsc::channel(COMMANDS);
        let (event_sender, receiver) = mpsc::channel(config.events.max(1));
        let driver = Driver::new(config, command_receiver, event_sender);
        let task = AbortOnDropHandle::new(tokio::spawn(driver.run()));
        (Handle { commands }, Events { receiver, _task: task })
    }
}

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
    /// The client has ended.
    #[error("the client has ended")]
    Ended,
}

/// The client has ended; its last event says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client has ended")]
pub struct Ended;

/// Acts for a client. Cheap to clone; a client with no handle left goes on listening.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
}

impl Handle {
    /// Queues a message and returns its ticket: 1 for this client's first message in the room,
    /// then 2, 3 …. It is also its `n`, unless the server drops an earlier message for good.
    /// [`Event::Acked`] or [`Event::Rejected`] tell what became of it.
    ///
    /// # Errors
    ///
    /// If the message was not queued.
    pub async fn send(&self, room: &str, text: impl Into<String>) -> Result<u64, SendError> {
        let (reply, answer) = oneshot::channel();
        let send = Command::Send { room: room.to_owned(), text: text.into(), reply };
        self.commands.send(send).await.map_err(|_| SendError::Ended)?;
        answer.await.map_err(|_| SendError::Ended)?
    }

    /// Enters one more room, after a cursor if there is one.
    ///
    /// # Errors
    ///
    /// If the client has ended.
    pub async fn join(&self, room: &str, after: Option<EntryId>) -> Result<(), Ended> {
        self.command(Command::Join { room: room.to_owned(), after }).await
    }

    /// Leaves a room. What was queued and is not acknowledged goes out on the next `join`.
    ///
    /// # Errors
    ///
    /// If the client has ended.
    pub async fn leave(&self, room: &str) -> Result<(), Ended> {
        self.command(Command::Leave { room: room.to_owned() }).await
    }

    /// Tells a room that this member is typing.
    ///
    /// # Errors
    ///
    /// If the client has ended.
    pub async fn typing(&self, room: &str) -> Result<(), Ended> {
        self.command(Command::Typing { room: room.to_owned() }).await
    }

    /// Ends the presence and the client; [`Event::Ended`] follows. Does not wait for what is
    /// unacknowledged.
    ///
    /// # Errors
    ///
    /// If the client has ended.
    pub async fn bye(&self) -> Result<(), Ended> {
        self.command(Command::Bye).await
    }

    async fn command(&self, command: Command) -> Result<(), Ended> {
        self.commands.send(command).await.map_err(|_| Ended)
    }
}

/// What a client sees. Owns the client's task.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<Event>,
    /// Dropped with the events, so a client never outlives its listener.
    _task: AbortOnDropHandle<()>,
}

impl Events {
    /// The next event; `None` after [`Event::Ended`]. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }

    /// Skips events until one fits, and returns what was made of it; `None` if the client ended.
    pub async fn find<T>(&mut self, mut fits: impl FnMut(Event) -> Option<T>) -> Option<T> {
        loop {
            if let Some(found) = fits(self.next().await?) {
                return Some(found);
            }
        }
    }

    /// Skips events until the client is live in all its rooms; false if it ended before.
    pub async fn all_live(&mut self) -> bool {
        self.find(|event| matches!(event, Event::AllLive { .. }).then_some(())).await.is_some()
    }
}
