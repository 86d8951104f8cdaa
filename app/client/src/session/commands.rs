//! What the caller asks for.

use std::time::Instant;

use rollcall_protocol::{ClientFrame, EntryId, ErrorCode, Limits};

use super::{BYE_TIME, Effect, MAX_ROOMS, Room, Session};
use crate::{error::SendError, event::Event, feature, outbox::Change};

/// Longer than any ID, which an edit or a removal names.
const LONGEST_ID: EntryId = EntryId::new(u64::MAX, u64::MAX);

impl Session {
    /// Queues a message; its ticket, or why not.
    pub fn send(&mut self, name: &str, text: String, now: Instant) -> Result<u64, SendError> {
        self.say(name, text, None, now)
    }

    /// Queues an edit, or (with no text) a removal.
    pub fn change(
        &mut self,
        name: &str,
        change: Change,
        text: String,
        now: Instant,
    ) -> Result<u64, SendError> {
        // An older release would take it for a message by itself.
        if self.current.as_ref().is_some_and(|link| !link.welcome.has(feature::EDIT)) {
            return Err(SendError::NotSupported);
        }
        self.say(name, text, Some(change), now)
    }

    fn say(
        &mut self,
        name: &str,
        text: String,
        change: Option<Change>,
        now: Instant,
    ) -> Result<u64, SendError> {
        let Limits { text_bytes, frame_bytes: most_bytes, .. } = self.limits;
        let room =
            self.rooms.get_mut(name).filter(|room| room.wanted).ok_or(SendError::NotInRoom)?;
        // A frame beyond the limit would cost the connection, for good.
        let edit = change.map(|_| LONGEST_ID);
        let frame =
            ClientFrame::Send { room: name.to_owned(), n: u64::MAX, text, edit, remove: None };
        let frame_bytes = serde_json::to_string(&frame).map_or(usize::MAX, |json| json.len() + 2);
        let ClientFrame::Send { text, .. } = frame else { return Err(SendError::TooLong) };
        if text.len() > text_bytes || frame_bytes > most_bytes {
            return Err(SendError::TooLong);
        }
        let ticket = room.outbox.push(text, change, now).ok_or(SendError::Full)?;
        self.settle(now);
        Ok(ticket)
    }

    /// Enters a room, again if it was left.
    pub fn join(&mut self, name: String, after: Option<EntryId>, now: Instant) {
        if !self.rooms.contains_key(&name) && self.rooms.len() >= MAX_ROOMS {
            self.emit(Event::Refused {
                code: ErrorCode::TooManyRooms,
                detail: format!("a client remembers at most {MAX_ROOMS} rooms"),
                room: Some(name),
            });
            return;
        }
        let capacity = self.outbox_capacity;
        let room = self.rooms.entry(name).or_insert_with(|| Room::new(capacity));
        if !room.wanted {
            room.enter(after);
        }
        self.settle(now);
    }

    /// Leaves a room. Its numbering stays, for the key's next message there.
    pub fn leave(&mut self, name: &str, now: Instant) {
        if let Some(room) = self.rooms.get_mut(name) {
            room.leave();
        }
        self.settle(now);
    }

    /// This person has read a room up to an entry. It is told once the room is entered on a server that keeps it.
    pub fn read(&mut self, name: &str, id: EntryId, now: Instant) {
        if let Some(room) = self.rooms.get_mut(name).filter(|room| room.wanted) {
            room.untold_read = Some(id);
        }
        self.settle(now);
    }

    /// Tells a room that this member is typing; nobody misses it if there is no connection.
    pub fn typing(&mut self, room: String) {
        if let Some(link) = self.current.as_ref().filter(|link| link.is_joined(&room)) {
            self.effects.push_back(Effect::Write(link.id, ClientFrame::Typing { room }));
        }
    }

    /// Ends the presence and the client.
    pub fn bye(&mut self, now: Instant) {
        if let Some(next) = self.next.take() {
            self.effects.push_back(Effect::Close(next.id));
        }
        match &self.current {
            Some(link) => {
                self.effects.push_back(Effect::Write(link.id, ClientFrame::Bye));
                self.bye_until = Some(now + BYE_TIME);
            }
            None => {
                self.end(Ok(()));
            }
        }
    }
}
