//! One WebSocket: moves frames between the client, its session and its rooms.

mod connection;
mod outlet;
mod parting;
mod visits;
mod voice;

pub use connection::{Opening, serve};
