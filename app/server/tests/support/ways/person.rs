//! A client that keeps to the protocol's rules, whatever its way.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use rollcall_protocol::{EntryId, GapReason, Message};
use tokio::sync::watch;

use super::{Heard, Way, Who};

/// Before a replica is asked again that did not let in.
const PAUSE: Duration = Duration::from_millis(20);

/// What all clients of a test share.
pub struct World {
    /// Where a client may go. One that is not let in tries the next, as HAProxy does for it.
    pub replicas: Vec<SocketAddr>,
    /// How many messages there will be.
    pub total: usize,
    /// How many have been acknowledged.
    pub taken: watch::Sender<usize>,
    /// Until it is open, each client keeps its last third to itself.
    pub gate: watch::Sender<bool>,
}

/// What became of one client.
pub struct Record {
    pub who: Who,
    /// What it was shown, in that order.
    pub shown: Vec<Message>,
    /// How often it came to another connection or stream than its first.
    pub moves: usize,
}

pub struct Person<W> {
    world: Arc<World>,
    who: Who,
    member: String,
    place: usize,
    cursor: EntryId,
    /// What has no answer: number and text.
    outbox: VecDeque<(u64, String)>,
    held: VecDeque<(u64, String)>,
    on_its_way: bool,
    live: bool,
    shown: Vec<Message>,
    opened: usize,
    way: Option<W>,
}

impl<W: Way> Person<W> {
    pub fn new(world: &Arc<World>, who: Who, member: String, place: usize, count: u64) -> Self {
        let texts = (1..=count).map(|n| (n, format!("{} says {n}", who.name)));
        let mut outbox: VecDeque<_> = texts.collect();
        let held = outbox.split_off(outbox.len() * 2 / 3);
        Self {
            world: world.clone(),
            who,
            member,
            place,
            cursor: EntryId::ZERO,
            outbox,
            held,
            on_its_way: false,
            live: false,
            shown: Vec::new(),
            opened: 0,
            way: None,
        }
    }

    /// Until it has said and been shown everything.
    pub async fn run(mut self) -> Record {
        let mut gate = self.world.gate.subscribe();
        while self.shown.len() < self.world.total || !self.outbox.is_empty() {
            if *gate.borrow_and_update() {
                self.outbox.append(&mut self.held);
            }
            let mut way = match self.way.take() {
                Some(way) => way,
                None => self.open().await,
            };
            if let Some((n, text)) = self.outbox.front().filter(|_| self.live && !self.on_its_way) {
                way.say(*n, text).await;
                self.on_its_way = true;
            }
            let heard = tokio::select! {
                heard = way.hear() => heard,
                _ = gate.changed() => {
                    self.way = Some(way);
                    continue;
                }
            };
            self.way = self.hear(way, heard).await;
        }
        if let Some(way) = self.way.take() {
            way.close().await;
        }
        Record { who: self.who, shown: self.shown, moves: self.opened - 1 }
    }

    async fn open(&mut self) -> W {
        self.opened += 1;
        self.live = false;
        self.on_its_way = false;
        loop {
            let address = self.world.replicas[self.place % self.world.replicas.len()];
            if let Some(way) = W::open(address, &self.who, self.cursor).await {
                return way;
            }
            self.place += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Does as it is told; the way that it goes on by, if that is not to be opened first.
    async fn hear(&mut self, way: W, heard: Heard) -> Option<W> {
        match heard {
            Heard::Message(message) => self.show(message),
            Heard::Live => self.live = true,
            Heard::Gap { after, resumes_at, reason } => {
                assert_eq!(
                    (after, reason),
                    (self.cursor, GapReason::Rewound),
                    "nothing is trimmed"
                );
                self.cursor = resumes_at;
            }
            Heard::Taken(n) => self.taken(n),
            Heard::Again(n, ms) => {
                if self.outbox.front().is_some_and(|(first, _)| *first == n) {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    self.on_its_way = false;
                }
            }
            Heard::Goaway => return Some(self.change(way).await),
            Heard::Ended => return None,
        }
        Some(way)
    }

    /// Opens a second connection, and closes the first once that is live.
    async fn change(&mut self, first: W) -> W {
        let mut second = self.open().await;
        while !self.live {
            match second.hear().await {
                Heard::Message(message) => self.show(message),
                Heard::Live => self.live = true,
                Heard::Ended => second = self.open().await,
                other => panic!("{other:?} before live"),
            }
        }
        first.close().await;
        second
    }

    pub fn show(&mut self, message: Message) {
        if message.id <= self.cursor {
            return;
        }
        assert_eq!(
            message.prev, self.cursor,
            "{} misses what is before {message:?}",
            self.who.name
        );
        self.cursor = message.id;
        if message.member == self.member && !self.on_its_way {
            self.taken(message.n);
        }
        self.shown.push(message);
    }

    fn taken(&mut self, n: u64) {
        if self.outbox.front().is_some_and(|(first, _)| *first == n) {
            self.outbox.pop_front();
            self.on_its_way = false;
            self.world.taken.send_modify(|taken| *taken += 1);
        }
    }
}
