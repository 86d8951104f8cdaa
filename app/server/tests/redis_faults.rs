//! Redis fails, and comes back: the replica stays alive, is not ready meanwhile, and loses nothing.

mod support;

use std::time::Duration;

use rollcall_protocol::{EntryId, GapReason, PresenceEvent, ServerFrame};
use rollcall_server::log::{feed_key, room_key};
use serde_json::json;
use support::{
    Redis, Replica, Socket,
    accounts::{ask, bearer, token_of},
    ask::history,
    assert_chain, http, is_leave, key,
};

const QUICK: [&str; 2] = ["--redis-timeout-ms", "300"];

fn rewound(room: &str, after: EntryId, resumes_at: EntryId) -> ServerFrame {
    ServerFrame::Gap { room: room.to_owned(), after, resumes_at, reason: GapReason::Rewound }
}

#[tokio::test]
async fn redis_down_at_start_is_waited_for() {
    let mut redis = Redis::reserve().await;
    let replica = Replica::launch(Some(&redis.url()), &QUICK).await;
    assert_eq!(http(replica.public, "GET", "/livez", None).await.0, 200);
    assert_eq!(http(replica.public, "GET", "/readyz", None).await.0, 503);
    redis.launch().await;
    replica.wait_ready().await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    teal.send_acked("vault", 1, "there you are").await;
    assert_eq!(teal.messages(1).await.len(), 1);
}

#[tokio::test]
async fn a_killed_redis_costs_no_message() {
    let mut redis = Redis::start().await;
    let (r1, r2) =
        tokio::join!(Replica::start(Some(&redis), &QUICK), Replica::start(Some(&redis), &QUICK));
    let (mut teal, _) = Socket::join(r1.public, &key(), "vault", None).await;
    let (mut plum, _) = Socket::join(r2.public, &key(), "vault", None).await;
    for n in 1..=5 {
        teal.send_acked("vault", n, "before").await;
    }
    redis.kill();
    r1.wait_readyz(503).await;
    assert_eq!(http(r1.public, "GET", "/livez", None).await.0, 200);
    // Sent into the outage: settled when Redis is back.
    for n in 6..=10 {
        teal.send("vault", n, "during").await;
    }
    redis.launch().await;
    let got = plum.messages(10).await;
    assert_chain(EntryId::ZERO, &got);
    assert_eq!(got.iter().map(|m| m.n).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    r1.wait_ready().await;
}

#[tokio::test]
async fn a_timeout_is_settled_before_the_next_send() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &QUICK).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    teal.send_acked("vault", 1, "one").await;
    redis.pause(true);
    for n in 2..=4 {
        teal.send("vault", n, "into the pause").await;
    }
    // Longer than the timeout: the outcome of n = 2 is unknown, and it is tried again.
    replica.wait_readyz(503).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    redis.pause(false);
    let is_last_ack = |frame: &ServerFrame| matches!(frame, ServerFrame::Ack { n: 4, .. });
    let frames = teal.until(is_last_ack).await;
    let acked: Vec<_> = frames
        .iter()
        .filter_map(|frame| match frame {
            ServerFrame::Ack { n, .. } => Some(*n),
            _ => None,
        })
        .collect();
    assert_eq!(acked, [2, 3, 4]);
    assert_eq!(history(replica.public, "vault").await.len(), 4);
}

#[tokio::test]
async fn a_feed_that_was_trimmed_is_made_up_from_the_log() {
    let redis = Redis::start().await;
    // A feed so short that a pause outruns it.
    let settings = ["--feed-entries", "16", "--rate-client", "10000", "--rate-room", "10000"];
    let (r1, r2) = tokio::join!(
        Replica::start(Some(&redis), &settings),
        Replica::start(Some(&redis), &settings)
    );
    let (mut teal, _) = Socket::join(r1.public, &key(), "vault", None).await;
    let (mut plum, _) = Socket::join(r2.public, &key(), "vault", None).await;
    redis.command(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    for n in 1..=600 {
        teal.send_acked("vault", n, "many").await;
    }
    let got = plum.messages(600).await;
    assert_chain(EntryId::ZERO, &got);
}

#[tokio::test]
async fn a_definite_refusal_is_told_and_can_be_retried() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &QUICK).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    teal.send("vault", 1, "no room").await;
    let is_reject =
        |frame: &ServerFrame| matches!(frame, ServerFrame::Reject { retry_ms: Some(_), .. });
    teal.until(is_reject).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    teal.send_acked("vault", 1, "no room").await;
}

