//! The room logs as they lie in Redis, read without any code of the server.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use redis::{
    AsyncCommands,
    aio::MultiplexedConnection,
    streams::{StreamId, StreamRangeReply},
};
use rollcall_checker::history::{Recorder, What};
use rollcall_protocol::EntryId;
use rollcall_witness::hash_of_stored;

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

    /// Writes every entry of every room into the history that came after these: what is older was there before
    /// anybody of ours listened, and is not this run's matter.
    pub async fn record(
        &mut self,
        recorder: &Recorder,
        since: &BTreeMap<String, EntryId>,
    ) -> anyhow::Result<()> {
        let mut redis = self.connect().await?;
        self.find_keys(&mut redis).await?;
        for (room, key) in &self.keys {
            let Some(key) = key else { continue };
            let from = since.get(room).copied().unwrap_or(EntryId::ZERO);
            let done = record_log(&mut redis, recorder, room, key, from).await;
            done.with_context(|| format!("the log of room {room}"))?;
        }
        Ok(())
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

async fn record_log(
    connection: &mut MultiplexedConnection,
    recorder: &Recorder,
    room: &str,
    key: &str,
    from: EntryId,
) -> anyhow::Result<()> {
    let mut from = format!("({from}");
    loop {
        let page: StreamRangeReply = connection.xrange_count(key, &from, "+", PAGE).await?;
        for stored in &page.ids {
            let (entry, member, name) = entry(room, stored)?;
            recorder.named("the log", &member, &name);
            recorder.record(entry);
        }
        match page.ids.last() {
            Some(last) if page.ids.len() == PAGE => from = format!("({}", last.id),
            _ => return Ok(()),
        }
    }
}

/// As it goes into the history, and whose it is and how they are called.
fn entry(room: &str, stored: &StreamId) -> anyhow::Result<(What, String, String)> {
    let field = |name: &str| {
        stored.get::<String>(name).with_context(|| format!("entry {} has no {name}", stored.id))
    };
    let about = |name: &str| stored.get::<String>(name);
    let (id, prev): (EntryId, EntryId) = (stored.id.parse()?, field("prev")?.parse()?);
    ensure!(prev < id, "entry {id} names a later predecessor");
    let member = field("member")?;
    let what = What::Entry {
        room: room.to_owned(),
        id: id.into(),
        prev: prev.into(),
        member: member.clone(),
        n: field("n")?.parse()?,
        hash: hash_of_stored(&field("text")?, about("what").as_deref(), about("of").as_deref()),
    };
    Ok((what, member, field("name")?))
}

/// A room name for a Redis pattern that matches just it.
fn escape(room: &str) -> String {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '^' | '\\');
    room.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}
