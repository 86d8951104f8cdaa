//! Rollcall's wire contract, version 1.
//!
//! One definition of what crosses a connection, for the server and for every Rust client.
//! `README.md` beside this crate tells the same story to someone who writes a client in
//! another language; `fixtures/*.json` holds one golden example of each frame, which the Rust
//! and the JavaScript tests both read.

mod close;
mod frame;
mod id;

pub use close::CloseCode;
pub use frame::{
    ClientFrame, ErrorCode, GapReason, ISOLATED, JoinStatus, Limits, LogStatus, Member, Message,
    PresenceEvent, RejectCode, RoomCursor, ServerFrame, Why,
};
pub use id::{EntryId, ParseEntryIdError};

/// The protocol version spoken here, sent in `hello` and `welcome`.
pub const VERSION: u32 = 1;
