//! One client of the workload that holds a WebSocket: the library does the work, this decides
//! when to speak, come and go, and writes down what happens.

mod deeds;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rollcall_client::{Client, Config, Event, Events, Handle, new_key};
use rollcall_protocol::{EntryId, RoomCursor};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{Character, Phase, Place, Role, Shared};
use crate::{
    cluster::forward::{Forwarder, Running},
    history::{Gone, Op, What},
};

/// How long a ghost's socket stays open, silent, after it vanished: longer than any lease.
const HAUNTING: Duration = Duration::from_secs(90);
/// What a slow reader takes for one event while it is slow.
const SLOWNESS: Duration = Duration::from_millis(200);
/// How long it is slow, and how long it is fast.
const TURN: Duration = Duration::from_secs(8);
/// Messages of its own that a client could change.
const REMEMBERED: usize = 16;
/// How long the last goodbye may take.
const FAREWELL: Duration = Duration::from_secs(3);

pub struct Participant {
    shared: Arc<Shared>,
    character: Character,
    /// As it stands in the history: a ghost's successor has another one.
    name: String,
    key: String,
    place: Arc<Place>,
    rng: StdRng,
    phase: watch::Receiver<Phase>,
    /// Operations by room and ticket.
    pending: HashMap<(String, u64), Op>,
    /// What it said last and can change still: by room, with its entry.
    own: VecDeque<(String, EntryId)>,
    /// A room it has left, until it enters it again.
    left: Option<String>,
    /// A ghost's own way to the service, which can fall silent without a FIN.
    link: Option<Running>,
    is_serving: bool,
}

/// How a life of a client ended.
enum End {
    Over,
    /// It has said `bye`.
    Left,
    Vanished,
    Expelled,
    Reconnect,
}

impl Participant {
    pub fn new(shared: Arc<Shared>, character: Character, place: Arc<Place>, seed: u64) -> Self {
        Self {
            phase: shared.watch(),
            name: character.name.clone(),
            key: new_key(),
            rng: StdRng::seed_from_u64(seed),
            pending: HashMap::new(),
            own: VecDeque::new(),
            left: None,
            link: None,
            is_serving: false,
            shared,
            character,
            place,
        }
    }

    /// Lives until the run is over.
    pub async fn run(mut self) {
        let late = sleep(self.character.after);
        tokio::select! {
            () = late => {}
            _ = self.phase.wait_for(|phase| *phase != Phase::Talking) => return,
        }
        for life in 1.. {
            self.begin();
            let (end, events) = self.live().await;
            match end {
                End::Left => {}
                End::Vanished => {
                    self.gone(Gone::Vanished);
                    if let Some(link) = self.link.take() {
                        link.freeze();
                        tokio::spawn(async move {
                            sleep(HAUNTING).await;
                            drop((events, link));
                        });
                    }
                }
                End::Over => return self.gone(Gone::Dismissed),
                End::Expelled => return self.gone(Gone::Expelled),
                End::Reconnect => unreachable!("`live` goes on by itself"),
            }
            if *self.phase.borrow() != Phase::Talking || self.character.role == Role::Crowd {
                return;
            }
            self.name = format!("{}.{}", self.character.name, life + 1);
            self.own.clear();
            self.key = new_key();
        }
    }

    fn begin(&mut self) {
        let role = self.character.role.name().to_owned();
        let (client, rooms) = (self.name.clone(), self.character.rooms.clone());
        self.shared.recorder.record(What::Began { client, role, rooms });
        self.shared.live.clients.fetch_add(1, Relaxed);
    }

    fn gone(&mut self, how: Gone) {
        for (_, op) in self.pending.drain() {
            self.shared.live.info.fetch_add(1, Relaxed);
            let why = "the client ended before an answer".to_owned();
            self.shared.recorder.record(What::Info { op, why });
        }
        self.shared.recorder.record(What::Gone { client: self.name.clone(), how });
        self.serving(false);
        self.shared.live.clients.fetch_sub(1, Relaxed);
        self.place.pending.store(0, Relaxed);
        self.place.lock().clear();
    }

    /// One life of one member, over as many connections and library clients as it takes.
    async fn live(&mut self) -> (End, Events) {
        let until = match self.character.role {
            Role::Ghost => Duration::from_secs(self.rng.random_range(6..15)),
            Role::Visitor => Duration::from_secs(self.rng.random_range(8..25)),
            Role::Crowd => Duration::from_secs(self.rng.random_range(8..12)),
            _ => Duration::from_secs(1 << 30),
        };
        let until = Instant::now() + until;
        if self.character.role == Role::Ghost {
            self.link = link_to(&self.shared.url).await;
        }
        let mut bursts = 0;
        loop {
            let (handle, mut events) = Client::start(self.config());
            let burst = self.burst_after(&mut bursts);
            match self.with(&handle, &mut events, until.min(burst)).await {
                End::Reconnect => {
                    self.serving(false);
                    drop(events);
                    sleep(Duration::from_millis(self.rng.random_range(0..60))).await;
                }
                end => return (end, events),
            }
        }
    }

    /// When to drop the connection next: five times in a row, then not for a while.
    fn burst_after(&mut self, bursts: &mut u32) -> Instant {
        let pause = match self.character.role {
            Role::Burster if bursts.is_multiple_of(5) => self.rng.random_range(8_000..20_000),
            Role::Burster => self.rng.random_range(0..300),
            _ => 1 << 40,
        };
        *bursts += 1;
        Instant::now() + Duration::from_millis(pause)
    }

