//! What one connection may do, and what follows from it. Pure: event in, effects out.

mod name;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    fmt::Write as _,
    time::Duration,
};

use rollcall_protocol::{
    ClientFrame, CloseCode, EntryId, ErrorCode, Limits, Member, RejectCode, RoomCursor,
    ServerFrame, VERSION, Why,
};
use sha2::{Digest, Sha256};

use crate::{
    log::{Appended, LogError, NewEntry},
    mutants::{self, Mutant},
};

pub use name::{check_name, check_room, check_text, is_client_key};

/// Frames not understood before the connection ends.
const MAX_BAD_FRAMES: u32 = 10;
/// When to try again after a refusal that is not the sender's fault.
const RETRY: Duration = Duration::from_millis(500);

/// What a session wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Tell the client.
    Reply(ServerFrame),
    /// The client is known now.
    Greet(Why),
    /// Enter a room.
    Enter(RoomCursor),
    /// Leave a room for good.
    Exit(String),
    /// Append to a log; never two at once. Answered by [`Session::appended`].
    Append(NewEntry),
    /// Tell the room that this member is typing.
    Typing(String),
    /// End the member's presence in every room now.
    Bye,
    /// End the connection.
    Close(CloseCode, &'static str),
}

/// Whether one more send may pass; otherwise how long to wait.
pub type Throttle = Box<dyn FnMut(&str) -> Result<(), Duration> + Send>;

/// One connection's session.
pub struct Session {
    limits: Limits,
    throttle: Throttle,
    greeting: Greeting,
    me: Option<Member>,
    rooms: BTreeSet<String>,
    /// Sends that wait for the one before; the front one is being appended.
    sends: VecDeque<NewEntry>,
    /// Room → the lowest number that was refused. What was sent after it must not overtake it: a log that
    /// remembers nothing of this member would take a later number, and the refused one for a duplicate.
    due: HashMap<String, u64>,
    bad_frames: u32,
    moves: bool,
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
}

impl Session {
    /// A session that waits for `hello`.
    #[must_use]
    pub fn new(limits: Limits, greeting: Greeting, throttle: Throttle) -> Self {
        Self {
            limits,
            throttle,
            greeting,
            me: None,
            rooms: BTreeSet::new(),
            sends: VecDeque::new(),
            due: HashMap::new(),
            bad_frames: 0,
            moves: false,
        }
    }

    /// Who this is, after `hello`.
    #[must_use]
    pub fn me(&self) -> Option<&Member> {
        self.me.as_ref()
    }

