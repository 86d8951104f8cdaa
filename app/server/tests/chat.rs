//! Talking, resuming and moving, over real sockets and a real Redis.

mod support;

use rollcall_protocol::{EntryId, GapReason, JoinStatus, Message, ServerFrame};
use serde_json::json;
use support::{
    Redis, Replica, Socket,
    accounts::arrive,
    ask::{get, history},
    assert_chain,
    events::Events,
    http, is_leave, key, messages,
};

/// Rates that a test does not reach.
const FAST: [&str; 6] =
    ["--rate-client", "100000", "--rate-room", "100000", "--rate-address", "100000"];

fn joined(frames: &[ServerFrame]) -> (JoinStatus, EntryId) {
    let joined = frames.iter().find_map(|frame| match frame {
        ServerFrame::Joined { status, head, .. } => Some((*status, *head)),
        _ => None,
    });
    joined.expect("a joined frame")
}

fn is_live(frame: &ServerFrame) -> bool {
    matches!(frame, ServerFrame::Live { .. })
}

#[tokio::test]
async fn what_one_replica_takes_both_deliver_once_in_one_order() {
    let redis = Redis::start().await;
    let (r1, r2) =
        tokio::join!(Replica::start(Some(&redis), &[]), Replica::start(Some(&redis), &[]));
    let (mut teal, _) = Socket::join(r1.public, &key(), "vault", None).await;
    let (mut plum, _) = Socket::join(r2.public, &key(), "vault", None).await;
    for n in 1..=20 {
        teal.send("vault", n, &format!("teal {n}")).await;
        plum.send("vault", n, &format!("plum {n}")).await;
    }
    let (a, b) = tokio::join!(teal.messages(40), plum.messages(40));
    assert_eq!(a, b);
    assert_chain(EntryId::ZERO, &a);
    for name in ["teal", "plum"] {
        let said: Vec<_> = a.iter().filter(|m| m.text.starts_with(name)).map(|m| m.n).collect();
        assert_eq!(said, (1..=20).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn without_redis_one_replica_is_a_working_chat() {
    let replica = Replica::start(None, &[]).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let first = teal.send_acked("vault", 1, "hello").await;
    let (_plum, frames) = Socket::join(replica.public, &key(), "vault", Some(EntryId::ZERO)).await;
    assert_eq!(messages(&frames).iter().map(|m| m.id).collect::<Vec<_>>(), [first]);
}

#[tokio::test]
async fn a_cursor_resumes_exactly_on_any_replica() {
    let redis = Redis::start().await;
    let (r1, r2) =
        tokio::join!(Replica::start(Some(&redis), &FAST), Replica::start(Some(&redis), &FAST));
    let (mut teal, _) = Socket::join(r1.public, &key(), "vault", None).await;
    let mut ids = Vec::new();
    // More than a ring holds, so that the log must serve the older ones.
    for n in 1..=400 {
        ids.push(teal.send_acked("vault", n, &format!("message {n}")).await);
    }
    for replica in [&r1, &r2] {
        for position in [0, 100, 300, 399] {
            let (_socket, frames) =
                Socket::join(replica.public, &key(), "vault", Some(ids[position])).await;
            let got = messages(&frames);
            assert_eq!(joined(&frames).0, JoinStatus::Resumed);
            assert_chain(ids[position], &got);
            assert!(got.iter().map(|m| m.id).eq(ids[position + 1..].iter().copied()));
        }
    }
}

#[tokio::test]
async fn a_retry_on_another_replica_is_a_duplicate() {
    let redis = Redis::start().await;
    let (r1, r2) =
        tokio::join!(Replica::start(Some(&redis), &[]), Replica::start(Some(&redis), &[]));
    let key = key();
    let (mut before, _) = Socket::join(r1.public, &key, "vault", None).await;
    let id = before.send_acked("vault", 1, "once").await;
    let (mut after, frames) = Socket::join(r2.public, &key, "vault", Some(EntryId::ZERO)).await;
    assert_eq!(messages(&frames).len(), 1);
    after.send("vault", 1, "once").await;
    let ack = after.until(|frame| matches!(frame, ServerFrame::Ack { .. })).await;
    let again = ServerFrame::Ack { room: "vault".into(), n: 1, id: Some(id), duplicate: true };
    assert_eq!(ack.last(), Some(&again));
    assert_eq!(history(r1.public, "vault").await.len(), 1);
}

#[tokio::test]
async fn a_move_is_no_leave_and_no_join() {
    let redis = Redis::start().await;
    // Short leases, so that renewals and expiry happen during the test; long enough for a busy machine.
    let settings = ["--lease-ms", "2000"];
    let (r1, r2) = tokio::join!(
        Replica::start(Some(&redis), &settings),
        Replica::start(Some(&redis), &settings)
    );
    let (mut witness, _) = Socket::join(r2.public, &key(), "vault", None).await;
    let mover = key();
    // Its own coming a witness may hear at any time, too.
    let is_mover = |frame: &ServerFrame| matches!(frame, ServerFrame::Presence { name, .. } if name.ends_with(&mover[24..]));
    let (first, _) = Socket::join(r1.public, &mover, "vault", None).await;
    witness.until(is_mover).await;

    let mut second = Socket::open(r2.public).await;
    second.hello(&mover, "move", "vault", Some(EntryId::ZERO)).await;
    second.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
    first.close().await;
    // Two leases long other things happen, and nobody comes or goes.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(4);
    let mut n = 0;
    while std::time::Instant::now() < until {
        n += 1;
        second.send_acked("vault", n, "still here").await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let seen = witness.fence(1).await;
    assert!(!seen.iter().any(is_mover), "{seen:?}");

    second.say(&json!({ "type": "bye" })).await;
    witness.until(is_mover).await;
    assert_eq!(second.closed().await, Some(1000));
}

#[tokio::test]
async fn who_vanishes_leaves_when_the_lease_ends() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &["--lease-ms", "400"]).await;
    let (mut witness, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let (ghost, _) = Socket::join(replica.public, &key(), "vault", None).await;
    drop(ghost);
    witness.until(is_leave).await;
}

#[tokio::test]
async fn a_trimmed_log_is_a_gap_and_then_goes_on() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &[]).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let mut ids = Vec::new();
    for n in 1..=10 {
        ids.push(teal.send_acked("vault", n, "x").await);
    }
    redis.command(&["XTRIM", &redis.log_key("vault").await, "MAXLEN", "3"]).await;
    // Another replica, whose ring cannot help.
    let other = Replica::start(Some(&redis), &[]).await;
    let (_plum, frames) = Socket::join(other.public, &key(), "vault", Some(ids[2])).await;
    assert_eq!(joined(&frames).0, JoinStatus::Gap);
    let gap = ServerFrame::Gap {
        room: "vault".into(),
        after: ids[2],
        resumes_at: ids[6],
        reason: GapReason::Trimmed,
    };
    assert!(frames.contains(&gap), "{frames:?}");
    assert_chain(ids[6], &messages(&frames));
    assert_eq!(messages(&frames).len(), 3);
}

#[tokio::test]
async fn lost_data_is_a_gap_for_who_is_live_and_for_who_resumes() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &[]).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let last = teal.send_acked("vault", 1, "before").await;
    redis.command(&["FLUSHALL"]).await;
    let (mut plum, frames) = Socket::join(replica.public, &key(), "vault", None).await;
    assert_eq!(joined(&frames).0, JoinStatus::Fresh);
    plum.send_acked("vault", 1, "after").await;

    let is_gap = |frame: &ServerFrame| matches!(frame, ServerFrame::Gap { .. });
    let rewound = ServerFrame::Gap {
        room: "vault".into(),
        after: last,
        resumes_at: EntryId::ZERO,
        reason: GapReason::Rewound,
    };
    assert_eq!(teal.until(is_gap).await.last(), Some(&rewound));
    assert_eq!(teal.messages(1).await[0].text, "after");
    let (_late, frames) = Socket::join(replica.public, &key(), "vault", Some(last)).await;
    assert!(frames.contains(&rewound), "{frames:?}");
    assert_eq!(messages(&frames).len(), 1);
}

