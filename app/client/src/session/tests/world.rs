//! A service in one room, as a client sees it: replicas that accept, answer, move clients and break.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use rollcall_protocol::{EntryId, Extra, JoinStatus, Message, RejectCode, ServerFrame};

use super::super::*;

pub const ROOM: &str = "vault";

#[derive(Debug, Clone)]
pub enum Step {
    /// Someone else speaks.
    Post,
    /// The client speaks.
    Say,
    /// The attempt under way, if any, comes to an end.
    Dial {
        ok: bool,
    },
    /// The replica handles one frame of the client.
    Serve {
        link: usize,
    },
    /// The client reads one frame.
    Read {
        link: usize,
    },
    Goaway {
        link: usize,
    },
    /// The replica has handled only so many of the client's frames.
    Lose {
        link: usize,
        handled: usize,
        restart: bool,
    },
    Wait,
    /// The log's memory of the client's number ends.
    Forget,
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let link = || 0usize..2;
    let step = prop_oneof![
        6 => Just(Step::Post),
        4 => Just(Step::Say),
        6 => prop::bool::weighted(0.8).prop_map(|ok| Step::Dial { ok }),
        6 => link().prop_map(|link| Step::Serve { link }),
        16 => link().prop_map(|link| Step::Read { link }),
        2 => link().prop_map(|link| Step::Goaway { link }),
        1 => (link(), 0usize..4, any::<bool>())
            .prop_map(|(link, handled, restart)| Step::Lose { link, handled, restart }),
        4 => Just(Step::Wait),
        1 => Just(Step::Forget),
    ];
    prop::collection::vec(step, 1..300)
}

/// A replica's side of one connection.
pub struct Peer {
    after: Option<EntryId>,
    joined: bool,
    live: bool,
    /// Log entries delivered.
    delivered: usize,
    requests: VecDeque<ClientFrame>,
    answers: VecDeque<ServerFrame>,
}

pub struct World {
    pub now: Instant,
    pub session: Session,
    pub peers: BTreeMap<LinkId, Peer>,
    dial: Option<ClientFrame>,
    /// The room log: what was said, and the number of what the client said.
    pub log: Vec<(String, Option<u64>)>,
    /// The client's last number, as long as the log remembers it.
    last: Option<u64>,
    pub started_at: Option<usize>,
    pub heard: Vec<String>,
    pub said: Vec<String>,
    pub acked: usize,
    lost: bool,
}

impl World {
    pub fn new() -> Self {
        let now = Instant::now();
        let mut config = Config::new("http://nowhere", "Teal", &[ROOM]);
        config.seed = Some(1);
        let session = Session::new(&config, now);
        let mut world = Self {
            now,
            session,
            peers: BTreeMap::new(),
            dial: None,
            log: Vec::new(),
            last: None,
            started_at: None,
            heard: Vec::new(),
            said: Vec::new(),
            acked: 0,
            lost: false,
        };
        world.carry_out();
        world
    }

    pub fn id(index: usize) -> EntryId {
        EntryId::new(index as u64, 0)
    }

    pub fn carry_out(&mut self) {
        while let Some(effect) = self.session.next_effect() {
            match effect {
                Effect::Dial(hello) => self.dial = Some(hello),
                Effect::Write(id, frame) => {
                    self.peers.get_mut(&id).expect("an open connection").requests.push_back(frame);
                }
                Effect::Close(id) => {
                    while self.serve(id) {}
                    self.peers.remove(&id);
                }
                Effect::Emit(event) => self.see(event),
                Effect::End => panic!("the client ended"),
            }
        }
    }

    fn see(&mut self, event: Event) {
        match event {
            Event::Message { message, .. } => self.heard.push(message.text),
            Event::Joined { cursor, .. } => {
                self.started_at.get_or_insert(usize::try_from(cursor.ms).expect("an index"));
            }
            Event::Acked { .. } => self.acked += 1,
            Event::Moved { silence, .. } => {
                assert!(self.lost || silence.is_zero(), "silent for {silence:?} without a loss");
            }
            Event::Broken { .. } | Event::Gap { .. } | Event::Repeated { .. } => {
                panic!("{event:?}")
            }
            _ => {}
        }
    }

    pub fn link(&self, index: usize) -> Option<LinkId> {
        self.peers.keys().nth(index).copied()
    }

    pub fn step(&mut self, step: &Step) {
        self.now += Duration::from_millis(1);
        match step {
            Step::Post => self.log.push((format!("post {}", self.log.len()), None)),
            Step::Say => {
                let text = format!("mine {}", self.said.len());
                if self.session.send(ROOM, text.clone(), self.now).is_ok() {
                    self.said.push(text);
                }
            }
            Step::Dial { ok } => self.dialed(*ok),
            Step::Serve { link } => {
                self.link(*link).map(|id| self.serve(id));
            }
            Step::Read { link } => {
                self.link(*link).map(|id| self.read(id));
            }
            Step::Goaway { link } => {
                let (in_ms, deadline_ms, reason) = (50, 60_000, String::new());
                if let Some(id) = self.link(*link) {
                    let goaway = ServerFrame::Goaway { in_ms, deadline_ms, reason };
                    self.session.frame(id, goaway, self.now);
                }
            }
            Step::Forget => self.forget(),
            Step::Lose { link, handled, restart } => self.lose(*link, *handled, *restart),
            Step::Wait => {
                self.now += Duration::from_millis(100);
                if self.session.wake_at().is_some_and(|at| at <= self.now) {
                    self.session.tick(self.now);
                    let next = self.session.wake_at();
                    assert!(next.is_none_or(|at| at > self.now), "due again at once: a hot loop");
                }
            }
        }
        self.carry_out();
    }

