//! A replica without its sockets: the server's own session, room, ring and splice, and what
//! `socket::rooms` and `room::registry` do between them, a step at a time.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use rand::{RngExt, rngs::StdRng};
use rollcall_client::sim::LinkId;
use rollcall_protocol::{
    ClientFrame, EntryId, GapReason, JoinStatus, Limits, Message, RoomCursor, ServerFrame,
};
use rollcall_server::{
    log::{Appended, LogError, NewEntry, Page, splice},
    room::{Frame, Listener, Out, Pull, Room, Start},
    session::{Effect, Greeting, Session, gap_frame},
    socket::unbroken,
};
use tokio::sync::Notify;

use crate::{log::SimLog, wrong::Wrong};

/// Entries of one page: few, so that catching up takes several.
const PAGE: usize = 3;
/// Frames that a connection takes before its client has read some.
const OUTLET: usize = 6;
const LIMITS: Limits = Limits { text_bytes: 64, frame_bytes: 1024, rooms: 8, pending: 4 };

pub struct Replica {
    pub name: String,
    pub rooms: BTreeMap<String, Arc<Room>>,
    /// The last feed entry seen; none before the first connection to the log.
    seen: Option<u64>,
    /// Its connection to the feed is open.
    pub follows: bool,
    pub draining: bool,
    /// Frozen: it does nothing until it wakes.
    pub paused: bool,
}

/// What a client reads next.
pub enum Down {
    Frame(ServerFrame),
    Close(u16),
}

/// One connection, as both ends and the wires between see it.
pub struct Conn {
    pub id: u64,
    pub client: usize,
    /// The client's name for it, while the client has it.
    pub link: Option<LinkId>,
    pub replica: usize,
    session: Session,
    pub up: VecDeque<ClientFrame>,
    pub down: VecDeque<Down>,
    rooms: BTreeMap<String, Joined>,
    entering: Vec<Entering>,
    /// The front send, and whether an earlier try of it had no answer.
    appending: Option<(NewEntry, bool)>,
}

struct Joined {
    listener: Arc<Listener>,
    told_live: bool,
    /// A page that was read and not yet handed over, and the cursor that it was read for.
    page: Option<(EntryId, Page)>,
}

struct Entering {
    cursor: RoomCursor,
    start: Option<Start>,
}

impl Replica {
    pub fn new(name: String) -> Self {
        let rooms = BTreeMap::new();
        Self { name, rooms, seen: None, follows: false, draining: false, paused: false }
    }

    /// Takes the feed's next entry, or connects to it. False if there was nothing to do.
    pub fn follow(&mut self, log: &SimLog) -> bool {
        let newest = log.feed.last().map_or(0, |(at, _)| *at);
        let seen = self.seen.unwrap_or(0);
        let unread: Vec<_> = log.feed.iter().filter(|(at, _)| *at > seen).collect();
        let is_far_behind = log.feed.len() > 1 && unread.len() == log.feed.len();
        if !self.follows || is_far_behind {
            let reconnects = !std::mem::replace(&mut self.follows, true);
            let has_seen = seen == newest || log.feed.iter().any(|(at, _)| *at == seen);
            let lossy = self.seen.is_none() || !has_seen;
            let forgets = reconnects && log.wrong == Wrong::ForgetFeedCursor;
            if lossy || forgets {
                self.seen = Some(newest);
            }
            if lossy && !forgets && log.wrong != Wrong::IgnoreFallingBehind {
                self.repair(log);
            }
            return reconnects || lossy;
        }
        let Some((at, message)) = unread.first() else { return false };
        self.seen = Some(*at);
        if let Some(room) = self.rooms.get(&message.room) {
            room.push(message.clone());
        }
        true
    }

    fn repair(&self, log: &SimLog) {
        for room in self.rooms.values() {
            let newest = room.newest();
            let page = log.read_after(&room.name, newest.unwrap_or_default(), PAGE);
            room.bridge(newest, page, PAGE);
        }
    }

    fn open(&mut self, name: &str, log: &SimLog) -> Arc<Room> {
        let opened = || {
            let room = Room::new(name.to_owned());
            room.rewind(log.last(name));
            Arc::new(room)
        };
        self.rooms.entry(name.to_owned()).or_insert_with(opened).clone()
    }

    fn locate(&mut self, cursor: &RoomCursor, log: &SimLog) -> Start {
        let room = self.open(&cursor.room, log);
        match cursor.after {
            None => Start::Fresh(room.head()),
            Some(_) if log.wrong == Wrong::ResumeFromTail => Start::Resumed(room.head()),
            Some(after) if room.proves(after) => Start::Resumed(after),
            Some(after) => match splice_of(log, after, &log.read_after(&cursor.room, after, 1)) {
                None => Start::Resumed(after),
                Some(gap) => Start::Gap { after, gap },
            },
        }
    }
}

