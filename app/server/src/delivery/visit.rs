//! A connection's stay in a room: what it is told on entering, and how it is kept going.

use std::sync::Arc;

use bytes::Bytes;
use rollcall_protocol::{EntryId, JoinStatus, Member, ServerFrame};

use super::{
    listener::{Listener, Sink},
    page::PageRead,
    place::{Effect, Next},
    rooms::Start,
    visitor::Visitor,
};
use crate::{
    error::JoinError,
    mutants::{self, Mutant},
    room::Room,
    session::gap_frame,
};

/// About how many bytes are taken from a ring before it is asked again whether there is room for more.
const CHUNK: usize = 16 * 1024;

/// The list of members, or what a mutant makes of it.
fn cut((present, mut members): (usize, Vec<Member>)) -> (usize, Vec<Member>) {
    if mutants::active(Mutant::MembersCut) {
        members.pop();
    }
    (present, members)
}

/// A connection's stay in a room. It has to be ended by [`Visit::end`].
pub struct Visit {
    room: Arc<Room<Listener>>,
    listener: Arc<Listener>,
    /// The connection's number, unique on this replica.
    connection: u64,
}

impl Visit {
    /// Enters `room`, where `start` says. Also what the connection is to be told first: `joined`, and perhaps `gap`. It hears
    /// nothing of the room before it is live.
    ///
    /// # Errors
    /// If the room is not for the visitor by now: what it was when they were let in may be over.
    pub fn begin(
        room: Arc<Room<Listener>>,
        start: Start,
        connection: u64,
        visitor: Visitor<'_>,
        sink: Arc<dyn Sink>,
    ) -> Result<(Self, Vec<ServerFrame>), JoinError> {
        let (status, cursor, gap) = match start {
            Start::Fresh(head) => (JoinStatus::Fresh, head, None),
            Start::Resumed(cursor) => (JoinStatus::Resumed, cursor, None),
            Start::Gap { after, gap } => (JoinStatus::Gap, gap.resumes_at, Some((after, gap))),
        };
        let listener = Arc::new(Listener::new(cursor, sink));
        let (present, members) = cut(room.attach(connection, listener.clone(), visitor.seat));
        // Whatever changes after this the listener is told, and what changed before this is known here.
        if let Some(why) = visitor.barred_from(&room.name, &room.about()) {
            room.detach(connection);
            return Err(JoinError::Barred(why));
        }
        let head = match status {
            JoinStatus::Fresh => cursor,
            JoinStatus::Resumed | JoinStatus::Gap => room.head().max(cursor),
        };
        let mut told =
            vec![ServerFrame::Joined { room: room.name.clone(), head, status, present, members }];
        told.extend(gap.map(|(after, gap)| gap_frame(&room.name, after, gap)));
        Ok((Self { room, listener, connection }, told))
    }

    /// The room.
    #[must_use]
    pub fn room(&self) -> &Arc<Room<Listener>> {
        &self.room
    }

    /// Takes the listener as far as it goes while there is room for more; `out` does what comes of it. If a page of the log is
    /// needed, the cursor after which: answer with [`Self::page`] or [`Self::not_read`].
    pub fn advance(
        &self,
        mut has_room: impl FnMut() -> bool,
        mut out: impl FnMut(Effect),
    ) -> Option<EntryId> {
        // Locked throughout: nothing that is handed over meanwhile gets between `live` and what was before it.
        let mut place = self.listener.place();
        while has_room() {
            match place.next(|cursor| self.room.view(cursor, CHUNK)) {
                Next::Do(effect) => out(effect),
                Next::Read(cursor) => return Some(cursor),
                Next::Nothing => break,
            }
        }
        None
    }

    /// The page that was asked for.
    pub fn page(&self, page: &PageRead, has_room: impl FnMut() -> bool, out: impl FnMut(Effect)) {
        self.listener.place().page(page, has_room, out);
    }

    /// The page could not be read; [`Self::advance`] asks for it again.
    pub fn not_read(&self) {
        self.listener.place().not_read();
    }

    /// Whether it is handed what comes as it comes.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.listener.place().is_live()
    }

    /// The frame of an effect that is told; none for one that is only written.
    #[must_use]
    pub fn told(&self, effect: &Effect) -> Option<ServerFrame> {
        let room = self.room.name.clone();
        Some(match effect {
            Effect::Frames(_) | Effect::Members | Effect::State => return None,
            Effect::Gap { after, gap } => gap_frame(&room, *after, *gap),
            Effect::Live(id) => ServerFrame::Live { room, id: *id },
        })
    }

    /// What [`Effect::Members`] writes: encoded once for all listeners, until the list changes.
    #[must_use]
    pub fn members(&self) -> Bytes {
        self.room.list()
    }

    /// Leaves the room.
    pub fn end(&self) {
        self.room.detach(self.connection);
    }
}
