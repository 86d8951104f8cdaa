//! A replica without its sockets: the server's own session, rooms and delivery core, driven a step at a time.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use rand::{RngExt, rngs::StdRng};
use rollcall_client::sim::LinkId;
use rollcall_protocol::{
    ClientFrame, EntryId, GapReason, Limits, Mark, Message, RoomCursor, ServerFrame,
};
use rollcall_server::{
    accounts::{Arriving, Identity, Person},
    budget::Budget,
    delivery::{Effect as Told, Listener, PageRead, Sink, Start, Visit, Visitor},
    log::{Appended, LogError, NewEntry, splice},
    room::{RingLimits, Room, RoomLimits},
    session::{Effect, Greeting, Session, features},
};
use tokio::sync::Notify;

use crate::{
    log::SimLog,
    wire::{Down, Wire, split},
    wrong::Wrong,
};

/// Entries of one page: few, so that catching up takes several.
const PAGE: usize = 3;
const ROOM_LIMITS: RoomLimits = RoomLimits {
    // Few, so that a listener falls out of it.
    ring: RingLimits { frames: 5, bytes: 4096 },
    batch_bytes: 1024,
    signals: 4,
    early: 4,
    listed: 4,
};
const LIMITS: Limits = Limits { text_bytes: 64, frame_bytes: 1024, rooms: 8, pending: 4 };

pub struct Replica {
    pub name: String,
    pub rooms: BTreeMap<String, Arc<Room<Listener>>>,
    rings: Budget,
    /// The last feed entry seen; none before the first connection to the log.
    seen: Option<u64>,
    /// Its connection to the feed is open.
    pub follows: bool,
    pub draining: bool,
    /// Frozen: it does nothing until it wakes.
    pub paused: bool,
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
    pub down: Arc<Wire>,
    rooms: BTreeMap<String, Joined>,
    entering: Vec<Entering>,
    /// The front send, and whether an earlier try of it had no answer.
    appending: Option<(NewEntry, bool)>,
}

struct Joined {
    visit: Visit,
    /// A page that was read and not yet handed over.
    page: Option<PageRead>,
}

struct Entering {
    cursor: RoomCursor,
    start: Option<Start>,
}

impl Replica {
    pub fn new(name: String) -> Self {
        Self {
            name,
            rooms: BTreeMap::new(),
            rings: Budget::new(usize::MAX),
            seen: None,
            follows: false,
            draining: false,
            paused: false,
        }
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
            let continues = newest.is_some_and(|newest| splice::gap(newest, &page).is_none());
            if continues && page.entries.len() < PAGE {
                page.entries.into_iter().for_each(|message| room.push(message));
            } else {
                room.rewind(page.last);
            }
        }
    }

    /// Hands on what is new in a room, as its task does.
    pub fn fan_out(&self) {
        for room in self.rooms.values() {
            while let Some((batch, listeners)) = room.take_batch() {
                listeners.iter().for_each(|listener| listener.hear(&batch));
            }
        }
    }

    fn open(&mut self, name: &str, log: &SimLog) -> Arc<Room<Listener>> {
        let opened = || {
            let room = Room::new(name.to_owned(), ROOM_LIMITS, &self.rings);
            let newest = log.shown(name).collect::<Vec<_>>();
            room.fill(newest[newest.len().saturating_sub(PAGE)..].to_vec(), log.last(name));
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
            Some(after) => match read_page(&room, after, log).gap {
                None => Start::Resumed(after),
                Some(gap) => Start::Gap { after, gap },
            },
        }
    }
}

/// A page of the log as a replica reads it, judged wrongly where the log is to be wrong.
fn read_page(room: &Room<Listener>, cursor: EntryId, log: &SimLog) -> PageRead {
    let stand = room.stand();
    let mut read = PageRead::new(cursor, stand.epoch, log.read_after(&room.name, cursor, PAGE));
    room.compare(stand, read.last, read.proves_loss().then_some(cursor));
    match log.wrong {
        Wrong::NeverGap => read.gap = None,
        Wrong::NeedlessGap if read.last.ms.is_multiple_of(5) && read.last > cursor => {
            read.gap = Some(splice::Gap { resumes_at: read.last, reason: GapReason::Trimmed });
            read.frames.clear();
        }
        _ => {}
    }
    read
}