    /// Whether this client says that it obeys `goaway`.
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
            ClientFrame::Hello { v, client, name, why, rooms, moves } => {
                self.moves = moves && self.me.is_none() || self.moves;
                self.hello(v, &client, name, why, rooms)
            }
            ClientFrame::Ping { t } => vec![Effect::Reply(ServerFrame::Pong { t })],
            _ if self.me.is_none() => {
                self.bad_frame(ErrorCode::UnexpectedHello, "the first frame is hello".into())
            }
            ClientFrame::Join { room, after } => self.join(RoomCursor { room, after }),
            ClientFrame::Leave { room } => match self.rooms.remove(&room) {
                true => {
                    self.due.remove(&room);
                    vec![Effect::Exit(room)]
                }
                false => Vec::new(),
            },
            ClientFrame::Send { n, .. } if !is_number(n) => {
                self.bad_frame(ErrorCode::BadFrame, "n is from 1 to 2^53 - 1".into())
            }
            ClientFrame::Send { room, n, text } => self.send(room, n, text),
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
    }

    /// The front send's outcome; never [`LogError::Unknown`], which is tried again until it is known (but by a mutant).
    pub fn appended(&mut self, outcome: &Result<Appended, LogError>) -> Vec<Effect> {
        let Some(NewEntry { room, n, .. }) = self.sends.pop_front() else { return Vec::new() };
        let reply = match outcome {
            Ok(Appended::Taken(id)) => ack(room, n, Some(*id), false),
            Ok(Appended::Duplicate(id)) => ack(room, n, *id, true),
            Ok(Appended::Expected(expected)) => out_of_order(room, n, *expected),
            Err(error) => {
                self.refused(&room, n);
                let retry = matches!(error, LogError::Refused(_)).then_some(RETRY);
                reject(room, n, RejectCode::Unavailable, error.to_string(), retry)
            }
        };
        let mut effects = vec![Effect::Reply(reply)];
        while let Some(next) = self.sends.front() {
            match self.due.get(&next.room) {
                Some(&due) if next.n > due => {
                    effects.push(Effect::Reply(out_of_order(next.room.clone(), next.n, due)));
                    self.sends.pop_front();
                }
                _ => {
                    effects.push(Effect::Append(next.clone()));
                    break;
                }
            }
        }
        effects
    }

    fn refused(&mut self, room: &str, n: u64) {
        let due = self.due.entry(room.to_owned()).or_insert(n);
        *due = n.min(*due);
    }

    fn bad_frame(&mut self, code: ErrorCode, detail: String) -> Vec<Effect> {
        self.bad_frames += 1;
        let mut effects = vec![error(code, detail, None)];
        if self.bad_frames >= MAX_BAD_FRAMES {
            effects.push(Effect::Close(CloseCode::BadFrames, "too many bad frames"));
        }
        effects
    }

    fn hello(
        &mut self,
        version: u32,
        key: &str,
        name: String,
        why: Why,
        rooms: Vec<RoomCursor>,
    ) -> Vec<Effect> {
        if self.me.is_some() {
            return self.bad_frame(ErrorCode::UnexpectedHello, "hello was said before".into());
        }
        if let Err((code, detail, room)) = self.check_hello(version, key, &name, &rooms) {
            let refused = Effect::Close(CloseCode::BadHello, "hello refused");
            return vec![error(code, detail, room), refused];
        }
        let me = Member { member: member_of(key), name };
        let welcome = Effect::Reply(ServerFrame::Welcome {
            v: VERSION,
            member: me.member.clone(),
            replica: self.greeting.replica.clone(),
            release: self.greeting.release.clone(),
            heartbeat_ms: self.greeting.heartbeat.as_millis() as u64,
            limits: self.limits.clone(),
        });
        self.me = Some(me);
        let mut effects = vec![Effect::Greet(why), welcome];
        for cursor in rooms {
            if self.rooms.insert(cursor.room.clone()) {
                effects.push(Effect::Enter(cursor));
            }
        }
        effects
    }

    fn check_hello(
        &self,
        version: u32,
        key: &str,
        name: &str,
        rooms: &[RoomCursor],
    ) -> Result<(), (ErrorCode, String, Option<String>)> {
        if version != VERSION {
            let detail = format!("this server speaks version {VERSION}");
            return Err((ErrorCode::BadVersion, detail, None));
        }
        if !is_client_key(key) {
            let detail = "a client key is 32 lower-case hex digits".to_owned();
            return Err((ErrorCode::BadClient, detail, None));
        }
        check_name(name).map_err(|detail| (ErrorCode::BadName, detail, None))?;
        if rooms.len() > self.limits.rooms {
            let detail = format!("a connection has at most {} rooms", self.limits.rooms);
            return Err((ErrorCode::TooManyRooms, detail, None));
        }
        for RoomCursor { room, .. } in rooms {
            check_room(room)
                .map_err(|detail| (ErrorCode::BadRoom, detail, Some(shortened(room))))?;
        }
        Ok(())
    }

    fn join(&mut self, cursor: RoomCursor) -> Vec<Effect> {
        let room = Some(shortened(&cursor.room));
        if let Err(detail) = check_room(&cursor.room) {
            return vec![error(ErrorCode::BadRoom, detail, room)];
        }
        if self.rooms.contains(&cursor.room) {
            return Vec::new();
        }
        if self.rooms.len() >= self.limits.rooms {
            let detail = format!("a connection has at most {} rooms", self.limits.rooms);
            return vec![error(ErrorCode::TooManyRooms, detail, room)];
        }
        self.rooms.insert(cursor.room.clone());
        vec![Effect::Enter(cursor)]
    }

    fn send(&mut self, room: String, n: u64, text: String) -> Vec<Effect> {
        let Some(me) = self.me.clone().filter(|_| self.rooms.contains(&room)) else {
            let detail = "join the room first".to_owned();
            let room = shortened(&room);
            return vec![Effect::Reply(reject(room, n, RejectCode::NotJoined, detail, None))];
        };
        match self.due.get(&room) {
            Some(&due) if n > due => return vec![Effect::Reply(out_of_order(room, n, due))],
            _ => self.due.remove(&room),
        };
        if let Err((code, detail, retry)) = self.check_send(&room, &text) {
            self.refused(&room, n);
            return vec![Effect::Reply(reject(room, n, code, detail, retry))];
        }
        let entry = NewEntry { room, member: me.member, name: me.name, n, text };
        self.sends.push_back(entry.clone());
        match self.sends.len() {
            1 => vec![Effect::Append(entry)],
            _ => Vec::new(),
        }
    }

    fn check_send(
        &mut self,
        room: &str,
        text: &str,
    ) -> Result<(), (RejectCode, String, Option<Duration>)> {
        check_text(text, self.limits.text_bytes)
            .map_err(|detail| (RejectCode::BadText, detail, None))?;
        if self.sends.len() >= self.limits.pending {
            let detail = "too many sends wait for their ack".to_owned();
            return Err((RejectCode::Busy, detail, Some(RETRY)));
        }
        let code = match mutants::active(Mutant::SaysMore) {
            true => RejectCode::Other,
            false => RejectCode::RateLimited,
        };
        (self.throttle)(room).map_err(|wait| (code, "too fast".to_owned(), Some(wait)))
    }
}

