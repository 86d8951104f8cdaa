//! Logs of the test's own, without a replica around them.

use std::time::Duration;

use clap::Parser;
use rollcall_protocol::{EntryId, Extra};
use rollcall_server::{
    config::{Config, LogBounds, RedisSettings},
    log::{Appended, FeedEvent, Link, Log, LogError, MemoryLog, NewEntry, RedisLog, Refusal},
    metrics::Metrics,
};
use tokio::sync::mpsc;

use super::{PATIENCE, Redis};

/// The bounds that a replica has by default.
pub fn bounds() -> LogBounds {
    Config::parse_from(["rollcall-server"]).limits.log
}

pub fn redis_log(redis: &Redis, bounds: LogBounds) -> Log {
    redis_log_of(&RedisSettings::at(&redis.url(), Duration::from_secs(5)), bounds)
}

pub fn redis_log_of(settings: &RedisSettings, bounds: LogBounds) -> Log {
    let link = Link::new(settings, bounds.feed_entries, Metrics::new()).expect("an address");
    Log::Redis(RedisLog::new(link, bounds))
}

pub fn memory_log(bounds: LogBounds) -> Log {
    Log::Memory(MemoryLog::new(bounds))
}

pub fn entry(room: &str, member: &str, n: u64) -> NewEntry {
    let (room, member) = (room.to_owned(), member.to_owned());
    let (name, text) = (member.clone(), format!("{member} says {n}"));
    let extra = Extra::default();
    NewEntry { room, member, name, n, text, extra, has_power: false, is_in_room: true }
}

/// One with a text of so many bytes.
pub fn long_entry(room: &str, member: &str, n: u64, bytes: usize) -> NewEntry {
    NewEntry { text: "x".repeat(bytes), ..entry(room, member, n) }
}

pub fn id_of(appended: Result<Appended, LogError>) -> EntryId {
    match appended {
        Ok(Appended::Taken(id)) => id,
        other => panic!("{other:?}"),
    }
}

pub async fn taken(log: &Log, entry: &NewEntry) -> EntryId {
    id_of(log.append(entry, None).await)
}

/// What the feeds tell from now on; they have been read once.
pub async fn follow(log: &Log) -> mpsc::Receiver<FeedEvent> {
    let (sender, mut events) = mpsc::channel(1024);
    let log = log.clone();
    tokio::spawn(async move { log.follow(sender).await });
    until(&mut events, |event| matches!(event, FeedEvent::Read)).await;
    events
}

/// All events up to and with the first that `wanted` picks.
pub async fn until(
    events: &mut mpsc::Receiver<FeedEvent>,
    wanted: impl Fn(&FeedEvent) -> bool,
) -> Vec<FeedEvent> {
    let mut seen = Vec::new();
    loop {
        let next = tokio::time::timeout(PATIENCE, events.recv()).await;
        let next = next.unwrap_or_else(|_| panic!("nothing more after {seen:?}"));
        seen.push(next.expect("the feeds are followed"));
        if seen.last().is_some_and(&wanted) {
            return seen;
        }
    }
}

pub fn is_message(room: &str, event: &FeedEvent) -> bool {
    matches!(event, FeedEvent::Message(message) if message.room == room)
}

/// Asks again until the answer is yes.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let asks = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(4 * PATIENCE, asks).await;
    assert!(in_time.is_ok(), "not in time: {what}");
}

pub fn refusal(outcome: Result<Appended, LogError>) -> Result<(), Refusal> {
    match outcome {
        Ok(Appended::Taken(_)) => Ok(()),
        Err(LogError::Refused(refusal)) => Err(refusal),
        other => panic!("{other:?}"),
    }
}
