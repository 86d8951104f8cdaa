//! Keeps the room logs in Redis within their bounds where no append does: rooms that have been silent for long, and the
//! largest logs while memory is short. On one replica at a time, a stream at a time.

use std::{sync::Arc, time::Duration};

use redis::{RedisError, Script, streams::StreamRangeReply};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use super::{
    bounds::{FEED_LEAST, LOG_LEAST, Squeeze, allowed},
    clock::unix_ms,
    link::{Link, PARTITIONS, feed_of, rooms_key},
    primary::Primary,
    usage::Watched,
};
use crate::config::LogBounds;

/// How often Redis is asked for its memory.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// A janitor that says nothing for this long has been replaced.
const LEASE: Duration = Duration::from_secs(10);
const LEASE_KEY: &str = "rollcall:janitor";
/// Keys that one step looks at.
const STEP_KEYS: usize = 100;
/// Between two steps while there is memory enough.
const STEP_PAUSE: Duration = Duration::from_millis(20);
/// Between two rounds while it is short.
const SHORT_PAUSE: Duration = Duration::from_millis(100);
/// A clock of Redis that is this far from this machine's was set: no room's silence can be told by it.
const CLOCKS_AGREE: Duration = Duration::from_secs(60);

/// Scripts, since they must run in a Redis that is full, too.
const TIDY: &str =
    concat!("#!lua flags=allow-oom\n", include_str!("bounds.lua"), include_str!("janitor.lua"));
const TAKE_LEASE: &str = "#!lua flags=allow-oom
    local holder = redis.call('GET', KEYS[1])
    if holder and holder ~= ARGV[1] then return 0 end
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    return 1";

pub(super) struct Janitor {
    link: Link,
    bounds: Arc<LogBounds>,
    watched: Arc<Watched>,
    /// By which it knows its own lease.
    me: String,
    tidy: Script,
    take_lease: Script,
    squeeze: Squeeze,
}

/// What time it is for the room logs.
struct Clock {
    /// Redis' clock and this machine's do not agree.
    is_set: bool,
    /// When anybody spoke last, Unix ms by Redis' clock.
    newest: Option<u64>,
}

/// What a round did.
#[derive(Debug, Default)]
struct Done {
    trimmed: u64,
    emptied: u64,
    removed: u64,
}

impl Janitor {
    pub(super) fn new(link: Link, bounds: Arc<LogBounds>, watched: Arc<Watched>) -> Self {
        Self {
            link,
            bounds,
            watched,
            me: format!("{:016x}", rand::random::<u64>()),
            tidy: Script::new(TIDY),
            take_lease: Script::new(TAKE_LEASE),
            squeeze: Squeeze::default(),
        }
    }

    /// Until cancelled by dropping.
    pub(super) async fn run(mut self) {
        let (link, watched) = (self.link.clone(), self.watched.clone());
        tokio::join!(watch(&link, &watched), self.rounds());
    }

    async fn rounds(&mut self) {
        loop {
            if let Err(error) = self.round().await {
                // Without Redis there is nothing to keep, and others say so.
                tracing::debug!(%error, "the janitor was interrupted");
                tokio::time::sleep(ASK_EVERY).await;
            }
            self.rest().await;
        }
    }

    /// Until the next round is due, or memory is short.
    async fn rest(&self) {
        let end = Instant::now() + self.bounds.round_pause();
        tokio::time::sleep(SHORT_PAUSE).await;
        while !self.is_short() && Instant::now() < end {
            tokio::time::sleep(SHORT_PAUSE).await;
        }
    }

    fn is_short(&self) -> bool {
        self.bounds.is_short(self.watched.usage().pressure())
    }

