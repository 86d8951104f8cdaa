//! A client for Rollcall, a chat service that is updated without anyone
//! noticing. It keeps the promises of the protocol for you: each message is heard once and in order, and what you say is in
//! the room's log exactly once, whatever happens to connections, replicas and the network on the way.
//!
//! ```
//! use rollcall_client::{Client, Config, Event};
//!
//! /// Says everything twice, until the client ends.
//! async fn echo(url: &str) -> Result<(), Box<dyn std::error::Error>> {
//!     let (handle, mut events) = Client::start(Config::new(url, "Echo", &["lobby"]));
//!     let mut me = String::new();
//!     while let Some(event) = events.next().await {
//!         match event {
//!             Event::Connected { sender, .. } => me = sender,
//!             Event::Message { message, .. } if message.sender() != me => {
//!                 handle.send(&message.room, format!("{} said {}", message.name, message.text)).await?;
//!             }
//!             Event::Rejected { text, detail, retried: false, .. } => println!("{text:?} was refused: {detail}"),
//!             Event::Ended(result) => result?,
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! [`Client::start`] returns a [`Handle`] to act through and [`Events`] to listen to. There is one task per client. The
//! client keeps one cursor and one outbox per room; it moves on `goaway` before the old connection closes, comes back after
//! a loss, and ends only for reasons that say so ([`Final`]).
//!
//! **Speaking.** [`Handle::send`] queues a message and returns a ticket. Each ticket is settled by exactly one of
//! [`Event::Acked`] (it is in the log, once), [`Event::Rejected`] without `retried` (it is not), or, which is rare,
//! [`Event::Unknown`] (the log could not be seen where it would be). Edits and removals have tickets too. A ticket lives as
//! long as the client: what was queued in a room that was left goes out when the room is entered again.
//!
//! **Listening.** A caller that does not take its events holds up only itself: the event queue is bounded, and while it is
//! full the client reads no socket, so TCP pushes back on the server, which in time closes the connection with 1013. The
//! client then resumes from its cursors; nothing is skipped. Dropping [`Events`] ends the client without a `bye`.
//!
//! **Coming back in another process.** A program that keeps [`Config::key`] must keep the room's `n` counters with it, and
//! this crate tells them nowhere: start with a new key, and with the cursors of the messages that you processed
//! ([`Config::rooms`]).

mod backoff;
mod config;
mod connection;
mod driver;
mod error;
mod event;
pub mod feature;
mod handle;
mod link;
mod outbox;
mod resume;
mod session;
mod tls;

pub use config::{Config, new_key};
pub use error::{Ended, Final, Loss, SendError};
pub use event::Event;
pub use handle::{Events, Handle};
pub use outbox::Change;
pub use rollcall_protocol as protocol;
pub use tls::{NoCertificate, Tls};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::driver::Driver;

/// The client without its sockets and clock, for simulations: what [`sim::Session`] decides is all
/// that there is to it. No promise is made about this part.
#[doc(hidden)]
pub mod sim {
    pub use crate::{
        connection::{DialError, Welcome},
        link::LinkId,
        outbox::{Outbox, Outgoing, Pending, Refusal, Settled},
        session::{Effect, Session},
    };
}

/// Commands that may wait for the client's task.
const COMMANDS: usize = 64;

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
