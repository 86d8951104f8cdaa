//! Waiting until replicas have what the primary has.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use redis::{RedisError, Value, aio::MultiplexedConnection};
use tokio::sync::Mutex;
use tracing::warn;

use super::model::LogError;

/// What is written for `WAITAOF` to wait for: it counts what its own connection wrote last, and all that was written
/// before by others is on disk with it.
const KEY: &str = "rollcall:fence";

/// Says of everything that a primary has answered before whether replicas have it on disk. It has a connection of its own,
/// since `WAITAOF` holds up all that comes after it on its connection; to the same process, since it says nothing of any
/// other. One wait at a time is for all that was answered before it began.
pub(super) struct Fence {
    connection: MultiplexedConnection,
    /// Replicas that have to have it.
    replicas: u32,
    /// Whether a primary that no replica is attached to is enough by itself.
    alone: bool,
    timeout: Duration,
    was_alone: AtomicBool,
    begun: AtomicU64,
    /// The wait that ended last: its number, and its outcome.
    last: Mutex<(u64, Result<(), LogError>)>,
}

impl Fence {
    pub(super) fn new(
        connection: MultiplexedConnection,
        replicas: u32,
        alone: bool,
        timeout: Duration,
    ) -> Self {
        Self {
            connection,
            replicas,
            alone,
            timeout,
            was_alone: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            last: Mutex::new((0, Ok(()))),
        }
    }

    /// Waits until what was answered before this call is on as many disks as it has to be.
    ///
    /// # Errors
    /// [`LogError::Unknown`] if it was not in time: it is in the primary's log, and may be lost with the primary.
    pub(super) async fn passed(&self) -> Result<(), LogError> {
        let begun_before = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if last.0 > begun_before {
            return last.1.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let outcome = self.wait().await;
        *last = (number, outcome.clone());
        outcome
    }

    async fn wait(&self) -> Result<(), LogError> {
        if self.alone && self.is_alone().await? {
            return Ok(());
        }
        let mut connection = self.connection.clone();
        let mut ask = redis::pipe();
        ask.cmd("SET").arg(KEY).arg("1").ignore();
        ask.cmd("WAITAOF").arg(1).arg(self.replicas).arg(self.timeout.as_millis() as u64);
        let ((own, have),): ((u32, u32),) =
            ask.query_async(&mut connection).await.map_err(unknown)?;
        // The replica may have gone meanwhile.
        if own > 0 && (have >= self.replicas || (self.alone && self.is_alone().await?)) {
            return Ok(());
        }
        Err(LogError::Unknown(format!("{have} of {} replicas have it on disk", self.replicas)))
    }

    /// Whether no replica is attached.
    async fn is_alone(&self) -> Result<bool, LogError> {
        let ask = redis::cmd("ROLE");
        let role: Vec<Value> =
            ask.query_async(&mut self.connection.clone()).await.map_err(unknown)?;
        let alone = matches!(&role[..], [_, _, Value::Array(replicas)] if replicas.is_empty());
        if self.was_alone.swap(alone, Ordering::SeqCst) != alone {
            warn!(alone, "acks are for what the primary alone has, or no longer");
        }
        Ok(alone)
    }
}

fn unknown(error: RedisError) -> LogError {
    LogError::Unknown(error.to_string())
}
