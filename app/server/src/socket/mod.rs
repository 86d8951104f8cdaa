//! One WebSocket: moves frames between the client, its session and its rooms.

mod catch_up;
mod connection;
mod outlet;
pub mod wire;

pub use connection::serve;
pub use outlet::{HIGH_WATER, Outlet};
