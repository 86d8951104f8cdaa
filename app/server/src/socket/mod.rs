//! One WebSocket: moves frames between the client, its session and its rooms.

mod connection;
mod counts;
mod outlet;
mod rooms;
pub mod wire;

pub use connection::serve;
pub use outlet::{HIGH_WATER, Outlet};
pub use rooms::{open_page, unbroken};
