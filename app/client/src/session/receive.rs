//! What each frame of the server means to the session.

use std::time::{Duration, Instant};

use rollcall_protocol::{
    ClientFrame, EntryId, ErrorCode, ISOLATED, JoinStatus, LogStatus, Message, RejectCode,
    ServerFrame,
};

use super::{Effect, Session};
use crate::{
    error::Loss,
    event::Event,
    feature,
    link::{Link, LinkId, Stage},
    outbox::{Pending, Refusal},
    resume::{Cursor, Seen},
};

impl Session {
    /// A frame came on a connection.
    pub fn frame(&mut self, id: LinkId, frame: ServerFrame, now: Instant) {
        let Some(link) = self.link(id) else { return };
        link.heard = now;
        self.receive(id, frame, now);
        self.settle(now);
    }

    fn receive(&mut self, id: LinkId, frame: ServerFrame, now: Instant) {
        match frame {
            ServerFrame::Message(message) => self.message(id, message, now),
            ServerFrame::Joined { .. } => self.joined(id, frame),
            ServerFrame::Live { room, id: head } => self.live(id, room, head, now),
            ServerFrame::Gap { .. } => self.gap(id, frame),
            ServerFrame::Ack { .. } | ServerFrame::Reject { .. } => self.answer(frame, now),
            ServerFrame::Goaway { in_ms, reason, .. } => {
                self.goaway(id, Duration::from_millis(in_ms), reason, now);
            }
            ServerFrame::Status { log } => self.status(id, log, now),
            ServerFrame::Error { code, detail, room } => self.error(id, code, detail, room, now),
            ServerFrame::Room { room, state, you } => {
                let to = room.clone();
                self.people(id, &to, Event::RoomState { room, state, you });
            }
            ServerFrame::Read { room, id } => {
                let known = self.rooms.get_mut(&room).filter(|known| known.wanted);
                if known.is_some_and(|known| known.read_elsewhere(id)) {
                    self.emit(Event::Read { room, id });
                }
            }
            ServerFrame::Presence { room, event, member, name } => {
                let to = room.clone();
                self.people(id, &to, Event::Presence { room, event, member, name });
            }
            ServerFrame::Members { room, present, members } => {
                let to = room.clone();
                self.people(id, &to, Event::Members { room, present, members });
            }
            // Both connections tell it during a move, and once is enough.
            ServerFrame::Typing { room, member, name } if self.is_current(id) => {
                self.emit(Event::Typing { room, member, name });
            }
            ServerFrame::Typing { .. }
            | ServerFrame::Pong { .. }
            | ServerFrame::Welcome { .. }
            | ServerFrame::Unknown => {}
        }
    }

    fn message(&mut self, id: LinkId, message: Message, now: Instant) {
        let Some(link) = self.link(id) else { return };
        let had = link.brings(&message.room, message.id);
        let is_own = message.sender() == link.welcome.sender();
        let kinds = link.welcome.has(feature::EDIT);
        let Some(room) = self.rooms.get_mut(&message.room).filter(|room| room.wanted) else {
            return;
        };
        let had = had.filter(|_| room.cursor.at().is_some());
        let seen = room.cursor.message(message.id, message.prev);
        if seen == Seen::Deliver && is_own {
            room.outbox.seen(&message, kinds);
        }
        if let Some(after) = had {
            let (room, id) = (message.room.clone(), message.id);
            self.emit(Event::Repeated { room, id, after });
        }
        match seen {
            Seen::Deliver => self.emit(Event::Message { message, received: now }),
            Seen::Duplicate => {}
            Seen::Broken { expected, got } => {
                self.broken(id, message.room, message.id, expected, got, now);
            }
        }
    }

    /// Reports a broken chain and gives the connection up: the next one starts at the cursor.
    fn broken(
        &mut self,
        link: LinkId,
        room: String,
        id: EntryId,
        expected: EntryId,
        got: EntryId,
        now: Instant,
    ) {
        let loss = Loss::Protocol(format!("broken chain in room {room}"));
        self.emit(Event::Broken { room, id, expected, got });
        self.effects.push_back(Effect::Close(link));
        self.lose(link, loss, now, now);
    }

