//! One WebSocket: moves frames between the client, its session and its rooms.

mod connection;
mod counts;
mod outlet;
mod parting;
mod rooms;

pub use connection::serve;
