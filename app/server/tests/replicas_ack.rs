//! An ack waits for the disk of a replica of Redis. Wants a Redis that knows `WAITAOF`: `scripts/test` unpacks ours.

mod support;

use std::time::{Duration, Instant};

use rollcall_protocol::EntryId;
use rollcall_server::{
    config::RedisSettings,
    log::{Appended, Log},
};
use support::{
    Redis, Replica, Socket, key,
    logs::{bounds, entry, redis_log_of, taken},
};
use tokio::task::{JoinHandle, JoinSet};

fn log_over(stores: [&Redis; 2], alone: bool) -> Log {
    let urls = stores.map(Redis::url).join(",");
    let settings = RedisSettings::at(&urls, Duration::from_secs(1));
    redis_log_of(&RedisSettings { replicas_ack: 1, ack_alone: alone, ..settings }, bounds())
}

/// A send that goes on until its outcome is known.
fn send(log: &Log, n: u64) -> JoinHandle<Appended> {
    let log = log.clone();
    tokio::spawn(async move {
        let sent = log.append_settled(&entry("vault", "teal", n), EntryId::ZERO).await;
        sent.expect("no refusal")
    })
}

#[tokio::test]
async fn an_ack_waits_for_the_disk_of_a_replica_and_holds_up_no_reads() {
    let one = Redis::start().await;
    let two = Redis::start_replica_of(&one).await;
    let log = log_over([&one, &two], true);
    taken(&log, &entry("vault", "teal", 1)).await;
    two.pause(true);
    let waits = send(&log, 2);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    let page = log.read_after("vault", EntryId::ZERO, 10).await.expect("an answer");
    assert!(began.elapsed() < Duration::from_millis(300), "{:?}", began.elapsed());
    assert_eq!(page.entries.len(), 2, "it is in the primary's log");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!waits.is_finished(), "and is not acknowledged, however often it is tried");
    two.pause(false);
    let outcome = waits.await.expect("no panic");
    assert!(matches!(outcome, Appended::Duplicate(Some(_))), "{outcome:?}");
    let page = log.read_after("vault", EntryId::ZERO, 10).await.expect("an answer");
    assert_eq!(page.entries.len(), 2, "once");
}

#[tokio::test]
async fn one_wait_is_for_all_that_was_written_before() {
    let one = Redis::start().await;
    let two = Redis::start_replica_of(&one).await;
    let log = log_over([&one, &two], false);
    taken(&log, &entry("vault", "teal", 1)).await;
    let mut sends = JoinSet::new();
    for sender in 0..300 {
        let log = log.clone();
        sends.spawn(async move { taken(&log, &entry("vault", &format!("m{sender}"), 1)).await });
    }
    let began = Instant::now();
    assert_eq!(sends.join_all().await.len(), 300);
    let stats = one.command(&["INFO", "commandstats"]).await;
    let waits = stats.lines().find_map(|line| line.strip_prefix("cmdstat_waitaof:calls="));
    let waits: u64 = waits.and_then(|line| line.split(',').next()?.parse().ok()).expect("a count");
    println!("300 appends in {:?} with {waits} waits", began.elapsed());
    assert!(waits < 100, "{waits} waits");
}

#[tokio::test]
async fn a_primary_without_a_replica_acks_alone_only_if_it_may() {
    let one = Redis::start().await;
    let mut two = Redis::start_replica_of(&one).await;
    let (strict, alone) = (log_over([&one, &two], false), log_over([&one, &two], true));
    two.kill();
    one.until_it_says(&["INFO", "replication"], "connected_slaves:0").await;
    taken(&alone, &entry("attic", "teal", 1)).await;
    let waits = send(&strict, 1);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!waits.is_finished(), "nothing was acknowledged");
    two.launch().await;
    two.follow(&one).await;
    assert!(matches!(waits.await.expect("no panic"), Appended::Duplicate(Some(_))));
}

/// Talks until it is told to stop; what was acknowledged.
async fn talk(mut socket: Socket, until: Instant) -> Vec<(EntryId, Duration)> {
    let mut acked = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        let id = socket.send_acked("vault", acked.len() as u64 + 1, "on and on").await;
        acked.push((id, began.elapsed()));
    }
    acked
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_primarys_death() {
    let mut one = Redis::start().await;
    let two = Redis::start_replica_of(&one).await;
    let url = [&one, &two].map(Redis::url).join(",");
    let settings = ["--redis-replicas-ack", "1", "--redis-ack-alone"];
    // As fast as any machine is: what is refused as too fast would never be acknowledged.
    let rates = ["--rate-client", "10000", "--rate-room", "40000", "--rate-address", "40000"];
    let settings = [&settings[..], &rates].concat();
    let replica = Replica::launch(Some(&url), &settings).await;
    replica.wait_ready().await;
    let until = Instant::now() + Duration::from_secs(4);
    let mut talkers = JoinSet::new();
    for _ in 0..8 {
        let (socket, _) = Socket::join(replica.public, &key(), "vault", None).await;
        talkers.spawn(talk(socket, until));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    one.kill();
    tokio::time::sleep(Duration::from_millis(500)).await;
    two.command(&["REPLICAOF", "NO", "ONE"]).await;
    let acked = talkers.join_all().await.concat();
    let log = log_over([&one, &two], true);
    let page = log.read_after("vault", EntryId::ZERO, 1_000_000).await.expect("an answer");
    let kept: Vec<EntryId> = page.entries.iter().map(|entry| entry.id).collect();
    let lost = acked.iter().filter(|(id, _)| !kept.contains(id)).count();
    let longest = acked.iter().map(|(_, waited)| waited).max().expect("they talked");
    println!("{} acked, {lost} lost, the longest wait {longest:?}", acked.len());
    assert_eq!(lost, 0);
    assert!(*longest < Duration::from_secs(4), "{longest:?}");
}
