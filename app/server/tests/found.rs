//! What an attack found once, so that it is found at once if it comes back.

mod support;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use rollcall_protocol::{EntryId, GapReason, PresenceEvent, ServerFrame};
use serde_json::json;
use support::{
    PATIENCE, Redis, Replica, Socket, events::Events, http, is_leave, key, metric, process::Process,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const FAST: [&str; 6] =
    ["--rate-client", "100000", "--rate-room", "100000", "--rate-address", "100000"];

fn listed(frames: &[ServerFrame]) -> usize {
    let present = frames.iter().rev().find_map(|frame| match frame {
        ServerFrame::Joined { present, .. } | ServerFrame::Members { present, .. } => {
            Some(*present)
        }
        _ => None,
    });
    present.expect("a list of members")
}

/// A replica that stands still falls out of a feed, and the hole's last message is in a quiet room.
#[tokio::test]
async fn a_hole_in_the_feed_is_noticed_without_another_message() {
    let mut redis = Redis::start().await;
    let settings = ["--feed-entries", "16", "--redis-timeout-ms", "5000"];
    let replica = Replica::start(Some(&redis), &settings).await;
    let (mut plum, _) = Socket::join(replica.public, &key(), "quiet", None).await;
    let other = Replica::start(Some(&redis), &settings).await;
    let (mut teal, _) = Socket::join(other.public, &key(), "quiet", None).await;
    teal.send_acked("quiet", 1, "one").await;
    plum.messages(1).await;
    let log = redis.log_key("quiet").await;
    let feed = log.split(':').next().expect("a hash tag").to_owned() + ":feed";
    // One transaction, so that no reader sees the feed between the message and the hole: exactly what a
    // replica sees that stood still meanwhile.
    let script = "local last = redis.call('XINFO', 'STREAM', KEYS[1])[8]; \
         local id = redis.call('XADD', KEYS[1], '*', 'prev', last, 'member', 'm', 'name', 'N', 'n', '1', 'text', 'two'); \
         for i = 1, 600 do redis.call('XADD', KEYS[2], 'MAXLEN', '16', '*', 'kind', 'noise', 'room', 'x') end; \
         return id";
    let keys = redis.command(&["EVAL", script, "2", &log, &feed]).await;
    assert!(keys.contains('-'), "{keys}");
    assert_eq!(plum.messages(1).await[0].text, "two");
    redis.kill();
}

/// It takes nothing, so nothing should be read for it.
#[tokio::test]
async fn who_does_not_read_has_no_log_read_for_it() {
    let redis = Redis::start().await;
    redis.command(&["CONFIG", "SET", "appendfsync", "no"]).await;
    let settings = [&FAST[..], &["--heartbeat-ms", "60000", "--stall-ms", "60000"]].concat();
    let replica = Replica::start(Some(&redis), &settings).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let text = "x".repeat(4000);
    for n in 1..=2000 {
        teal.send("vault", n, &text).await;
        teal.messages(1).await;
    }
    let slow = Socket::stuck(replica.public, &key(), "vault", EntryId::ZERO).await;
    // Pages of 128 entries: once what the kernel takes is full, the reads must end.
    let mut before = replica.metric("rollcall_redis_seconds_count").await;
    let settled = async {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let after = replica.metric("rollcall_redis_seconds_count").await;
            if after == before {
                return;
            }
            before = after;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("the reads end");
    drop(slow);
}

#[tokio::test]
async fn join_leave_join_leaves_no_ghost() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &["--lease-ms", "400"]).await;
    let (mut witness, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let mut ghost = Socket::open(replica.public).await;
    ghost.hello(&key(), "fresh", "vault", None).await;
    ghost.say(&json!({ "type": "leave", "room": "vault" })).await;
    ghost.say(&json!({ "type": "join", "room": "vault" })).await;
    ghost.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
    ghost.say(&json!({ "type": "bye" })).await;
    assert_eq!(ghost.closed().await, Some(1000));
    witness.until(is_leave).await;
    // Several leases later nobody has renewed what ended.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (_late, frames) = Socket::join(replica.public, &key(), "vault", None).await;
    assert_eq!(listed(&frames), 2, "{frames:?}");
}

#[tokio::test]
async fn who_left_and_came_back_is_present() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &FAST).await;
    let (mut witness, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let (mut restless, _) = Socket::join(replica.public, &key(), "vault", None).await;
    for _ in 0..20 {
        restless.say(&json!({ "type": "leave", "room": "vault" })).await;
        restless.say(&json!({ "type": "join", "room": "vault" })).await;
        restless.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
    }
    // Whatever is still on its way comes before the next message.
    let last = restless.send_acked("vault", 1, "done").await;
    let is_last = |frame: &ServerFrame| matches!(frame, ServerFrame::Message(m) if m.id == last);
    let seen = witness.until(is_last).await;
    let event = seen.iter().rev().find_map(|frame| match frame {
        ServerFrame::Presence { event, .. } => Some(*event),
        _ => None,
    });
    assert_eq!(event, Some(PresenceEvent::Join));
}