/// Redis comes back without its tail, and before this replica's feeds do, somebody speaks in another room of the
/// partition: its feed has grown beyond what was lost.
#[tokio::test]
async fn a_lost_tail_is_told_in_a_quiet_room() {
    let mut redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &QUICK).await;
    let (mut plum, _) = Socket::join(replica.public, &key(), "quiet", None).await;
    plum.send("quiet", 1, "kept").await;
    let kept = plum.messages(1).await[0].id;
    let written = redis.written();
    plum.send("quiet", 2, "lost").await;
    let lost = plum.messages(1).await[0].id;
    redis.lose_tail(written);
    let mut others = (0..).map(|number| format!("room {number}"));
    let other = others.find(|room| feed_key(room) == feed_key("quiet")).expect("one in 16");
    // Where this replica does not find it yet.
    let elsewhere = redis.hold_port();
    let port = std::mem::replace(&mut redis.port, elsewhere);
    redis.launch().await;
    let elsewhere = Replica::start(Some(&redis), &QUICK).await;
    let (mut teal, _) = Socket::join(elsewhere.public, &key(), &other, None).await;
    teal.send_acked(&other, 1, "after").await;
    redis.kill();
    redis.port = port;
    redis.launch().await;
    let gap = rewound("quiet", lost, kept);
    plum.until(|frame| *frame == gap).await;
    // A client that comes with the lost cursor is told too, and is not shown it again.
    replica.wait_ready().await;
    let (_late, frames) = Socket::join(replica.public, &key(), "quiet", Some(lost)).await;
    assert!(frames.contains(&gap), "{frames:?}");
}

/// No connection breaks, and the feed's next entry is a lease's.
#[tokio::test]
async fn a_flush_is_told_in_a_quiet_room_within_a_lease() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &["--lease-ms", "2000"]).await;
    let (mut plum, _) = Socket::join(replica.public, &key(), "quiet", None).await;
    plum.send("quiet", 1, "lost").await;
    let lost = plum.messages(1).await[0].id;
    redis.command(&["FLUSHALL"]).await;
    let gap = rewound("quiet", lost, EntryId::ZERO);
    plum.until(|frame| *frame == gap).await;
}

/// Anomalies `late`, `presence`: what came after a flush had lower IDs than the feeds that it took, and was not heard of.
#[tokio::test]
async fn a_flush_after_the_clock_was_set_back_makes_nobody_deaf() {
    let redis = Redis::start().await;
    let lease = ["--lease-ms", "1000"];
    let (r1, r2) =
        tokio::join!(Replica::start(Some(&redis), &lease), Replica::start(Some(&redis), &lease));
    let (mut teal, _) = Socket::join(r1.public, &key(), "vault", None).await;
    let (mut plum, _) = Socket::join(r2.public, &key(), "vault", None).await;
    let ahead = ["XADD", &feed_key("vault"), "9999999999999-0", "kind", "noise", "room", "x"];
    redis.command(&ahead).await;
    teal.send_acked("vault", 1, "of a clock that was ahead").await;
    plum.messages(1).await;
    redis.command(&["FLUSHALL"]).await;
    teal.send_acked("vault", 1, "of one that is not").await;
    assert_eq!(plum.messages(1).await[0].text, "of one that is not");
    teal.say(&json!({ "type": "bye" })).await;
    plum.until(is_leave).await;
}

