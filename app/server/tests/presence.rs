//! The members that are told to be in a room, while connections end, replicas die and Redis fails.

mod support;

use std::time::Duration;

use rollcall_protocol::{PresenceEvent, ServerFrame};
use serde_json::json;
use support::{Redis, Replica, Socket, is_leave, key};

/// Short leases; and sockets that say nothing are not given up.
const LEASE: [&str; 6] =
    ["--lease-ms", "1000", "--redis-timeout-ms", "300", "--heartbeat-ms", "60000"];

/// The times that `member` is told to come (`+`) or to leave (`-`).
fn comings(frames: &[ServerFrame], member: &str) -> String {
    let told = frames.iter().filter_map(|frame| match frame {
        ServerFrame::Presence { event, member: of, .. } if of == member => Some(match event {
            PresenceEvent::Join => '+',
            PresenceEvent::Leave => '-',
        }),
        _ => None,
    });
    told.collect()
}

fn member_of(key: &str) -> String {
    rollcall_server::session::member_of(key)
}

fn present(frames: &[ServerFrame]) -> usize {
    let present = frames.iter().find_map(|frame| match frame {
        ServerFrame::Joined { present, .. } => Some(*present),
        _ => None,
    });
    present.expect("joined")
}

async fn pair(redis: &Redis) -> (Replica, Replica) {
    tokio::join!(Replica::start(Some(redis), &LEASE), Replica::start(Some(redis), &LEASE))
}

/// S4: leases could not be renewed, the list ended by itself, and an empty one was believed.
#[tokio::test]
async fn s4_a_redis_that_refuses_writes_for_many_leases_makes_nobody_leave() {
    for (setting, refusing, well) in [("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")]
    {
        let redis = Redis::start().await;
        let (r1, r2) = pair(&redis).await;
        let (mut teal, _) = Socket::join(r1.public, &key(), "vault", None).await;
        let (mut plum, _) = Socket::join(r2.public, &key(), "vault", None).await;
        teal.until(|frame| matches!(frame, ServerFrame::Presence { .. })).await;
        // Into the time in which somebody may be declared gone.
        tokio::time::sleep(Duration::from_secs(2)).await;
        redis.command(&["CONFIG", "SET", setting, refusing]).await;
        tokio::time::sleep(Duration::from_secs(7)).await;
        redis.command(&["CONFIG", "SET", setting, well]).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        for socket in [&mut teal, &mut plum] {
            let seen = socket.fence(1).await;
            assert!(!seen.iter().any(is_leave), "{setting}: {seen:?}");
        }
        let (_late, frames) = Socket::join(r2.public, &key(), "vault", None).await;
        assert_eq!(present(&frames), 3, "{setting}");
    }
}

