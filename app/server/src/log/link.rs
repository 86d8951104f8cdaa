//! Redis, its functions and its keys: what room logs and presence share.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, FromRedisValue, RedisError, Value, aio::MultiplexedConnection};
use tokio::time::Instant;
use tracing::warn;

use super::{
    model::{LogError, Refusal},
    primary::{Primary, Store, is_elsewhere},
    stores::Stores,
};
use crate::{config::RedisSettings, metrics::Metrics};

/// A library of Redis functions. Its version is part of its name and of theirs: releases run side by side.
pub struct Library {
    /// As its text says.
    pub name: &'static str,
    /// Lua, with its header.
    pub text: &'static str,
}

/// The functions of the room logs.
const LOG: Library = Library {
    name: "rollcall_log_v4",
    text: concat!(
        "#!lua name=rollcall_log_v4\n",
        include_str!("common.lua"),
        include_str!("bounds.lua"),
        include_str!("about.lua"),
        include_str!("log.lua")
    ),
};
/// What our functions that only read begin with.
const READS: [&str; 3] = ["rollcall_read", "rollcall_last", "rollcall_present"];

/// A write that is answered that it belongs elsewhere is tried again for this long: a planned change of the primary takes
/// less, and those who wait for it are to notice nothing.
const MOVES_WITHIN: Duration = Duration::from_secs(5);
/// And so often, since the old primary may say so before the new one is one.
const MOVES_PAUSE: Duration = Duration::from_millis(25);

/// Rooms hash onto this many partitions, each with one feed. Part of the data's format.
pub(super) const PARTITIONS: u32 = 16;

/// What log and presence share: the way to the primary, and the names of the keys.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    primary: Primary,
    timeout: Duration,
    feed_entries: usize,
    metrics: Metrics,
}

impl Link {
    /// Prepares a connection; Redis need not be up yet.
    ///
    /// # Errors
    /// If an address is not one of `redis://` or `rediss://`, or a file that the settings name cannot be read.
    pub fn new(
        settings: &RedisSettings,
        feed_entries: usize,
        metrics: Metrics,
    ) -> Result<Self, RedisError> {
        let (timeout, stores) = (settings.timeout, Stores::new(settings)?);
        let primary = Primary::new(stores, timeout, settings.replicas_ack, settings.ack_alone);
        Ok(Self(Arc::new(Inner { primary, timeout, feed_entries, metrics })))
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
        let timer = self.0.metrics.redis_seconds.start_timer();
        let outcome = self.run(library, function, keys, args).await;
        timer.observe_duration();
        read(outcome.map_err(classify)?.0)
    }

    /// As [`Self::call`], and waits until as many replicas as are asked for have what it wrote, and what it found written.
    ///
    /// # Errors
    /// As [`LogError`] says; unknown if they do not have it in time.
    pub(super) async fn call_kept<T: FromRedisValue>(
        &self,
        function: &'static str,
        keys: &[String],
        args: &[&str],
    ) -> Result<T, LogError> {
        self.call_kept_in(&LOG, function, keys, args).await
    }

    /// As [`Self::call_in`], and waits as [`Self::call_kept`] does.
    ///
    /// # Errors
    /// As [`LogError`] says; unknown if they do not have it in time.
    pub async fn call_kept_in<T: FromRedisValue>(
        &self,
        library: &Library,
        function: &'static str,
        keys: &[String],
        args: &[&str],
    ) -> Result<T, LogError> {
        let timer = self.0.metrics.redis_seconds.start_timer();
        let (value, store) = self.run(library, function, keys, args).await.map_err(classify)?;
        if let Some(fence) = &store.fence
            && let Err(error) = fence.passed().await
        {
            warn!(%error, "written, but not acknowledged yet");
            self.0.primary.doubt(store.look);
            return Err(error);
        }
        timer.observe_duration();
        read(value)
    }

    /// Calls it where the primary is, and there again where that has moved meanwhile. Also says where that was.
    async fn run(
        &self,
        library: &Library,
        function: &'static str,
        keys: &[String],
        args: &[&str],
    ) -> Result<(Value, Store), RedisError> {
        let read_only = READS.iter().any(|read| function.starts_with(read));
        let mut command = redis::cmd(if read_only { "FCALL_RO" } else { "FCALL" });
        command.arg(function).arg(keys.len()).arg(keys).arg(args);
        let patience = if read_only { Duration::ZERO } else { MOVES_WITHIN };
        let end = Instant::now() + patience;
        loop {
            let outcome = self.run_once(library, &command).await;
            let moved = outcome.as_ref().is_err_and(is_elsewhere);
            if !moved || Instant::now() >= end {
                return outcome;
            }
            tokio::time::sleep(MOVES_PAUSE).await;
        }
    }

    async fn run_once(
        &self,
        library: &Library,
        command: &Cmd,
    ) -> Result<(Value, Store), RedisError> {
        let store = self.0.primary.store().await?;
        let mut connection = store.connection.clone();
        let mut result = command.query_async::<Value>(&mut connection).await;
        if result.as_ref().is_err_and(|error| error.to_string().contains("Function not found")) {
            result = match load(&mut connection, library).await {
                Ok(()) => command.query_async::<Value>(&mut connection).await,
                Err(error) => Err(error),
            };
        }
        self.0.primary.judge(&store, &result);
        result.map(|value| (value, store))
    }

    /// The way to the primary, for single commands.
    pub(super) fn connection(&self) -> Primary {
        self.0.primary.clone()
    }

    /// Whether Redis answers.
    pub(super) async fn answers(&self) -> bool {
        self.0.primary.answers().await
    }

    /// A connection of its own to the primary, for commands that block for up to `block`; with what
    /// [`Self::still_leads`] wants to know.
    pub(super) async fn dedicated_connection(
        &self,
        block: Duration,
    ) -> Result<(u64, MultiplexedConnection), RedisError> {
        // The default would also cut XREAD BLOCK short.
        self.0.primary.dedicated(block + self.0.timeout).await
    }

    /// Whether a dedicated connection is still one to the primary.
    pub(super) fn still_leads(&self, look: u64) -> bool {
        self.0.primary.holds(look)
    }

    /// A dedicated connection gave reason to look for the primary again.
    pub(super) fn doubt(&self, look: u64) {
        self.0.primary.doubt(look);
    }
}

async fn load(connection: &mut MultiplexedConnection, library: &Library) -> Result<(), RedisError> {
    let mut load = redis::cmd("FUNCTION");
    load.arg("LOAD").arg(library.text);
    match load.query_async::<()>(connection).await {
        // Another replica was quicker. Same name, same code: it is versioned.
        Err(error) if error.to_string().contains("already exists") => Ok(()),
        other => other,
    }
}

fn read<T: FromRedisValue>(value: Value) -> Result<T, LogError> {
    T::from_redis_value(value).map_err(|error| LogError::Unknown(error.to_string()))
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

/// `{p07}:rooms`: the rooms of a room's partition, by when they were spoken in last.
pub(super) fn rooms_key(room: &str) -> String {
    rooms_of(partition(room))
}

/// `{p07}:rooms`
pub(super) fn rooms_of(partition: u32) -> String {
    format!("{{p{partition:02}}}:rooms")
}

/// The feed of a room's partition.
pub fn feed_key(room: &str) -> String {
    feed_of(partition(room))
}

/// `{p07}:feed`
pub(super) fn feed_of(partition: u32) -> String {
    format!("{{p{partition:02}}}:feed")
}