    fn joined(&mut self, id: LinkId, frame: ServerFrame) {
        let ServerFrame::Joined { room: name, head, status, present, members } = frame else {
            return;
        };
        if let Some(link) = self.link(id) {
            link.goes_on(&name, (status == JoinStatus::Fresh).then_some(head));
        }
        let is_again = self.link(id).is_some_and(|link| link.is_joined(&name));
        let Some(room) = self.rooms.get_mut(&name).filter(|room| room.wanted) else { return };
        if room.cursor.at().is_none() && status != JoinStatus::Fresh {
            // The answer to a cursor from the time before a leave: where it goes on is not where
            // this client wants to begin. Asked again, it begins at the head.
            if self.link(id).is_some_and(|link| link.stages.remove(&name).is_some()) {
                self.effects.push_back(Effect::Write(id, ClientFrame::Leave { room: name }));
            }
            return;
        }
        if is_again && status == JoinStatus::Fresh {
            // Left and entered again: the first answer was that to the time before, come late.
            room.cursor = Cursor::new(Some(head));
        } else {
            room.cursor.joined(head);
        }
        let cursor = room.cursor.at().unwrap_or(head);
        self.set_stage(id, &name, Stage::Joined);
        self.emit(Event::Joined { room: name, head, cursor, status, present, members });
    }

    fn live(&mut self, id: LinkId, name: String, head: EntryId, now: Instant) {
        let cursor = self.rooms.get(&name).and_then(|room| room.cursor.at());
        match cursor {
            // Nothing came for what lies between.
            Some(cursor) if cursor < head => self.broken(id, name, head, cursor, head, now),
            Some(_) if self.link(id).is_some_and(|link| link.is_joined(&name)) => {
                self.set_stage(id, &name, Stage::Live);
                self.emit(Event::Live { room: name });
            }
            _ => {}
        }
    }

    fn gap(&mut self, id: LinkId, frame: ServerFrame) {
        let ServerFrame::Gap { room, after, resumes_at, reason } = frame else { return };
        if let Some(link) = self.link(id) {
            link.goes_on(&room, Some(resumes_at));
        }
        let known = self.rooms.get_mut(&room).filter(|known| known.wanted);
        if known.is_some_and(|known| known.gap(after, resumes_at, reason)) {
            self.emit(Event::Gap { room, after, resumes_at, reason });
        }
    }

    /// Only the connection that carries the sends answers them, and one that gave this up is not
    /// read any more: what it still says may concern a number that was given anew since.
    fn answer(&mut self, frame: ServerFrame, now: Instant) {
        match frame {
            ServerFrame::Ack { room, n, id, duplicate } => self.ack(room, n, id, duplicate, now),
            ServerFrame::Reject { room, n, code, detail, expected, retry_ms } => {
                let retry = retry_ms.map(Duration::from_millis);
                self.reject(room, n, (code, detail), expected, retry, now);
            }
            _ => {}
        }
    }

    fn ack(&mut self, room: String, n: u64, id: Option<EntryId>, duplicate: bool, now: Instant) {
        let taken = self.rooms.get_mut(&room).and_then(|room| room.outbox.ack(n));
        if let Some(taken) = taken {
            let (took, Pending { ticket, change, .. }) = (now.duration_since(taken.queued), taken);
            self.emit(Event::Acked { room, ticket, n, change, id, duplicate, took });
        }
    }

    fn reject(
        &mut self,
        room: String,
        n: u64,
        (code, detail): (RejectCode, String),
        expected: Option<u64>,
        retry: Option<Duration>,
        now: Instant,
    ) {
        let Some(known) = self.rooms.get_mut(&room) else { return };
        let (pending, retried) = match known.outbox.reject(n, code, expected, retry, now) {
            Refusal::Retry(pending) => (pending, true),
            Refusal::Dropped(pending) => (pending, false),
            Refusal::Stale => return,
        };
        let Pending { ticket, text, change, .. } = pending;
        self.emit(Event::Rejected { room, ticket, n, code, detail, text, change, retried });
    }

