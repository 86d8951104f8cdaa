//! Rollcall's wire contract, version 1.
//!
//! One definition of what crosses a connection, for the server and for every Rust client.
//! `README.md` beside this crate tells the same story to someone who writes a client in
//! another language; `fixtures/*.json` holds one golden example of each frame, which the Rust
//! and the JavaScript tests both read.

mod close;
mod code;
mod frame;
mod id;
mod message;
mod state;

pub use close::CloseCode;
pub use code::{ErrorCode, GapReason, LogStatus, RejectCode};
pub use frame::{
    ClientFrame, ISOLATED, JoinStatus, Limits, Member, PresenceEvent, RoomCursor, ServerFrame, Why,
};
pub use id::{EntryId, ParseEntryIdError};
pub use message::{Extra, Kind, Mark, Message};
pub use state::{Access, Account, RoomState, Standing};

/// The protocol version spoken here, sent in `hello` and `welcome`.
pub const VERSION: u32 = 1;
