//! Clients, replicas and a log, and a scheduler that lets one of them do one thing at a time,
//! all from one seed.

mod ending;

use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use rollcall_chaos::history::{Loss, Record, What};
use rollcall_client::{
    Change, Loss as ConnectionLoss,
    sim::{DialError, Effect, Welcome},
};
use rollcall_protocol::ServerFrame;

use crate::{
    log::SimLog,
    person::{Person, hash_of_removal, hash_of_text},
    replica::{Conn, Replica},
    wire::Down,
    wrong::Wrong,
};

/// The only fault, from the beginning until all heals.
const SCHEDULE: &str = "schedule";
const ROOMS: [&str; 2] = ["attic", "den"];
/// Clients; all but two come late.
const PEOPLE: usize = 3;
const REPLICAS: usize = 2;
/// Steps of a history before it heals.
const STEPS: usize = 260;

pub struct World {
    rng: StdRng,
    began: Instant,
    /// Since then.
    now: Duration,
    log: SimLog,
    /// Whether data is really destroyed in this history.
    lossy: bool,
    replicas: Vec<Replica>,
    conns: Vec<Conn>,
    people: Vec<Person>,
    ops: u64,
    last_conn: u64,
    records: Vec<Record>,
}

/// A history of one seed, from its beginning to its end.
pub fn history(seed: u64, wrong: Wrong) -> Vec<Record> {
    let mut world = World::new(seed, wrong);
    for step in 0..STEPS {
        if step < PEOPLE - 1 || (world.people.len() < PEOPLE && world.chance(30)) {
            world.somebody_comes();
        }
        world.step();
    }
    world.heal();
    world.records
}

impl World {
    fn new(seed: u64, wrong: Wrong) -> Self {
        let mut world = Self {
            rng: StdRng::seed_from_u64(seed),
            began: Instant::now(),
            now: Duration::ZERO,
            log: SimLog::new(wrong),
            // Only where data is lost can a missing gap show.
            lossy: seed.is_multiple_of(2),
            replicas: (0..REPLICAS).map(|number| Replica::new(format!("r{number}"))).collect(),
            conns: Vec::new(),
            people: Vec::new(),
            ops: 0,
            last_conn: 0,
            records: Vec::new(),
        };
        world.tell(What::Run { seed, mutant: None });
        // There is no peace here: whatever can be slow or break may be so at any time.
        let (fault, target) = (SCHEDULE.to_owned(), "everything".to_owned());
        world.tell(What::Fault { step: 0, fault, target });
        world
    }

    fn chance(&mut self, one_in: u32) -> bool {
        self.rng.random_ratio(1, one_in)
    }

    fn instant(&self) -> Instant {
        self.began + self.now
    }

    fn tell(&mut self, what: What) {
        let at = u64::try_from(self.now.as_micros()).unwrap_or(u64::MAX);
        self.records.push(Record { at, what });
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.log.now = 1_000 + u64::try_from(self.now.as_millis()).unwrap_or(0);
    }

    fn somebody_comes(&mut self) {
        let rooms: Vec<_> = ROOMS.iter().map(|room| (*room).to_owned()).collect();
        let person = Person::new(self.people.len(), &rooms, self.instant());
        let (client, role) = (person.name.clone(), "talker".to_owned());
        self.tell(What::Began { client, role, rooms });
        self.people.push(person);
        self.carry_out(self.people.len() - 1);
    }

    fn step(&mut self) {
        let micros = self.rng.random_range(300..3_000);
        self.pass(Duration::from_micros(micros));
        match self.rng.random_range(0..100) {
            0..12 => self.somebody_speaks(),
            12..18 => self.dial_ends(),
            18..58 => self.replica_serves(),
            58..80 => self.client_reads(),
            80..90 => self.replica_follows(),
            90..93 => self.time_passes(),
            93 => self.somebody_wanders(),
            94 => self.replica_freezes_or_wakes(),
            95..98 => self.connection_breaks(),
            98 => self.replica_goes(),
            _ => self.log_suffers(),
        }
    }

    fn somebody(&mut self) -> usize {
        self.rng.random_range(0..self.people.len())
    }

    fn room(&mut self) -> String {
        (*ROOMS.choose(&mut self.rng).expect("rooms")).to_owned()
    }

