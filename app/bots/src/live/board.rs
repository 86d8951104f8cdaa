//! What is true now, as the run's own clients and the journal tell it. It judges nothing: the checker does, of the history.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rollcall_client::Event;
use rollcall_journal::Step;

/// Lines of the cast that are kept to be shown.
const LINES: usize = 3;
/// Deliveries that the present delay is made of.
const DELAYS: usize = 10_000;
/// Messages whose times are known; a delivery of an older one is not timed.
const SPOKEN: usize = 2_000;

/// What everybody writes on, and one reads.
#[derive(Debug, Clone)]
pub struct Board(Arc<Mutex<Facts>>);

#[derive(Debug)]
struct Facts {
    began: Instant,
    title: String,
    expected: usize,
    clients: HashMap<String, Client>,
    /// In the order in which they were seen first.
    releases: Vec<String>,
    turns: BTreeMap<String, Turn>,
    news: Vec<String>,
    lines: VecDeque<Line>,
    moved: u64,
    lost: u64,
    twice: u64,
    spoken: VecDeque<(u64, Instant)>,
    delays: VecDeque<Duration>,
    /// Of texts, of which only this process makes numbers.
    numbers: RandomState,
}

/// Where a client is.
#[derive(Debug, Default)]
struct Client {
    at: Option<Place>,
    /// Connected there, and not live yet.
    next: Option<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    replica: String,
    release: String,
}

/// A replica's turn in a deploy.
#[derive(Debug, Clone)]
struct Turn {
    began: Instant,
    phase: String,
    told: u64,
    left: u64,
    forced: u64,
    failed: Option<String>,
    ended: Option<String>,
}

/// Something that a character said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub room: String,
    pub who: String,
    pub words: String,
}

/// All of it at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    pub title: String,
    pub since: Duration,
    pub here: usize,
    pub expected: usize,
    pub releases: Vec<String>,
    pub replicas: Vec<Row>,
    pub lines: Vec<Line>,
    pub moved: u64,
    pub lost: u64,
    pub twice: u64,
    pub p99: Option<Duration>,
}

/// A replica: how many people each release serves there, in the order of the releases, and what is done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    pub people: Vec<usize>,
    pub doing: Doing,
}

/// What is done to a replica.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Doing {
    #[default]
    Nothing,
    Phase(String),
    /// So many have left, of those who were told to.
    Drain {
        left: u64,
        told: u64,
    },
    Failed(String),
    Ended(String),
}

impl Default for Board {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Facts {
            began: Instant::now(),
            title: String::new(),
            expected: 0,
            clients: HashMap::new(),
            releases: Vec::new(),
            turns: BTreeMap::new(),
            news: Vec::new(),
            lines: VecDeque::new(),
            moved: 0,
            lost: 0,
            twice: 0,
            spoken: VecDeque::new(),
            delays: VecDeque::new(),
            numbers: RandomState::new(),
        })))
    }
}

impl Board {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many clients there will be.
    pub fn expect(&self, clients: usize) {
        self.facts().expected = clients;
    }

    /// What the run does now.
    pub fn title(&self, title: &str) {
        let mut facts = self.facts();
        title.clone_into(&mut facts.title);
        facts.news.push(title.to_owned());
    }

    /// A text with a mark of its own goes out.
    pub fn spoke(&self, text: &str) {
        let mut facts = self.facts();
        let number = facts.numbers.hash_one(text);
        facts.spoken.push_back((number, Instant::now()));
        if facts.spoken.len() > SPOKEN {
            facts.spoken.pop_front();
        }
    }

    /// A character says something.
    pub fn line(&self, room: &str, who: &str, words: &str) {
        let mut facts = self.facts();
        let [room, who, words] = [room, who, words].map(str::to_owned);
        facts.lines.push_back(Line { room, who, words });
        if facts.lines.len() > LINES {
            facts.lines.pop_front();
        }
    }

    /// A client was told something.
    pub fn saw(&self, client: &str, event: &Event) {
        self.facts().saw(client, event);
    }

    /// What only a client can tell in earnest.
    #[cfg(test)]
    pub fn connect(&self, client: &str, replica: &str, release: &str) {
        self.facts().connected(client, replica, release);
    }

    /// A deploy does something.
    pub fn step(&self, step: &Step) {
        let mut facts = self.facts();
        if step.is_whole() { facts.whole(step) } else { facts.step(step) }
    }

    /// What has begun or ended since it was asked for last.
    pub fn news(&self) -> Vec<String> {
        std::mem::take(&mut self.facts().news)
    }

    pub fn glance(&self) -> Glance {
        self.facts().glance()
    }
}

impl Facts {
    fn saw(&mut self, client: &str, event: &Event) {
        match event {
            Event::Message { message, received } => self.heard(&message.text, *received),
            Event::Connected { replica, release, .. } => self.connected(client, replica, release),
            Event::AllLive { .. } => {
                let client = self.clients.entry(client.to_owned()).or_default();
                client.at = client.next.take().or(client.at.take());
            }
            Event::Goaway { replica, .. } => self.turn(replica).told += 1,
            Event::Moved { from, .. } => {
                self.moved += 1;
                self.turn(from).left += 1;
            }
            Event::Disconnected { .. } => {
                let client = self.clients.entry(client.to_owned()).or_default();
                // One that moves has its next connection already.
                client.at = client.next.take();
            }
            Event::Gap { .. } | Event::Broken { .. } => self.lost += 1,
            Event::Repeated { .. } => self.twice += 1,
            _ => {}
        }
    }

