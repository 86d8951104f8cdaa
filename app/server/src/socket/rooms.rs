//! A connection's rooms: entered, caught up from the ring or the log, left.

use std::{sync::Arc, time::Duration};

use rollcall_protocol::{
    CloseCode, EntryId, GapReason, JoinStatus, Message, RoomCursor, ServerFrame,
};

use super::{
    connection::{Connection, Done},
    wire,
};
use crate::{
    error::JoinError,
    log::{LogError, Page, splice},
    room::{Frame, Listener, Out, Pull, Room, Start},
    session::gap_frame,
};

/// Entries of one log page.
const PAGE: usize = 128;
/// When to ask a log again that did not answer.
const RETRY: Duration = Duration::from_millis(500);

/// A room that the connection is in.
pub(super) struct Joined {
    pub(super) room: Arc<Room>,
    listener: Arc<Listener>,
    /// The client has been told that catch-up is done.
    told_live: bool,
    /// A page is being read.
    reading: bool,
}

impl Joined {
    pub(super) fn new(room: Arc<Room>, listener: Arc<Listener>) -> Self {
        Self { room, listener, told_live: false, reading: false }
    }
}

/// What a page of a room's log after `cursor` begins with if it does not continue it, and what [`unbroken`] says of it.
/// A page that proves a loss tells the room of it.
pub fn open_page(
    room: &Room,
    cursor: EntryId,
    page: Page,
) -> (Option<splice::Gap>, Vec<Message>, bool) {
    let gap = splice::gap(cursor, &page);
    let lost = gap.is_some_and(|gap| gap.reason == GapReason::Rewound);
    if lost || (page.entries.is_empty() && room.contradicts(cursor)) {
        room.rewind(page.last);
    }
    let (entries, at_log_end) = unbroken(page);
    (gap, entries, at_log_end)
}

/// What can be handed over of a page, and whether the log ends with it. Where an entry is missing inside,
/// or only another release can read it, the chain breaks: the next page begins there, and with a gap.
#[must_use]
pub fn unbroken(mut page: Page) -> (Vec<Message>, bool) {
    let broken = page.entries.windows(2).position(|pair| pair[1].prev != pair[0].id);
    page.entries.truncate(broken.map_or(page.entries.len(), |index| index + 1));
    let at_log_end = page.entries.last().is_none_or(|entry| entry.id == page.last);
    (page.entries, at_log_end)
}

impl Connection {
    /// Enters a room, once what is still under way for it is done.
    pub(super) fn enter(&mut self, cursor: RoomCursor) {
        if !self.busy_rooms.insert(cursor.room.clone()) {
            self.enter_next.insert(cursor.room.clone(), cursor);
            return;
        }
        let (rooms, me) = (self.app.rooms.clone(), self.session.me().cloned());
        self.under_way.push(Box::pin(async move {
            let entered = rooms.join(&cursor.room, me.as_ref(), cursor.after).await;
            Done::Entered(cursor, entered)
        }));
    }

    pub(super) fn exit(&mut self, room: &str) {
        self.enter_next.remove(room);
        let Some(joined) = self.rooms.remove(room) else { return };
        let Some(me) = self.session.me().cloned() else { return };
        if joined.room.detach(self.id, Some(&me)) {
            let (rooms, name) = (self.app.rooms.clone(), room.to_owned());
            // A task of its own: after a `bye` the connection may be gone before it is done.
            let exit = self.app.tasks.spawn(async move { rooms.exit(&name, &me.member).await });
            let name = room.to_owned();
            self.busy_rooms.insert(name.clone());
            self.under_way.push(Box::pin(async move {
                // It does not panic, and if it did, there would be nothing to wait for.
                let _ = exit.await;
                Done::Exited(name)
            }));
        }
    }

    /// Hears no room any more. The leases are the member's: another connection renews them, or they run out.
    pub(super) fn detach(&mut self) {
        let me = self.session.me().cloned();
        for (_, joined) in self.rooms.drain() {
            joined.room.detach(self.id, me.as_ref());
        }
    }

    /// Nothing is under way for a room any more: it can be entered again.
    pub(super) fn settled(&mut self, room: &str) {
        self.busy_rooms.remove(room);
        if let Some(cursor) = self.enter_next.remove(room) {
            self.enter(cursor);
        }
    }

