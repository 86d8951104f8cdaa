//! Following the partitions' feeds, as a client follows its rooms: from the last ID seen.

use std::time::Duration;

use redis::{
    RedisError,
    aio::MultiplexedConnection,
    streams::{StreamId, StreamRangeReply, StreamReadReply},
};
use rollcall_protocol::{EntryId, PresenceEvent};
use tokio::{sync::mpsc, time::Instant};
use tracing::{info, warn};

use super::{
    FeedEvent,
    link::{Link, PARTITIONS, feed_of},
    redis::{field, read_message},
};
use crate::mutants::{self, Mutant};

/// A feed read waits this long for something new; the connection is given up one timeout later.
const FEED_BLOCK: Duration = Duration::from_secs(1);
const FEED_BATCH: usize = 512;
/// How long Redis may have lost what was seen before it is noticed, where no connection broke. What comes then may have
/// lower IDs, if its clock was set back, and would not be heard of before the clock is where it was.
const LOOK: Duration = Duration::from_secs(2);

/// Sends every feed event to `events` until nobody listens.
pub(super) async fn follow(link: &Link, events: mpsc::Sender<FeedEvent>) {
    let mut feeds = Feeds { seen: Vec::new(), batch: FEED_BATCH };
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
    let mut connection = link.dedicated_connection(FEED_BLOCK).await?;
    let forget = mutants::active(Mutant::ForgetFeedCursor) && !feeds.seen.is_empty();
    if forget {
        feeds.seen.clear();
    }
    let mut missed = feeds.skip_what_is_gone(&mut connection).await? && !forget;
    let mut looked = Instant::now();
    info!("following the feeds");
    loop {
        if missed && events.send(FeedEvent::Missed).await.is_err() {
            return Ok(());
        }
        let far = feeds.batch.min(link.feed_entries());
        let read = feeds.read(&mut connection).await?;
        // Far behind, the feeds may have been trimmed under us: ask before `seen` moves past the hole.
        // What this read has of a feed without one comes again with the next.
        let behind = read.iter().any(|entries| entries.len() >= far);
        missed = false;
        if behind || looked.elapsed() >= LOOK {
            missed = feeds.skip_what_is_gone(&mut connection).await?;
            looked = Instant::now();
        }
        if missed {
            continue;
        }
        for (feed, entries) in read.iter().enumerate() {
            for entry in entries {
                feeds.advance(feed, &entry.id);
                let Some(event) = read_event(entry) else { continue };
                if events.send(event).await.is_err() {
                    return Ok(());
                }
            }
        }
        if events.send(FeedEvent::Read).await.is_err() {
            return Ok(());
        }
    }
}

struct Feeds {
    /// The last ID seen of each feed; unknown before the first connection.
    seen: Vec<EntryId>,
    /// Entries that the next read asks of each feed.
    batch: usize,
}

impl Feeds {
    /// Whether a feed has lost the last entry seen: trimmed, and perhaps others after it, or lost by Redis, and
    /// perhaps replaced by newer ones. Goes on from the feed's end then.
    async fn skip_what_is_gone(
        &mut self,
        connection: &mut MultiplexedConnection,
    ) -> Result<bool, RedisError> {
        let first_time = self.seen.is_empty();
        self.seen.resize(PARTITIONS as usize, EntryId::ZERO);
        let mut look = redis::pipe();
        for (partition, seen) in (0..PARTITIONS).zip(&self.seen) {
            let (feed, seen) = (feed_of(partition), seen.to_string());
            look.cmd("XRANGE").arg(&feed).arg(&seen).arg(&seen);
        }
        let found: Vec<StreamRangeReply> = look.query_async(connection).await?;
        let gone: Vec<usize> =
            (0..found.len()).filter(|feed| first_time || found[*feed].ids.is_empty()).collect();
        if gone.is_empty() {
            return Ok(false);
        }
        let mut ends = redis::pipe();
        for feed in &gone {
            let feed = feed_of(*feed as u32);
            ends.cmd("XREVRANGE").arg(feed).arg("+").arg("-").arg("COUNT").arg(1);
        }
        // One reply for all, so that `seen` does not move where nobody hears that something is gone.
        let ends: Vec<StreamRangeReply> = ends.query_async(connection).await?;
        let mut lossy = first_time;
        for (feed, end) in gone.into_iter().zip(ends) {
            let newest = end.ids.first().and_then(|entry| entry.id.parse().ok());
            let newest = newest.unwrap_or(EntryId::ZERO);
            lossy |= newest != self.seen[feed];
            self.seen[feed] = newest;
        }
        Ok(lossy && (first_time || !mutants::active(Mutant::IgnoreFallingBehind)))
    }

    /// The next entries of each feed. What is more than the link carries in time is asked for in smaller pieces.
    async fn read(
        &mut self,
        connection: &mut MultiplexedConnection,
    ) -> Result<Vec<Vec<StreamId>>, RedisError> {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(self.batch).arg("BLOCK").arg(FEED_BLOCK.as_millis() as u64);
        command.arg("STREAMS");
        (0..PARTITIONS).for_each(|partition| {
            command.arg(feed_of(partition));
        });
        self.seen.iter().for_each(|seen| {
            command.arg(seen.to_string());
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

    fn advance(&mut self, feed: usize, id: &str) {
        if let Ok(id) = id.parse() {
            self.seen[feed] = id;
        }
    }
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