/// A client key's public ID: the first 16 hex digits of its SHA-256.
#[must_use]
pub fn member_of(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().take(8).fold(String::new(), |mut hex, byte| {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A refusal names its room, and a room that is refused may be of any length.
fn shortened(room: &str) -> String {
    room.chars().take(64).collect()
}

fn error(code: ErrorCode, detail: String, room: Option<String>) -> Effect {
    Effect::Reply(ServerFrame::Error { code, detail, room })
}

/// Whether `n` can be a message's number: what a double, and so JavaScript and Lua, can count.
#[must_use]
pub fn is_number(n: u64) -> bool {
    (1..1 << 53).contains(&n)
}

/// An `ack` frame.
#[must_use]
pub fn ack(room: String, n: u64, id: Option<EntryId>, duplicate: bool) -> ServerFrame {
    ServerFrame::Ack { room, n, id, duplicate }
}

/// The `reject` of a number that is ahead.
#[must_use]
pub fn out_of_order(room: String, n: u64, expected: u64) -> ServerFrame {
    let detail = format!("the log waits for n = {expected}");
    let expected = Some(expected);
    let code = RejectCode::OutOfOrder;
    ServerFrame::Reject { room, n, code, detail, expected, retry_ms: None }
}

/// A `reject` frame.
#[must_use]
pub fn reject(
    room: String,
    n: u64,
    code: RejectCode,
    detail: String,
    retry: Option<Duration>,
) -> ServerFrame {
    let retry_ms = retry.map(|retry| retry.as_millis() as u64);
    ServerFrame::Reject { room, n, code, detail, expected: None, retry_ms }
}

/// The `gap` frame of a cursor that the log cannot continue.
#[must_use]
pub fn gap_frame(room: &str, after: EntryId, gap: crate::log::splice::Gap) -> ServerFrame {
    let crate::log::splice::Gap { resumes_at, reason } = gap;
    ServerFrame::Gap { room: room.to_owned(), after, resumes_at, reason }
}