    fn connected(&mut self, client: &str, replica: &str, release: &str) {
        if !self.releases.iter().any(|known| known == release) {
            self.releases.push(release.to_owned());
        }
        let place = Place { replica: replica.to_owned(), release: release.to_owned() };
        self.clients.entry(client.to_owned()).or_default().next = Some(place);
    }

    fn heard(&mut self, text: &str, received: Instant) {
        let number = self.numbers.hash_one(text);
        let spoken = self.spoken.iter().rev().find(|(it, _)| *it == number);
        let Some((_, at)) = spoken else { return };
        self.delays.push_back(received.saturating_duration_since(*at));
        if self.delays.len() > DELAYS {
            self.delays.pop_front();
        }
    }

    fn turn(&mut self, replica: &str) -> &mut Turn {
        self.turns.entry(replica.to_owned()).or_insert_with(Turn::new)
    }

    fn whole(&mut self, step: &Step) {
        let mut what = step.what.clone();
        if let Some(first) = what.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        if step.is_begin() {
            self.turns.clear();
            self.title = format!("{what}, while everybody talks");
        } else {
            self.title = match step.reason.lines().next().filter(|reason| !reason.is_empty()) {
                Some(reason) => format!("{what}: {}: {reason}", step.outcome),
                None => format!("{what}: {}", step.outcome),
            };
        }
        self.news.push(self.title.clone());
    }

    fn step(&mut self, step: &Step) {
        let name = step.replica.clone();
        let turn = self.turn(&name);
        if step.is_begin() {
            turn.phase.clone_from(&step.phase);
            if step.phase == "drain" {
                (turn.told, turn.left) = (0, 0);
            }
            self.news.push(format!("{name} {}", step.phase));
            return;
        }
        let seconds = turn.began.elapsed().as_secs_f64();
        let (news, ended) = match (step.phase.as_str(), step.outcome.as_str()) {
            (phase, "failed") => {
                let reason = step.reason.lines().next().unwrap_or_default();
                turn.failed = Some(format!("{phase} failed: {reason}"));
                (turn.failed.clone(), None)
            }
            ("drain", _) if step.forced > 0 => {
                turn.forced = step.forced;
                (Some(format!("drain: {} moved, {} forced", step.moved, step.forced)), None)
            }
            ("stop", _) if turn.forced > 0 => {
                (None, Some(format!("rolled in {seconds:.1} s, {} forced", turn.forced)))
            }
            ("stop", _) => (None, Some(format!("rolled in {seconds:.1} s"))),
            ("undo" | "put back", _) => (None, Some(format!("back again, {seconds:.1} s"))),
            _ => (None, None),
        };
        if ended.is_some() {
            turn.ended.clone_from(&ended);
        }
        self.news.extend(news.or(ended).map(|news| format!("{name} {news}")));
    }

    fn glance(&self) -> Glance {
        let mut people: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for place in self.clients.values().filter_map(|client| client.at.as_ref()) {
            let row = people.entry(&place.replica).or_insert_with(|| vec![0; self.releases.len()]);
            if let Some(index) = self.releases.iter().position(|it| *it == place.release) {
                row[index] += 1;
            }
        }
        // One that is empty now is still there.
        for name in self.turns.keys() {
            people.entry(name).or_insert_with(|| vec![0; self.releases.len()]);
        }
        let here = people.values().flatten().sum();
        let row = |(name, people): (&str, Vec<usize>)| {
            let doing = self.turns.get(name).map(Turn::doing).unwrap_or_default();
            Row { name: name.to_owned(), people, doing }
        };
        Glance {
            title: self.title.clone(),
            since: self.began.elapsed(),
            here,
            expected: self.expected,
            releases: self.releases.clone(),
            replicas: people.into_iter().map(row).collect(),
            lines: self.lines.iter().cloned().collect(),
            moved: self.moved,
            lost: self.lost,
            twice: self.twice,
            p99: p99(&self.delays),
        }
    }
}

impl Turn {
    fn new() -> Self {
        let (phase, began) = (String::new(), Instant::now());
        Self { began, phase, told: 0, left: 0, forced: 0, failed: None, ended: None }
    }

    fn doing(&self) -> Doing {
        match (&self.ended, &self.failed) {
            (Some(how), None) => Doing::Ended(how.clone()),
            (_, Some(why)) => Doing::Failed(why.clone()),
            _ if self.told > 0 && matches!(self.phase.as_str(), "drain" | "") => {
                Doing::Drain { left: self.left, told: self.told }
            }
            _ if self.phase.is_empty() => Doing::Nothing,
            _ => Doing::Phase(self.phase.clone()),
        }
    }
}

fn p99(delays: &VecDeque<Duration>) -> Option<Duration> {
    let mut delays: Vec<_> = delays.iter().copied().collect();
    let last = delays.len().checked_sub(1)?;
    Some(*delays.select_nth_unstable(last * 99 / 100).1)
}