    fn somebody_speaks(&mut self) {
        let (who, room, now) = (self.somebody(), self.room(), self.instant());
        if !self.people[who].rooms.contains(&room) {
            return;
        }
        let change = if self.chance(6) { self.some_change(who, &room) } else { None };
        self.ops += 1;
        let (op, client) = (self.ops, self.people[who].name.clone());
        let words = self.people[who].words.entry(room.clone()).or_default();
        *words += 1;
        let text =
            if let Some(Change::Remove(_)) = change { String::new() } else { format!("t{words}") };
        let hash = match change {
            Some(Change::Remove(of)) => hash_of_removal(of),
            _ => hash_of_text(&self.people[who].device, &room, &text),
        };
        self.tell(What::Invoke { op, client, room: room.clone(), hash });
        let session = &mut self.people[who].session;
        let ticket = match change {
            Some(change) => session.change(&room, change, text, now),
            None => session.send(&room, text, now),
        };
        let ticket = ticket.expect("room in the outbox, and a server that knows edits");
        self.people[who].said.insert((room, ticket), op);
        self.carry_out(who);
    }

    /// An edit of something that they said in this room, or a removal, which happens to a message once at most.
    fn some_change(&mut self, who: usize, room: &str) -> Option<Change> {
        let of = self.people[who].own.iter().position(|(it, _)| it == room)?;
        if self.chance(2) {
            return Some(Change::Edit(self.people[who].own[of].1));
        }
        Some(Change::Remove(self.people[who].own.remove(of).1))
    }

    fn somebody_wanders(&mut self) {
        let (who, room) = (self.somebody(), self.room());
        self.wander(who, room);
    }

    /// Leaves a room, or enters one that it left.
    fn wander(&mut self, who: usize, room: String) {
        let now = self.instant();
        let person = &mut self.people[who];
        let client = person.name.clone();
        if person.rooms.remove(&room) {
            person.session.leave(&room, now);
            self.tell(What::Leave { client, room });
        } else {
            person.rooms.insert(room.clone());
            person.session.join(room.clone(), None, now);
            self.tell(What::Join { client, room });
        }
        self.carry_out(who);
    }

    fn time_passes(&mut self) {
        let millis = self.rng.random_range(10..600);
        self.pass(Duration::from_millis(millis));
        self.tick();
    }

    fn tick(&mut self) {
        let now = self.instant();
        for who in 0..self.people.len() {
            let session = &mut self.people[who].session;
            if session.wake_at().is_some_and(|at| at <= now) {
                session.tick(now);
                self.carry_out(who);
            }
        }
    }

    /// Does what a session asks for.
    fn carry_out(&mut self, who: usize) {
        while let Some(effect) = self.people[who].session.next_effect() {
            let conn_of =
                |link| move |conn: &&mut Conn| conn.client == who && conn.link == Some(link);
            match effect {
                Effect::Dial(hello) => self.people[who].dial = Some(hello),
                Effect::Write(link, frame) => {
                    if let Some(conn) = self.conns.iter_mut().find(conn_of(link)) {
                        conn.up.push_back(frame);
                    }
                }
                // What it wrote is on the wire still; what was written to it, nobody reads.
                Effect::Close(link) => {
                    if let Some(conn) = self.conns.iter_mut().find(conn_of(link)) {
                        conn.link = None;
                    }
                }
                Effect::Emit(event) => {
                    if let Some(what) = self.people[who].what(event) {
                        self.tell(what);
                    }
                }
                Effect::End => {}
            }
        }
    }

    fn dial_ends(&mut self) {
        let (who, replica) = (self.somebody(), self.rng.random_range(0..REPLICAS));
        let refuses = self.replicas[replica].draining || self.replicas[replica].paused;
        let fails = refuses || self.chance(8);
        self.dialed(who, replica, fails);
    }

    fn dialed(&mut self, who: usize, replica: usize, fails: bool) -> bool {
        let now = self.instant();
        let Some(hello) = self.people[who].dial.take() else { return false };
        if fails {
            let loss = ConnectionLoss::Broke("refused".to_owned());
            self.people[who].session.dialed(Err(DialError::Retry(loss)), now);
            self.carry_out(who);
            return true;
        }
        self.last_conn += 1;
        let mut conn = Conn::new(self.last_conn, who, replica, &self.replicas[replica].name);
        conn.up.push_back(hello);
        conn.hear(&mut self.log);
        let Some(Down::Frame(frame)) = conn.down.read() else { panic!("not welcome") };
        let welcome = Welcome::of(*frame).expect("a welcome");
        conn.link = self.people[who].session.dialed(Ok(welcome), now);
        self.conns.push(conn);
        self.carry_out(who);
        true
    }