#[tokio::test]
async fn empty_rooms_make_way() {
    let replica = Replica::start(None, &[&FAST[..], &["--max-rooms", "8"]].concat()).await;
    let (mut socket, _) = Socket::join(replica.public, &key(), "vault", None).await;
    for number in 0..50 {
        let room = format!("room {number}");
        socket.say(&json!({ "type": "join", "room": room })).await;
        socket.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
        socket.say(&json!({ "type": "leave", "room": room })).await;
    }
    Socket::join(replica.public, &key(), "one more", None).await;
}

/// Two that see each other, on a replica each, with leases of 2 s.
async fn two_with_leases(redis: &Redis) -> ((Replica, Replica), Socket, Socket) {
    let settings = ["--lease-ms", "2000", "--redis-timeout-ms", "300"];
    let (r1, r2) = tokio::join!(
        Replica::start(Some(redis), &settings),
        Replica::start(Some(redis), &settings)
    );
    let (mut teal, _) = Socket::join(r1.public, &key(), "vault", None).await;
    let (mut plum, _) = Socket::join(r2.public, &key(), "vault", None).await;
    teal.send_acked("vault", 1, "before").await;
    plum.messages(1).await;
    ((r1, r2), teal, plum)
}

/// Nobody moved, and every lease ran out: still nobody leaves.
#[tokio::test]
async fn an_outage_longer_than_a_lease_makes_nobody_leave() {
    let mut redis = Redis::start().await;
    let (_replicas, mut teal, mut plum) = two_with_leases(&redis).await;
    let _arrivals = (teal.fence(1).await, plum.fence(1).await);
    redis.kill();
    tokio::time::sleep(Duration::from_secs(5)).await;
    redis.launch().await;
    // A lease and a half after Redis is back, the message is the last thing to be heard.
    tokio::time::sleep(Duration::from_secs(3)).await;
    teal.send_acked("vault", 2, "after").await;
    let is_after = |frame: &ServerFrame| matches!(frame, ServerFrame::Message(m) if m.n == 2);
    let seen = plum.until(is_after).await;
    assert!(!seen.iter().any(is_leave), "{seen:?}");
}

/// The same where Redis does not die: what it was asked while it stood still, it does when it goes on.
#[tokio::test]
async fn a_redis_frozen_for_longer_than_a_lease_makes_nobody_leave() {
    let redis = Redis::start().await;
    let (_replicas, mut teal, mut plum) = two_with_leases(&redis).await;
    // Into the time in which they may declare somebody gone.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let _arrivals = (teal.fence(1).await, plum.fence(1).await);
    redis.pause(true);
    tokio::time::sleep(Duration::from_secs(5)).await;
    redis.pause(false);
    tokio::time::sleep(Duration::from_secs(3)).await;
    for socket in [&mut teal, &mut plum] {
        let seen = socket.fence(2).await;
        assert!(!seen.iter().any(is_leave), "{seen:?}");
    }
}

/// Redis lost the leases too: a member that says bye then is still seen to go.
#[tokio::test]
async fn presence_is_compared_with_the_leases() {
    let redis = Redis::start().await;
    let (r1, r2) = tokio::join!(
        Replica::start(Some(&redis), &["--lease-ms", "1000"]),
        Replica::start(Some(&redis), &["--lease-ms", "1000"])
    );
    let (mut witness, _) = Socket::join(r1.public, &key(), "vault", None).await;
    let (mut teal, _) = Socket::join(r2.public, &key(), "vault", None).await;
    witness.until(|frame| matches!(frame, ServerFrame::Presence { .. })).await;
    redis.command(&["FLUSHALL"]).await;
    teal.say(&json!({ "type": "bye" })).await;
    witness.until(is_leave).await;
}

#[tokio::test]
async fn an_event_stream_that_nobody_reads_is_drained_too() {
    let replica = Replica::start(None, &FAST).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let stuck = support::unread_events(replica.public, "vault").await;
    replica.wait_connections(2).await;
    let text = "x".repeat(4000);
    for n in 1..=1500 {
        teal.send("vault", n, &text).await;
        teal.messages(1).await;
    }
    let began = Instant::now();
    replica.drain(0, 1000).await;
    replica.wait_connections(0).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(stuck);
}

#[tokio::test]
async fn a_feed_that_fails_does_not_make_a_message_twice() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &[]).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    teal.send_acked("vault", 1, "one").await;
    let tag = redis.log_key("vault").await;
    let feed = tag.split(':').next().expect("a hash tag").to_owned() + ":feed";
    redis.command(&["SET", &feed, "not a stream"]).await;
    for _ in 0..3 {
        teal.send("vault", 2, "two").await;
    }
    let is_second_ack =
        |frame: &ServerFrame| matches!(frame, ServerFrame::Ack { n: 2, duplicate: true, .. });
    teal.until(is_second_ack).await;
    let (_, history) = http(replica.public, "GET", "/api/v1/rooms/vault/messages", None).await;
    let history: serde_json::Value = serde_json::from_str(&history).expect("JSON");
    assert_eq!(history["data"].to_string().matches("two").count(), 1, "{history}");
}

