//! The room logs and feeds in Redis.

use std::{future::Future, sync::Arc, time::Duration};

use redis::{
    Client, FromRedisValue, RedisError, Value,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
    streams::{StreamId, StreamReadReply},
};
use rollcall_protocol::{EntryId, Message, PresenceEvent};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::{Appended, FeedEvent, LogError, NewEntry, Page};
use crate::metrics::Metrics;

const FUNCTIONS: &str = include_str!("functions.lua");

/// Rooms hash onto this many partitions, each with one feed. Part of the data's format.
const PARTITIONS: u32 = 16;
/// A feed read waits this long for something new; the connection is given up one timeout later.
const FEED_BLOCK: Duration = Duration::from_secs(1);
const FEED_BATCH: usize = 512;
/// How long a sender's last `n` is remembered.
const SENT_TTL: Duration = Duration::from_secs(24 * 3600);

/// What log and presence share: one multiplexed connection, and the names of the keys.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    client: Client,
    connection: ConnectionManager,
    timeout: Duration,
    feed_entries: usize,
    metrics: Metrics,
}

impl Link {
    /// Prepares a connection; Redis need not be up yet.
    ///
    /// # Errors
    /// If `url` is not a `redis://` or `rediss://` address.
    pub fn new(
        url: &str,
        timeout: Duration,
        feed_entries: usize,
        metrics: Metrics,
    ) -> Result<Self, RedisError> {
        // A response timeout never reconnects, so the kernel must notice a peer that went silent.
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(
                TcpKeepalive::new()
                    .with_time(Duration::from_secs(2))
                    .with_interval(Duration::from_secs(1))
                    .with_retries(3),
            )
            .set_user_timeout(Duration::from_secs(5));
        let info = redis::IntoConnectionInfo::into_connection_info(url)?.set_tcp_settings(tcp);
        let client = Client::open(info)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout))
            .set_number_of_retries(1)
            .set_max_delay(timeout);
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        Ok(Self(Arc::new(Inner { client, connection, timeout, feed_entries, metrics })))
    }

    /// Entries a feed keeps.
    #[must_use]
    pub fn feed_entries(&self) -> usize {
        self.0.feed_entries
    }

    /// Calls one of our functions, loading the library first where Redis does not have it.
    ///
    /// # Errors
    /// As [`LogError`] says.
    pub async fn call<T: FromRedisValue>(
        &self,
        function: &'static str,
        keys: &[String],
        args: &[&str],
    ) -> Result<T, LogError> {
        let read_only = function.starts_with("rollcall_read") || function == "rollcall_present_v1";
        let mut command = redis::cmd(if read_only { "FCALL_RO" } else { "FCALL" });
        command.arg(function).arg(keys.len()).arg(keys).arg(args);
        let timer = self.0.metrics.redis_seconds.start_timer();
        let mut connection = self.0.connection.clone();
        let mut result = command.query_async::<Value>(&mut connection).await;
        if result.as_ref().is_err_and(|error| error.to_string().contains("Function not found")) {
            self.load_functions().await?;
            result = command.query_async::<Value>(&mut connection).await;
        }
        timer.observe_duration();
        let value = result.map_err(classify)?;
        T::from_redis_value(value).map_err(|error| LogError::Unknown(error.to_string()))
    }

    async fn load_functions(&self) -> Result<(), LogError> {
        let mut connection = self.0.connection.clone();
        let loaded = redis::cmd("FUNCTION")
            .arg("LOAD")
            .arg(FUNCTIONS)
            .query_async::<()>(&mut connection)
            .await;
        match loaded {
            // Another replica was quicker. Same name, same code: it is versioned.
            Err(error) if error.to_string().contains("already exists") => Ok(()),
            other => other.map_err(classify),
        }
    }

    async fn dedicated_connection(&self) -> Result<MultiplexedConnection, RedisError> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.0.timeout))
            // The default would also cut XREAD BLOCK short.
            .set_response_timeout(Some(FEED_BLOCK + self.0.timeout));
        self.0.client.get_multiplexed_async_connection_with_config(&config).await
    }
}

/// An error reply is a definite no; anything else leaves open what Redis did.
fn classify(error: RedisError) -> LogError {
    if error.code().is_some() {
        LogError::Refused(error.to_string())
    } else {
        LogError::Unknown(error.to_string())
    }
}

/// A room's partition: FNV-1a over its name. Part of the data's format.
fn partition(room: &str) -> u32 {
    let hash = room
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % PARTITIONS
}

/// `{p07}:room:<room>:<what>`
pub fn room_key(room: &str, what: &str) -> String {
    format!("{{p{:02}}}:room:{room}:{what}", partition(room))
}