    pub(super) fn entered(
        &mut self,
        RoomCursor { room: name, .. }: &RoomCursor,
        room: Arc<Room>,
        start: Start,
    ) {
        if self.enter_next.contains_key(name) {
            // Left and entered again meanwhile: the second time counts.
            return self.settled(name);
        }
        self.busy_rooms.remove(name);
        let me = self.session.me().cloned();
        let (status, cursor, gap) = match start {
            Start::Fresh(head) => (JoinStatus::Fresh, head, None),
            Start::Resumed(cursor) => (JoinStatus::Resumed, cursor, None),
            Start::Gap { after, gap } => (JoinStatus::Gap, gap.resumes_at, Some((after, gap))),
        };
        let listener = Arc::new(Listener::new(cursor, Out::Direct(self.outlet.clone())));
        // It hears nothing before it is live, so `joined` is the first that is said of this room.
        let (present, members) = room.attach(self.id, listener.clone(), me.as_ref());
        let head = if status == JoinStatus::Fresh { cursor } else { room.head().max(cursor) };
        self.reply(&ServerFrame::Joined { room: name.clone(), head, status, present, members });
        if let Some((after, gap)) = gap {
            self.count_gap(gap.reason);
            self.reply(&gap_frame(name, after, gap));
        }
        self.rooms.insert(name.clone(), Joined::new(room, listener));
        if !self.session.is_in(name) {
            // It left while it was entering.
            self.exit(name);
        }
    }

    pub(super) fn not_entered(&mut self, RoomCursor { room, .. }: RoomCursor, error: &JoinError) {
        self.busy_rooms.remove(&room);
        self.enter_next.remove(&room);
        self.session.not_entered(&room);
        let (code, detail) = (error.code(), error.to_string());
        self.reply(&ServerFrame::Error { code, detail, room: Some(room) });
        // Its cursors are safe with the client: let it come back, perhaps elsewhere.
        self.close = Some((CloseCode::TryAgainLater, "not every room could be entered"));
    }

    /// Takes every room that fell behind as far as the ring and the outlet allow.
    pub(super) fn catch_up(&mut self) {
        if !self.outlet.has_room() {
            // A page would be read for nothing. The next flush leads back here.
            return;
        }
        let mut pages = Vec::new();
        for (name, joined) in &mut self.rooms {
            let place = *joined.listener.place();
            if joined.reading || (place.live && !place.presence_stale) {
                continue;
            }
            let outlet = &self.outlet;
            let told_live = &mut joined.told_live;
            let on_live = |id: EntryId, members: Option<(usize, Vec<_>)>| {
                let live = ServerFrame::Live { room: name.clone(), id };
                if !std::mem::replace(told_live, true) {
                    outlet.put_reply(&wire::text_frame(&live));
                }
                if let Some((present, members)) = members {
                    let members = ServerFrame::Members { room: name.clone(), present, members };
                    outlet.put_reply(&wire::text_frame(&members));
                }
            };
            let take = |frame: &Frame| outlet.offer(&frame.wire);
            if let Pull::NeedPage(cursor) = joined.room.pull(&joined.listener, take, on_live) {
                joined.reading = true;
                pages.push((name.clone(), cursor));
            }
        }
        for (room, cursor) in pages {
            self.read_page(room, cursor, Duration::ZERO);
        }
    }

    fn read_page(&mut self, room: String, cursor: EntryId, pause: Duration) {
        let log = self.app.rooms.log().clone();
        self.under_way.push(Box::pin(async move {
            tokio::time::sleep(pause).await;
            let page = log.read_after(&room, cursor, PAGE).await;
            Done::Page { room, cursor, page }
        }));
    }

    /// Hands over a page of the log; the next [`Self::catch_up`] goes on from there.
    pub(super) fn page_read(&mut self, name: &str, cursor: EntryId, page: Result<Page, LogError>) {
        let Some(joined) = self.rooms.get_mut(name) else { return };
        let Ok(page) = page else { return self.read_page(name.to_owned(), cursor, RETRY) };
        joined.reading = false;
        if joined.listener.place().cursor != cursor {
            return;
        }
        let (gap, entries, mut at_log_end) = open_page(&joined.room, cursor, page);
        if let Some(gap) = gap {
            self.outlet.put_reply(&wire::text_frame(&gap_frame(name, cursor, gap)));
        }
        // Nobody else moves the cursor of a listener that is not live.
        let mut reached = gap.map_or(cursor, |gap| gap.resumes_at);
        for entry in entries {
            let frame = Frame::new(entry);
            if !self.outlet.offer(&frame.wire) {
                at_log_end = false;
                break;
            }
            reached = frame.id;
        }
        joined.listener.place().reached(reached, at_log_end);
        if let Some(gap) = gap {
            self.count_gap(gap.reason);
        }
    }
}