/// The room's own IDs go back too. What came before that was noticed is within the gap.
#[tokio::test]
async fn a_room_flushed_after_the_clock_was_set_back_goes_on_after_a_gap() {
    let redis = Redis::start_with_faults().await;
    let (r1, r2) =
        tokio::join!(Replica::start(Some(&redis), &[]), Replica::start(Some(&redis), &[]));
    redis.set_clock_ahead(3600);
    let (mut teal, _) = Socket::join(r1.public, &key(), "vault", None).await;
    let (mut plum, _) = Socket::join(r2.public, &key(), "vault", None).await;
    let lost = teal.send_acked("vault", 1, "of a clock that was ahead").await;
    plum.messages(1).await;
    redis.set_clock_ahead(0);
    redis.command(&["FLUSHALL"]).await;
    let last = teal.send_acked("vault", 1, "of one that is not").await;
    let gap = rewound("vault", lost, last);
    teal.until(|frame| *frame == gap).await;
    plum.until(|frame| *frame == gap).await;
    teal.send_acked("vault", 2, "after").await;
    assert_chain(last, &plum.messages(1).await);
}

/// Anomalies `skipped-message`, `unseen`: clients that had seen what was lost took what came under its ID for it; a replica
/// did so in its feeds.
#[tokio::test]
async fn a_clock_that_was_set_back_gives_no_lost_id_out_again() {
    let mut redis = Redis::start_with_faults().await;
    let replica = Replica::start(Some(&redis), &QUICK).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    redis.set_clock_ahead(3600);
    teal.send_acked("vault", 1, "of a clock that was ahead").await;
    redis.set_clock_ahead(0);
    let written = redis.written();
    let lost = teal.send_acked("vault", 2, "lost").await;
    redis.lose_tail(written);
    // Before this replica's feeds find it again, elsewhere somebody takes the place of what was lost.
    let elsewhere = redis.hold_port();
    let port = std::mem::replace(&mut redis.port, elsewhere);
    redis.launch().await;
    let elsewhere = Replica::start(Some(&redis), &QUICK).await;
    let path = "/api/v1/rooms/vault/messages";
    let new = json!({ "client": key(), "name": "Plum", "n": 1, "text": "new" });
    assert_eq!(http(elsewhere.public, "POST", path, Some(&new)).await.0, 200);
    redis.kill();
    redis.port = port;
    redis.launch().await;
    let is_new = |frame: &ServerFrame| matches!(frame, ServerFrame::Message(m) if m.text == "new");
    let Some(ServerFrame::Message(new)) = teal.until(is_new).await.pop() else { panic!("new") };
    assert!(new.id > lost, "{} after {lost}", new.id);
}

/// Leases run out by it, but not before their members could renew them.
#[tokio::test]
async fn a_clock_set_ahead_makes_nobody_leave() {
    const LEASE: [&str; 2] = ["--lease-ms", "2000"];
    let redis = Redis::start_with_faults().await;
    let (near, far) =
        tokio::join!(Replica::start(Some(&redis), &LEASE), Replica::start(Some(&redis), &LEASE));
    let (_teal, _) = Socket::join(far.public, &key(), "vault", None).await;
    let (witness, _) = Socket::join(near.public, &key(), "vault", None).await;
    // Into the time in which they may declare somebody gone.
    tokio::time::sleep(Duration::from_secs(2)).await;
    redis.set_clock_ahead(5);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_nobody_left(witness).await;
}

/// Anomaly `presence`: a member that vanished while Redis' clock was an hour ahead was there for an hour.
#[tokio::test]
async fn a_lease_of_a_clock_that_was_set_back_runs_out() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &["--lease-ms", "400"]).await;
    let (mut witness, _) = Socket::join(replica.public, &key(), "vault", None).await;
    redis.command(&["HSET", &room_key("vault", "names"), "ghost", "Ghost"]).await;
    redis.command(&["ZADD", &room_key("vault", "present"), "9999999999999", "ghost"]).await;
    for wanted in [PresenceEvent::Join, PresenceEvent::Leave] {
        let is_ghost = |frame: &ServerFrame| {
            matches!(frame, ServerFrame::Presence { event, member, .. }
                if *event == wanted && member == "ghost")
        };
        witness.until(is_ghost).await;
    }
}

/// Somebody in these rooms, and live in all of them.
async fn join_all(replica: &Replica, rooms: &[String]) -> Socket {
    let (mut socket, _) = Socket::join(replica.public, &key(), &rooms[0], None).await;
    for room in &rooms[1..] {
        socket.say(&json!({ "type": "join", "room": room })).await;
    }
    for _ in &rooms[1..] {
        socket.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
    }
    socket
}

