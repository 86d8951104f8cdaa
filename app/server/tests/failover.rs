//! The primary of several Redis changes under users, who notice nothing.

mod support;

use std::time::{Duration, Instant};

use rollcall_protocol::{EntryId, Message, ServerFrame};
use rollcall_server::{
    config::RedisSettings,
    log::{Appended, FeedEvent, Log, room_key},
};
use support::{
    Redis, Replica, Socket, assert_chain, key,
    logs::{bounds, entry, follow, is_message, redis_log_of, taken, until},
};
use tokio::{sync::watch, task::JoinHandle};

/// The longest that a send may wait, in a planned change.
const PLANNED: Duration = Duration::from_secs(2);

fn urls(stores: [&Redis; 2]) -> String {
    stores.map(Redis::url).join(",")
}

fn log_over(stores: [&Redis; 2]) -> Log {
    redis_log_of(&RedisSettings::at(&urls(stores), Duration::from_secs(1)), bounds())
}

/// Hands the part of the primary over, without a lost write.
async fn hand_over(from: &Redis, to: &Redis) {
    let failover = ["FAILOVER", "TO", "127.0.0.1", &to.port.to_string(), "TIMEOUT", "5000"];
    let answer = from.command(&failover).await;
    assert!(answer.starts_with("+OK"), "{answer}");
    to.until_it_says(&["ROLE"], "master").await;
    from.until_it_says(&["INFO", "replication"], "master_link_status:up").await;
}

/// Somebody who says one thing after the other, until told to stop.
struct Talker(JoinHandle<Talk>);

struct Talk {
    acked: Vec<EntryId>,
    longest: Duration,
}

impl Talker {
    async fn start(replica: &Replica, stop: &watch::Receiver<bool>) -> Self {
        let (mut socket, _) = Socket::join(replica.public, &key(), "vault", None).await;
        let stop = stop.clone();
        Self(tokio::spawn(async move {
            let mut talk = Talk { acked: Vec::new(), longest: Duration::ZERO };
            while !*stop.borrow() {
                let began = Instant::now();
                let n = talk.acked.len() as u64 + 1;
                talk.acked.push(socket.send_acked("vault", n, "on and on").await);
                talk.longest = talk.longest.max(began.elapsed());
            }
            talk
        }))
    }
}

/// What was said to the end, by a listener that was there from the beginning; no gap came, and no break.
async fn heard(listener: &mut Socket, last: EntryId) -> Vec<Message> {
    let mut heard = Vec::new();
    while heard.last().is_none_or(|message: &Message| message.id < last) {
        match listener.next().await.expect("nobody is disconnected") {
            ServerFrame::Message(message) => heard.push(message),
            gap @ ServerFrame::Gap { .. } => panic!("{gap:?}"),
            _ => {}
        }
    }
    heard
}

