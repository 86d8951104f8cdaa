//! The connection to Redis, its functions and its keys: what room logs and presence share.

use std::{sync::Arc, time::Duration};

use redis::{
    Client, FromRedisValue, RedisError, Value,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};

use super::model::{LogError, Refusal};
use crate::metrics::Metrics;

/// A library of Redis functions. Its version is part of its name and of theirs: releases run side by side.
pub struct Library {
    /// As its text says.
    pub name: &'static str,
    /// Lua, with its header.
    pub text: &'static str,
}

/// The functions of the room logs.
const LOG: Library = Library {
    name: "rollcall_log_v3",
    text: concat!(
        "#!lua name=rollcall_log_v3\n",
        include_str!("bounds.lua"),
        include_str!("log.lua")
    ),
};
/// What our functions that only read begin with.
const READS: [&str; 3] = ["rollcall_read", "rollcall_last", "rollcall_present"];

/// Rooms hash onto this many partitions, each with one feed. Part of the data's format.
pub(super) const PARTITIONS: u32 = 16;

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

    /// Calls one of the log's functions, loading the library first where Redis does not have it.
    ///
    /// # Errors
    /// As [`LogError`] says.
    pub async fn call<T: FromRedisValue>(
        &self,
        function: &'static str,
        keys: &[String],
        args: &[&str],
    ) -> Result<T, LogError> {
        self.call_in(&LOG, function, keys, args).await
    }

    /// Calls a function of `library`, loading that first where Redis does not have it.
    ///
    /// # Errors
    /// As [`LogError`] says.
    pub async fn call_in<T: FromRedisValue>(
        &self,
        library: &Library,
        function: &'static str,
        keys: &[String],
        args: &[&str],
    ) -> Result<T, LogError> {
        let read_only = READS.iter().any(|read| function.starts_with(read));
        let mut command = redis::cmd(if read_only { "FCALL_RO" } else { "FCALL" });
        command.arg(function).arg(keys.len()).arg(keys).arg(args);
        let timer = self.0.metrics.redis_seconds.start_timer();
        let mut connection = self.0.connection.clone();
        let mut result = command.query_async::<Value>(&mut connection).await;
        if result.as_ref().is_err_and(|error| error.to_string().contains("Function not found")) {
            self.load(library).await?;
            result = command.query_async::<Value>(&mut connection).await;
        }
        timer.observe_duration();
        let value = result.map_err(classify)?;
        T::from_redis_value(value).map_err(|error| LogError::Unknown(error.to_string()))
    }

    /// The shared connection, for single commands.
    pub(super) fn connection(&self) -> ConnectionManager {
        self.0.connection.clone()
    }

    async fn load(&self, library: &Library) -> Result<(), LogError> {
        let mut connection = self.0.connection.clone();
        let loaded = redis::cmd("FUNCTION")
            .arg("LOAD")
            .arg(library.text)
            .query_async::<()>(&mut connection)
            .await;
        match loaded {
            // Another replica was quicker. Same name, same code: it is versioned.
            Err(error) if error.to_string().contains("already exists") => Ok(()),
            other => other.map_err(classify),
        }
    }

    /// A connection of its own, for commands that block for up to `block`.
    pub(super) async fn dedicated_connection(
        &self,
        block: Duration,
    ) -> Result<MultiplexedConnection, RedisError> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.0.timeout))
            // The default would also cut XREAD BLOCK short.
            .set_response_timeout(Some(block + self.0.timeout));
        self.0.client.get_multiplexed_async_connection_with_config(&config).await
    }
}

/// An error reply is a definite no; anything else leaves open what Redis did.
fn classify(error: RedisError) -> LogError {
    if error.code().is_some() {
        LogError::Refused(Refusal::Store(error.to_string()))
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

/// The feed of a room's partition.
pub fn feed_key(room: &str) -> String {
    feed_of(partition(room))
}

/// `{p07}:feed`
pub(super) fn feed_of(partition: u32) -> String {
    format!("{{p{partition:02}}}:feed")
}