/// S4: Redis lost everything, and is empty until the members are entered anew.
#[tokio::test]
async fn s4_an_empty_list_after_a_flush_is_not_believed() {
    let redis = Redis::start().await;
    let (r1, r2) = pair(&redis).await;
    let (mut teal, _) = Socket::join(r1.public, &key(), "vault", None).await;
    let (mut plum, _) = Socket::join(r2.public, &key(), "vault", None).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    for _ in 0..4 {
        redis.command(&["FLUSHALL"]).await;
        tokio::time::sleep(Duration::from_millis(800)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for socket in [&mut teal, &mut plum] {
        let seen = socket.fence(1).await;
        assert!(!seen.iter().any(is_leave), "{seen:?}");
    }
    let (_late, frames) = Socket::join(r1.public, &key(), "vault", None).await;
    assert_eq!(present(&frames), 3);
}

/// S15: members of one room are more than one call tells of; a member that said bye between two of them came back.
#[tokio::test]
async fn s15_a_bye_beside_a_renewal_leaves_no_ghost() {
    const MEMBERS: usize = 210;
    const LEAVING: usize = 80;
    let redis = Redis::start().await;
    let slow = redis.slow_url(64 * 1024, Duration::from_millis(100)).await;
    let settings =
        ["--lease-ms", "4000", "--rate-address", "100000", "--redis-timeout-ms", "10000"];
    let (far, near) = tokio::join!(
        Replica::launch(Some(&slow), &settings),
        Replica::start(Some(&redis), &settings)
    );
    far.wait_ready().await;
    let mut sockets = Vec::new();
    for _ in 0..MEMBERS {
        let mut socket = Socket::open(far.public).await;
        socket.hello(&key(), "fresh", "vault", None).await;
        sockets.push(socket);
    }
    for socket in &mut sockets {
        socket.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
    }
    // Spread over more than a renewal, so that some fall between its calls.
    let rest = sockets.split_off(LEAVING);
    for socket in &mut sockets {
        socket.say(&json!({ "type": "bye" })).await;
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    // Before a lease could end what came back.
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let (_late, frames) = Socket::join(near.public, &key(), "vault", None).await;
    assert_eq!(present(&frames), rest.len() + 1);
}

/// S31: the person is still there, on the same replica or on another.
#[tokio::test]
async fn s31_a_bye_on_one_of_two_connections_tells_nobody_that_the_person_left() {
    let redis = Redis::start().await;
    let (r1, r2) = pair(&redis).await;
    let (mut witness, _) = Socket::join(r1.public, &key(), "vault", None).await;
    for other in [&r1, &r2] {
        let key = key();
        let (mut first, _) = Socket::join(r1.public, &key, "vault", None).await;
        let (mut second, _) = Socket::join(other.public, &key, "vault", None).await;
        first.say(&json!({ "type": "bye" })).await;
        assert_eq!(first.closed().await, Some(1000));
        tokio::time::sleep(Duration::from_secs(3)).await;
        second.send_acked("vault", 1, "still here").await;
        let seen = witness.until(|frame| matches!(frame, ServerFrame::Message(_))).await;
        assert_eq!(comings(&seen, &member_of(&key)), "+", "{seen:?}");
        second.say(&json!({ "type": "bye" })).await;
        let seen = witness.until(is_leave).await;
        assert_eq!(comings(&seen, &member_of(&key)), "-");
    }
}

/// A connection that closes without a word keeps its member for the length of a lease, and no longer.
#[tokio::test]
async fn who_vanishes_is_gone_after_a_lease_and_who_comes_back_was_never_away() {
    let redis = Redis::start().await;
    let (r1, r2) = pair(&redis).await;
    let (mut witness, _) = Socket::join(r1.public, &key(), "vault", None).await;
    // Into the time in which somebody may be declared gone.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let key = key();
    // For longer than a lease, and never away for long.
    for other in [&r1, &r2].repeat(3) {
        let (socket, _) = Socket::join(other.public, &key, "vault", None).await;
        socket.close().await;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let seen = witness.until(is_leave).await;
    assert_eq!(comings(&seen, &member_of(&key)), "+-");
}

/// A `bye` after a move ends the presence at once, although the connection that was left keeps it for a lease.
#[tokio::test]
async fn a_bye_after_a_move_is_told_at_once() {
    let redis = Redis::start().await;
    let long = ["--lease-ms", "60000"];
    let (r1, r2) =
        tokio::join!(Replica::start(Some(&redis), &long), Replica::start(Some(&redis), &long));
    let (mut witness, _) = Socket::join(r1.public, &key(), "vault", None).await;
    let key = key();
    let (first, _) = Socket::join(r1.public, &key, "vault", None).await;
    let (mut second, _) = Socket::join(r2.public, &key, "vault", None).await;
    first.close().await;
    let vault = rollcall_server::log::room_key("vault", "held");
    let is_told = async {
        // Until the first replica has told Redis that it has no connection any more.
        while redis.command(&["HGET", &vault, &member_of(&key)]).await.matches("\non-").count() > 1
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(support::PATIENCE, is_told).await.expect("told");
    second.say(&json!({ "type": "bye" })).await;
    let seen = witness.until(is_leave).await;
    assert_eq!(comings(&seen, &member_of(&key)), "+-");
}

/// What storms: four writes in a lease for each member in each room. Now one for each replica.
#[tokio::test]
async fn renewal_costs_one_write_for_each_replica() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &["--lease-ms", "4000"]).await;
    let mut sockets = Vec::new();
    for room in 0..8 {
        for _ in 0..4 {
            let room = format!("room {room}");
            sockets.push(Socket::join(replica.public, &key(), &room, None).await.0);
        }
    }
    let calls = async |command: &str| {
        let stats = redis.command(&["INFO", "commandstats"]).await;
        let of = stats.lines().find_map(|line| {
            line.strip_prefix(&format!("cmdstat_{command}:calls="))?.split(',').next()?.parse().ok()
        });
        of.unwrap_or(0_u32)
    };
    let (before, told) = (calls("zadd").await, calls("hset").await);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let renewals = calls("zadd").await - before;
    assert_eq!(calls("hset").await, told);
    assert!((3..=5).contains(&renewals), "{renewals}");
}

/// They are told again when Redis is back, so they need not be on disk.
#[tokio::test]
async fn presence_and_typing_stay_out_of_the_append_only_file() {
    let mut redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &LEASE).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let (mut plum, _) = Socket::join(replica.public, &key(), "vault", None).await;
    teal.say(&json!({ "type": "typing", "room": "vault" })).await;
    plum.until(|frame| matches!(frame, ServerFrame::Typing { .. })).await;
    let file = redis.append_only_text();
    for word in ["typing", "presence", ":held"] {
        // In the library's text, and nowhere else.
        let uses = file.matches(&format!("\r\n{word}")).count();
        assert_eq!(uses, 0, "{word}: {file}");
    }
    redis.kill();
    redis.launch().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let seen = [teal.fence(1).await, plum.fence(1).await].concat();
    assert!(!seen.iter().any(is_leave), "{seen:?}");
    let (_late, frames) = Socket::join(replica.public, &key(), "vault", None).await;
    assert_eq!(present(&frames), 3);
}