impl Conn {
    pub fn new(id: u64, client: usize, replica: usize, name: &str) -> Self {
        let greeting = Greeting {
            replica: name.to_owned(),
            release: "1".to_owned(),
            heartbeat: Duration::from_secs(3600),
            features: features(false, false),
        };
        Self {
            id,
            client,
            link: None,
            replica,
            session: Session::new(LIMITS, greeting, Box::new(|_| Ok(()))),
            up: VecDeque::new(),
            down: Arc::default(),
            rooms: BTreeMap::new(),
            entering: Vec::new(),
            appending: None,
        }
    }

    /// The replica does one thing for this connection. False if there was nothing to do.
    pub fn serve(&mut self, replica: &mut Replica, log: &mut SimLog, rng: &mut StdRng) -> bool {
        match rng.random_range(0..4) {
            0 => self.hear(log),
            1 => self.append(log, rng),
            2 => self.enter(replica, log),
            _ => self.catch_up(log),
        }
    }

    /// Everything that can be done, with no mishap.
    pub fn serve_all(&mut self, replica: &mut Replica, log: &mut SimLog) -> bool {
        let mut busy = false;
        while self.hear(log) || self.append_once(log) || self.enter(replica, log) {
            busy = true;
        }
        self.catch_up(log) || busy
    }

    pub fn hear(&mut self, log: &mut SimLog) -> bool {
        let Some(frame) = self.up.pop_front() else { return false };
        let effects = self.session.frame(frame);
        self.apply(effects, log);
        true
    }

    fn apply(&mut self, effects: Vec<Effect>, log: &mut SimLog) {
        for effect in effects {
            match effect {
                Effect::Reply(frame) => self.down.tell(frame),
                Effect::Identify(arriving) => {
                    let effects = self.session.identified(Ok(identity(arriving)));
                    self.apply(effects, log);
                }
                Effect::Enter(cursor) => self.entering.push(Entering { cursor, start: None }),
                Effect::Exit(room) => self.exit(&room),
                Effect::Append(entry) => {
                    if log.wrong == Wrong::AckBeforeAppend {
                        let (room, n) = (entry.room.clone(), entry.n);
                        let ack = ServerFrame::Ack { room, n, id: None, duplicate: false };
                        self.down.tell(ack);
                    }
                    self.appending = Some((entry, false));
                }
                Effect::Close(code, _) => self.down.push(Down::Close(code.code())),
                // What remains is nothing to the log, or to who hears it.
                _ => {}
            }
        }
    }

    fn exit(&mut self, room: &str) {
        self.entering.retain(|entering| entering.cursor.room != room);
        if let Some(joined) = self.rooms.remove(room) {
            joined.visit.end();
        }
    }

    /// One try to append: it is answered, or nobody knows, or the log says no.
    fn append(&mut self, log: &mut SimLog, rng: &mut StdRng) -> bool {
        let Some((entry, unknown)) = self.appending.take() else { return false };
        match rng.random_range(0..8) {
            0 => {
                let _lost = log.append(&entry);
                if log.wrong == Wrong::TimeoutIsFailure {
                    self.appended(&Err(LogError::Unknown("lost".to_owned())), log);
                } else {
                    self.appending = Some((entry, true));
                }
            }
            1 => self.appending = Some((entry, true)),
            2 if !unknown => {
                self.appended(&Err(LogError::Refused("full".into())), log);
            }
            _ => {
                let outcome = log.append(&entry);
                self.appended(&outcome, log);
            }
        }
        true
    }

    fn append_once(&mut self, log: &mut SimLog) -> bool {
        let Some((entry, _)) = self.appending.take() else { return false };
        let outcome = log.append(&entry);
        self.appended(&outcome, log);
        true
    }

