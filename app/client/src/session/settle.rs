//! Brings what is to what should be. Runs after every input.

use std::time::Instant;

use rollcall_protocol::{ClientFrame, RejectCode, RoomCursor, VERSION, Why};

use super::{Dial, Effect, Room, Session};
use crate::{
    event::Event,
    feature,
    link::Link,
    outbox::{Change, Outgoing, Pending, Settled},
};

/// More than a `hello` without rooms takes: a name of 32 characters may be 384 bytes of escapes.
const HELLO_BYTES: usize = 1024;

impl Session {
    /// Asks for whatever stands between what is and what should be.
    pub(super) fn settle(&mut self, now: Instant) {
        if self.bye_until.is_some() {
            return;
        }
        self.promote();
        self.note_log();
        self.enter_rooms(now);
        self.catch_up(now);
        self.give_up(now);
        self.flush(now);
        self.flush_reads();
        self.note_live(now);
        self.start_dial(now);
    }

    /// Lets the next connection take over once it has everything, or if it is the only one.
    fn promote(&mut self) {
        let rooms = &self.rooms;
        let ready = |next: &mut Link| {
            let known = |room: &&Room| room.wanted && room.cursor.at().is_some();
            rooms.iter().filter(|(_, room)| known(room)).all(|(name, _)| next.is_live(name))
        };
        let current_gone = self.current.is_none();
        let Some(next) = self.next.take_if(|next| current_gone || ready(next)) else { return };
        self.outdated.clear();
        if let Some(old) = self.current.replace(next) {
            self.moving_from.get_or_insert(old.welcome.replica);
            self.rooms.values_mut().for_each(|room| room.outbox.connection_lost());
            self.effects.push_back(Effect::Close(old.id));
        }
    }

    /// Joins and leaves rooms on each connection until it is where the client wants to be.
    fn enter_rooms(&mut self, now: Instant) {
        for (link, is_current) in [(&mut self.current, true), (&mut self.next, false)]
            .into_iter()
            .filter_map(|(link, is)| link.as_mut().map(|link| (link, is)))
        {
            for (name, room) in self.rooms.iter().filter(|(_, room)| room.wanted) {
                let after = room.cursor.at();
                // Without a cursor each connection would start at a head of its own, and what
                // lies between them would be missing: so only one is asked.
                if link.should_ask(name, now) && (is_current || after.is_some()) {
                    link.ask(name.clone(), after);
                    let join = ClientFrame::join(name, after);
                    self.effects.push_back(Effect::Write(link.id, join));
                }
            }
            let wanted = |name: &String| self.rooms.get(name).is_some_and(|room| room.wanted);
            let left: Vec<_> = link.stages.keys().filter(|name| !wanted(name)).cloned().collect();
            for room in left {
                link.stages.remove(&room);
                self.effects.push_back(Effect::Write(link.id, ClientFrame::Leave { room }));
            }
        }
    }

    /// Tells what catch-up settled of the messages that had no answer.
    fn catch_up(&mut self, now: Instant) {
        let Some(link) = &self.current else { return };
        let mut events = Vec::new();
        for (name, room) in self.rooms.iter_mut().filter(|(name, _)| link.is_live(name)) {
            events.extend(told(name, room.outbox.live(), None, now));
        }
        events.into_iter().for_each(|event| self.emit(event));
    }

    /// Drops what cannot be sent: in rooms that the client was put out of, and edits where an older release serves, which
    /// would take them for messages.
    fn give_up(&mut self, now: Instant) {
        let too_old = (RejectCode::Other, "this server knows no edits".to_owned());
        let mut events = Vec::new();
        for (name, room) in &mut self.rooms {
            let serves = self.current.as_ref().filter(|link| link.is_live(name));
            let is_old = serves.is_some_and(|link| !link.welcome.has(feature::EDIT));
            let (settled, why) = match &room.put_out {
                Some(why) => (room.outbox.give_up(|_| true), why),
                None if is_old => (room.outbox.give_up(|it| it.change.is_some()), &too_old),
                None => continue,
            };
            events.extend(told(name, settled, Some(why), now));
        }
        events.into_iter().for_each(|event| self.emit(event));
    }

    /// Tells that the log went away or came back, and how much is kept until then.
    fn note_log(&mut self) {
        let Some(away) = self.current.as_ref().map(|link| link.log_away) else { return };
        if std::mem::replace(&mut self.told_away, away) != away {
            let kept = self.rooms.values().map(|room| room.outbox.len()).sum();
            self.emit(Event::Log { up: !away, kept });
        }
    }

    /// Sends what is due in every room that is live, within the server's limit.
    fn flush(&mut self, now: Instant) {
        let Some(link) = &self.current else { return };
        let on_its_way: usize = self.rooms.values().map(|room| room.outbox.on_its_way()).sum();
        let mut room_for = link.welcome.limits.pending.max(1).saturating_sub(on_its_way);
        for (name, room) in self.rooms.iter_mut().filter(|(name, _)| link.sends_in(name)) {
            for Outgoing { n, text, change } in room.outbox.take_due(room_for, now) {
                room_for -= 1;
                let (edit, remove) = match change {
                    Some(Change::Edit(of)) => (Some(of), None),
                    Some(Change::Remove(of)) => (None, Some(of)),
                    None => (None, None),
                };
                let send = ClientFrame::Send { room: name.clone(), n, text, edit, remove };
                self.effects.push_back(Effect::Write(link.id, send));
            }
        }
    }

