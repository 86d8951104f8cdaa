//! Takes listeners through rooms: Behind → Reading → Live. WebSockets, event streams and the simulation drive the same values.
//!
//! [`place`] decides, without I/O. [`Listener`] is a place with a way out, to which a room's task hands on what is new;
//! [`Visit`] is a connection's side of it. [`Rooms`] opens rooms, feeds them and closes them.

mod fan_out;
mod feeding;
mod keeping;
mod listener;
mod looks;
pub mod page;
pub mod place;
mod reads;
mod rooms;
mod states;
#[cfg(test)]
mod tests;
mod visit;
mod visitor;

pub use self::{
    listener::{Listener, Sink},
    page::PageRead,
    place::Effect,
    reads::Outcome,
    rooms::{Entry, Parts, Rooms, Start},
    states::Invited,
    visit::Visit,
    visitor::Visitor,
};