    fn replica_serves(&mut self) {
        if self.conns.is_empty() {
            return;
        }
        let index = self.rng.random_range(0..self.conns.len());
        let conn = &mut self.conns[index];
        let replica = &mut self.replicas[conn.replica];
        if !replica.paused {
            conn.serve(replica, &mut self.log, &mut self.rng);
        }
        // It notices in its own time that the client is gone.
        if self.conns[index].link.is_none() && self.chance(6) {
            self.end(index);
        }
    }

    fn end(&mut self, index: usize) {
        let mut conn = self.conns.swap_remove(index);
        conn.end();
    }

    fn client_reads(&mut self) {
        if !self.conns.is_empty() {
            let index = self.rng.random_range(0..self.conns.len());
            self.read(index);
        }
    }

    /// A client reads one frame. False if there is none.
    fn read(&mut self, index: usize) -> bool {
        let now = self.instant();
        let conn = &mut self.conns[index];
        let (Some(link), who) = (conn.link, conn.client) else { return false };
        match conn.down.read() {
            None => return false,
            Some(Down::Frame(frame)) => self.people[who].session.frame(link, *frame, now),
            Some(Down::Close(code)) => {
                let loss = ConnectionLoss::Closed { code, reason: String::new() };
                conn.link = None;
                self.people[who].session.lost(link, loss, now);
            }
        }
        self.carry_out(who);
        true
    }

    /// The client's end breaks; the replica's may live on with what was on the wire.
    fn connection_breaks(&mut self) {
        if self.conns.is_empty() {
            return;
        }
        let index = self.rng.random_range(0..self.conns.len());
        let arrived = self.rng.random_range(0..=self.conns[index].up.len());
        self.conns[index].up.truncate(arrived);
        self.cut(index);
    }

    fn cut(&mut self, index: usize) {
        let now = self.instant();
        let conn = &mut self.conns[index];
        let who = conn.client;
        if let Some(link) = conn.link.take() {
            let loss = ConnectionLoss::Broke("reset".to_owned());
            self.people[who].session.lost(link, loss, now);
            self.carry_out(who);
        }
    }

    fn replica_follows(&mut self) {
        let replica = self.rng.random_range(0..REPLICAS);
        if self.chance(20) {
            self.replicas[replica].follows = false;
        }
        let replica = &mut self.replicas[replica];
        if !replica.paused {
            replica.follow(&self.log);
            replica.fan_out();
        }
    }

    fn replica_freezes_or_wakes(&mut self) {
        let replica = self.rng.random_range(0..REPLICAS);
        self.replicas[replica].paused ^= true;
    }

    /// It drains, or comes back empty after a drain or a crash.
    fn replica_goes(&mut self) {
        let number = self.rng.random_range(0..REPLICAS);
        if !self.replicas[number].draining && self.chance(2) {
            self.replicas[number].draining = true;
            for conn in self.conns.iter_mut().filter(|conn| conn.replica == number) {
                let in_ms = self.rng.random_range(0..200);
                let (deadline_ms, reason) = (5_000, "drain".to_owned());
                let goaway = ServerFrame::Goaway { in_ms, deadline_ms, reason };
                conn.down.tell(goaway);
            }
            return;
        }
        while let Some(index) = self.conns.iter().position(|conn| conn.replica == number) {
            self.cut(index);
            self.end(index);
        }
        self.replicas[number] = Replica::new(format!("r{number}"));
    }

    fn log_suffers(&mut self) {
        if !self.lossy {
            return;
        }
        let (kind, room) = (self.rng.random_range(0..3), self.room());
        let count = self.rng.random_range(1..6);
        let loss = [Loss::Flushed, Loss::Trimmed, Loss::Rewound][kind];
        self.tell(What::Snapshot);
        self.tell_logs();
        self.tell(What::Destroying { loss });
        match loss {
            Loss::Flushed => self.log.flush(),
            Loss::Trimmed => self.log.trim(&room, count),
            Loss::Rewound => {
                self.log.rewind(count);
                self.replicas.iter_mut().for_each(|replica| replica.follows = false);
            }
        }
        // An ID names an entry of one history only.
        self.pass(Duration::from_millis(2));
        self.tell(What::Destroyed);
    }
}
