//! Faults of room logs and feeds, each by its letter, and what two releases do to one log.

mod support;

use std::{collections::HashSet, time::Duration};

use rollcall_protocol::{EntryId, GapReason};
use rollcall_server::log::{
    Appended, FeedEvent, Log, LogError, NewEntry, Page, feed_key, room_key, splice,
};
use support::{
    Redis, assert_chain,
    logs::{bounds, entry, follow, is_message, memory_log, redis_log, taken, until},
};
use tokio::{sync::mpsc, task::JoinSet};

/// Rooms whose partitions differ.
fn two_partitions() -> (String, String) {
    let mut others = (0..).map(|number| format!("room {number}"));
    let other = others.find(|room| feed_key(room) != feed_key("vault")).expect("15 in 16");
    ("vault".to_owned(), other)
}

/// Every ID of a stream.
async fn ids(redis: &Redis, stream: &str) -> HashSet<String> {
    let mut range = redis::cmd("XRANGE");
    range.arg(stream).arg("-").arg("+");
    let range: redis::streams::StreamRangeReply =
        range.query_async(&mut redis.connect().await).await.expect("a stream");
    range.ids.into_iter().map(|entry| entry.id).collect()
}

/// Says `count` things or, if there is none, until the room's clock has come to `end`.
async fn say(log: &Log, count: u64, end: EntryId) {
    for n in 1.. {
        let id = taken(log, &entry("vault", "teal", n)).await;
        if n >= count && id > end {
            return;
        }
    }
}

/// S16: the log loses what it had, and its clock comes a second time to when that was written.
#[tokio::test]
async fn s16_no_id_is_given_twice_after_a_loss() {
    let redis = Redis::start_with_faults().await;
    redis.command(&["CONFIG", "SET", "appendfsync", "no"]).await;
    let log = redis_log(&redis, bounds());
    redis.set_clock_ahead(1);
    say(&log, 200, EntryId::ZERO).await;
    let last = log.last("vault").await.expect("an answer");
    let streams = [room_key("vault", "log"), feed_key("vault")];
    let lost = [ids(&redis, &streams[0]).await, ids(&redis, &streams[1]).await];
    redis.set_clock_ahead(0);
    redis.command(&["FLUSHALL"]).await;
    say(&log, 0, last).await;
    for (stream, lost) in streams.iter().zip(&lost) {
        let twice: Vec<_> = ids(&redis, stream).await.intersection(lost).cloned().collect();
        assert_eq!(twice, Vec::<String>::new(), "{stream}");
    }
}

/// S16, where the log is in memory: its process starts anew.
#[tokio::test]
async fn s16_no_id_is_given_twice_after_a_restart() {
    let (before, after) = (memory_log(bounds()), memory_log(bounds()));
    let mut given = HashSet::new();
    for n in 1..=5_000 {
        let message = entry("vault", "teal", n);
        assert!(given.insert(taken(&before, &message).await), "within one");
        assert!(given.insert(taken(&after, &message).await), "of both");
    }
}

/// An ID's parts are what JavaScript can tell apart, also while the clock is behind for long.
#[tokio::test]
async fn s16_ids_grow_while_the_clock_is_behind() {
    let redis = Redis::start().await;
    let log = redis_log(&redis, bounds());
    let ahead = format!("9999999999999-{}", (1_u64 << 53) - 1);
    let fields = ["prev", "0-0", "member", "m", "name", "N", "n", "1", "text", "x"];
    let key = room_key("vault", "log");
    let add = [&["XADD", &key, &ahead][..], &fields].concat();
    redis.command(&add).await;
    let mut last: EntryId = ahead.parse().expect("an ID");
    for n in 1..=200 {
        let id = taken(&log, &entry("vault", "teal", n)).await;
        assert!(id > last && id.seq < 1 << 53, "{id} after {last}");
        last = id;
    }
}

