//! One suite over WebSocket, event stream and long-polling: the same promises, by clients that are written from the
//! protocol's README (`support/ways/`).

mod support;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use rollcall_protocol::{EntryId, GapReason, Message};
use serde_json::Value;
use support::{
    PATIENCE, Redis, Replica,
    ask::{get, post},
    key,
    process::Process,
    ways::{
        Heard, Way, Who,
        events::EventStream,
        person::{Person, Record, World},
        polls::Polls,
        websocket::WebSocket,
    },
};
use tokio::{sync::watch, task::JoinSet};

/// Clients of each way, and how many messages each says.
const CLIENTS: usize = 10;
const EACH: u64 = 18;
const ROOM: &str = "vault";
/// No rate holds up a test, and no silence ends a connection.
const SETTINGS: [(&str, &str); 6] = [
    ("RATE_CLIENT", "10000"),
    ("RATE_ADDRESS", "100000"),
    ("RATE_POSTS", "100000"),
    ("RATE_ROOM", "100000"),
    ("HEARTBEAT_MS", "600000"),
    ("DRAIN_DEADLINE_MS", "14000"),
];

fn flags() -> Vec<String> {
    let flag = |name: &str| format!("--{}", name.to_lowercase().replace('_', "-"));
    SETTINGS.iter().flat_map(|(name, value)| [flag(name), (*value).to_owned()]).collect()
}

async fn replica(redis: Option<&Redis>) -> Replica {
    let flags = flags();
    Replica::start(redis, &flags.iter().map(String::as_str).collect::<Vec<_>>()).await
}

fn who(name: &str) -> Who {
    Who { key: key(), name: name.to_owned(), room: ROOM.to_owned() }
}