    fn config(&self) -> Config {
        let link = self.link.as_ref().map(|link| format!("http://{}", link.address()));
        let url = link.as_ref().unwrap_or(&self.shared.url);
        let mut config = Config::new(url, &self.name, &[]);
        config.key.clone_from(&self.key);
        let cursors = self.place.lock();
        let room = |room: &String| RoomCursor {
            room: room.clone(),
            after: cursors.get(room).map(|cursor| (*cursor).into()),
        };
        config.rooms = self.character.rooms.iter().map(room).collect();
        if self.character.role == Role::Slow {
            // What it has not taken shall wait in its socket, where the service notices.
            config.events = 1;
        }
        config
    }

    /// Acts through one library client and listens to it, until `until`.
    async fn with(&mut self, handle: &Handle, events: &mut Events, until: Instant) -> End {
        let mut act_at = self.next_act();
        let born = Instant::now();
        loop {
            let talking = *self.phase.borrow() == Phase::Talking;
            tokio::select! {
                biased;
                _ = self.phase.changed() => {
                    if *self.phase.borrow() == Phase::Over {
                        return End::Over;
                    }
                    self.enter_again(handle).await;
                }
                () = sleep_until(until), if talking => return self.end(handle, events).await,
                event = events.next() => match event {
                    None => return End::Expelled,
                    Some(Event::Ended(Err(_))) => return End::Expelled,
                    Some(event) => self.saw(&event),
                },
                () = sleep_until(act_at), if talking => {
                    self.act(handle).await;
                    act_at = self.next_act();
                }
            }
            let turn = born.elapsed().as_secs() / TURN.as_secs();
            if self.character.role == Role::Slow && turn % 2 == 1 && talking {
                sleep(SLOWNESS).await;
            }
        }
    }

    /// Its time is over, not the run's.
    async fn end(&mut self, handle: &Handle, events: &mut Events) -> End {
        match self.character.role {
            Role::Burster => End::Reconnect,
            Role::Ghost if self.rng.random_ratio(2, 3) => End::Vanished,
            _ => {
                // Before the others can be told. What comes in the meantime is for nobody.
                self.gone(Gone::Bye);
                let _ended = handle.bye().await;
                let rest = async { while events.next().await.is_some() {} };
                let _late = timeout(FAREWELL, rest).await;
                End::Left
            }
        }
    }

    fn saw(&mut self, event: &Event) {
        if self.left.as_ref().is_some_and(|left| room_of(event) == Some(left)) {
            return; // still on its way when the room was left
        }
        rollcall_witness::record(&self.shared.recorder, &self.name, event);
        let live = &self.shared.live;
        match event {
            Event::Message { message, received } => {
                let prompt = self.character.role != Role::Slow;
                live.delivered(&super::hash(&message.text), prompt.then_some(*received));
                self.place.lock().insert(message.room.clone(), message.id.into());
            }
            Event::Joined { room, cursor, .. } => {
                self.place.lock().insert(room.clone(), (*cursor).into());
            }
            Event::Gap { room, resumes_at, .. } => {
                live.gaps.fetch_add(1, Relaxed);
                self.place.lock().insert(room.clone(), (*resumes_at).into());
            }
            Event::Silence { lasted } => live.silent(*lasted),
            Event::AllLive { .. } => self.serving(true),
            Event::Disconnected { .. } => {
                live.lost.fetch_add(1, Relaxed);
                self.serving(false);
            }
            Event::Acked { room, ticket, id: entry, duplicate, change, .. } => {
                if let (Some(id), None) = (entry, change) {
                    self.own.push_back((room.clone(), *id));
                    if self.own.len() > REMEMBERED {
                        self.own.pop_front();
                    }
                }
                if let Some(op) = self.pending.remove(&(room.clone(), *ticket)) {
                    live.ok.fetch_add(1, Relaxed);
                    let (id, duplicate) = (entry.map(Into::into), *duplicate);
                    self.shared.recorder.record(What::Ok { op, id, duplicate });
                }
                self.count_pending();
            }
            Event::Rejected { room, ticket, code, retried: false, .. } => {
                if let Some(op) = self.pending.remove(&(room.clone(), *ticket)) {
                    live.fail.fetch_add(1, Relaxed);
                    self.shared.recorder.record(What::Fail { op, code: format!("{code:?}") });
                }
                self.count_pending();
            }
            Event::Unknown { room, ticket, .. } => {
                if let Some(op) = self.pending.remove(&(room.clone(), *ticket)) {
                    let why = "its place in the log could not be seen".to_owned();
                    self.shared.recorder.record(What::Info { op, why });
                }
                self.count_pending();
            }
            _ => {}
        }
    }

    fn count_pending(&self) {
        self.place.pending.store(self.pending.len() as u64, Relaxed);
    }

    fn serving(&mut self, is_serving: bool) {
        let serving = &self.shared.live.serving;
        match (self.is_serving, is_serving) {
            (false, true) => serving.fetch_add(1, Relaxed),
            (true, false) => serving.fetch_sub(1, Relaxed),
            _ => 0,
        };
        self.is_serving = is_serving;
    }
}

/// A way to the service that can be frozen. Without one, a ghost cannot vanish but by closing.
async fn link_to(url: &str) -> Option<Running> {
    let service = url.strip_prefix("http://")?.parse().ok()?;
    Some(Forwarder::bind("127.0.0.1:0", service).await.ok()?.run())
}

/// The room that an event is about, of those that a member who has left it no longer needs.
fn room_of(event: &Event) -> Option<&String> {
    match event {
        Event::Message { message, .. } => Some(&message.room),
        Event::Joined { room, .. }
        | Event::Live { room }
        | Event::Gap { room, .. }
        | Event::Broken { room, .. }
        | Event::Repeated { room, .. }
        | Event::Presence { room, .. }
        | Event::Members { room, .. } => Some(room),
        _ => None,
    }
}
