//! Clients of the nemesis' own that talk and listen through HAProxy while a fault lasts. Each tells how long it
//! went without service, and what it was told that is not true.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use futures_util::future::join_all;
use rollcall_client::{Client, Config, Event, Events, Handle};
use rollcall_protocol::{PresenceEvent, Why};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::scene::Scene;

/// From one message of a witness to its next.
const PAUSE: Duration = Duration::from_millis(500);
/// How long it may take until all of them are live and hear each other.
const GATHERED: Duration = Duration::from_secs(30);
/// How long the last goodbye may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// A client without service for longer than this was disturbed, although the fault was not its own.
pub const UNDISTURBED: Duration = Duration::from_secs(3);

/// Witnesses at work.
pub struct Witnesses {
    /// They go on until it changes.
    over: watch::Sender<()>,
    /// From when on service is measured; none before the fault begins.
    since: watch::Sender<Option<Instant>>,
    tasks: Vec<AbortOnDropHandle<anyhow::Result<Account>>>,
    /// Where each was when all had gathered.
    pub replicas: Vec<String>,
}

/// What one witness can tell.
#[derive(Debug, Default, Clone)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// The replica that served it when the fault began.
    pub replica: String,
    /// The replica that serves it in the end.
    pub last_replica: String,
    /// The longest time in which it was given no message, although somebody spoke all the time.
    pub unheard: Duration,
    /// The longest time that a message of its own had no answer.
    pub unanswered: Duration,
    /// Connections that it opened to move.
    pub moves: u64,
    /// Connections that it lost.
    pub lost: u64,
    /// How often it was told that another witness left, though that one had stayed.
    pub told_gone: u64,
    /// Messages of witnesses that it never got.
    pub missed: u64,
    /// Messages of witnesses that it got again.
    pub twice: u64,
    /// Messages of its own that were refused for good.
    pub refused: u64,
}

/// Who the witnesses of a fault are: their public IDs, as each learns its own.
type Fellows = Arc<Mutex<BTreeSet<String>>>;

impl Witnesses {
    /// Starts a group of so many, all of them in `rooms`, of which they talk in the first, and waits until each is live and
    /// hears the others. Groups in one room take no notice of each other.
    pub async fn gather(
        scene: &Scene<'_>,
        group: &str,
        rooms: &[&str],
        count: usize,
    ) -> anyhow::Result<Self> {
        let (over, is_over) = watch::channel(());
        let (since, measured) = watch::channel(None);
        let fellows = Fellows::default();
        let mut tasks = Vec::new();
        let mut ready = Vec::new();
        for number in 1..=count {
            let name = format!("{group}-{}-{number}", scene.step);
            let config = Config::new(&scene.stack.url(), &name, rooms);
            let (handle, events) = Client::start(config);
            let (told, hears) = tokio::sync::oneshot::channel();
            let witness = Witness {
                account: Account { name, ..Account::default() },
                fellows: fellows.clone(),
                handle,
                room: rooms[0].to_owned(),
                group: format!("{group}-{}-", scene.step),
                count,
                heard: Instant::now(),
                counts: HashMap::new(),
                said: 0,
                pending: HashMap::new(),
                hears: Some(told),
            };
            let task = witness.run(events, is_over.clone(), measured.clone());
            tasks.push(AbortOnDropHandle::new(tokio::spawn(task)));
            ready.push(hears);
        }
        let all = timeout(GATHERED, join_all(ready)).await;
        let all = all.with_context(|| format!("{count} witnesses did not gather"))?;
        let replicas: Result<_, _> = all.into_iter().collect();
        let replicas = replicas.context("a witness was turned away")?;
        Ok(Self { over, since, tasks, replicas })
    }

    /// The fault begins: service is measured from here on.
    pub fn begin(&self) {
        self.since.send_replace(Some(Instant::now()));
    }

    /// Ends them all. What each can tell.
    pub async fn dismiss(self) -> anyhow::Result<Vec<Account>> {
        self.over.send_replace(());
        join_all(self.tasks).await.into_iter().map(|done| done?).collect()
    }
}

struct Witness {
    account: Account,
    fellows: Fellows,
    handle: Handle,
    room: String,
    /// How the names of the group begin.
    group: String,
    /// How many witnesses there are.
    count: usize,
    /// When it was last given a message, or measuring began.
    heard: Instant,
    /// Of each witness the number that it said last.
    counts: HashMap<String, u64>,
    /// Its own.
    said: u64,
    /// Ticket → when it was sent.
    pending: HashMap<u64, Instant>,
    /// Told once, when it has heard every other.
    hears: Option<tokio::sync::oneshot::Sender<String>>,
}