/// Eight senders talk, the append-only file is rewritten, and the power fails while they go on: how many entries were
/// acknowledged, and how many of those are in the log no more.
async fn acknowledged_and_lost(redis: &mut Redis) -> (usize, usize) {
    let log = redis_log(redis, bounds());
    let (acked, mut acks) = mpsc::unbounded_channel();
    let mut senders = JoinSet::new();
    for sender in 0..8 {
        let (log, acked) = (log.clone(), acked.clone());
        senders.spawn(async move {
            for n in 1.. {
                let appended = log.append(&entry("vault", &format!("s{sender}"), n), None).await;
                let Ok(Appended::Taken(id)) = appended else { return };
                acked.send(id).expect("the test goes on");
            }
        });
    }
    drop(acked);
    let mut known = Vec::new();
    acks.recv_many(&mut known, 100).await;
    redis.command(&["BGREWRITEAOF"]).await;
    while redis.command(&["INFO", "persistence"]).await.contains("aof_rewrite_in_progress:1") {
        acks.recv_many(&mut known, 100).await;
    }
    let rewritten = known.len();
    while known.len() < rewritten + 300 {
        acks.recv_many(&mut known, 100).await;
    }
    redis.lose_power().await;
    senders.shutdown().await;
    acks.recv_many(&mut known, usize::MAX).await;
    let kept = ids(redis, &room_key("vault", "log")).await;
    (known.len(), known.iter().filter(|id| !kept.contains(&id.to_string())).count())
}

/// P1, when the power fails: SIGKILL takes nothing that was written, so it does not show whether Redis waits for the disk.
#[tokio::test]
async fn what_is_acknowledged_survives_a_power_failure() {
    let mut redis = Redis::start_with_faults().await;
    let (acknowledged, lost) = acknowledged_and_lost(&mut redis).await;
    assert!(acknowledged > 300 && lost == 0, "{lost} of {acknowledged}");
}

/// The same failure takes it from a Redis that does not wait: it is one.
#[tokio::test]
async fn without_fsync_a_power_failure_takes_what_is_acknowledged() {
    let mut redis = Redis::start_with_faults().await;
    redis.command(&["CONFIG", "SET", "appendfsync", "no"]).await;
    let (acknowledged, lost) = acknowledged_and_lost(&mut redis).await;
    assert!(lost >= 100, "{lost} of {acknowledged}");
}

/// Adds to a room's log what only a later release can read.
async fn add_unreadable(redis: &Redis, log: &Log, room: &str) -> EntryId {
    let last = log.last(room).await.expect("an answer").to_string();
    redis.command(&["XADD", &room_key(room, "log"), "*", "prev", &last, "words", "x"]).await;
    log.last(room).await.expect("an answer")
}

/// Page after page, as a listener reads: the readable entries, and the gaps.
async fn read_all(log: &Log, room: &str, limit: usize) -> (Vec<u64>, Vec<(EntryId, EntryId)>) {
    let (mut cursor, mut numbers, mut gaps) = (EntryId::ZERO, Vec::new(), Vec::new());
    loop {
        let page = log.read_after(room, cursor, limit).await.expect("a page");
        if let Some(gap) = splice::gap(cursor, &page) {
            assert_eq!(gap.reason, GapReason::Trimmed);
            gaps.push((cursor, gap.resumes_at));
            cursor = gap.resumes_at;
        }
        assert_chain(cursor, &page.entries);
        numbers.extend(page.entries.iter().map(|entry| entry.n));
        cursor = page.end().unwrap_or(cursor);
        if page.is_at_log_end() {
            return (numbers, gaps);
        }
    }
}