    fn appended(&mut self, outcome: &Result<Appended, LogError>, log: &mut SimLog) {
        let mut effects = self.session.appended(outcome);
        if log.wrong == Wrong::AckBeforeAppend {
            effects.remove(0);
        }
        self.apply(effects, log);
    }

    /// Looks up where a cursor stands, and the next time enters there: the log may have gone on.
    fn enter(&mut self, replica: &mut Replica, log: &SimLog) -> bool {
        let Some(first) = self.entering.first_mut() else { return false };
        let Some(start) = first.start else {
            first.start = Some(replica.locate(&first.cursor, log));
            return true;
        };
        let Entering { cursor: RoomCursor { room: name, .. }, .. } = self.entering.remove(0);
        let room = replica.open(&name, log);
        // A WebSocket, or an event stream, which is only woken and takes what is new from the ring.
        let sink: Arc<dyn Sink> = match self.id % 3 {
            0 => Arc::new(Notify::new()),
            _ => self.down.clone(),
        };
        let begun = Visit::begin(room, start, self.id, Visitor::default(), sink);
        let (visit, told) = begun.expect("a room of this world is for everybody");
        told.into_iter().for_each(|frame| self.down.tell(frame));
        self.rooms.insert(name, Joined { visit, page: None });
        true
    }

    /// Brings every room further: from the ring, or a page of the log in two steps.
    fn catch_up(&mut self, log: &SimLog) -> bool {
        let before = self.down.len();
        let mut read = false;
        for joined in self.rooms.values_mut() {
            let down = &self.down;
            let has_room = || down.has_room();
            let write = |told: Told| {
                frames(&joined.visit, &told, log).into_iter().for_each(|it| down.tell(it))
            };
            if let Some(page) = joined.page.take() {
                joined.visit.page(&page, has_room, write);
                read = true;
            } else if let Some(cursor) = joined.visit.advance(has_room, write) {
                joined.page = Some(read_page(joined.visit.room(), cursor, log));
                read = true;
            }
        }
        read || self.down.len() > before
    }

    /// The connection is over: the rooms forget it.
    pub fn end(&mut self) {
        for joined in self.rooms.values() {
            joined.visit.end();
        }
    }
}

/// There is one account here: that of everybody who comes with a token.
fn identity(Arriving { name, token, .. }: Arriving) -> Identity {
    if token.is_none() {
        return Identity::Guest { name };
    }
    let [member, name, folded, session] = ["account", "Ada", "ada", "s"].map(str::to_owned);
    Identity::Person(Person {
        member,
        name,
        folded,
        role: Mark::Registered,
        session,
        left_ms: None,
    })
}

/// What a client reads of an effect.
fn frames(visit: &Visit, told: &Told, log: &SimLog) -> Vec<ServerFrame> {
    let frames = match told {
        Told::Frames(frames) => frames,
        Told::Members => return split(&visit.members()),
        told => return visit.told(told).into_iter().collect(),
    };
    let messages = frames.iter().flat_map(|frame| split(&frame.wire));
    let mut messages: Vec<_> = messages
        .map(|frame| match frame {
            ServerFrame::Message(message) => message,
            other => panic!("in a ring: {other:?}"),
        })
        .collect();
    spoil(log, &mut messages);
    messages.into_iter().map(ServerFrame::Message).collect()
}

fn spoil(log: &SimLog, messages: &mut Vec<Message>) {
    let Some(odd) = messages.iter().position(|message| message.id.ms % 11 == 0) else { return };
    match log.wrong {
        Wrong::SwapDeliveries if messages.len() > 1 => messages.swap(0, 1),
        Wrong::DropDelivery => {
            messages.remove(odd);
        }
        Wrong::RepeatDelivery => messages.insert(odd, messages[odd].clone()),
        Wrong::Misattribute => {
            messages[odd].member.make_ascii_uppercase();
            if let Some(sender) = &mut messages[odd].extra.sender {
                sender.make_ascii_uppercase();
            }
        }
        _ => {}
    }
}
