//! Clients that talk and listen through HAProxy, each in its own way, and write down what they
//! did and saw. They judge nothing.

mod at_page;
mod cast;
mod ear;
mod live;
mod participant;
mod polls;
mod reader;
mod rest;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{sync::watch, task::JoinSet};

pub use cast::{ARCHIVE, CROWDED, Character, FLOODED, ROOMS, Role, cast, is_of_workload};
pub use live::{Live, Window};
use rollcall_client::Change;
pub use rollcall_witness::hash;
use rollcall_witness::hash_of_removal;

use crate::history::{Id, Op, Recorder, What};
use participant::Participant;

/// How far the run is; everybody watches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Everybody does what is theirs to do.
    Talking,
    /// Nobody says anything new, comes or goes; what is unacknowledged goes on.
    Quiet,
    /// Everybody ends.
    Over,
}

/// How many clients of a seed's cast are there from the first moment on.
#[must_use]
pub fn at_once(seed: u64, has_page: bool) -> u64 {
    let cast = cast(&mut StdRng::seed_from_u64(seed));
    let takes_part = |it: &&Character| has_page || it.role != Role::Page;
    cast.iter().filter(takes_part).filter(|it| it.after.is_zero()).count() as u64
}

/// What all clients of a run share.
#[derive(Debug)]
pub struct Shared {
    /// The service.
    pub url: String,
    /// Where everything is written down.
    pub recorder: Recorder,
    /// Figures while it runs.
    pub live: Live,
    phase: watch::Sender<Phase>,
    ops: AtomicU64,
    /// How often the clock was set by which the log remembers numbers.
    clock_sets: AtomicU64,
}

impl Shared {
    /// A new operation: its number and a text that no other operation has, padded to about
    /// `length` bytes.
    pub(crate) fn invoke(&self, client: &str, room: &str, length: usize) -> (Op, String) {
        let op = self.ops.fetch_add(1, Ordering::Relaxed) + 1;
        let text = format!("{op} {}", "x".repeat(length));
        let hash = hash(&text);
        self.live.invoked(&hash);
        let (client, room) = (client.to_owned(), room.to_owned());
        self.recorder.record(What::Invoke { op, client, room, hash });
        (op, text)
    }

    /// A new operation that edits a message of the client's own, or removes it: its number, and the new text.
    pub(crate) fn invoke_change(
        &self,
        client: &str,
        room: &str,
        change: Change,
        length: usize,
    ) -> (Op, String) {
        let op = self.ops.fetch_add(1, Ordering::Relaxed) + 1;
        let (text, hash) = match change {
            Change::Remove(of) => (String::new(), hash_of_removal(of)),
            _ => {
                let text = format!("{op} edited {}", "x".repeat(length));
                (text.clone(), hash(&text))
            }
        };
        self.live.invoked(&hash);
        let (client, room) = (client.to_owned(), room.to_owned());
        self.recorder.record(What::Invoke { op, client, room, hash });
        self.recorder.record(What::Change { op });
        (op, text)
    }

    fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }
}

/// A client's place: by it the run waits until all clients have everything.
#[derive(Debug, Default)]
pub struct Place {
    /// The last message of each room that it is in.
    cursors: Mutex<BTreeMap<String, Id>>,
    /// Operations without an outcome.
    pending: AtomicU64,
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Id>> {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, heads: &BTreeMap<String, Id>) -> bool {
        let behind =
            |(room, cursor): (&String, &Id)| heads.get(room).is_some_and(|head| cursor < head);
        self.pending.load(Ordering::Relaxed) == 0 && !self.lock().iter().any(behind)
    }
}

/// All clients of a run.
pub struct Workload {
    shared: Arc<Shared>,
    clients: Mutex<Clients>,
}

struct Clients {
    tasks: JoinSet<()>,
    places: Vec<(String, Arc<Place>)>,
    /// Where the seeds of clients that come later are from.
    rng: StdRng,
}

impl Workload {
    /// Tells all clients that Redis' clock is being set: from then on those that rely on its memory of numbers look into
    /// the log instead.
    pub fn clock_is_set(&self) {
        self.shared.clock_sets.fetch_add(1, Ordering::Relaxed);
    }

    /// Starts the cast of a seed, with or without the one at the page. Those that come late start themselves.
    #[must_use]
    pub fn start(url: &str, recorder: Recorder, seed: u64, has_page: bool) -> Self {
        let (phase, _) = watch::channel(Phase::Talking);
        let (live, ops) = (Live::default(), AtomicU64::new(0));
        let (url, clock_sets) = (url.to_owned(), AtomicU64::new(0));
        let shared = Arc::new(Shared { url, recorder, live, phase, ops, clock_sets });
        let mut rng = StdRng::seed_from_u64(seed);
        let characters = cast(&mut rng);
        let clients = Clients { tasks: JoinSet::new(), places: Vec::new(), rng };
        let workload = Self { shared, clients: Mutex::new(clients) };
        let takes_part = |it: &Character| has_page || it.role != Role::Page;
        characters.into_iter().filter(takes_part).for_each(|it| workload.enter(it));
        workload
    }

    /// What the clients share.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Starts one more client.
    pub fn enter(&self, character: Character) {
        let place = Arc::new(Place::default());
        let mut clients = self.clients();
        clients.places.push((character.name.clone(), place.clone()));
        let (shared, seed) = (self.shared.clone(), clients.rng.random());
        match character.role {
            Role::Poster => clients.tasks.spawn(rest::post(shared, character, place, seed)),
            Role::Repeater => clients.tasks.spawn(rest::repeat(shared, character, place)),
            Role::Historian => clients.tasks.spawn(reader::read(shared, character, seed)),
            Role::Page => clients.tasks.spawn(at_page::sit(shared, character, place, seed)),
            Role::Stream => clients.tasks.spawn(rest::follow(shared, character, place)),
            Role::Poller => clients.tasks.spawn(polls::follow(shared, character, place)),
            _ => clients.tasks.spawn(Participant::new(shared, character, place, seed).run()),
        };
    }

    /// Has somebody write to a room where nobody is, until all of it was answered.
    pub async fn leave_behind(&self, room: &str, messages: usize) {
        let (name, rooms) = (format!("writer-of-{room}"), vec![room.to_owned()]);
        let writer = Character { name, role: Role::Poster, rooms, after: Duration::ZERO };
        rest::leave_behind(self.shared.clone(), writer, messages).await;
    }

    /// Has somebody read a room from its first message on.
    pub fn look_up(&self, room: &str) {
        let (name, rooms) = (format!("reader-of-{room}"), vec![room.to_owned()]);
        self.enter(Character { name, role: Role::Stream, rooms, after: Duration::ZERO });
    }

    /// Nobody says anything new from here on.
    pub fn quieten(&self) {
        self.shared.phase.send_replace(Phase::Quiet);
    }

    /// Clients with an operation without an outcome, or a room that is not up to its head.
    #[must_use]
    pub fn unsettled(&self, heads: &BTreeMap<String, Id>) -> Vec<String> {
        let clients = self.clients();
        let unsettled = clients.places.iter().filter(|(_, place)| !place.has(heads));
        unsettled.map(|(name, _)| name.clone()).collect()
    }

    /// Ends all clients.
    pub async fn dismiss(self) {
        self.shared.phase.send_replace(Phase::Over);
        let mut clients = self.clients.into_inner().unwrap_or_else(PoisonError::into_inner);
        while clients.tasks.join_next().await.is_some() {}
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