/// More than the kernel's buffers and the outlet's take for a reader that sleeps.
const FLOOD: u64 = 1500;

/// Fills the room while `teal` reads along and another connection does not.
async fn flood(redis: &Redis, teal: &mut Socket) -> Vec<Message> {
    // What is tested is the way out, not the disk.
    redis.command(&["CONFIG", "SET", "appendfsync", "no"]).await;
    let text = "x".repeat(4000);
    let mut got = Vec::new();
    for n in 1..=FLOOD {
        teal.send("vault", n, &text).await;
        got.extend(teal.messages(1).await);
    }
    got
}

#[tokio::test]
async fn a_slow_reader_harms_nobody_and_misses_nothing() {
    let redis = Redis::start().await;
    // What the log does not keep would be a gap.
    let patient = ["--heartbeat-ms", "60000", "--stall-ms", "60000", "--log-bytes", "99999999"];
    let settings = [&FAST[..], &patient].concat();
    let replica = Replica::start(Some(&redis), &settings).await;
    let mut slow = Socket::join_with_small_buffer(replica.public, &key(), "vault").await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let quick = flood(&redis, &mut teal).await;
    assert_chain(EntryId::ZERO, &quick);
    assert!(slow.messages(quick.len()).await == quick);
}

#[tokio::test]
async fn who_takes_nothing_at_all_is_closed() {
    let redis = Redis::start().await;
    let settings = [&FAST[..], &["--heartbeat-ms", "60000", "--stall-ms", "300"]].concat();
    let replica = Replica::start(Some(&redis), &settings).await;
    let stuck = Socket::join_with_small_buffer(replica.public, &key(), "vault").await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    flood(&redis, &mut teal).await;
    replica.wait_connections(1).await;
    let (_, metrics) = http(replica.admin, "GET", "/metrics", None).await;
    assert!(metrics.contains("rollcall_stalled_closes_total 1"), "{metrics}");
    drop(stuck);
}