async fn assert_nobody_left(mut witness: Socket) {
    let mut seen = witness.fence(1).await;
    seen.retain(is_leave);
    assert_eq!(seen, []);
}

fn numbered(count: u32) -> Vec<String> {
    (0..count).map(|number| format!("room {number}")).collect()
}

/// One after the other, they would take three leases to renew.
#[tokio::test]
async fn many_rooms_on_a_slow_redis_keep_their_members() {
    const LEASE: [&str; 4] = ["--lease-ms", "2000", "--redis-timeout-ms", "10000"];
    let (redis, rooms) = (Redis::start().await, numbered(32));
    let url = redis.slow_url(64 * 1024, Duration::from_millis(200)).await;
    let (near, far) =
        tokio::join!(Replica::start(Some(&redis), &LEASE), Replica::launch(Some(&url), &LEASE));
    far.wait_ready().await;
    let _teal = join_all(&far, &rooms).await;
    let witness = join_all(&near, &rooms).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_nobody_left(witness).await;
}

#[tokio::test]
async fn a_room_that_fails_keeps_no_other_from_its_leases() {
    const LEASE: [&str; 2] = ["--lease-ms", "2000"];
    let (redis, rooms) = (Redis::start().await, numbered(16));
    let (near, far) =
        tokio::join!(Replica::start(Some(&redis), &LEASE), Replica::start(Some(&redis), &LEASE));
    let _teal = join_all(&far, &rooms).await;
    let witness = join_all(&near, &rooms[1..]).await;
    redis.command(&["SET", &room_key(&rooms[0], "present"), "no leases"]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_nobody_left(witness).await;
}

/// One read may bring more than the link carries until it is given up.
#[tokio::test]
async fn a_backlog_larger_than_the_link_is_caught_up() {
    let redis = Redis::start().await;
    // About 1 MB a second, of which a read that waits for 1.3 s gets no 2 MB.
    let slow = ["--redis-timeout-ms", "800"];
    let url = redis.slow_url(16 * 1024, Duration::from_millis(16)).await;
    let (near, far) =
        tokio::join!(Replica::start(Some(&redis), &QUICK), Replica::launch(Some(&url), &slow));
    far.wait_ready().await;
    let (mut plum, _) = Socket::join(far.public, &key(), "vault", None).await;
    let (mut teal, _) = Socket::join(near.public, &key(), "vault", None).await;
    teal.send_acked("vault", 1, "before").await;
    plum.messages(1).await;
    let script = "for i = 1, 256 do redis.call('XADD', KEYS[1], '*', 'kind', 'noise', 'room', 'x', \
         'text', ARGV[1]) end return 'OK'";
    redis.command(&["EVAL", script, "1", &feed_key("vault"), &"x".repeat(8000)]).await;
    teal.send_acked("vault", 2, "after").await;
    assert_eq!(plum.messages(1).await[0].text, "after");
}

/// Any room of that name was told as one's own, with its topic.
#[tokio::test]
async fn a_room_that_was_made_without_an_answer_is_ones_own_and_anybody_elses_is_not() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &QUICK).await;
    let (ada, mallory) =
        (token_of(replica.public, "Ada").await, token_of(replica.public, "Mallory").await);
    let make = async |token: &str, topic: &str| {
        // Writes wait, for longer than their answer is waited for; what is read is answered.
        redis.command(&["CLIENT", "PAUSE", "700", "WRITE"]).await;
        let room = json!({ "name": "board", "access": "private", "topic": topic });
        let auth = [("authorization", &*bearer(token))];
        ask(replica.public, "POST", "/api/v1/rooms", &auth, Some(&room)).await
    };
    let made = make(&ada, "Ours").await;
    assert_eq!((made.status, &made.body["data"]["topic"]), (201, &json!("Ours")), "{made:?}");
    let other = make(&mallory, "").await;
    assert_eq!((other.status, other.code()), (409, "room_exists"), "{other:?}");
    assert!(!format!("{other:?}").contains("Ours"), "{other:?}");
}
