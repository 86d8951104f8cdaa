//! Members of rooms, as the connection tells them that knows best.

use super::Session;
use crate::{
    event::Event,
    link::{Link, LinkId},
};

impl Session {
    /// Tells who came or went in a room. During a move its list is that of the second connection, once that has told
    /// one: what the first tells afterwards may be older, and counts only if the second is lost.
    pub(super) fn people(&mut self, id: LinkId, room: &str, event: Event) {
        let has_list = |next: &Link| next.id != id && next.is_joined(room);
        if self.next.as_ref().is_some_and(has_list) {
            self.outdated.push(event);
        } else {
            self.emit(event);
        }
    }

    /// The move failed: the first connection goes on, and what it told is all there is.
    pub(super) fn people_of_first(&mut self) {
        let told = std::mem::take(&mut self.outdated);
        told.into_iter().for_each(|event| self.emit(event));
    }
}