/// `{p07}:feed`
pub fn feed_key(room: &str) -> String {
    feed_of(partition(room))
}

fn feed_of(partition: u32) -> String {
    format!("{{p{partition:02}}}:feed")
}

/// Room logs in Redis.
#[derive(Clone)]
pub struct RedisLog {
    link: Link,
    log_entries: usize,
}

impl RedisLog {
    /// Logs of about `log_entries` a room.
    #[must_use]
    pub fn new(link: Link, log_entries: usize) -> Self {
        Self { link, log_entries }
    }

    pub(super) async fn append(&self, new: &NewEntry) -> Result<Appended, LogError> {
        let keys = [
            room_key(&new.room, "log"),
            room_key(&new.room, &format!("sent:{}", new.member)),
            feed_key(&new.room),
        ];
        let n = new.n.to_string();
        let (log_max, feed_max) =
            (self.log_entries.to_string(), self.link.0.feed_entries.to_string());
        let ttl = SENT_TTL.as_millis().to_string();
        let args =
            [&*new.room, &*new.member, &*new.name, &*n, &*new.text, &*log_max, &*feed_max, &*ttl];
        let reply: Vec<String> = self.link.call("rollcall_append_v1", &keys, &args).await?;
        read_appended(&reply).ok_or_else(|| LogError::Unknown(format!("append answered {reply:?}")))
    }

    pub(super) async fn read_after(
        &self,
        room: &str,
        after: EntryId,
        limit: usize,
    ) -> Result<Page, LogError> {
        let args = [after.to_string(), limit.to_string()];
        self.read("rollcall_read_after_v1", room, &args).await
    }

