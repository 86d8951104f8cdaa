//! The room logs as they lie in Redis, read without any code of the server.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use redis::{
    AsyncCommands,
    aio::MultiplexedConnection,
    streams::{StreamId, StreamRangeReply},
};
use rollcall_protocol::EntryId;

use crate::verdict::{Entry, Logs};

const PAGE: usize = 1000;

/// Where to read logs, and their keys by room. Each reading has a connection of its own: Redis may have
/// been restarted since the one before.
pub struct RoomLogs {
    client: redis::Client,
    /// Absent for a room in which nobody ever spoke.
    keys: BTreeMap<String, Option<String>>,
}

impl RoomLogs {
    /// Makes sure that Redis is there; `rooms` are the rooms to read.
    pub async fn open(url: &str, rooms: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        let client = redis::Client::open(url).with_context(|| format!("{url} names no Redis"))?;
        let keys = rooms.into_iter().map(|room| (room, None)).collect();
        let logs = Self { client, keys };
        logs.connect().await.with_context(|| format!("at {url}; is the stack up?"))?;
        Ok(logs)
    }

    async fn connect(&self) -> anyhow::Result<MultiplexedConnection> {
        let connected = self.client.get_multiplexed_async_connection().await;
        connected.context("cannot reach Redis")
    }

    /// Each room's newest entry.
    pub async fn heads(&mut self) -> anyhow::Result<BTreeMap<String, EntryId>> {
        let mut redis = self.connect().await?;
        self.find_keys(&mut redis).await?;
        let mut heads = BTreeMap::new();
        for (room, key) in &self.keys {
            let Some(key) = key else { continue };
            let newest: StreamRangeReply = redis.xrevrange_count(key, "+", "-", 1).await?;
            if let Some(entry) = newest.ids.first() {
                heads.insert(room.clone(), entry.id.parse()?);
            }
        }
        Ok(heads)
    }

    /// Every entry of every room.
    pub async fn read(&mut self) -> anyhow::Result<Logs> {
        let mut redis = self.connect().await?;
        self.find_keys(&mut redis).await?;
        let mut logs = Logs::new();
        for (room, key) in &self.keys {
            let Some(key) = key else { continue };
            let log = read_log(&mut redis, key).await;
            logs.insert(room.clone(), log.with_context(|| format!("the log of room {room}"))?);
        }
        Ok(logs)
    }

    /// Looks the keys up by their shape, so that how rooms map to partitions stays the server's
    /// business.
    async fn find_keys(&mut self, redis: &mut MultiplexedConnection) -> anyhow::Result<()> {
        for (room, key) in self.keys.iter_mut().filter(|(_, key)| key.is_none()) {
            let mut found = redis
                .scan_options::<String>(
                    redis::ScanOptions::default()
                        .with_pattern(format!("*:room:{}:log", escape(room)))
                        .with_count(PAGE),
                )
                .await?;
            while let Some(name) = found.next_item().await {
                let name = name?;
                if key.as_ref().is_some_and(|known| *known != name) {
                    bail!("room {room} has two logs: {name} and {key:?}");
                }
                *key = Some(name);
            }
        }
        Ok(())
    }
}

async fn read_log(connection: &mut MultiplexedConnection, key: &str) -> anyhow::Result<Vec<Entry>> {
    let mut log = Vec::new();
    let mut from = "-".to_owned();
    loop {
        let page: StreamRangeReply = connection.xrange_count(key, &from, "+", PAGE).await?;
        for entry in &page.ids {
            log.push(parse(entry)?);
        }
        match page.ids.last() {
            Some(last) if page.ids.len() == PAGE => from = format!("({}", last.id),
            _ => return Ok(log),
        }
    }
}

fn parse(entry: &StreamId) -> anyhow::Result<Entry> {
    let field = |name: &str| {
        entry.get::<String>(name).with_context(|| format!("entry {} has no {name}", entry.id))
    };
    let parsed = Entry {
        id: entry.id.parse()?,
        prev: field("prev")?.parse()?,
        member: field("member")?,
        n: field("n")?.parse()?,
    };
    ensure!(parsed.prev < parsed.id, "entry {} names a later predecessor", entry.id);
    Ok(parsed)
}

/// A room name for a Redis pattern that matches just it.
fn escape(room: &str) -> String {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '^' | '\\');
    room.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}
