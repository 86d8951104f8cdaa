//! Which Redis is the primary, and the connection to it: the one place that knows.
//!
//! When a connection breaks, or a write is answered that it belongs elsewhere, all addresses are looked at again. All who
//! wait for that share one look.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
    stream::{FuturesUnordered, StreamExt},
};
use redis::{
    Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisFuture, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::time::{Instant, timeout_at};
use tracing::info;

use super::{fence::Fence, stores::Stores};

/// A look that finds none looks once more after this: those who ask without a pause find no more than ten looks a second.
const PAUSE: Duration = Duration::from_millis(100);

/// The connection to whichever Redis is the primary. Clones share it.
#[derive(Clone)]
pub(super) struct Primary(Arc<Inner>);

struct Inner {
    stores: Stores,
    timeout: Duration,
    /// Replicas that have to have a message on disk before it counts as taken.
    replicas: u32,
    /// Whether a primary without any replica is enough.
    alone: bool,
    now: Mutex<Look>,
}

/// One look at all addresses, under way or done.
#[derive(Clone)]
struct Look {
    number: u64,
    found: Shared<BoxFuture<'static, Result<Store, RedisError>>>,
}

/// The primary that a look found.
#[derive(Clone)]
pub(super) struct Store {
    /// The look's number.
    pub(super) look: u64,
    /// Which of the addresses.
    index: usize,
    pub(super) connection: MultiplexedConnection,
    /// Where replicas have to have what was written.
    pub(super) fence: Option<Arc<Fence>>,
}

/// What an address said of itself.
struct Answer {
    index: usize,
    connection: MultiplexedConnection,
    /// By which the better of two primaries is told: one that was replaced and came back has no replicas, and a younger
    /// history.
    rank: (bool, i64),
}

impl Look {
    /// Nothing is asked before somebody waits for it.
    fn begin(inner: Weak<Inner>, number: u64) -> Self {
        let found = async move {
            let inner = inner.upgrade().ok_or((ErrorKind::Client, "nobody asks any more"))?;
            inner.look(number).await
        };
        Self { number, found: found.boxed().shared() }
    }
}

impl Primary {
    /// Looks at nothing yet.
    pub(super) fn new(stores: Stores, timeout: Duration, replicas: u32, alone: bool) -> Self {
        Self(Arc::new_cyclic(|inner| {
            let now = Mutex::new(Look::begin(inner.clone(), 0));
            Inner { stores, timeout, replicas, alone, now }
        }))
    }

    /// The primary, as the last look found it.
    ///
    /// # Errors
    /// If it found none: the next to ask looks again.
    pub(super) async fn store(&self) -> Result<Store, RedisError> {
        let look = self.0.now().clone();
        let found = look.found.await;
        if found.is_err() {
            self.doubt(look.number);
        }
        found
    }

    /// A connection of its own to the primary, whose answers may take `patience`; with the look that found that.
    pub(super) async fn dedicated(
        &self,
        patience: Duration,
    ) -> Result<(u64, MultiplexedConnection), RedisError> {
        let store = self.store().await?;
        let connection = self.0.stores.connect(store.index, patience).await;
        self.judge(&store, &connection);
        Ok((store.look, connection?))
    }

    /// Whether what that look found still holds.
    pub(super) fn holds(&self, look: u64) -> bool {
        self.0.now().number == look
    }

    /// What that look found no longer holds: the next to ask looks again.
    pub(super) fn doubt(&self, look: u64) {
        let mut now = self.0.now();
        if now.number == look {
            *now = Look::begin(Arc::downgrade(&self.0), look + 1);
        }
    }

    /// Doubts what was found if this outcome of a command there gives reason to.
    pub(super) fn judge<T>(&self, store: &Store, outcome: &Result<T, RedisError>) {
        let Err(error) = outcome else { return };
        let silent = error.is_timeout() && self.0.stores.count() > 1;
        if error.is_unrecoverable_error() || is_elsewhere(error) || silent {
            self.doubt(store.look);
        }
    }

    /// Whether the primary answers, and still is it.
    pub(super) async fn answers(&self) -> bool {
        let Ok(mut store) = self.store().await else { return false };
        let answer = role(&mut store.connection).await;
        self.judge(&store, &answer);
        match answer {
            Ok(rank) if rank.is_none() && self.0.stores.count() > 1 => {
                self.doubt(store.look);
                false
            }
            // One that does not know the command, or may not say, answers all the same.
            Ok(_) => true,
            Err(error) => error.code().is_some_and(|code| code == "NOPERM" || code == "ERR"),
        }
    }
}

/// Whether it says that nothing was done, since it is not the one to ask, or not yet.
pub(super) fn is_elsewhere(error: &RedisError) -> bool {
    matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "LOADING" | "UNBLOCKED"))
}