/// A client key's public hash, as the README says.
fn member(key: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(key).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

async fn patiently<T>(what: &str, until: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(4 * PATIENCE, until).await;
    waited.unwrap_or_else(|_| panic!("{what} took too long"))
}

async fn hear<W: Way>(way: &mut W) -> Heard {
    patiently("hearing something", way.hear()).await
}

/// All messages up to `live`.
async fn until_live<W: Way>(way: &mut W) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        match hear(way).await {
            Heard::Message(message) => texts.push(message.text),
            Heard::Live => return texts,
            Heard::Taken(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Sends, and hears both that it is taken and the message itself, in whatever order.
async fn say<W: Way>(way: &mut W, n: u64, text: &str) -> EntryId {
    way.say(n, text).await;
    let (mut is_taken, mut id) = (false, None);
    loop {
        match hear(way).await {
            Heard::Taken(taken) if taken == n => is_taken = true,
            Heard::Message(message) if message.text == text => id = Some(message.id),
            _ => {}
        }
        if let (true, Some(id)) = (is_taken, id) {
            return id;
        }
    }
}

async fn send_and_resume<W: Way>() {
    let replica = replica(None).await;
    let (ann, ben) = (who("Ann"), who("Ben"));
    let mut way = W::open(replica.public, &ann, EntryId::ZERO).await.expect("it is let in");
    assert!(until_live(&mut way).await.is_empty(), "nothing was said");
    let mut cursor = EntryId::ZERO;
    for n in 1..=3 {
        cursor = say(&mut way, n, &format!("Ann {n}")).await;
    }
    way.close().await;
    let mut other = W::open(replica.public, &ben, cursor).await.expect("it is let in");
    assert!(until_live(&mut other).await.is_empty(), "nothing was said after the cursor");
    say(&mut other, 1, "Ben 1").await;
    say(&mut other, 2, "Ben 2").await;
    let mut way = W::open(replica.public, &ann, cursor).await.expect("it is let in");
    assert_eq!(until_live(&mut way).await, ["Ben 1", "Ben 2"]);
    way.say(3, "Ann 3").await;
    assert!(matches!(hear(&mut way).await, Heard::Taken(3)), "again, and in the log once");
    say(&mut way, 4, "Ann 4").await;
    assert_eq!(log(replica.public).await.len(), 6);
}

async fn gap_told<W: Way>() {
    let replica = replica(None).await;
    let ann = who("Ann");
    let mut way = W::open(replica.public, &ann, EntryId::ZERO).await.expect("it is let in");
    until_live(&mut way).await;
    say(&mut way, 1, "one").await;
    // A cursor that this log never had, as after a loss.
    let nowhere = EntryId::new(1, 1);
    let mut way = W::open(replica.public, &ann, nowhere).await.expect("it is let in");
    match hear(&mut way).await {
        Heard::Gap { after, resumes_at, reason } => {
            assert_eq!((after, resumes_at), (nowhere, EntryId::ZERO));
            assert_eq!(reason, GapReason::Rewound);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(until_live(&mut way).await, ["one"]);
}

/// A whole room log, page by page.
async fn log(address: SocketAddr) -> Vec<Message> {
    let (mut messages, mut cursor) = (Vec::new(), "0-0".to_owned());
    loop {
        let path = format!("/api/v1/rooms/{ROOM}/messages?after={cursor}&limit=200");
        let answer = get(address, &path).await.json();
        let page: Vec<Message> =
            serde_json::from_value(answer["data"]["messages"].clone()).expect("messages");
        messages.extend(page);
        if answer["data"]["live"] == Value::Bool(true) {
            return messages;
        }
        cursor = answer["data"]["cursor"].as_str().expect("a cursor").to_owned();
    }
}

/// Clients that talk at these replicas.
struct Talk {
    world: Arc<World>,
    clients: JoinSet<Record>,
}

impl Talk {
    fn new(replicas: Vec<SocketAddr>, ways: usize) -> Self {
        let total = ways * CLIENTS * EACH as usize;
        let (taken, gate) = (watch::Sender::new(0), watch::Sender::new(false));
        let world = Arc::new(World { replicas, total, taken, gate });
        Self { world, clients: JoinSet::new() }
    }

    fn enter<W: Way>(&mut self, kind: &str) {
        for number in 0..CLIENTS {
            let who = who(&format!("{kind} {number}"));
            let member = member(&who.key);
            let person = Person::<W>::new(&self.world, who, member, 0, EACH);
            self.clients.spawn(person.run());
        }
    }

    /// Until a share of all messages is in the log.
    async fn is_under_way(&self) {
        let mut taken = self.world.taken.subscribe();
        let some = self.world.total / 4;
        let _ = patiently("the beginning", taken.wait_for(|taken| *taken >= some)).await;
    }

    /// To its end: nothing is lost, twice or in another order, as the log at this replica has it.
    async fn end(mut self, survivor: SocketAddr) {
        self.world.gate.send_replace(true);
        let mut records = Vec::new();
        while let Some(record) = patiently("the talk", self.clients.join_next()).await {
            records.push(record.expect("a client that keeps to the rules"));
        }
        let log = log(survivor).await;
        assert_eq!(log.len(), self.world.total, "each message is in the log once");
        let mut said: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for message in &log {
            assert_eq!(message.text, format!("{} says {}", message.name, message.n));
            said.entry(&message.name).or_default().push(message.n);
        }
        assert!(said.values().all(|numbers| numbers.iter().copied().eq(1..=EACH)), "{said:?}");
        for Record { who, shown, .. } in &records {
            assert!(*shown == log, "{} was shown something else than is in the log", who.name);
        }
        let moved = records.iter().filter(|record| record.moves > 0).count();
        assert!(moved >= records.len() / 2, "{moved} of {} moved", records.len());
        println!("{} clients, {moved} moved, {} messages each", records.len(), log.len());
    }
}

/// Two replicas; one is drained while everybody talks.
async fn drained(ways: usize, enter: impl FnOnce(&mut Talk)) {
    let redis = Redis::start().await;
    let (old, new) = tokio::join!(replica(Some(&redis)), replica(Some(&redis)));
    // All of them begin at the one that is drained.
    let mut talk = Talk::new(vec![old.public, new.public], ways);
    enter(&mut talk);
    talk.is_under_way().await;
    old.drain(500, 14_000).await;
    let status = old.wait_connections(0).await;
    assert_eq!((&status["forced"], &status["ignored"]), (&0.into(), &0.into()), "{status}");
    talk.end(new.public).await;
}

/// Two replica processes; one is killed while everybody talks.
async fn killed<W: Way>() {
    let redis = Redis::start().await;
    let url = redis.url();
    let variables = [&SETTINGS[..], &[("REDIS_URL", &*url)]].concat();
    let (old, new) = tokio::join!(Process::start(&variables), Process::start(&variables));
    let mut talk = Talk::new(vec![old.public, new.public], 1);
    talk.enter::<W>("Ann");
    talk.is_under_way().await;
    old.signal("-KILL").await;
    talk.end(new.public).await;
}

macro_rules! suite {
    ($name:ident, $way:ty) => {
        mod $name {
            use super::*;

            #[tokio::test]
            async fn sends_and_resumes() {
                send_and_resume::<$way>().await;
            }

            #[tokio::test]
            async fn is_told_of_a_gap() {
                gap_told::<$way>().await;
            }

            #[tokio::test]
            async fn loses_nothing_in_a_drain() {
                drained(1, |talk| talk.enter::<$way>("Ann")).await;
            }

            #[tokio::test]
            async fn loses_nothing_by_a_sigkill() {
                killed::<$way>().await;
            }
        }
    };
}

suite!(websocket, WebSocket);
suite!(event_stream, EventStream);
suite!(long_polling, Polls);

#[tokio::test]
async fn all_ways_talk_to_each_other_through_a_drain() {
    drained(3, |talk| {
        talk.enter::<WebSocket>("Ann");
        talk.enter::<EventStream>("Ben");
        talk.enter::<Polls>("Cem");
    })
    .await;
}

#[tokio::test]
async fn what_a_talk_checks_can_fail() {
    let replica = replica(None).await;
    let path = format!("/api/v1/rooms/{ROOM}/messages");
    let (ann, world) = (who("Ann"), Talk::new(vec![replica.public], 1).world);
    let said = serde_json::json!({ "client": ann.key, "name": "Ann", "n": 1, "text": "x" });
    assert_eq!(post(replica.public, &path, &said).await.status, 200);
    let message = log(replica.public).await.remove(0);
    let mut person = Person::<Polls>::new(&world, ann, String::new(), 0, 1);
    person.show(message.clone());
    let next = Message { prev: EntryId::new(9, 9), id: EntryId::new(u64::MAX, 0), ..message };
    let shown = tokio::spawn(async move { person.show(next) }).await;
    assert!(shown.is_err(), "a broken chain is not shown");
}