    pub(super) async fn read_before(
        &self,
        room: &str,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Page, LogError> {
        let before = before.map_or_else(|| "+".to_owned(), |id| id.to_string());
        let mut page =
            self.read("rollcall_read_before_v1", room, &[before, limit.to_string()]).await?;
        page.entries.reverse();
        Ok(page)
    }

    async fn read(
        &self,
        function: &'static str,
        room: &str,
        [from, limit]: &[String; 2],
    ) -> Result<Page, LogError> {
        let keys = [room_key(room, "log")];
        let (last, entries): (String, redis::streams::StreamRangeReply) =
            self.link.call(function, &keys, &[from.as_str(), limit.as_str()]).await?;
        let entries = entries.ids.iter().filter_map(|entry| read_entry(room, entry)).collect();
        let last = last.parse().map_err(|error| LogError::Unknown(format!("{error}")))?;
        Ok(Page { entries, last })
    }

    pub(super) async fn typing(&self, room: &str, member: &str, name: &str) {
        let mut connection = self.link.0.connection.clone();
        let mut add = redis::cmd("XADD");
        add.arg(feed_key(room)).arg("MAXLEN").arg("~").arg(self.link.0.feed_entries).arg("*");
        add.arg(&[("kind", "typing"), ("room", room), ("member", member), ("name", name)]);
        // Nobody misses one: whoever goes on typing says so again.
        let _ = add.query_async::<()>(&mut connection).await;
    }

    pub(super) async fn is_up(&self) -> bool {
        let mut connection = self.link.0.connection.clone();
        redis::cmd("PING").query_async::<()>(&mut connection).await.is_ok()
    }

    pub(super) async fn follow(&self, events: mpsc::Sender<FeedEvent>) {
        let mut feeds = Feeds::default();
        while !events.is_closed() {
            if let Err(error) = self.tail(&mut feeds, &events).await {
                warn!(%error, "feeds interrupted, connecting again");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }

    /// One connection's life: continue every feed where the last connection stopped.
    async fn tail(
        &self,
        feeds: &mut Feeds,
        events: &mpsc::Sender<FeedEvent>,
    ) -> Result<(), RedisError> {
        let mut connection = self.link.dedicated_connection().await?;
        let mut missed = feeds.skip_what_is_gone(&mut connection).await?;
        info!("following the feeds");
        loop {
            if missed && events.send(FeedEvent::Missed).await.is_err() {
                return Ok(());
            }
            let read = feeds.read(&mut connection).await?;
            let behind = read.iter().map(Vec::len).sum::<usize>() >= FEED_BATCH;
            for (feed, entries) in read.iter().enumerate() {
                for entry in entries {
                    feeds.advance(feed, &entry.id);
                    let Some(event) = read_event(entry) else { continue };
                    if events.send(event).await.is_err() {
                        return Ok(());
                    }
                }
            }
            // Far behind, the feeds may have been trimmed under us.
            missed = behind && feeds.skip_what_is_gone(&mut connection).await?;
        }
    }
}

/// The last ID seen of each feed; unknown before the first connection.
#[derive(Default)]
struct Feeds {
    seen: Vec<EntryId>,
}

impl Feeds {
    /// Whether a feed's next entries are gone: trimmed, or lost by Redis. Goes on from its end then.
    async fn skip_what_is_gone(
        &mut self,
        connection: &mut MultiplexedConnection,
    ) -> Result<bool, RedisError> {
        let first_time = self.seen.is_empty();
        self.seen.resize(PARTITIONS as usize, EntryId::ZERO);
        let mut lossy = first_time;
        for (partition, seen) in (0..PARTITIONS).zip(&mut self.seen) {
            let (oldest, newest) = feed_ends(partition, connection).await?;
            if first_time || oldest > *seen || newest < *seen {
                lossy |= newest != *seen;
                *seen = newest;
            }
        }
        Ok(lossy)
    }

    fn read(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> impl Future<Output = Result<Vec<Vec<StreamId>>, RedisError>> {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(FEED_BATCH).arg("BLOCK").arg(FEED_BLOCK.as_millis() as u64);
        command.arg("STREAMS");
        (0..PARTITIONS).for_each(|partition| {
            command.arg(feed_of(partition));
        });
        self.seen.iter().for_each(|seen| {
            command.arg(seen.to_string());
        });
        async move {
            let reply: Option<StreamReadReply> = command.query_async(connection).await?;
            let mut read = vec![Vec::new(); PARTITIONS as usize];
            for key in reply.into_iter().flat_map(|reply| reply.keys) {
                if let Some(feed) = (0..PARTITIONS).position(|p| feed_of(p) == key.key) {
                    read[feed] = key.ids;
                }
            }
            Ok(read)
        }
    }

    fn advance(&mut self, feed: usize, id: &str) {
        if let Ok(id) = id.parse() {
            self.seen[feed] = id;
        }
    }
}

/// The oldest entry's ID and the newest's; zero for an empty feed.
async fn feed_ends(
    partition: u32,
    connection: &mut MultiplexedConnection,
) -> Result<(EntryId, EntryId), RedisError> {
    let feed = feed_of(partition);
    let mut pipe = redis::pipe();
    pipe.atomic();
    pipe.cmd("XRANGE").arg(&feed).arg("-").arg("+").arg("COUNT").arg(1);
    pipe.cmd("XREVRANGE").arg(&feed).arg("+").arg("-").arg("COUNT").arg(1);
    type Ends = (redis::streams::StreamRangeReply, redis::streams::StreamRangeReply);
    let (first, last): Ends = pipe.query_async(connection).await?;
    let id = |reply: &redis::streams::StreamRangeReply| {
        reply.ids.first().and_then(|entry| entry.id.parse().ok()).unwrap_or(EntryId::ZERO)
    };
    Ok((id(&first), id(&last)))
}

fn read_appended(reply: &[String]) -> Option<Appended> {
    let parts: Vec<&str> = reply.iter().map(String::as_str).collect();
    match parts[..] {
        ["taken", id, _prev] => Some(Appended::Taken(id.parse().ok()?)),
        ["duplicate", id] => Some(Appended::Duplicate(id.parse().ok())),
        ["expected", n] => Some(Appended::Expected(n.parse().ok()?)),
        _ => None,
    }
}

fn field(entry: &StreamId, name: &str) -> Option<String> {
    entry.get(name)
}

fn read_entry(room: &str, entry: &StreamId) -> Option<Message> {
    let id = entry.id.parse().ok()?;
    read_message(room.to_owned(), id, entry)
}

fn read_message(room: String, id: EntryId, entry: &StreamId) -> Option<Message> {
    Some(Message {
        room,
        id,
        prev: field(entry, "prev")?.parse().ok()?,
        member: field(entry, "member")?,
        name: field(entry, "name")?,
        n: field(entry, "n")?.parse().ok()?,
        text: field(entry, "text")?,
        at: id.ms,
    })
}

fn read_event(entry: &StreamId) -> Option<FeedEvent> {
    let room = field(entry, "room")?;
    let kind = field(entry, "kind")?;
    if kind == "message" {
        let id = field(entry, "id")?.parse().ok()?;
        return Some(FeedEvent::Message(read_message(room, id, entry)?));
    }
    let (member, name) = (field(entry, "member")?, field(entry, "name")?);
    match kind.as_str() {
        "typing" => Some(FeedEvent::Typing { room, member, name }),
        "presence" => {
            let event = match field(entry, "event")?.as_str() {
                "join" => PresenceEvent::Join,
                _ => PresenceEvent::Leave,
            };
            Some(FeedEvent::Presence { at: entry.id.parse().ok()?, room, event, member, name })
        }
        // A later release's kind.
        _ => None,
    }
}
