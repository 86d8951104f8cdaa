//! What happens while it happens, for people at a terminal: what is true now, how it looks, and where it is shown.

mod board;
mod picture;
mod screen;
#[cfg(test)]
mod tests;

pub use board::Board;
pub use screen::{Screen, is_for_colours, say, tell, told};