/// Four talk on two replicas while this happens. Everything acked was heard once and in order; returns the longest wait
/// for an ack.
async fn talk_through(url: &str, settings: &[&str], change: impl Future<Output = ()>) -> Duration {
    let (r1, r2) =
        tokio::join!(Replica::launch(Some(url), settings), Replica::launch(Some(url), settings));
    tokio::join!(r1.wait_ready(), r2.wait_ready());
    let (mut listener, _) = Socket::join(r2.public, &key(), "vault", None).await;
    let (stop, stopped) = watch::channel(false);
    let mut talkers = Vec::new();
    for replica in [&r1, &r2, &r1, &r2] {
        talkers.push(Talker::start(replica, &stopped).await);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    change.await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.send_replace(true);
    let (mut acked, mut longest) = (Vec::new(), Duration::ZERO);
    for Talker(task) in talkers {
        let talk = task.await.expect("each send is acked, on one connection");
        acked.extend(talk.acked);
        longest = longest.max(talk.longest);
    }
    acked.sort();
    let heard = heard(&mut listener, *acked.last().expect("they talked")).await;
    assert_chain(EntryId::ZERO, &heard);
    let ids: Vec<EntryId> = heard.iter().map(|message| message.id).collect();
    assert_eq!(ids, acked, "what was acked, and nothing else, once");
    println!("{} messages, the longest wait for an ack {longest:?}", ids.len());
    longest
}

const FAST: [&str; 6] =
    ["--rate-client", "10000", "--rate-room", "40000", "--rate-address", "40000"];

#[tokio::test]
async fn o7_a_planned_change_of_the_primary_is_not_noticed() {
    let (one, mut two) = (Redis::start().await, Redis::reserve().await);
    two.launch().await;
    two.follow(&one).await;
    let mut one = one;
    let url = urls([&one, &two]);
    let longest = talk_through(&url, &FAST, async {
        hand_over(&one, &two).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        hand_over(&two, &one).await;
        hand_over(&one, &two).await;
        one.kill();
    })
    .await;
    assert!(longest < PLANNED, "{longest:?}");
}

#[tokio::test]
async fn a_write_that_a_replica_answers_is_done_by_the_primary() {
    let one = Redis::start().await;
    let two = Redis::start_replica_of(&one).await;
    let log = log_over([&two, &one]);
    let first = taken(&log, &entry("vault", "teal", 1)).await;
    two.until_it_says(&["XLEN", &room_key("vault", "log")], ":1").await;
    let mut events = follow(&log).await;
    one.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    two.command(&["REPLICAOF", "NO", "ONE"]).await;
    let second = taken(&log, &entry("vault", "teal", 2)).await;
    until(&mut events, |event| is_message("vault", event)).await;
    let page = log.read_after("vault", EntryId::ZERO, 10).await.expect("an answer");
    assert_eq!(page.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [first, second]);
}

/// A primary that died and comes back does not know yet that another took its place.
#[tokio::test]
async fn the_primary_that_has_a_replica_is_preferred_then_the_longer_history() {
    let (old, new) = (Redis::start().await, Redis::start().await);
    let third = Redis::start_replica_of(&new).await;
    taken(&log_over([&new, &third]), &entry("vault", "teal", 1)).await;
    third.until_it_says(&["XLEN", &room_key("vault", "log")], ":1").await;
    let log = log_over([&old, &new]);
    assert_ne!(log.last("vault").await.expect("an answer"), EntryId::ZERO);
    third.command(&["REPLICAOF", "NO", "ONE"]).await;
    new.until_it_says(&["INFO", "replication"], "connected_slaves:0").await;
    let log = log_over([&old, &new]);
    assert_ne!(log.last("vault").await.expect("an answer"), EntryId::ZERO);
}

/// Nobody writes, so nothing is refused; it must be noticed all the same.
#[tokio::test]
async fn a_replica_that_was_the_primary_is_left_though_nobody_writes() {
    let one = Redis::start().await;
    let two = Redis::start_replica_of(&one).await;
    let log = log_over([&one, &two]);
    assert!(log.is_up().await);
    hand_over(&one, &two).await;
    assert!(!log.is_up().await, "the first time it is found to be a replica");
    assert!(log.is_up().await, "and then the other is asked");
}

#[tokio::test]
async fn no_primary_anywhere_is_an_outcome_that_is_unknown_in_time() {
    let one = Redis::start().await;
    let two = Redis::start_replica_of(&one).await;
    one.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let began = Instant::now();
    let outcome = log_over([&one, &two]).append(&entry("vault", "teal", 1), None).await;
    assert!(outcome.is_err(), "{outcome:?}");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}

/// It has told of the same again and again until one took it: at most once.
#[tokio::test]
async fn a_send_into_the_time_without_a_primary_is_taken_once() {
    let one = Redis::start().await;
    let two = Redis::start_replica_of(&one).await;
    let log = log_over([&one, &two]);
    let first = taken(&log, &entry("vault", "teal", 1)).await;
    two.until_it_says(&["XLEN", &room_key("vault", "log")], ":1").await;
    let mut events = follow(&log).await;
    one.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let waits = tokio::spawn({
        let log = log.clone();
        async move { log.append_settled(&entry("vault", "teal", 2), first).await }
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!waits.is_finished(), "nothing was refused");
    two.command(&["REPLICAOF", "NO", "ONE"]).await;
    let outcome = waits.await.expect("no panic").expect("an answer");
    assert!(matches!(outcome, Appended::Taken(_)), "{outcome:?}");
    let seen = until(&mut events, |event| is_message("vault", event)).await;
    assert_eq!(seen.iter().filter(|event| matches!(event, FeedEvent::Message(_))).count(), 1);
}
