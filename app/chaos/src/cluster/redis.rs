//! Redis, asked directly: for the truth at the end of a run, and to be harmed.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, ensure};
use redis::{
    AsyncCommands, AsyncConnectionConfig, Client, Cmd, FromRedisValue,
    aio::MultiplexedConnection,
    streams::{StreamId, StreamMaxlen, StreamRangeReply},
};
use tokio::time::sleep;

use super::{Stack, docker::docker};
use crate::history::Id;

const PAGE: usize = 1000;
/// Longest time for one command of ours: the slowest are the reads of whole logs.
const LIMIT: Duration = Duration::from_secs(10);
/// So far apart two readings of one clock may be.
const SAME: Duration = Duration::from_secs(60);

/// An entry of a room log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its ID.
    pub id: Id,
    /// The entry before it.
    pub prev: Id,
    /// The member that said it.
    pub member: String,
    /// Its number.
    pub n: u64,
    /// What.
    pub text: String,
    /// What it is if it is no message by itself: `edit`, `remove` or `notice`.
    pub what: Option<String>,
    /// The entry that it is about.
    pub of: Option<String>,
}

/// Connects to the stack's Redis.
///
/// # Errors
///
/// If it does not answer.
pub async fn connect(stack: &Stack) -> anyhow::Result<MultiplexedConnection> {
    let url = format!("redis://{}:6379", stack.redis_address());
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(2)))
        .set_response_timeout(Some(LIMIT));
    let client = Client::open(url.as_str())?;
    let connected = client.get_multiplexed_async_connection_with_config(&config).await;
    connected.with_context(|| format!("cannot reach Redis at {url}"))
}

/// Runs one command on a connection of its own.
///
/// # Errors
///
/// If Redis does not answer, or with an error.
pub async fn command<T: FromRedisValue>(stack: &Stack, words: &[&str]) -> anyhow::Result<T> {
    let mut connection = connect(stack).await?;
    let mut command = Cmd::new();
    words.iter().for_each(|word| {
        command.arg(word);
    });
    let answer = command.query_async(&mut connection).await;
    answer.with_context(|| words.join(" "))
}

/// Sets Redis' clock so far ahead of this machine's, and waits until Redis goes by it.
///
/// # Errors
///
/// If it does not; as any image but that of `docker/redis-faults.Dockerfile`.
pub async fn set_clock(stack: &Stack, ahead: Duration) -> anyhow::Result<()> {
    let set = format!("echo {} >$CLOCK_AHEAD", ahead.as_secs());
    docker(&["exec", &stack.container("redis"), "sh", "-c", &set]).await?;
    let until = Instant::now() + LIMIT;
    loop {
        let told: anyhow::Result<(u64, u64)> = command(stack, &["TIME"]).await;
        let wanted = SystemTime::now().duration_since(UNIX_EPOCH)? + ahead;
        if told.is_ok_and(|(seconds, _)| wanted.abs_diff(Duration::from_secs(seconds)) < SAME) {
            return Ok(());
        }
        ensure!(Instant::now() < until, "Redis' clock is not {ahead:?} ahead");
        sleep(Duration::from_millis(100)).await;
    }
}

/// The keys of all room logs, by room. Looked up by their shape, so that how rooms map to
/// partitions stays the server's business.
///
/// # Errors
///
/// If Redis does not answer.
pub async fn logs(
    connection: &mut MultiplexedConnection,
) -> anyhow::Result<BTreeMap<String, String>> {
    let keys: Vec<String> = connection.keys("*:room:*:log").await?;
    let room = |key: &String| {
        let (_, rest) = key.split_once(":room:")?;
        Some((rest.strip_suffix(":log")?.to_owned(), key.clone()))
    };
    Ok(keys.iter().filter_map(room).collect())
}

/// Empties the feeds: what a replica has not read of them it can only find in the logs, and it notices. Nothing is lost.
///
/// # Errors
///
/// If Redis does not answer.
pub async fn empty_feeds(stack: &Stack) -> anyhow::Result<()> {
    let mut connection = connect(stack).await?;
    let feeds: Vec<String> = connection.keys("*:feed").await?;
    ensure!(!feeds.is_empty(), "Redis has no feeds");
    for feed in feeds {
        let _gone: u64 = connection.xtrim(feed, StreamMaxlen::Equals(0)).await?;
    }
    Ok(())
}

/// The newest entry of each room log.
///
/// # Errors
///
/// If Redis does not answer.
pub async fn heads(connection: &mut MultiplexedConnection) -> anyhow::Result<BTreeMap<String, Id>> {
    let mut heads = BTreeMap::new();
    for (room, key) in logs(connection).await? {
        let newest: StreamRangeReply = connection.xrevrange_count(key, "+", "-", 1).await?;
        if let Some(entry) = newest.ids.first() {
            heads.insert(room, entry.id.parse()?);
        }
    }
    Ok(heads)
}

/// Every entry of a room log.
///
/// # Errors
///
/// If Redis does not answer, or an entry lacks what every entry has.
pub async fn read(connection: &mut MultiplexedConnection, key: &str) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut from = "-".to_owned();
    loop {
        let page: StreamRangeReply = connection.xrange_count(key, &from, "+", PAGE).await?;
        for id in &page.ids {
            entries.push(entry(id)?);
        }
        match page.ids.last() {
            Some(last) if page.ids.len() == PAGE => from = format!("({}", last.id),
            _ => return Ok(entries),
        }
    }
}

fn entry(stored: &StreamId) -> anyhow::Result<Entry> {
    let field = |name: &str| {
        stored.get::<String>(name).with_context(|| format!("entry {} has no {name}", stored.id))
    };
    Ok(Entry {
        id: stored.id.parse()?,
        prev: field("prev")?.parse()?,
        member: field("member")?,
        n: field("n")?.parse()?,
        text: field("text")?,
        what: stored.get("what"),
        of: stored.get("of"),
    })
}