    fn goaway(&mut self, id: LinkId, wait: Duration, reason: String, now: Instant) {
        let Some(link) = self.link(id) else { return };
        let isolated = reason == ISOLATED;
        // A replica that cannot deliver may be drained as well, and then does close at a deadline.
        if link.leave_at.is_none() || (link.isolated && !isolated) {
            link.leave_at = Some(now + wait);
            link.isolated = isolated;
        }
        let replica = link.welcome.replica.clone();
        self.emit(Event::Goaway { replica, wait, reason });
    }

    /// With the log back, a replica that was isolated delivers again: the client stays where it is.
    fn status(&mut self, id: LinkId, log: LogStatus, now: Instant) {
        let Some(link) = self.link(id) else { return };
        link.log_away = log == LogStatus::Away;
        if link.log_away || !std::mem::take(&mut link.isolated) {
            return;
        }
        link.leave_at = None;
        if self.is_current(id) {
            self.backoff.reset();
            self.retry_at = now;
            if let Some(next) = self.next.take() {
                self.effects.push_back(Effect::Close(next.id));
                self.people_of_first();
            }
        }
    }

    fn error(
        &mut self,
        id: LinkId,
        code: ErrorCode,
        detail: String,
        room: Option<String>,
        now: Instant,
    ) {
        if let (Some(why), Some(name)) = (put_out(code), &room) {
            let name = name.clone();
            return self.put_out(id, name, (code, why), detail);
        }
        let later = self.later(now);
        // The room that the second connection of a move may not enter is one that the first is in.
        let in_room = |link: &Link| room.as_deref().is_some_and(|room| link.is_joined(room));
        let elsewhere = !self.is_current(id) && self.current.as_ref().is_some_and(in_room);
        let mut move_failed = false;
        if let Some(link) = self.link(id) {
            link.refusal = Some((code, detail.clone()));
            if let Some(name) = room.as_deref().filter(|name| !link.is_live(name)) {
                match code {
                    ErrorCode::Unavailable => {
                        link.stages.insert(name.to_owned(), Stage::Later(later));
                    }
                    ErrorCode::BadRoom | ErrorCode::TooManyRooms if elsewhere => {
                        move_failed = true;
                    }
                    ErrorCode::BadRoom | ErrorCode::TooManyRooms => {
                        link.stages.remove(name);
                        if let Some(room) = self.rooms.get_mut(name) {
                            room.wanted = false;
                            room.put_out = Some((RejectCode::NotJoined, detail.clone()));
                        }
                    }
                    _ => {}
                }
            }
        }
        if move_failed {
            self.effects.push_back(Effect::Close(id));
            self.lose(id, Loss::Protocol(format!("a room refused: {detail}")), now, now);
        }
        self.emit(Event::Refused { code, detail, room });
    }

    /// The server has put the client out of a room, of which each connection tells. It is not asked for again, nor is it
    /// waited for in a move; the connection that has not told it yet is told to leave.
    fn put_out(
        &mut self,
        id: LinkId,
        name: String,
        (code, why): (ErrorCode, RejectCode),
        detail: String,
    ) {
        if let Some(link) = self.link(id) {
            link.refusal = Some((code, detail.clone()));
            link.stages.remove(&name);
        }
        let Some(room) = self.rooms.get_mut(&name).filter(|room| room.wanted) else { return };
        room.leave();
        room.put_out = Some((why, detail.clone()));
        self.emit(Event::PutOut { room: name, code, detail });
    }

    fn set_stage(&mut self, id: LinkId, room: &str, stage: Stage) {
        if let Some(known) = self.link(id).and_then(|link| link.stages.get_mut(room)) {
            *known = stage;
        }
    }

    fn is_current(&self, id: LinkId) -> bool {
        self.current.as_ref().is_some_and(|link| link.id == id)
    }

    fn link(&mut self, id: LinkId) -> Option<&mut Link> {
        [&mut self.current, &mut self.next].into_iter().flatten().find(|link| link.id == id)
    }
}

/// Whether an `error` about a room puts the client out of it; then what became of messages that had not gone out.
fn put_out(code: ErrorCode) -> Option<RejectCode> {
    match code {
        ErrorCode::Banned => Some(RejectCode::Banned),
        ErrorCode::Private => Some(RejectCode::Private),
        ErrorCode::Kicked => Some(RejectCode::NotJoined),
        _ => None,
    }
}
