//! Keeps the room logs in Redis within their bounds where no append does: rooms that have been silent for long, and the
//! largest logs while memory is short. On one replica at a time, a stream at a time.

use std::{sync::Arc, time::Duration};

use redis::{RedisError, Script, aio::ConnectionManager};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use super::{
    bounds::{FEED_LEAST, LOG_LEAST, Squeeze, allowed},
    clock::unix_ms,
    link::{Link, PARTITIONS, feed_of},
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
/// Between two steps, and between two rounds, while there is memory enough.
const STEP_PAUSE: Duration = Duration::from_millis(20);
const ROUND_PAUSE: Duration = Duration::from_secs(60);
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
        let end = Instant::now() + ROUND_PAUSE.min(self.bounds.room_expiry / 4);
        tokio::time::sleep(SHORT_PAUSE).await;
        while !self.is_short() && Instant::now() < end {
            tokio::time::sleep(SHORT_PAUSE).await;
        }
    }

    fn is_short(&self) -> bool {
        self.bounds.is_short(self.watched.usage().ratio())
    }

    /// Goes to every stream once, if no other replica does.
    async fn round(&mut self) -> Result<(), RedisError> {
        let mut connection = self.link.connection();
        if !self.holds_lease(&mut connection).await? {
            self.squeeze = Squeeze::default();
            return Ok(());
        }
        let clock_is_set = !clocks_agree(&mut connection).await?;
        let mut done = Done::default();
        self.tidy_feeds(&mut connection, &mut done).await?;
        let mut cursor = "0".to_owned();
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg("*:room:*:log");
            scan.arg("COUNT").arg(STEP_KEYS).arg("TYPE").arg("stream");
            let (next, logs): (String, Vec<Vec<u8>>) = scan.query_async(&mut connection).await?;
            for log in logs.into_iter().filter_map(|log| String::from_utf8(log).ok()) {
                self.tidy_log(&mut connection, &log, clock_is_set, &mut done).await?;
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
        self.squeeze.press(self.is_short(), self.bounds.log_bytes, Instant::now());
        let Done { trimmed, emptied, removed } = done;
        if trimmed + emptied + removed > 0 {
            info!(trimmed, emptied, removed, full = usage.ratio(), "room logs made room");
        }
        Ok(())
    }

    async fn holds_lease(&self, connection: &mut ConnectionManager) -> Result<bool, RedisError> {
        let mut take = self.take_lease.key(LEASE_KEY);
        take.arg(&self.me).arg(LEASE.as_millis() as u64);
        take.invoke_async(connection).await
    }

    async fn tidy_feeds(
        &self,
        connection: &mut ConnectionManager,
        done: &mut Done,
    ) -> Result<(), RedisError> {
        let full = self.watched.usage().ratio();
        let most = self.bounds.feed_bytes;
        let bytes = allowed(most, FEED_LEAST, full).min(self.squeeze.feed_bytes(most));
        for partition in 0..PARTITIONS {
            let mut tidy = self.tidy.key(feed_of(partition));
            tidy.arg(bytes).arg("").arg("").arg("");
            done.note(tidy.invoke_async(connection).await)?;
        }
        Ok(())
    }

    async fn tidy_log(
        &self,
        connection: &mut ConnectionManager,
        log: &str,
        clock_is_set: bool,
        done: &mut Done,
    ) -> Result<(), RedisError> {
        let bounds = &self.bounds;
        let full = self.watched.usage().ratio();
        let most = bounds.log_bytes;
        let bytes = allowed(most, LOG_LEAST, full).min(self.squeeze.log_bytes(most));
        let expiry = (!clock_is_set).then(|| bounds.room_expiry.as_millis().to_string());
        let lives = self.squeeze.lives().map(|lives| lives.to_string());
        let room = log.strip_suffix("log").unwrap_or(log);
        let mut tidy = self.tidy.key(log);
        tidy.key(format!("{room}senders")).key(format!("{room}present"));
        tidy.arg(bytes).arg(expiry.unwrap_or_default()).arg(lives.unwrap_or_default());
        tidy.arg(bounds.least_silence().as_millis() as u64);
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

/// A clock that was set far ahead would make every room look silent, and empty them all.
async fn clocks_agree(connection: &mut ConnectionManager) -> Result<bool, RedisError> {
    let (seconds, _micros): (u64, u64) = redis::cmd("TIME").query_async(connection).await?;
    Ok(seconds.abs_diff(unix_ms() / 1000) < CLOCKS_AGREE.as_secs())
}
