//! What one connection may do, and what follows from it. Pure: event in, effects out.

mod due;
mod hello;
mod identity;
mod name;
mod reply;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use rollcall_protocol::{
    ClientFrame, CloseCode, EntryId, ErrorCode, Extra, Kind, Limits, Member, RejectCode,
    RoomCursor, ServerFrame, Why,
};

use self::{
    due::{Barred, Due},
    hello::Hello,
    identity::Me,
    reply::{error, shortened},
};
use crate::{
    accounts::{Arriving, Token},
    log::{Appended, LogError, NewEntry},
    mutants::{self, Mutant},
    rates::Ask,
};

pub use self::{
    hello::hello_bytes,
    identity::{features, member_of},
    name::{check_name, check_room, check_text, is_client_key},
    reply::{ack, gap_frame, number_taken, out_of_order, refused_as, reject},
};

/// Frames not understood before the connection ends.
const MAX_BAD_FRAMES: u32 = 10;
/// When to try again after a refusal that is not the sender's fault.
const RETRY: Duration = Duration::from_millis(500);

/// What a session wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Tell the client.
    Reply(ServerFrame),
    /// Find out who this is. Answered by [`Session::identified`]; until then no frame is read.
    Identify(Arriving),
    /// The client is known now.
    Greet(Why),
    /// The client has an invitation to the room that it enters next.
    Invited(String, String),
    /// Enter a room.
    Enter(RoomCursor),
    /// Leave a room for good.
    Exit(String),
    /// Append to a log; never two at once. Answered by [`Session::appended`].
    Append(NewEntry),
    /// Tell the room that this member is typing.
    Typing(String),
    /// Read no frame for so long.
    Pause(Duration),
    /// Keep how far this person has read a room.
    Read(String, EntryId),
    /// End the member's presence in every room now.
    Bye,
    /// End the connection.
    Close(CloseCode, &'static str),
}