fn splice_of(log: &SimLog, cursor: EntryId, page: &Page) -> Option<splice::Gap> {
    match log.wrong {
        Wrong::NeverGap => None,
        Wrong::NeedlessGap if page.last.ms.is_multiple_of(5) && page.last > cursor => {
            Some(splice::Gap { resumes_at: page.last, reason: GapReason::Trimmed })
        }
        _ => splice::gap(cursor, page),
    }
}

impl Conn {
    pub fn new(id: u64, client: usize, replica: usize, name: &str) -> Self {
        let greeting = Greeting {
            replica: name.to_owned(),
            release: "1".to_owned(),
            heartbeat: Duration::from_secs(3600),
        };
        Self {
            id,
            client,
            link: None,
            replica,
            session: Session::new(LIMITS, greeting, Box::new(|_| Ok(()))),
            up: VecDeque::new(),
            down: VecDeque::new(),
            rooms: BTreeMap::new(),
            entering: Vec::new(),
            appending: None,
        }
    }

    /// The replica does one thing for this connection. False if there was nothing to do.
    pub fn serve(&mut self, replica: &mut Replica, log: &mut SimLog, rng: &mut StdRng) -> bool {
        match rng.random_range(0..4) {
            0 => self.hear(replica, log),
            1 => self.append(replica, log, rng),
            2 => self.enter(replica, log),
            _ => self.catch_up(replica, log),
        }
    }

    /// Everything that can be done, with no mishap.
    pub fn serve_all(&mut self, replica: &mut Replica, log: &mut SimLog) -> bool {
        let mut busy = false;
        while self.hear(replica, log) || self.append_once(replica, log) || self.enter(replica, log)
        {
            busy = true;
        }
        self.catch_up(replica, log) || busy
    }

    pub fn hear(&mut self, replica: &mut Replica, log: &mut SimLog) -> bool {
        let Some(frame) = self.up.pop_front() else { return false };
        let effects = self.session.frame(frame);
        self.apply(effects, replica, log);
        true
    }

    fn apply(&mut self, effects: Vec<Effect>, replica: &mut Replica, log: &mut SimLog) {
        for effect in effects {
            match effect {
                Effect::Reply(frame) => self.down.push_back(Down::Frame(frame)),
                Effect::Enter(cursor) => self.entering.push(Entering { cursor, start: None }),
                Effect::Exit(room) => self.exit(&room, replica),
                Effect::Append(entry) => {
                    if log.wrong == Wrong::AckBeforeAppend {
                        let (room, n) = (entry.room.clone(), entry.n);
                        let ack = ServerFrame::Ack { room, n, id: None, duplicate: false };
                        self.down.push_back(Down::Frame(ack));
                    }
                    self.appending = Some((entry, false));
                }
                Effect::Close(code, _) => self.down.push_back(Down::Close(code.code())),
                Effect::Greet(_) | Effect::Typing(_) | Effect::Bye => {}
            }
        }
    }

    fn exit(&mut self, room: &str, replica: &Replica) {
        self.entering.retain(|entering| entering.cursor.room != room);
        self.rooms.remove(room);
        if let Some(room) = replica.rooms.get(room) {
            room.detach(self.id, None);
        }
    }

    /// One try to append: it is answered, or nobody knows, or the log says no.
    fn append(&mut self, replica: &mut Replica, log: &mut SimLog, rng: &mut StdRng) -> bool {
        let Some((entry, unknown)) = self.appending.take() else { return false };
        match rng.random_range(0..8) {
            0 => {
                log.append(&entry); // and the answer is lost
                if log.wrong == Wrong::TimeoutIsFailure {
                    self.appended(&Err(LogError::Unknown("lost".to_owned())), replica, log);
                } else {
                    self.appending = Some((entry, true));
                }
            }
            1 => self.appending = Some((entry, true)),
            2 if !unknown => {
                self.appended(&Err(LogError::Refused("full".to_owned())), replica, log);
            }
            _ => {
                let outcome = log.append(&entry);
                self.appended(&Ok(outcome), replica, log);
            }
        }
        true
    }

    fn append_once(&mut self, replica: &mut Replica, log: &mut SimLog) -> bool {
        let Some((entry, _)) = self.appending.take() else { return false };
        let outcome = log.append(&entry);
        self.appended(&Ok(outcome), replica, log);
        true
    }

    fn appended(
        &mut self,
        outcome: &Result<Appended, LogError>,
        replica: &mut Replica,
        log: &mut SimLog,
    ) {
        let mut effects = self.session.appended(outcome);
        if log.wrong == Wrong::AckBeforeAppend {
            effects.remove(0);
        }
        self.apply(effects, replica, log);
    }