    /// However short the log's memory, it outlives what is under way.
    fn forget(&mut self) {
        if self.peers.is_empty() || self.session.rooms[ROOM].outbox.is_empty() {
            self.last = None;
        }
    }

    fn dialed(&mut self, ok: bool) {
        let Some(ClientFrame::Hello { rooms, .. }) = self.dial.take() else { return };
        if !ok {
            let loss = Loss::Broke("refused".to_owned());
            self.session.dialed(Err(DialError::Retry(loss)), self.now);
            return;
        }
        let welcome = Welcome {
            member: "m".to_owned(),
            sender: None,
            name: None,
            account: None,
            features: Vec::new(),
            replica: format!("r{}", self.peers.len()),
            release: String::new(),
            heartbeat: Duration::from_secs(3600),
            limits: Limits { pending: 3, ..USUAL_LIMITS },
        };
        let id = self.session.dialed(Ok(welcome), self.now).expect("a connection");
        let after = rooms.first().and_then(|room| room.after);
        let (requests, answers) = (VecDeque::new(), VecDeque::new());
        // A room that the hello left out is asked for by `join`.
        if rooms.is_empty() {
            self.peers.insert(id, Peer::absent());
        } else {
            let delivered = after.map_or(self.log.len(), |after| after.ms as usize);
            let (joined, live) = (false, false);
            self.peers.insert(id, Peer { after, joined, live, delivered, requests, answers });
        }
    }

    fn lose(&mut self, link: usize, handled: usize, restart: bool) {
        let Some(id) = self.link(link) else { return };
        (0..handled).for_each(|_| {
            self.serve(id);
        });
        self.peers.remove(&id);
        self.lost = true;
        let loss = match restart {
            true => Loss::Closed { code: CloseCode::Restart.code(), reason: String::new() },
            false => Loss::Broke("reset".to_owned()),
        };
        self.session.lost(id, loss, self.now);
    }

    /// The replica handles one frame; false if there is none.
    fn serve(&mut self, id: LinkId) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        let answer = match peer.requests.pop_front() {
            None => return false,
            Some(ClientFrame::Send { n, text, .. }) => {
                append(&mut self.log, &mut self.last, n, text)
            }
            Some(ClientFrame::Join { after, .. }) => {
                let delivered = after.map_or(self.log.len(), |after| after.ms as usize);
                *peer = Peer {
                    after,
                    delivered,
                    answers: std::mem::take(&mut peer.answers),
                    ..Peer::absent()
                };
                return true;
            }
            Some(_) => return true,
        };
        peer.answers.push_back(answer);
        true
    }

    /// The client reads an answer, or else what the room has for it; false if there is nothing.
    fn read(&mut self, id: LinkId) -> bool {
        let (head, room) = (Self::id(self.log.len()), ROOM.to_owned());
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        let frame = if let Some(answer) = peer.answers.pop_front() {
            answer
        } else if peer.delivered == usize::MAX {
            return false;
        } else if !peer.joined {
            peer.joined = true;
            // A fresh client starts at the head of this moment.
            let status = if peer.after.is_some() { JoinStatus::Resumed } else { JoinStatus::Fresh };
            if peer.after.is_none() {
                peer.delivered = self.log.len();
            }
            ServerFrame::Joined { room, head, status, present: 0, members: Vec::new() }
        } else if let Some((text, n)) = self.log.get(peer.delivered) {
            let prev = Self::id(peer.delivered);
            peer.delivered += 1;
            let (id, n, text) = (Self::id(peer.delivered), n.unwrap_or(0), text.clone());
            let (member, name) = (if n > 0 { "m" } else { "another" }.to_owned(), String::new());
            let extra = Extra::default();
            ServerFrame::Message(Message { room, id, prev, member, name, n, text, at: 0, extra })
        } else if !peer.live {
            peer.live = true;
            ServerFrame::Live { room, id: head }
        } else {
            return false;
        };
        self.session.frame(id, frame, self.now);
        true
    }

    /// Lets everything come to rest, with no further mishap.
    pub fn come_to_rest(&mut self) {
        for _ in 0..400 {
            for step in [Step::Dial { ok: true }, Step::Wait] {
                self.step(&step);
            }
            for id in self.peers.keys().copied().collect::<Vec<_>>() {
                while self.serve(id) || self.read(id) {
                    self.carry_out();
                }
            }
        }
    }
}

impl Peer {
    /// Not in the room.
    fn absent() -> Self {
        let (requests, answers) = (VecDeque::new(), VecDeque::new());
        Self { after: None, joined: false, live: false, delivered: usize::MAX, requests, answers }
    }
}

fn append(
    log: &mut Vec<(String, Option<u64>)>,
    last: &mut Option<u64>,
    n: u64,
    text: String,
) -> ServerFrame {
    let room = ROOM.to_owned();
    if last.is_some_and(|last| n > last + 1) {
        let (code, detail) = (RejectCode::OutOfOrder, String::new());
        let expected = last.map(|last| last + 1);
        return ServerFrame::Reject { room, n, code, detail, expected, retry_ms: None };
    }
    let duplicate = last.is_some_and(|last| n <= last);
    if !duplicate {
        log.push((text, Some(n)));
        *last = Some(n);
    }
    ServerFrame::Ack { room, n, id: None, duplicate }
}

pub fn joined(head: usize, status: JoinStatus) -> ServerFrame {
    let (room, head) = (ROOM.to_owned(), World::id(head));
    ServerFrame::Joined { room, head, status, present: 0, members: Vec::new() }
}
