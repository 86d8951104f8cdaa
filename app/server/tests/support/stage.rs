//! Presence without sockets: replicas that only seat members, and what the feed tells of them.

use std::{collections::BTreeMap, time::Duration};

use rollcall_protocol::{Member, PresenceEvent};
use rollcall_server::{
    config::RedisSettings,
    log::{FeedEvent, Link, Log, MemoryLog, RedisLog},
    metrics::Metrics,
    presence::{MemoryPresence, Presence, RedisPresence, Seat, Store},
};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{PATIENCE, Redis, logs::bounds};

pub const ROOM: &str = "hall";

/// A store of presence, and what its feed tells.
pub struct Stage {
    pub lease: Duration,
    store: Store,
    events: mpsc::Receiver<FeedEvent>,
    _follow: JoinHandle<()>,
}

/// A replica that is alive until it is dropped: from then on it renews nothing, and says nothing.
pub struct Host {
    pub presence: Presence,
    keep: JoinHandle<()>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.keep.abort();
    }
}

impl Host {
    pub async fn seat(&self, name: &str) -> Seat {
        self.presence.enter(ROOM, &person(name)).await.expect("a store that answers")
    }

    pub async fn members(&self) -> Vec<String> {
        let snapshot = self.presence.snapshot(ROOM).await.expect("a store that answers");
        snapshot.members.into_keys().collect()
    }
}

pub fn person(name: &str) -> Member {
    Member { member: name.to_owned(), name: name.to_owned() }
}

impl Stage {
    pub async fn in_memory(lease: Duration) -> Self {
        let log = MemoryLog::new(bounds());
        let store = Store::Memory(MemoryPresence::new(lease, log.feed()));
        Self::new(lease, store, Log::Memory(log)).await
    }

    pub async fn in_redis(lease: Duration, redis: &Redis) -> Self {
        let settings = RedisSettings::at(&redis.url(), Duration::from_secs(5));
        let link = Link::new(&settings, 1000, Metrics::new()).expect("an address");
        let store = Store::Redis(RedisPresence::new(link.clone(), lease));
        Self::new(lease, store, Log::Redis(RedisLog::new(link, bounds()))).await
    }

    async fn new(lease: Duration, store: Store, log: Log) -> Self {
        let (sender, mut events) = mpsc::channel(1000);
        let follow = tokio::spawn(async move { log.follow(sender).await });
        // The first that it says: what was before is missed.
        assert!(matches!(events.recv().await, Some(FeedEvent::Missed)));
        Self { lease, store, events, _follow: follow }
    }

    /// Starts a replica that keeps its leases and compares the room, as one does that has it open.
    pub fn host(&self, name: &str) -> Host {
        let presence = Presence::new(self.store.clone(), name, self.lease);
        let running = presence.clone();
        let keep = tokio::spawn(async move {
            let compare = async {
                loop {
                    tokio::time::sleep(running.compare_every()).await;
                    let _ = running.compare(ROOM, |_| false).await;
                }
            };
            tokio::join!(running.keep(), compare);
        });
        Host { presence, keep }
    }

    /// As long as it takes until somebody may be declared gone.
    pub async fn settle(&self) {
        // An incarnation's lease is 5/3 of a member's, and looked at every quarter of that.
        tokio::time::sleep(self.lease * 9 / 4).await;
    }

    /// What is told of everybody until `last` is told: name → `+` for each coming, `-` for each leaving.
    pub async fn until(&mut self, last: (PresenceEvent, &str)) -> BTreeMap<String, String> {
        let mut told: BTreeMap<String, String> = BTreeMap::new();
        loop {
            let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
            let event = event.unwrap_or_else(|_| panic!("no {last:?} after {told:?}"));
            let Some(FeedEvent::Presence { event, member, .. }) = event else { continue };
            let sign = if event == PresenceEvent::Join { '+' } else { '-' };
            told.entry(member.clone()).or_default().push(sign);
            if (event, member.as_str()) == last {
                return told;
            }
        }
    }

    pub async fn until_join(&mut self, name: &str) -> BTreeMap<String, String> {
        self.until((PresenceEvent::Join, name)).await
    }

    pub async fn until_leave(&mut self, name: &str) -> BTreeMap<String, String> {
        self.until((PresenceEvent::Leave, name)).await
    }
}
