//! A connection's rooms: entered, kept going, left.

#[cfg(test)]
mod tests;

use std::{
    cell::Cell,
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use rollcall_protocol::{EntryId, RoomCursor, ServerFrame};

use super::voice::Voice;
use crate::{
    app::App,
    delivery::{Effect, Entry, Invited, Listener, Outcome, Rooms, Visit, Visitor},
    error::JoinError,
    log::{About, Forbidden, unix_ms},
    moderation::Actor,
    presence::Seat,
    room::Room,
};

/// When to ask a log again that did not answer.
const RETRY: Duration = Duration::from_millis(500);
/// Rooms that one connection looks up at once.
const ENTER_AT_ONCE: usize = 32;

/// The rooms of a connection, and what is under way for them.
pub(super) struct Visits {
    app: App,
    voice: Voice,
    /// The connection's number, unique on this replica.
    connection: u64,
    in_rooms: HashMap<String, Visit>,
    /// What makes the member present in them.
    seats: HashMap<String, Seat>,
    /// Rooms that are being entered or left: presence must see the one before the other.
    busy: HashSet<String>,
    entering: usize,
    /// Rooms to enter, in the order of asking; one that is busy waits until it is not.
    to_enter: VecDeque<RoomCursor>,
    /// Tokens of invitations to some of these.
    invites: HashMap<String, String>,
    /// Rooms that were looked up, and wait until there is room for what they have to tell: each lists its members.
    arrived: VecDeque<Entry>,
    under_way: FuturesUnordered<BoxFuture<'static, Done>>,
}

/// What came of something that was under way.
pub(super) enum Done {
    Entered(RoomCursor, Result<Entry, JoinError>),
    Exited(String),
    Page { room: String, page: Outcome },
}

/// A room that could not be entered.
pub(super) struct NotEntered {
    pub room: String,
    pub error: JoinError,
}

impl NotEntered {
    fn barred(room: &str, why: Forbidden) -> Self {
        Self { room: room.to_owned(), error: JoinError::Barred(why) }
    }
}

/// Enters a room, by its invitation if there is one: without a right one it is as if there were none.
async fn enter(
    rooms: &Rooms,
    cursor: &RoomCursor,
    me: &Actor,
    invite: Option<String>,
) -> Result<Entry, JoinError> {
    if let Some(invite) = invite
        && rooms.invited(&cursor.room, me, &invite).await? == Invited::Yes
    {
        // If there is no place for them, it is private to them still.
        let _is_in = rooms.let_in(&cursor.room, me).await?;
    }
    rooms.join(&cursor.room, Visitor::seated(&me.member, me.has_power), cursor.after).await
}

/// What is true of a room now, and for this member.
fn state_frame(room: &str, about: &About, me: &Actor) -> ServerFrame {
    let you = about.standing(&me.member.member, me.has_power, unix_ms());
    ServerFrame::Room { room: room.to_owned(), state: about.state(), you }
}

impl Visits {
    pub fn new(app: App, voice: Voice, connection: u64) -> Self {
        Self {
            app,
            voice,
            connection,
            in_rooms: HashMap::new(),
            seats: HashMap::new(),
            busy: HashSet::new(),
            entering: 0,
            to_enter: VecDeque::new(),
            invites: HashMap::new(),
            arrived: VecDeque::new(),
            under_way: FuturesUnordered::new(),
        }
    }

    /// How many things are under way.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Waits for the next thing that was under way; for ever if there is none.
    pub async fn next(&mut self) -> Done {
        match self.under_way.next().await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }

    /// Will enter a room, once what is under way for it is done and there is room for what it has to tell.
    pub fn enter(&mut self, cursor: RoomCursor) {
        self.to_enter.retain(|waiting| waiting.room != cursor.room);
        self.to_enter.push_back(cursor);
    }

    fn enter_waiting(&mut self, me: &Actor) {
        while self.entering < ENTER_AT_ONCE {
            let next = self.to_enter.iter().position(|cursor| !self.busy.contains(&cursor.room));
            let Some(cursor) = next.and_then(|index| self.to_enter.remove(index)) else { return };
            self.busy.insert(cursor.room.clone());
            self.entering += 1;
            let rooms = self.app.rooms.clone();
            let me = me.clone();
            let invite = self.invites.remove(&cursor.room);
            self.under_way.push(Box::pin(async move {
                let entered = enter(&rooms, &cursor, &me, invite).await;
                Done::Entered(cursor, entered)
            }));
        }
    }

    /// Has an invitation to a room that is entered next.
    pub fn invited(&mut self, room: String, invite: String) {
        self.invites.insert(room, invite);
    }

    /// Leaves a room for good.
    pub fn exit(&mut self, room: &str) {
        self.to_enter.retain(|waiting| waiting.room != room);
        self.invites.remove(room);
        let Some(visit) = self.in_rooms.remove(room) else { return };
        visit.end();
        if let Some(seat) = self.seats.remove(room) {
            self.leave(room.to_owned(), seat);
        }
    }

    /// Is seen in a room no more.
    fn leave(&mut self, room: String, seat: Seat) {
        self.busy.insert(room.clone());
        // A task of its own: after a `bye` the connection may be gone before it is done.
        let exit = self.app.tasks.spawn(seat.leave());
        self.under_way.push(Box::pin(async move {
            // It does not panic, and if it did, there would be nothing to wait for.
            let _ = exit.await;
            Done::Exited(room)
        }));
    }

    /// Leaves all rooms for good.
    pub fn exit_all(&mut self) {
        let rooms: Vec<_> = self.in_rooms.keys().cloned().collect();
        rooms.iter().for_each(|room| self.exit(room));
    }

    /// Hears no room any more. Its seats keep the member for the length of a lease.
    pub fn detach(&mut self) {
        for (_, visit) in self.in_rooms.drain() {
            visit.end();
        }
        self.seats.clear();
    }

    /// Takes note of what was under way.
    ///
    /// # Errors
    /// If a room could not be entered.
    pub fn done(&mut self, done: Done) -> Result<(), NotEntered> {
        match done {
            Done::Exited(room) => {
                self.busy.remove(&room);
            }
            Done::Page { room, page } => self.page_read(&room, page),
            Done::Entered(_, Ok(entry)) => self.arrived.push_back(entry),
            Done::Entered(RoomCursor { room, .. }, Err(error)) => {
                self.busy.remove(&room);
                self.entering -= 1;
                self.to_enter.retain(|waiting| waiting.room != room);
                return Err(NotEntered { room, error });
            }
        }
        Ok(())
    }

    /// # Errors
    /// If the room is not for this member by now.
    fn entered(
        &mut self,
        Entry { room, seat, start }: Entry,
        me: &Actor,
    ) -> Result<(), NotEntered> {
        let name = room.name.clone();
        let sink = self.voice.outlet.clone();
        let visitor = Visitor::seated(&me.member, me.has_power);
        let (visit, told) = match Visit::begin(room, start, self.connection, visitor, sink) {
            Ok(begun) => begun,
            Err(error) => {
                seat.into_iter().for_each(|seat| self.leave(name.clone(), seat));
                return Err(NotEntered { room: name, error });
            }
        };
        self.seats.extend(seat.map(|seat| (name.clone(), seat)));
        told.iter().for_each(|frame| self.voice.reply(frame));
        let about = visit.room().about();
        if me.has_power || !about.is_empty() {
            self.voice.reply(&state_frame(&name, &about, me));
        }
        self.in_rooms.insert(name, visit);
        Ok(())
    }

    /// Enters rooms that were looked up, while there is room for what they have to tell. Those that are not for the client by
    /// now.
    fn enter_arrived(&mut self, me: &Actor, is_wanted: impl Fn(&str) -> bool) -> Vec<NotEntered> {
        let mut barred = Vec::new();
        while self.voice.outlet.has_room() {
            let Some(entry) = self.arrived.pop_front() else { break };
            let room = entry.room.name.clone();
            self.busy.remove(&room);
            self.entering -= 1;
            // Left and entered again meanwhile: the second time counts.
            if self.to_enter.iter().any(|waiting| waiting.room == room) {
                continue;
            }
            match (self.entered(entry, me), is_wanted(&room)) {
                (Err(not_entered), true) => barred.push(not_entered),
                // The client left while it was entering.
                (Ok(()), false) => self.exit(&room),
                (Ok(()), true) | (Err(_), false) => {}
            }
        }
        barred
    }

    /// Takes every room as far as it goes while the way out takes more. The next flush leads back here. `is_wanted` says
    /// whether the client still means to be in a room.
    ///
    /// Returns the rooms that the client has to leave, since their state says so now.
    pub fn catch_up(&mut self, me: &Actor, is_wanted: impl Fn(&str) -> bool) -> Vec<NotEntered> {
        let not_entered = self.enter_arrived(me, is_wanted);
        self.enter_waiting(me);
        let outlet = &self.voice.outlet;
        let (mut pages, mut barred) = (Vec::new(), Vec::new());
        for visit in self.in_rooms.values() {
            if !outlet.has_room() {
                break;
            }
            let is_out = Cell::new(false);
            let write = |effect: Effect| match effect {
                Effect::State => {
                    let (room, about) = (&visit.room().name, visit.room().about());
                    let visitor = Visitor::seated(&me.member, me.has_power);
                    match visitor.barred_from(room, &about) {
                        Some(why) => {
                            is_out.set(true);
                            barred.push(NotEntered::barred(room, why));
                        }
                        None => self.voice.tell(&state_frame(room, &about, me)),
                    }
                }
                effect => self.write(visit, &effect),
            };
            let may_go_on = || !is_out.get() && outlet.has_room();
            if let Some(cursor) = visit.advance(may_go_on, write) {
                pages.push((visit.room().clone(), cursor));
            }
        }
        for (room, cursor) in pages {
            self.read_page(room, cursor);
        }
        barred.iter().for_each(|barred| self.exit(&barred.room));
        barred.extend(not_entered);
        barred
    }

    /// Whether nothing is missing in any of the rooms that it wants to be in.
    pub fn are_all_live(&self) -> bool {
        let is_entering = self.entering > 0 || !self.to_enter.is_empty();
        !is_entering && self.in_rooms.values().all(Visit::is_live)
    }

    fn write(&self, visit: &Visit, effect: &Effect) {
        match effect {
            Effect::Frames(frames) => {
                frames.iter().for_each(|frame| self.voice.outlet.put_frame(&frame.wire));
            }
            Effect::Members => self.voice.outlet.put_frame(&visit.members()),
            // Told where it is known who the client is.
            Effect::State => {}
            told => visit.told(told).iter().for_each(|frame: &ServerFrame| self.voice.tell(frame)),
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
    fn page_read(&mut self, room: &str, page: Outcome) {
        let Some(visit) = self.in_rooms.get(room) else { return };
        match page {
            Ok(page) => {
                let has_room = || self.voice.outlet.has_room();
                visit.page(&page, has_room, |effect| self.write(visit, &effect));
            }
            Err(_) => visit.not_read(),
        }
    }
}