/// Answers whether something may pass; otherwise how long to wait.
pub type Throttle = Box<dyn FnMut(Ask<'_>) -> Result<(), Duration> + Send>;

/// One connection's session.
pub struct Session {
    limits: Limits,
    throttle: Throttle,
    greeting: Greeting,
    /// A hello that waits until it is known whose it is.
    hello: Option<Hello>,
    me: Option<Me>,
    /// The client obeys `goaway`.
    moves: bool,
    rooms: BTreeSet<String>,
    /// Sends that wait for the one before; the front one is being appended.
    sends: VecDeque<NewEntry>,
    /// What rooms wait for after a refusal.
    due: HashMap<String, Due>,
    bad_frames: u32,
}

/// What `welcome` says of this replica.
#[derive(Debug, Clone)]
pub struct Greeting {
    /// The replica's name.
    pub replica: String,
    /// Its release.
    pub release: String,
    /// How often to ping.
    pub heartbeat: Duration,
    /// What it can do, as it tells clients.
    pub features: Vec<&'static str>,
}

impl Session {
    /// A session that waits for `hello`.
    #[must_use]
    pub fn new(limits: Limits, greeting: Greeting, throttle: Throttle) -> Self {
        Self {
            limits,
            throttle,
            greeting,
            hello: None,
            me: None,
            moves: false,
            rooms: BTreeSet::new(),
            sends: VecDeque::new(),
            due: HashMap::new(),
            bad_frames: 0,
        }
    }

    /// Who this is, after `hello`.
    #[must_use]
    pub fn me(&self) -> Option<&Member> {
        self.me.as_ref().map(|me| &me.member)
    }

    /// Whether it waits to know who this is: no frame is to be read meanwhile.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.hello.is_some()
    }

    /// Longest frame that is read now, bytes.
    #[must_use]
    pub fn longest_frame(&self) -> usize {
        match self.me {
            None => hello_bytes(&self.limits),
            Some(_) => self.limits.frame_bytes,
        }
    }

    /// Whether the client said that it obeys `goaway`: others must be closed to be moved.
    #[must_use]
    pub fn moves(&self) -> bool {
        self.moves
    }

    /// How many sends wait for their answer.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.sends.len()
    }

    /// Something that is not a frame.
    pub fn malformed(&mut self, detail: String) -> Vec<Effect> {
        self.bad_frame(ErrorCode::BadFrame, detail)
    }

    /// A frame.
    pub fn frame(&mut self, frame: ClientFrame) -> Vec<Effect> {
        match frame {
            ClientFrame::Unknown => {
                self.bad_frame(ErrorCode::UnknownType, "this server does not know that type".into())
            }
            ClientFrame::Hello { v, client, name, why, rooms, moves, token } => {
                let token = token.as_deref().map(Token::claimed);
                let hello = Hello { name, why, rooms, moves, device: member_of(&client) };
                self.hello(v, &client, hello, token)
            }
            ClientFrame::Ping { t } => vec![Effect::Reply(ServerFrame::Pong { t })],
            _ if self.me.is_none() => {
                self.bad_frame(ErrorCode::UnexpectedHello, "the first frame is hello".into())
            }
            ClientFrame::Join { room, after, invite } => {
                self.join(RoomCursor { room, after }, invite)
            }
            ClientFrame::Leave { room } => self.leave(room),
            ClientFrame::Send { n, .. } if !is_number(n) => {
                self.bad_frame(ErrorCode::BadFrame, "n is from 1 to 2^53 - 1".into())
            }
            ClientFrame::Send { room, n, text, edit, remove } => {
                let (kind, of) = match (edit, remove) {
                    (_, Some(of)) => (Some(Kind::Remove), Some(of)),
                    (Some(of), None) => (Some(Kind::Edit), Some(of)),
                    (None, None) => (None, None),
                };
                self.send(room, n, text, Extra { kind, of, ..Extra::default() })
            }
            // What somebody has read is kept with their account.
            ClientFrame::Read { room, id } => match self.has_account() && self.is_in(&room) {
                // It costs as much as entering a room does.
                true => [Effect::Read(room, id)].into_iter().chain(self.count_rooms(1)).collect(),
                false => Vec::new(),
            },
            ClientFrame::Typing { room } => match self.rooms.contains(&room) {
                true => vec![Effect::Typing(room)],
                false => Vec::new(),
            },
            ClientFrame::Bye => vec![Effect::Bye, Effect::Close(CloseCode::Normal, "bye")],
        }
    }

    /// Whether the client wants to be in `room`.
    #[must_use]
    pub fn is_in(&self, room: &str) -> bool {
        self.rooms.contains(room)
    }

    /// A room could not be entered.
    pub fn not_entered(&mut self, room: &str) {
        self.rooms.remove(room);
        self.due.remove(room);
    }

    /// The front send's outcome; never [`LogError::Unknown`], which is tried again until it is known (but by a mutant).
    pub fn appended(&mut self, outcome: &Result<Appended, LogError>) -> Vec<Effect> {
        let Some(NewEntry { room, n, text, .. }) = self.sends.pop_front() else {
            return Vec::new();
        };
        let reply = match outcome {
            Ok(Appended::Taken(id)) => ack(room, n, Some(*id), false),
            Ok(Appended::Duplicate(id)) => ack(room, n, *id, true),
            Ok(Appended::Expected(expected)) => out_of_order(room, n, *expected),
            Ok(Appended::NumberTaken { expected }) => {
                self.wait_for(&room, Due::renumbered(*expected, &text));
                number_taken(room, n, *expected)
            }
            Err(error) => {
                self.wait_for(&room, Due::refused(n));
                let (code, retry) = refused_as(error);
                reject(room, n, code, error.told().to_owned(), retry)
            }
        };
        let mut effects = vec![Effect::Reply(reply)];
        while let Some(NewEntry { room, n, text, .. }) = self.sends.front() {
            let barred = self.due.get_mut(room).and_then(|due| due.bars(*n, text));
            let Some(barred) = barred else { break };
            let (room, n) = (room.clone(), *n);
            self.sends.pop_front();
            effects.push(Effect::Reply(self.told_barred(room, n, barred)));
        }
        effects.extend(self.sends.front().cloned().map(Effect::Append));
        effects
    }

    /// From now on nothing overtakes `due`, unless a lower number is waited for.
    fn wait_for(&mut self, room: &str, due: Due) {
        match self.due.get(room) {
            Some(lower) if lower.n < due.n => {}
            _ => {
                self.due.insert(room.to_owned(), due);
            }
        }
    }

    fn told_barred(&mut self, room: String, n: u64, barred: Barred) -> ServerFrame {
        match (barred, &self.me) {
            (Barred::Later(ahead), Some(me)) => {
                let wait =
                    (self.throttle)(Ask::Later { room: &room, member: &me.member.member, ahead });
                reject(room, n, RejectCode::RateLimited, "too fast".to_owned(), wait.err())
            }
            (Barred::Later(_), None) => out_of_order(room, n, n),
            (Barred::OutOfOrder(due), _) => out_of_order(room, n, due),
        }
    }

    fn bad_frame(&mut self, code: ErrorCode, detail: String) -> Vec<Effect> {
        self.bad_frames += 1;
        let mut effects = vec![Effect::Reply(error(code, detail, None))];
        if self.bad_frames >= MAX_BAD_FRAMES {
            effects.push(Effect::Close(CloseCode::BadFrames, "too many bad frames"));
        }
        effects
    }

    fn join(&mut self, cursor: RoomCursor, invite: Option<String>) -> Vec<Effect> {
        let pause = self.count_rooms(1);
        let invited = invite.map(|invite| Effect::Invited(cursor.room.clone(), invite));
        let entered = self.enter(cursor);
        let invited = invited.filter(|_| matches!(entered, Some(Effect::Enter(_))));
        invited.into_iter().chain(entered).chain(pause).collect()
    }

    /// Enters a room, or says why not; nothing if it has been entered. One room that cannot be entered
    /// says nothing about the others, or its client could never come back to them.
    fn enter(&mut self, cursor: RoomCursor) -> Option<Effect> {
        let refused = |code, detail| {
            let room = Some(shortened(&cursor.room));
            Some(Effect::Reply(error(code, detail, room)))
        };
        if let Err(detail) = check_room(&cursor.room) {
            return refused(ErrorCode::BadRoom, detail);
        }
        if self.rooms.contains(&cursor.room) {
            return None;
        }
        if self.rooms.len() >= self.limits.rooms {
            let detail = format!("a connection has at most {} rooms", self.limits.rooms);
            return refused(ErrorCode::TooManyRooms, detail);
        }
        self.rooms.insert(cursor.room.clone());
        Some(Effect::Enter(cursor))
    }

    fn leave(&mut self, room: String) -> Vec<Effect> {
        if !self.rooms.remove(&room) {
            return Vec::new();
        }
        self.due.remove(&room);
        let pause = self.count_rooms(1);
        [Effect::Exit(room)].into_iter().chain(pause).collect()
    }

    /// Counts rooms that are entered or left.
    fn count_rooms(&mut self, count: usize) -> Option<Effect> {
        let member = &self.me.as_ref()?.member.member;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        (self.throttle)(Ask::Rooms { member, count }).err().map(Effect::Pause)
    }

    fn send(&mut self, room: String, n: u64, text: String, extra: Extra) -> Vec<Effect> {
        let Some(me) = self.me.as_ref().filter(|_| self.rooms.contains(&room)) else {
            let detail = "join the room first".to_owned();
            let room = shortened(&room);
            return vec![Effect::Reply(reject(room, n, RejectCode::NotJoined, detail, None))];
        };
        let Member { member, name } = me.member.clone();
        let extra = Extra { sender: me.sender.clone(), mark: me.mark, ..extra };
        let barred = self.due.get_mut(&room).and_then(|due| due.bars(n, &text));
        if let Some(barred) = barred {
            return vec![Effect::Reply(self.told_barred(room, n, barred))];
        }
        self.due.remove(&room);
        if let Err((code, detail, retry)) = self.check_send(&room, &member, &text, extra.kind) {
            let too_fast = code == RejectCode::RateLimited;
            let due = if too_fast { Due::too_fast(n) } else { Due::refused(n) };
            self.wait_for(&room, due);
            return vec![Effect::Reply(reject(room, n, code, detail, retry))];
        }
        let entry = NewEntry {
            room,
            member,
            name,
            n,
            text,
            extra,
            has_power: self.has_power(),
            is_in_room: true,
        };
        self.sends.push_back(entry.clone());
        match self.sends.len() {
            1 => vec![Effect::Append(entry)],
            _ => Vec::new(),
        }
    }

    fn check_send(
        &mut self,
        room: &str,
        member: &str,
        text: &str,
        kind: Option<Kind>,
    ) -> Result<(), (RejectCode, String, Option<Duration>)> {
        let checked = match kind {
            Some(Kind::Remove) if text.is_empty() => Ok(()),
            Some(Kind::Remove) => Err("a removal has no text".to_owned()),
            _ => check_text(text, self.limits.text_bytes),
        };
        checked.map_err(|detail| (RejectCode::BadText, detail, None))?;
        if self.sends.len() >= self.limits.pending {
            let detail = "too many sends wait for their ack".to_owned();
            return Err((RejectCode::Busy, detail, Some(RETRY)));
        }
        let code = match mutants::active(Mutant::SaysMore) {
            true => RejectCode::Other,
            false => RejectCode::RateLimited,
        };
        (self.throttle)(Ask::Send { room, member })
            .map_err(|wait| (code, "too fast".to_owned(), Some(wait)))
    }
}

/// Whether `n` can be a message's number: what a double, and so JavaScript and Lua, can count.
#[must_use]
pub fn is_number(n: u64) -> bool {
    (1..1 << 53).contains(&n)
}
