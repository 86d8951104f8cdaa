//! A connection's rooms: entered, kept going, left.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use rollcall_protocol::{CloseCode, EntryId, RoomCursor};

use super::connection::{Connection, Done};
use crate::{
    delivery::{Effect, Listener, Outcome, Start, Visit},
    error::JoinError,
    room::Room,
    wire,
};

/// When to ask a log again that did not answer.
const RETRY: Duration = Duration::from_millis(500);
/// Rooms that one connection enters at once: each answer lists members, and the way out is bounded.
const ENTER_AT_ONCE: usize = 4;

/// The rooms of a connection, and what is under way for them.
#[derive(Default)]
pub(super) struct Visits {
    pub in_rooms: HashMap<String, Visit>,
    /// Rooms that are being entered or left: presence must see the one before the other.
    busy: HashSet<String>,
    entering: usize,
    /// Rooms to enter, in the order of asking; one that is busy waits until it is not.
    to_enter: VecDeque<RoomCursor>,
}

/// What came of entering a room.
pub(super) type Entered = Result<(Arc<Room<Listener>>, Start), JoinError>;

impl Connection {
    /// Enters a room as soon as what is under way for it is done, and there is room for what it has to tell.
    pub(super) fn enter(&mut self, cursor: RoomCursor) {
        self.visits.to_enter.retain(|waiting| waiting.room != cursor.room);
        self.visits.to_enter.push_back(cursor);
        self.enter_waiting();
    }

    pub(super) fn enter_waiting(&mut self) {
        while self.visits.entering < ENTER_AT_ONCE && self.outlet.has_room() {
            let visits = &mut self.visits;
            let next =
                visits.to_enter.iter().position(|cursor| !visits.busy.contains(&cursor.room));
            let Some(cursor) = next.and_then(|index| visits.to_enter.remove(index)) else { return };
            visits.busy.insert(cursor.room.clone());
            visits.entering += 1;
            let rooms = self.app.rooms.clone();
            let me = self.session.me().cloned();
            self.under_way.push(Box::pin(async move {
                let entered = rooms.join(&cursor.room, me.as_ref(), cursor.after).await;
                Done::Entered(cursor, entered)
            }));
        }
    }

    pub(super) fn exit(&mut self, room: &str) {
        self.visits.to_enter.retain(|waiting| waiting.room != room);
        let Some(visit) = self.visits.in_rooms.remove(room) else { return };
        let Some(me) = self.session.me().cloned() else { return };
        if visit.end(Some(&me)) {
            self.visits.busy.insert(room.to_owned());
            let rooms = self.app.rooms.clone();
            let name = room.to_owned();
            // A task of its own: after a `bye` the connection may be gone before it is done.
            let exit = self.app.tasks.spawn({
                let name = name.clone();
                async move { rooms.exit(&name, &me.member).await }
            });
            self.under_way.push(Box::pin(async move {
                // It does not panic, and if it did, there would be nothing to wait for.
                let _ = exit.await;
                Done::Exited(name)
            }));
        }
    }

    /// Hears no room any more. Presence is the member's: another connection has it too, or it runs out.
    pub(super) fn detach(&mut self) {
        let me = self.session.me().cloned();
        for (_, visit) in self.visits.in_rooms.drain() {
            visit.end(me.as_ref());
        }
    }

    /// Nothing is under way for a room any more: it can be entered again.
    pub(super) fn exited(&mut self, room: &str) {
        self.visits.busy.remove(room);
    }

    pub(super) fn entered(&mut self, RoomCursor { room: name, .. }: RoomCursor, entered: Entered) {
        self.visits.busy.remove(&name);
        self.visits.entering -= 1;
        match entered {
            Err(error) => self.not_entered(name, &error),
            // Left and entered again meanwhile: the second time counts.
            Ok(_) if self.visits.to_enter.iter().any(|waiting| waiting.room == name) => {}
            Ok((room, start)) => {
                let me = self.session.me().cloned();
                let sink = self.outlet.clone();
                let (visit, told) = Visit::begin(room, start, self.id, me.as_ref(), sink);
                told.iter().for_each(|frame| self.reply(frame));
                self.visits.in_rooms.insert(name.clone(), visit);
                if !self.session.is_in(&name) {
                    // It left while it was entering.
                    self.exit(&name);
                }
            }
        }
    }

    fn not_entered(&mut self, room: String, error: &JoinError) {
        if let JoinError::Log(error) = error {
            error.note("a join");
        }
        self.visits.to_enter.retain(|waiting| waiting.room != room);
        self.session.not_entered(&room);
        let (code, detail) = (error.code(), error.to_string());
        self.reply(&rollcall_protocol::ServerFrame::Error { code, detail, room: Some(room) });
        // Its cursors are safe with the client: let it come back, perhaps elsewhere.
        self.close = Some((CloseCode::TryAgainLater, "not every room could be entered"));
    }

    /// Takes every room as far as it goes while the way out takes more. The next flush leads back here.
    pub(super) fn catch_up(&mut self) {
        self.enter_waiting();
        let mut pages = Vec::new();
        for visit in self.visits.in_rooms.values() {
            if !self.outlet.has_room() {
                break;
            }
            let out = |effect: Effect| self.write(visit, &effect);
            if let Some(cursor) = visit.advance(|| self.outlet.has_room(), out) {
                pages.push((visit.room().clone(), cursor));
            }
        }
        for (room, cursor) in pages {
            self.read_page(room, cursor);
        }
    }

    fn write(&self, visit: &Visit, effect: &Effect) {
        match effect {
            Effect::Frames(frames) => {
                frames.iter().for_each(|frame| self.outlet.put_frame(&frame.wire))
            }
            told => {
                if let Some(frame) = visit.told(told) {
                    self.count_reply(&frame);
                    self.outlet.put_frame(&wire::text_frame(&frame));
                }
            }
        }
    }

    fn read_page(&mut self, room: Arc<Room<Listener>>, cursor: EntryId) {
        let read = self.app.rooms.read_page(&room, cursor);
        self.under_way.push(Box::pin(async move {
            let page = read.await;
            if page.is_err() {
                tokio::time::sleep(RETRY).await;
            }
            Done::Page { room: room.name.clone(), page }
        }));
    }

    /// Hands over a page of the log; the next [`Self::catch_up`] goes on from there.
    pub(super) fn page_read(&mut self, room: &str, page: Outcome) {
        let Some(visit) = self.visits.in_rooms.get(room) else { return };
        match page {
            Ok(page) => {
                visit.page(&page, || self.outlet.has_room(), |effect| self.write(visit, &effect))
            }
            Err(_) => visit.not_read(),
        }
    }
}