    /// Goes to every stream once, if no other replica does.
    async fn round(&mut self) -> Result<(), RedisError> {
        let mut connection = self.link.connection();
        if !self.holds_lease(&mut connection).await? {
            self.squeeze = Squeeze::default();
            return Ok(());
        }
        let mut done = Done::default();
        let clock = Clock {
            is_set: !clocks_agree(&mut connection).await?,
            newest: self.tidy_feeds(&mut connection, &mut done).await?,
        };
        let mut cursor = "0".to_owned();
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg("*:room:*:log");
            scan.arg("COUNT").arg(STEP_KEYS).arg("TYPE").arg("stream");
            let (next, logs): (String, Vec<Vec<u8>>) = scan.query_async(&mut connection).await?;
            for log in logs.into_iter().filter_map(|log| String::from_utf8(log).ok()) {
                self.tidy_log(&mut connection, &log, &clock, &mut done).await?;
            }
            if next == "0" || !self.holds_lease(&mut connection).await? {
                break;
            }
            cursor = next;
            if !self.is_short() {
                tokio::time::sleep(STEP_PAUSE).await;
            }
        }
        let usage = self.watched.ask(&mut connection).await?;
        if usage.was_lowered() {
            warn!(
                used = usage.used,
                limit = usage.limit,
                "Redis holds far more than its limit: no history is thrown away for that"
            );
        }
        self.squeeze.press(self.is_short(), self.bounds.log_bytes, Instant::now());
        let Done { trimmed, emptied, removed } = done;
        if trimmed + emptied + removed > 0 {
            info!(trimmed, emptied, removed, full = usage.ratio(), "room logs made room");
        }
        Ok(())
    }

    async fn holds_lease(&self, connection: &mut Primary) -> Result<bool, RedisError> {
        let mut take = self.take_lease.key(LEASE_KEY);
        take.arg(&self.me).arg(LEASE.as_millis() as u64);
        take.invoke_async(connection).await
    }

    /// Returns when anybody spoke last, Unix ms by Redis' clock; none if no feed tells.
    async fn tidy_feeds(
        &self,
        connection: &mut Primary,
        done: &mut Done,
    ) -> Result<Option<u64>, RedisError> {
        let full = self.watched.usage().pressure();
        let most = self.bounds.feed_bytes;
        let bytes = allowed(most, FEED_LEAST, full).min(self.squeeze.feed_bytes(most));
        let mut newest = None;
        for partition in 0..PARTITIONS {
            let feed = feed_of(partition);
            newest = newest.max(last_ms(connection, &feed).await?);
            let mut tidy = self.tidy.key(feed);
            tidy.arg(bytes).arg("").arg("").arg("").arg("").arg("");
            done.note(tidy.invoke_async(connection).await)?;
        }
        Ok(newest)
    }

    async fn tidy_log(
        &self,
        connection: &mut Primary,
        log: &str,
        clock: &Clock,
        done: &mut Done,
    ) -> Result<(), RedisError> {
        let bounds = &self.bounds;
        let full = self.watched.usage().pressure();
        let most = bounds.log_bytes;
        let bytes = allowed(most, LOG_LEAST, full).min(self.squeeze.log_bytes(most));
        let keys = log.strip_suffix("log").unwrap_or(log);
        let room = keys.split_once(":room:").and_then(|(_, room)| room.strip_suffix(':'));
        let room = room.unwrap_or_default();
        let expiry = (!clock.is_set).then(|| bounds.expiry_of(room).as_millis().to_string());
        let lives = clock.newest.and(self.squeeze.lives()).map(|lives| lives.to_string());
        let mut tidy = self.tidy.key(log);
        tidy.key(format!("{keys}senders")).key(format!("{keys}present"));
        tidy.key(format!("{keys}changed")).key(format!("{keys}about")).key(rooms_key(room));
        tidy.arg(bytes).arg(expiry.unwrap_or_default()).arg(lives.unwrap_or_default());
        tidy.arg(bounds.least_silence().as_millis() as u64).arg(clock.newest.unwrap_or_default());
        tidy.arg(room);
        done.note(tidy.invoke_async(connection).await)
    }
}

impl Done {
    /// Counts what became of a stream. What is wrong with one harms no other.
    fn note(&mut self, outcome: Result<String, RedisError>) -> Result<(), RedisError> {
        match outcome.as_deref() {
            Ok("trimmed") => self.trimmed += 1,
            Ok("emptied") => self.emptied += 1,
            Ok("removed") => self.removed += 1,
            Ok(_) => {}
            Err(error) if error.code().is_some() => warn!(%error, "a stream cannot be tidied"),
            Err(_) => return outcome.map(drop),
        }
        Ok(())
    }
}

async fn watch(link: &Link, watched: &Watched) {
    let mut ticks = tokio::time::interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // What it said last holds until it says something else.
        let _ = watched.ask(&mut link.connection()).await;
    }
}

/// When a stream took its last entry, Unix ms; none if there is none.
async fn last_ms(connection: &mut Primary, stream: &str) -> Result<Option<u64>, RedisError> {
    let mut last = redis::cmd("XREVRANGE");
    last.arg(stream).arg("+").arg("-").arg("COUNT").arg(1);
    let last: Result<StreamRangeReply, RedisError> = last.query_async(connection).await;
    let id = match last {
        Ok(reply) => reply.ids.into_iter().next().map(|entry| entry.id),
        // What is wrong with one feed harms no room.
        Err(error) if error.code().is_some() => None,
        Err(error) => return Err(error),
    };
    Ok(id.and_then(|id| id.split('-').next()?.parse().ok()))
}

/// A clock that was set far ahead would make every room look silent, and empty them all.
async fn clocks_agree(connection: &mut Primary) -> Result<bool, RedisError> {
    let (seconds, _micros): (u64, u64) = redis::cmd("TIME").query_async(connection).await?;
    Ok(seconds.abs_diff(unix_ms() / 1000) < CLOCKS_AGREE.as_secs())
}