    /// Tells up to where this person has read. A server that does not know that frame would count it as a bad one.
    fn flush_reads(&mut self) {
        let Some(link) = self.current.as_ref().filter(|link| link.welcome.has(feature::READ))
        else {
            return;
        };
        for (name, room) in self.rooms.iter_mut().filter(|(name, _)| link.is_joined(name)) {
            if let Some(id) = room.untold_read.take() {
                let read = ClientFrame::Read { room: name.clone(), id };
                self.effects.push_back(Effect::Write(link.id, read));
            }
        }
    }

    /// Tells, once a connection, that it is live in all rooms, and what it took to get there.
    fn note_live(&mut self, now: Instant) {
        let Some(link) = self.current.as_mut().filter(|link| !link.told_live) else { return };
        let mut wanted = self.rooms.iter().filter(|(_, room)| room.wanted);
        if !wanted.all(|(name, _)| link.is_live(name)) {
            return;
        }
        link.told_live = true;
        let replica = link.welcome.replica.clone();
        self.was_live = true;
        self.backoff.reset();
        let silence = self.silent_since.take().map(|since| now.duration_since(since));
        if let Some(from) = self.moving_from.take() {
            let silence = silence.unwrap_or_default();
            self.emit(Event::Moved { from, to: replica.clone(), silence });
        }
        if let Some(lasted) = silence {
            self.emit(Event::Silence { lasted });
        }
        self.emit(Event::AllLive { replica });
    }

    /// When the next attempt to connect is due, if one is.
    pub(super) fn dial_at(&self) -> Option<Instant> {
        match (&self.current, &self.next, &self.dial) {
            (_, Some(_), _) | (_, _, Some(_)) => None,
            (None, None, None) => Some(self.retry_at),
            (Some(link), None, None) => link.leave_at.map(|at| at.max(self.retry_at)),
        }
    }

    fn start_dial(&mut self, now: Instant) {
        if self.dial_at().is_none_or(|at| at > now) {
            return;
        }
        let why = match (&self.current, self.welcomed) {
            (Some(_), _) => Why::Move,
            (None, true) => Why::Resume,
            (None, false) => Why::Fresh,
        };
        let rooms = self.rooms_of_hello(why);
        self.dial = Some(Dial { why, asked: rooms.clone() });
        let (client, name, token) = (self.key.clone(), self.name.clone(), self.token.clone());
        self.effects.push_back(Effect::Dial(ClientFrame::Hello {
            v: VERSION,
            client,
            name,
            why,
            moves: true,
            token,
            rooms,
        }));
    }

    /// The rooms that a `hello` may name. What is left out is entered by `join` afterwards; first come the rooms that
    /// the client is in.
    fn rooms_of_hello(&self, why: Why) -> Vec<RoomCursor> {
        let cursors = self
            .rooms
            .iter()
            .filter(|(_, room)| room.wanted)
            .map(|(name, room)| RoomCursor { room: name.clone(), after: room.cursor.at() });
        // See `enter_rooms` for why a room without a cursor waits.
        let mut rooms: Vec<_> =
            cursors.filter(|room| why != Why::Move || room.after.is_some()).collect();
        rooms.sort_by_key(|room| room.after.is_none());
        rooms.truncate(self.limits.rooms);
        let bytes =
            |room: &RoomCursor| serde_json::to_string(room).map_or(usize::MAX, |it| it.len() + 1);
        let token_bytes = self.token.as_ref().map_or(0, String::len);
        let mut left = self.limits.frame_bytes.saturating_sub(HELLO_BYTES + token_bytes);
        rooms
            .into_iter()
            .take_while(|room| {
                let fits = bytes(room) <= left;
                left = left.saturating_sub(bytes(room));
                fits
            })
            .collect()
    }
}

/// What became of messages without an answer; `why` of those that are not sent at all.
fn told(
    room: &str,
    settled: Settled,
    why: Option<&(RejectCode, String)>,
    now: Instant,
) -> Vec<Event> {
    let Settled { taken, unknown, unsent } = settled;
    let taken = taken.into_iter().map(|(Pending { ticket, n, change, queued, .. }, id)| {
        let (took, id, duplicate) = (now.duration_since(queued), Some(id), true);
        Event::Acked { room: room.to_owned(), ticket, n, change, id, duplicate, took }
    });
    let unknown = unknown.into_iter().map(|Pending { ticket, n, text, change, .. }| {
        Event::Unknown { room: room.to_owned(), ticket, n, text, change }
    });
    let unsent = unsent.into_iter().filter_map(|Pending { ticket, n, text, change, .. }| {
        let ((code, detail), retried) = (why?.clone(), false);
        Some(Event::Rejected {
            room: room.to_owned(),
            ticket,
            n,
            code,
            detail,
            text,
            change,
            retried,
        })
    });
    taken.chain(unknown).chain(unsent).collect()
}