#[tokio::test]
async fn numbers_and_ids_at_the_edge_are_answered() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &[]).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    for n in [0, 1_u64 << 53] {
        teal.send("vault", n, "x").await;
        teal.until(|frame| matches!(frame, ServerFrame::Error { .. })).await;
    }
    teal.send_acked("vault", 1, "one").await;
    let path = "/api/v1/rooms/vault/messages?before=0-0";
    assert_eq!(http(replica.public, "GET", path, None).await.0, 200);
    let last = EntryId::new(u64::MAX, u64::MAX);
    let (_ahead, frames) = Socket::join(replica.public, &key(), "vault", Some(last)).await;
    assert!(frames.iter().any(|frame| matches!(frame, ServerFrame::Gap { .. })), "{frames:?}");
}

/// Its lease was renewed for as long as it might still answer the close.
#[tokio::test]
async fn who_is_silent_is_gone_before_the_connection_is() {
    let settings = ["--heartbeat-ms", "1000", "--lease-ms", "400"];
    let replica = Replica::start(None, &settings).await;
    let (mut witness, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let (_silent, _) = Socket::join(replica.public, &key(), "vault", None).await;
    while !witness.fence(1).await.iter().any(is_leave) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(replica.drain_status().await["connections"], 2);
}

/// The messages and the gaps among frames that lead from the beginning of a room to `live` at its head.
fn chained(frames: &[ServerFrame], head: EntryId) -> (usize, usize) {
    let (mut cursor, mut messages, mut gaps) = (EntryId::ZERO, 0, 0);
    for frame in frames {
        match frame {
            ServerFrame::Message(message) => {
                assert_eq!(message.prev, cursor, "the chain breaks before {message:?}");
                (cursor, messages) = (message.id, messages + 1);
            }
            ServerFrame::Gap { after, resumes_at, reason: GapReason::Trimmed, .. } => {
                assert_eq!(*after, cursor);
                (cursor, gaps) = (*resumes_at, gaps + 1);
            }
            ServerFrame::Live { id, .. } => assert_eq!((*id, cursor), (head, head)),
            _ => {}
        }
    }
    (messages, gaps)
}

/// One entry was deleted by an operator, and one was written by a release that says things otherwise.
#[tokio::test]
async fn a_hole_inside_a_page_is_a_gap() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &FAST).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let mut ids = Vec::new();
    for n in 1..=140 {
        ids.push(teal.send_acked("vault", n, "x").await);
        if n == 70 {
            let (log, last) = (redis.log_key("vault").await, ids[69].to_string());
            redis.command(&["XADD", &log, "*", "prev", &last, "words", "otherwise"]).await;
            redis.command(&["XDEL", &log, &ids[30].to_string()]).await;
        }
    }
    // Another replica, whose ring cannot help.
    let other = Replica::start(Some(&redis), &[]).await;
    let (_plum, frames) = Socket::join(other.public, &key(), "vault", Some(EntryId::ZERO)).await;
    assert_eq!(chained(&frames, ids[139]), (139, 2));
    let mut events = Events::open(other.public, "vault", Some(EntryId::ZERO.to_string())).await;
    let frames = events.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
    assert_eq!(chained(&frames, ids[139]), (139, 2));
}

/// Says what is no HTTP, which makes a line in the log.
async fn no_request(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.write_all(b"no request\r\n\r\n").await.expect("the server reads");
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// As with a log driver whose disk is full, or a terminal that was stopped: it stood still, listening and deaf.
#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_nobody() {
    let mut replica = Process::launch_unread(&[("LOG_LEVEL", "debug")]).await;
    replica.wait_ready().await;
    let dropped = async {
        while metric(replica.admin, "rollcall_log_lines_dropped_total").await == 0.0 {
            for _ in 0..500 {
                no_request(replica.public).await;
            }
        }
    };
    let busy = tokio::time::timeout(4 * PATIENCE, dropped).await;
    busy.expect("it answers, and drops what nobody reads");
    let (mut plum, _) = Socket::join(replica.public, &key(), "vault", None).await;
    plum.send_acked("vault", 1, "still here").await;
    drop(plum);
    replica.signal("-TERM").await;
    assert_eq!(replica.exit_code().await, Some(0), "it waits for no reader at its end, either");
}

#[tokio::test]
async fn a_start_warns_of_nothing() {
    let mut replica = Process::launch_unread(&[]).await;
    let said = replica.said_until("the log answers").await;
    assert!(said.iter().all(|line| !line.contains("WARN")), "{said:?}");
}

/// Having heard nothing for as long as it stood still itself, it told everybody that the log was away.
#[tokio::test]
async fn a_process_that_stood_still_tells_nobody_that_the_log_is_away() {
    let redis = Redis::start().await;
    let replica = Process::start(&[("REDIS_URL", &redis.url())]).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    for n in 1..=5 {
        replica.signal("-STOP").await;
        tokio::time::sleep(Duration::from_millis(2500)).await;
        replica.signal("-CONT").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let told = teal.fence(n).await;
        let is_status = |frame: &ServerFrame| matches!(frame, ServerFrame::Status { .. });
        assert!(!told.iter().any(is_status), "{told:?}");
    }
}