impl Witness {
    async fn run(
        mut self,
        mut events: Events,
        mut over: watch::Receiver<()>,
        mut measured: watch::Receiver<Option<Instant>>,
    ) -> anyhow::Result<Account> {
        let mut ticks = interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                Ok(()) = over.changed() => break,
                Ok(()) = measured.changed() => self.measure_from_now(),
                event = events.next() => match event {
                    None | Some(Event::Ended(_)) => {
                        anyhow::bail!("{} was turned away", self.account.name)
                    }
                    Some(event) => self.saw(event),
                },
                _ = ticks.tick() => self.speak().await,
            }
        }
        self.quiet_since(self.heard);
        let waits = self.pending.values().map(Instant::elapsed).max().unwrap_or_default();
        self.account.unanswered = self.account.unanswered.max(waits);
        let _ended = self.handle.bye().await;
        let rest = async { while events.next().await.is_some() {} };
        let _late = timeout(FAREWELL, rest).await;
        Ok(self.account)
    }

    /// What was before does not count, but for what is said of whom.
    fn measure_from_now(&mut self) {
        let Account { name, last_replica, .. } = std::mem::take(&mut self.account);
        self.account =
            Account { name, replica: last_replica.clone(), last_replica, ..Account::default() };
        self.heard = Instant::now();
    }

    async fn speak(&mut self) {
        let text = format!("{} {}", self.account.name, self.said + 1);
        // A full outbox takes no more: what waits in it is measured already.
        if let Ok(ticket) = self.handle.send(&self.room, text).await {
            self.said += 1;
            self.pending.insert(ticket, Instant::now());
        }
    }

    fn quiet_since(&mut self, since: Instant) {
        self.account.unheard = self.account.unheard.max(since.elapsed());
    }

    fn saw(&mut self, event: Event) {
        match event {
            Event::Connected { member, replica, why, .. } => {
                self.lock().insert(member);
                self.account.moves += u64::from(why == Why::Move);
                self.account.last_replica = replica;
            }
            Event::AllLive { replica } => self.account.last_replica = replica,
            Event::Disconnected { .. } => self.account.lost += 1,
            Event::Message { message, .. } if message.room == self.room => {
                self.heard(&message.text)
            }
            Event::Acked { ticket, .. } => self.answered(ticket),
            Event::Rejected { ticket, retried: false, .. } => {
                self.answered(ticket);
                self.account.refused += 1;
            }
            Event::Presence { event: PresenceEvent::Leave, member, room, .. }
                if room == self.room =>
            {
                let is_fellow = self.lock().contains(&member);
                self.account.told_gone += u64::from(is_fellow);
            }
            // A list anew that lacks somebody says so too.
            Event::Members { room, present, .. } if room == self.room && self.hears.is_none() => {
                self.account.told_gone += (self.count.saturating_sub(present)) as u64;
            }
            _ => {}
        }
    }

    fn answered(&mut self, ticket: u64) {
        if let Some(sent) = self.pending.remove(&ticket) {
            self.account.unanswered = self.account.unanswered.max(sent.elapsed());
        }
    }

    fn heard(&mut self, text: &str) {
        if !text.starts_with(&self.group) {
            return;
        }
        self.quiet_since(self.heard);
        self.heard = Instant::now();
        let Some((name, number)) = text.rsplit_once(' ') else { return };
        let Ok(number) = number.parse::<u64>() else { return };
        let last = self.counts.insert(name.to_owned(), number);
        match last {
            Some(last) if number <= last => self.account.twice += 1,
            Some(last) => self.account.missed += number - last - 1,
            None => {}
        }
        if self.counts.len() == self.count
            && let Some(hears) = self.hears.take()
        {
            // Nobody waits any more if they took too long to gather.
            let _ = hears.send(self.account.last_replica.clone());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.fellows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down what must not have happened to any witness, whatever the fault was.
pub fn nothing_untrue(scene: &Scene<'_>, accounts: &[Account]) {
    for it in accounts {
        scene.measured("told that somebody is gone who is there", &it.name, it.told_gone, 0);
        scene.measured("messages missed", &it.name, it.missed, 0);
        scene.measured("messages got twice", &it.name, it.twice, 0);
        scene.measured("messages refused for good", &it.name, it.refused, 0);
    }
}

/// Writes down how long each of these witnesses was without service, ms: neither deaf nor mute for longer than `limit`.
pub fn served<'a>(
    scene: &Scene<'_>,
    accounts: impl IntoIterator<Item = &'a Account>,
    limit: Duration,
) {
    for it in accounts {
        let of = format!("{}, on {}", it.name, it.replica);
        scene.measured("ms without a message", &of, ms(it.unheard), ms(limit));
        scene.measured("ms without an answer", &of, ms(it.unanswered), ms(limit));
    }
}

/// In whole milliseconds.
pub fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
