//! Following the partitions' feeds, as a client follows its rooms: from the last ID seen.

use std::{collections::BTreeSet, time::Duration};

use redis::{
    RedisError,
    aio::MultiplexedConnection,
    streams::{StreamId, StreamRangeReply, StreamReadReply},
};
use rollcall_protocol::EntryId;
use tokio::{sync::mpsc, time::Instant};
use tracing::{info, warn};

use super::{
    entry::read_event,
    link::{Link, PARTITIONS, feed_of},
    model::FeedEvent,
};
use crate::mutants::{self, Mutant};

/// A feed read waits this long for something new; the connection is given up one timeout later.
const FEED_BLOCK: Duration = Duration::from_millis(500);
const FEED_BATCH: usize = 512;
/// How long Redis may have lost what was seen before it is noticed, where no connection broke. What comes then may have
/// lower IDs, if its clock was set back, and would not be heard of before the clock is where it was.
const LOOK: Duration = Duration::from_secs(2);

/// Sends every feed event to `events` until nobody listens.
pub(super) async fn follow(link: &Link, events: mpsc::Sender<FeedEvent>) {
    let mut feeds = Feeds { seen: Vec::new(), left_out: BTreeSet::new(), batch: FEED_BATCH };
    while !events.is_closed() {
        if let Err(error) = tail(link, &mut feeds, &events).await {
            warn!(%error, "feeds interrupted, connecting again");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// One connection's life: continue every feed where the last connection stopped.
async fn tail(
    link: &Link,
    feeds: &mut Feeds,
    events: &mpsc::Sender<FeedEvent>,
) -> Result<(), RedisError> {
    let (look, mut connection) = link.dedicated_connection(FEED_BLOCK).await?;
    let told = follow_on(link, look, feeds, events, &mut connection).await;
    if told.is_err() {
        // The link may not know yet that the primary moved. It looks before the feeds are read again, so that no room
        // hears of what the log that is asked for it does not have.
        link.doubt(look);
    }
    told
}

async fn follow_on(
    link: &Link,
    look: u64,
    feeds: &mut Feeds,
    events: &mpsc::Sender<FeedEvent>,
    connection: &mut MultiplexedConnection,
) -> Result<(), RedisError> {
    let forget = mutants::active(Mutant::ForgetFeedCursor) && !feeds.seen.is_empty();
    if forget {
        feeds.seen.clear();
    }
    feeds.leave_out_what_is_no_feed(connection).await?;
    let mut missed = feeds.skip_what_is_gone(connection).await? && !forget;
    let mut looked = Instant::now();
    info!("following the feeds");
    loop {
        if missed && events.send(FeedEvent::Missed).await.is_err() {
            return Ok(());
        }
        if !link.still_leads(look) {
            info!("the way to Redis is another, and the feeds are read there");
            return Ok(());
        }
        let far = feeds.batch.min(link.feed_entries());
        let read = feeds.read(connection).await?;
        // Far behind, the feeds may have been trimmed under us: ask before `seen` moves past the hole.
        // What this read has of a feed without one comes again with the next.
        let behind = read.iter().any(|entries| entries.len() >= far);
        let is_due = looked.elapsed() >= LOOK;
        missed = false;
        if behind || is_due {
            feeds.leave_out_what_is_no_feed(connection).await?;
            missed = feeds.skip_what_is_gone(connection).await?;
            looked = Instant::now();
        }
        if missed {
            continue;
        }
        if !feeds.hand_on(read, events).await {
            return Ok(());
        }
        // What a feed that cannot be read would tell is made up for by comparing, as often as it is looked at.
        missed = is_due && !feeds.left_out.is_empty();
    }
}

struct Feeds {
    /// The last ID seen of each feed; unknown before the first connection.
    seen: Vec<EntryId>,
    /// Partitions whose feed cannot be read, since its key is something else: the others are read without it.
    left_out: BTreeSet<u32>,
    /// Entries that the next read asks of each feed.
    batch: usize,
}

impl Feeds {
    /// One read of several feeds fails as a whole if one of them is no feed.
    async fn leave_out_what_is_no_feed(
        &mut self,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), RedisError> {
        let mut ask = redis::pipe();
        for partition in 0..PARTITIONS {
            ask.cmd("TYPE").arg(feed_of(partition));
        }
        let types: Vec<String> = ask.query_async(connection).await?;
        let is_feed = |kind: &str| matches!(kind, "stream" | "none");
        let left_out = (0..PARTITIONS).zip(&types).filter(|(_, kind)| !is_feed(kind));
        let left_out: BTreeSet<u32> = left_out.map(|(partition, _)| partition).collect();
        if left_out != self.left_out {
            warn!(partitions = ?left_out, "feeds whose key is something else are not followed");
            self.left_out = left_out;
        }
        Ok(())
    }

    /// The partitions whose feeds are followed.
    fn followed(&self) -> Vec<u32> {
        (0..PARTITIONS).filter(|partition| !self.left_out.contains(partition)).collect()
    }

    /// Whether a feed has lost the last entry seen: trimmed, and perhaps others after it, or lost by Redis, and
    /// perhaps replaced by newer ones. Goes on from the feed's end then.
    async fn skip_what_is_gone(
        &mut self,
        connection: &mut MultiplexedConnection,
    ) -> Result<bool, RedisError> {
        let first_time = self.seen.is_empty();
        self.seen.resize(PARTITIONS as usize, EntryId::ZERO);
        let followed = self.followed();
        let mut look = redis::pipe();
        for partition in &followed {
            let seen = self.seen[*partition as usize].to_string();
            look.cmd("XRANGE").arg(feed_of(*partition)).arg(&seen).arg(&seen);
        }
        let found: Vec<StreamRangeReply> = look.query_async(connection).await?;
        let gone = followed.into_iter().zip(found);
        let gone = gone.filter(|(_, entry)| first_time || entry.ids.is_empty());
        let gone: Vec<u32> = gone.map(|(partition, _)| partition).collect();
        if gone.is_empty() {
            return Ok(false);
        }
        let mut ends = redis::pipe();
        for partition in &gone {
            ends.cmd("XREVRANGE").arg(feed_of(*partition)).arg("+").arg("-").arg("COUNT").arg(1);
        }
        // One reply for all, so that `seen` does not move where nobody hears that something is gone.
        let ends: Vec<StreamRangeReply> = ends.query_async(connection).await?;
        let mut lossy = first_time;
        for (partition, end) in gone.into_iter().zip(ends) {
            let newest = end.ids.first().and_then(|entry| entry.id.parse().ok());
            let newest = newest.unwrap_or(EntryId::ZERO);
            let seen = &mut self.seen[partition as usize];
            lossy |= newest != *seen;
            *seen = newest;
        }
        Ok(lossy && (first_time || !mutants::active(Mutant::IgnoreFallingBehind)))
    }

    /// The next entries of each partition's feed. What is more than the link carries in time is asked for in smaller pieces.
    async fn read(
        &mut self,
        connection: &mut MultiplexedConnection,
    ) -> Result<Vec<Vec<StreamId>>, RedisError> {
        let followed = self.followed();
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(self.batch).arg("BLOCK").arg(FEED_BLOCK.as_millis() as u64);
        command.arg("STREAMS");
        followed.iter().for_each(|partition| {
            command.arg(feed_of(*partition));
        });
        followed.iter().for_each(|partition| {
            command.arg(self.seen[*partition as usize].to_string());
        });
        let reply = command.query_async::<Option<StreamReadReply>>(connection).await;
        // Back to more by steps: on a thin link each that is too long costs a timeout.
        let longer = self.batch + self.batch / 8 + 1;
        let fits = if reply.is_ok() { longer } else { self.batch / 2 };
        self.batch = fits.clamp(1, FEED_BATCH);
        let mut read = vec![Vec::new(); PARTITIONS as usize];
        for key in reply?.into_iter().flat_map(|reply| reply.keys) {
            if let Some(feed) = (0..PARTITIONS).position(|p| feed_of(p) == key.key) {
                read[feed] = key.ids;
            }
        }
        Ok(read)
    }

    /// Sends what was read, and that it was. False if nobody listens.
    async fn hand_on(
        &mut self,
        read: Vec<Vec<StreamId>>,
        events: &mpsc::Sender<FeedEvent>,
    ) -> bool {
        for (feed, entries) in read.iter().enumerate() {
            for entry in entries {
                self.advance(feed, &entry.id);
                let Some(event) = read_event(entry) else { continue };
                if events.send(event).await.is_err() {
                    return false;
                }
            }
        }
        events.send(FeedEvent::Read).await.is_ok()
    }

    fn advance(&mut self, feed: usize, id: &str) {
        if let Ok(id) = id.parse() {
            self.seen[feed] = id;
        }
    }
}