impl Inner {
    fn now(&self) -> MutexGuard<'_, Look> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look(&self, number: u64) -> Result<Store, RedisError> {
        let answer = match self.look_once().await {
            Ok(answer) => answer,
            Err(_) => {
                tokio::time::sleep(PAUSE).await;
                self.look_once().await?
            }
        };
        let Answer { index, connection, .. } = answer;
        let fence = if self.replicas > 0 {
            // The fence waits for its answer no longer than for any other, and the network takes some time besides.
            let own = self.stores.connect(index, 2 * self.timeout).await?;
            Some(Arc::new(Fence::new(own, self.replicas, self.alone, self.timeout)))
        } else {
            None
        };
        if number > 0 && self.stores.count() > 1 {
            info!(address = index + 1, of = self.stores.count(), "found the primary");
        }
        Ok(Store { look: number, index, connection, fence })
    }

    /// The best primary among those that answer in time. Once one did, the others have little time left: what does not
    /// answer may be a machine that is gone.
    async fn look_once(&self) -> Result<Answer, RedisError> {
        let mut asked: FuturesUnordered<_> =
            (0..self.stores.count()).map(|index| self.ask(index)).collect();
        let mut end = Instant::now() + self.timeout;
        let (mut best, mut problem) = (None::<Answer>, None);
        while let Ok(Some(answer)) = timeout_at(end, asked.next()).await {
            match answer {
                Ok(Some(answer)) => {
                    end = end.min(Instant::now() + self.timeout / 4);
                    if best.as_ref().is_none_or(|best| answer.rank > best.rank) {
                        best = Some(answer);
                    }
                }
                Ok(None) => {}
                Err(error) => problem = Some(error),
            }
        }
        best.ok_or_else(|| {
            problem.unwrap_or_else(|| (ErrorKind::Io, "no address has a primary").into())
        })
    }

    /// None from a replica. Where there is but one address, it is the one, whatever it says of itself.
    async fn ask(&self, index: usize) -> Result<Option<Answer>, RedisError> {
        let mut connection = self.stores.connect(index, self.timeout).await?;
        let rank =
            if self.stores.count() > 1 { role(&mut connection).await? } else { Some((true, 0)) };
        Ok(rank.map(|rank| Answer { index, connection, rank }))
    }
}

/// Of a primary whether replicas are attached, and how far its history goes, in bytes; none of a replica.
async fn role(connection: &mut MultiplexedConnection) -> Result<Option<(bool, i64)>, RedisError> {
    let answer: Vec<Value> = redis::cmd("ROLE").query_async(connection).await?;
    let [kind, offset, replicas] = &answer[..] else { return Ok(None) };
    if String::from_redis_value_ref(kind)? != "master" {
        return Ok(None);
    }
    let attached = matches!(replicas, Value::Array(all) if !all.is_empty());
    Ok(Some((attached, i64::from_redis_value_ref(offset)?)))
}

impl ConnectionLike for Primary {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        async move {
            let mut store = self.store().await?;
            let outcome = store.connection.req_packed_command(command).await;
            self.judge(&store, &outcome);
            outcome
        }
        .boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        async move {
            let mut store = self.store().await?;
            let outcome = store.connection.req_packed_commands(commands, offset, count).await;
            self.judge(&store, &outcome);
            outcome
        }
        .boxed()
    }

    fn get_db(&self) -> i64 {
        0
    }
}