#[tokio::test]
async fn events_resume_by_their_id() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &[]).await;
    let post = |n: u64| json!({ "client": "0".repeat(32), "name": "Teal", "n": n, "text": format!("m{n}") });
    for n in 1..=3 {
        let path = "/api/v1/rooms/vault/messages";
        assert_eq!(http(replica.public, "POST", path, Some(&post(n))).await.0, 200);
    }
    let (_, history) = http(replica.public, "GET", "/api/v1/rooms/vault/messages", None).await;
    let history: serde_json::Value = serde_json::from_str(&history).expect("JSON");
    let first = history["messages"][0]["id"].as_str().map(str::to_owned);
    let mut events = Events::open(replica.public, "vault", first).await;
    let seen = messages(&events.until(is_live).await);
    assert_eq!(seen.iter().map(|message| message.n).collect::<Vec<_>>(), [2, 3]);
    // The replica drains: the stream ends by itself, and the browser comes back with its last ID.
    replica.drain(0, 2000).await;
    assert_eq!(events.next().await, None);
    assert_eq!(events.last_id, Some(seen[1].id.to_string()));
}

/// As a browser comes back, which keeps the last `id:` that it read and knows no other cursor.
#[tokio::test]
async fn an_event_stream_that_heard_nothing_goes_on_where_it_began() {
    let redis = Redis::start().await;
    let (old, new) =
        tokio::join!(Replica::start(Some(&redis), &[]), Replica::start(Some(&redis), &[]));
    let (mut teal, _) = Socket::join(new.public, &key(), "vault", None).await;
    let before = teal.send_acked("vault", 1, "before").await;
    let mut events = Events::open(old.public, "vault", None).await;
    let live = ServerFrame::Live { room: "vault".into(), id: before };
    assert_eq!(events.next().await, Some(live));
    old.drain(0, 2000).await;
    assert_eq!(events.next().await, None, "a drain ends the stream");
    let between = teal.send_acked("vault", 2, "between").await;
    let mut events = Events::open(new.public, "vault", events.last_id).await;
    assert_eq!(messages(&events.until(is_live).await)[0].id, between);
    // A cursor that the log cannot continue, and the one that it goes on from.
    let nowhere = Some(EntryId::new(u64::MAX, 0).to_string());
    let mut events = Events::open(new.public, "vault", nowhere).await;
    assert!(matches!(events.next().await, Some(ServerFrame::Gap { .. })));
    assert_eq!(events.last_id, Some(between.to_string()));
}

/// A browser's `EventSource` waits for ever; HAProxy ends what is silent for 2.5 heartbeats.
#[tokio::test]
async fn an_event_stream_has_the_heartbeat_of_a_websocket() {
    let replica = Replica::start(None, &["--heartbeat-ms", "100"]).await;
    let mut events = Events::open(replica.public, "vault", None).await;
    assert!(matches!(events.next().await, Some(ServerFrame::Live { .. })));
    events.heartbeat().await;
    events.heartbeat().await;
}

#[tokio::test]
async fn a_hall_is_offered_only_by_a_server_that_is_to_have_one() {
    for (arguments, is_offered) in [(&[][..], false), (&["--hall"][..], true)] {
        let replica = Replica::start(None, arguments).await;
        let (_socket, first) = arrive(replica.public, &key(), "Teal", None, &[]).await;
        let ServerFrame::Welcome { features, .. } = first else { panic!("{first:?}") };
        assert_eq!(features.contains(&"hall".to_owned()), is_offered);
        let about = get(replica.public, "/api/v1/").await.json();
        let features = about["data"]["features"].as_array().expect("a list");
        assert_eq!(features.contains(&"hall".into()), is_offered);
        // A page that comes from a server with a hall may ask this one for it.
        assert_eq!(get(replica.public, "/web/hall.js").await.status, 200);
    }
}