/// S14: only what cannot be read is skipped, at whatever place of a page it is.
#[tokio::test]
async fn s14_only_what_cannot_be_read_is_skipped() {
    let redis = Redis::start().await;
    let log = redis_log(&redis, bounds());
    let first = add_unreadable(&redis, &log, "vault").await;
    taken(&log, &entry("vault", "teal", 1)).await;
    let second = taken(&log, &entry("vault", "teal", 2)).await;
    add_unreadable(&redis, &log, "vault").await;
    let fourth = add_unreadable(&redis, &log, "vault").await;
    taken(&log, &entry("vault", "teal", 3)).await;
    let page = log.read_after("vault", EntryId::ZERO, 1).await.expect("a page");
    assert_eq!((page.unread, page.entries.len()), (Some(first), 0));
    for limit in [2, 3, 100] {
        let (numbers, gaps) = read_all(&log, "vault", limit).await;
        assert_eq!(numbers, [1, 2, 3], "pages of {limit}");
        let over = [(EntryId::ZERO, first), (second, fourth)];
        assert_eq!(gaps, over, "pages of {limit}");
    }
    let (numbers, _) = read_all(&log, "vault", 1).await;
    assert_eq!(numbers, [1, 2, 3]);
    let newest = log.read_before("vault", None, 100).await.expect("a page");
    assert_eq!(newest.entries.iter().map(|entry| entry.n).collect::<Vec<_>>(), [1, 2, 3]);
}

/// S7, S21: a room whose key is something else fails alone, and its client hears nothing of what is behind it.
#[tokio::test]
async fn s7_a_room_of_another_type_fails_alone_and_tells_nothing_of_redis() {
    let redis = Redis::start().await;
    let log = redis_log(&redis, bounds());
    redis.command(&["SET", &room_key("vault", "log"), "no stream"]).await;
    let failures = [
        log.last("vault").await.map(drop),
        log.open("vault").await.map(drop),
        log.read_after("vault", EntryId::ZERO, 10).await.map(drop),
        log.read_before("vault", None, 10).await.map(drop),
        log.append(&entry("vault", "teal", 1), None).await.map(drop),
    ];
    for failure in failures {
        let Err(error @ LogError::Refused(_)) = failure else { panic!("{failure:?}") };
        assert!(error.to_string().contains("WRONGTYPE"), "for operators: {error}");
        assert_eq!(error.told(), "the room's log takes nothing now");
    }
    let id = taken(&log, &entry("lobby", "teal", 1)).await;
    let page = log.read_after("lobby", EntryId::ZERO, 10).await.expect("a page");
    assert_eq!((page.entries.len(), page.last), (1, id));
    assert_eq!(log.read_after("nowhere", id, 10).await.expect("a page"), Page::default());
}

/// S7's relative: one partition's feed is something else. The others are followed, also by a replica that has just
/// started; rooms are compared meanwhile; and the next message begins the feed anew.
#[tokio::test]
async fn s7_a_feed_of_another_type_stops_no_other() {
    let redis = Redis::start().await;
    let log = redis_log(&redis, bounds());
    let (broken, whole) = two_partitions();
    let mut events = follow(&log).await;
    redis.command(&["SET", &feed_key(&broken), "no stream"]).await;
    taken(&log, &entry(&whole, "teal", 1)).await;
    until(&mut events, |event| is_message(&whole, event)).await;
    until(&mut events, |event| matches!(event, FeedEvent::Missed)).await;
    let mut late = follow(&log).await;
    taken(&log, &entry(&whole, "teal", 2)).await;
    until(&mut late, |event| is_message(&whole, event)).await;
    taken(&log, &entry(&broken, "teal", 1)).await;
    // Known again once it has been looked at: what was said before is made up for by comparing.
    until(&mut events, |event| matches!(event, FeedEvent::Missed)).await;
    until(&mut events, |event| matches!(event, FeedEvent::Read)).await;
    let heard = async {
        for n in 2.. {
            taken(&log, &entry(&broken, "teal", n)).await;
            if until(&mut events, |event| matches!(event, FeedEvent::Read))
                .await
                .iter()
                .any(|event| is_message(&broken, event))
            {
                return;
            }
        }
    };
    tokio::time::timeout(support::PATIENCE, heard).await.expect("the feed is followed again");
}