    /// Looks up where a cursor stands, and the next time enters there: the log may have gone on.
    fn enter(&mut self, replica: &mut Replica, log: &SimLog) -> bool {
        let Some(first) = self.entering.first_mut() else { return false };
        let Some(start) = first.start else {
            first.start = Some(replica.locate(&first.cursor, log));
            return true;
        };
        let Entering { cursor: RoomCursor { room: name, .. }, .. } = self.entering.remove(0);
        let (status, cursor, gap) = match start {
            Start::Fresh(head) => (JoinStatus::Fresh, head, None),
            Start::Resumed(cursor) => (JoinStatus::Resumed, cursor, None),
            Start::Gap { after, gap } => (JoinStatus::Gap, gap.resumes_at, Some((after, gap))),
        };
        let room = replica.open(&name, log);
        let head = if status == JoinStatus::Fresh { cursor } else { room.head().max(cursor) };
        let (present, members) = (0, Vec::new());
        let joined = ServerFrame::Joined { room: name.clone(), head, status, present, members };
        self.down.push_back(Down::Frame(joined));
        if let Some((after, gap)) = gap {
            self.down.push_back(Down::Frame(gap_frame(&name, after, gap)));
        }
        let listener = Arc::new(Listener::new(cursor, Out::Wake(Arc::new(Notify::new()))));
        room.attach(self.id, listener.clone(), None);
        self.rooms.insert(name, Joined { listener, told_live: false, page: None });
        true
    }

    /// Brings every room further: from the ring, or a page of the log in two steps.
    fn catch_up(&mut self, replica: &Replica, log: &SimLog) -> bool {
        let Self { rooms, down, .. } = self;
        let before = down.len();
        let mut read = false;
        for (name, joined) in rooms {
            let Some(room) = replica.rooms.get(name) else { continue };
            if let Some((cursor, page)) = joined.page.take() {
                hand_over(room, &joined.listener, down, log, cursor, page);
                read = true;
                continue;
            }
            let Joined { listener, told_live, page } = joined;
            let (mut taken, mut live) = (Vec::new(), None);
            let space = OUTLET.saturating_sub(down.len());
            let take = |frame: &Frame| {
                let fits = taken.len() < space;
                if fits {
                    taken.push(message(frame));
                }
                fits
            };
            let pulled = room.pull(listener, take, |id, _| live = Some(id));
            spoil(log, &mut taken);
            down.extend(taken.into_iter().map(|it| Down::Frame(ServerFrame::Message(it))));
            if let Some(id) = live.filter(|_| !std::mem::replace(told_live, true)) {
                down.push_back(Down::Frame(ServerFrame::Live { room: name.clone(), id }));
            }
            if let Pull::NeedPage(cursor) = pulled {
                *page = Some((cursor, log.read_after(name, cursor, PAGE)));
                read = true;
            }
        }
        read || down.len() > before
    }

    /// The connection is over: the rooms forget it.
    pub fn end(&mut self, replica: &Replica) {
        self.rooms.keys().filter_map(|name| replica.rooms.get(name)).for_each(|room| {
            room.detach(self.id, None);
        });
    }
}

/// What `socket::rooms::page_read` does with a page.
fn hand_over(
    room: &Room,
    listener: &Listener,
    down: &mut VecDeque<Down>,
    log: &SimLog,
    cursor: EntryId,
    page: Page,
) {
    if listener.place().cursor != cursor {
        return;
    }
    let gap = splice_of(log, cursor, &page);
    let lost = gap.is_some_and(|gap| gap.reason == GapReason::Rewound);
    if lost || (page.entries.is_empty() && room.contradicts(cursor)) {
        room.rewind(page.last);
    }
    if let Some(gap) = gap {
        down.push_back(Down::Frame(gap_frame(&room.name, cursor, gap)));
    }
    let resumes_at = gap.map_or(cursor, |gap| gap.resumes_at);
    let (mut entries, at_log_end) = unbroken(page);
    let reached = entries.last().map_or(resumes_at, |entry| entry.id);
    listener.place().reached(reached, at_log_end);
    spoil(log, &mut entries);
    if let (Wrong::NeverGap, Some(first)) = (log.wrong, entries.first_mut()) {
        first.prev = cursor;
    }
    down.extend(entries.into_iter().map(|it| Down::Frame(ServerFrame::Message(it))));
}

fn spoil(log: &SimLog, messages: &mut Vec<Message>) {
    let Some(odd) = messages.iter().position(|message| message.id.ms % 11 == 0) else { return };
    match log.wrong {
        Wrong::SwapDeliveries if messages.len() > 1 => messages.swap(0, 1),
        Wrong::DropDelivery => {
            messages.remove(odd);
        }
        Wrong::RepeatDelivery => messages.insert(odd, messages[odd].clone()),
        Wrong::Misattribute => messages[odd].member.make_ascii_uppercase(),
        _ => {}
    }
}

/// The message in a frame, as a client would read it.
fn message(frame: &Frame) -> Message {
    let json = &frame.wire[frame.wire.iter().position(|byte| *byte == b'{').unwrap_or(0)..];
    match serde_json::from_slice(json).expect("a frame of the server's own") {
        ServerFrame::Message(message) => message,
        other => panic!("in a ring: {other:?}"),
    }
}