/// So many tenths of a second, at least.
async fn steps(count: u32) {
    for _ in 0..count {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// S1's part: feeds that have nothing are seen to be read all the same.
#[tokio::test]
async fn s1_quiet_feeds_are_read_within_two_seconds() {
    let redis = Redis::start().await;
    for log in [redis_log(&redis, bounds()), memory_log(bounds())] {
        let mut events = follow(&log).await;
        for _ in 0..3 {
            let read = until(&mut events, |event| matches!(event, FeedEvent::Read));
            tokio::select! {
                _ = read => {}
                // In steps, of which a pause of the whole machine uses up one.
                () = steps(20) => panic!("not within two seconds"),
            }
        }
    }
}

/// S6's relative: a room that is quiet after an entry that cannot be read must compare itself.
#[tokio::test]
async fn s6_an_unreadable_message_in_a_feed_names_its_room() {
    let redis = Redis::start().await;
    let log = redis_log(&redis, bounds());
    let mut events = follow(&log).await;
    let feed = feed_key("vault");
    redis.command(&["XADD", &feed, "*", "kind", "later", "room", "vault"]).await;
    redis.command(&["XADD", &feed, "*", "kind", "message", "room", "vault", "words", "x"]).await;
    let is_unread =
        |event: &FeedEvent| matches!(event, FeedEvent::Unread { room } if room == "vault");
    let seen = until(&mut events, is_unread).await;
    assert!(!seen.iter().any(|event| matches!(event, FeedEvent::Missed)), "{seen:?}");
}

/// One append as the release before does it.
async fn append_as_before(redis: &Redis, new: &NewEntry) -> Vec<String> {
    let mut call = redis::cmd("FCALL");
    call.arg("rollcall_append_v2").arg(3).arg(room_key(&new.room, "log"));
    call.arg(room_key(&new.room, &format!("sent:{}", new.member))).arg(feed_key(&new.room));
    call.arg(&[&*new.room, &*new.member, &*new.name, &new.n.to_string(), &*new.text]);
    call.arg(&["100000", "8192", "86400000"]);
    call.query_async(&mut redis.connect().await).await.expect("an answer")
}

/// A roll: both releases write to the same room, by turns and into the same millisecond, and a client that has moved
/// sends again what it sent to the other.
#[tokio::test]
async fn two_releases_share_one_log() {
    let redis = Redis::start().await;
    redis.load_release_before().await;
    redis.command(&["CONFIG", "SET", "appendfsync", "no"]).await;
    let log = redis_log(&redis, bounds());
    let mut events = follow(&log).await;
    for n in (1..=200).step_by(2) {
        let odd = entry("vault", "teal", n);
        let even = entry("vault", "teal", n + 1);
        let id = taken(&log, &odd).await;
        assert_eq!(append_as_before(&redis, &odd).await[0], "duplicate");
        assert_eq!(append_as_before(&redis, &even).await[0], "taken");
        let again = log.append(&even, None).await.expect("an answer");
        assert!(matches!(again, Appended::Duplicate(Some(later)) if later > id), "{again:?}");
        assert_eq!(append_as_before(&redis, &odd).await, ["duplicate", ""]);
    }
    let page = log.read_after("vault", EntryId::ZERO, 1000).await.expect("a page");
    assert_chain(EntryId::ZERO, &page.entries);
    assert_eq!(page.entries.len(), 200);
    let is_last = |event: &FeedEvent| matches!(event, FeedEvent::Message(it) if it.n == 200);
    let heard = until(&mut events, is_last).await;
    assert_eq!(heard.iter().filter(|event| is_message("vault", event)).count(), 200);
    // The release before reads with its own function, which finds the same.
    let mut call = redis::cmd("FCALL_RO");
    call.arg("rollcall_read_after_v2").arg(1).arg(room_key("vault", "log")).arg("0-0").arg(1000);
    let (last, entries): (String, redis::streams::StreamRangeReply) =
        call.query_async(&mut redis.connect().await).await.expect("an answer");
    assert_eq!((last, entries.ids.len()), (page.last.to_string(), 200));
    assert!(entries.ids.iter().all(|it| it.get::<String>("text").is_some()));
}
