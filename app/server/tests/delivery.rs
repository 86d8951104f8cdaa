//! What a client of a whole replica feels of the delivery core and of the replica's health.

mod support;

use rollcall_protocol::{EntryId, LogStatus, ServerFrame};
use serde_json::json;
use support::{Redis, Replica, Socket, events::Events, key};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode::Normal},
};

/// Leases so short that a room is compared with its log every second.
const QUICK: [&str; 2] = ["--lease-ms", "2000"];

fn is_goaway(why: &str) -> impl Fn(&ServerFrame) -> bool {
    move |frame| matches!(frame, ServerFrame::Goaway { reason, .. } if reason == why)
}

fn is_status(log: LogStatus) -> impl Fn(&ServerFrame) -> bool {
    move |frame| matches!(frame, ServerFrame::Status { log: told } if *told == log)
}

/// Fault S1: a replica that was cut off from Redis only went unready, and kept its clients, deaf and mute.
#[tokio::test]
async fn s1_a_replica_that_loses_redis_sends_its_clients_away_and_takes_it_back() {
    let redis = Redis::start().await;
    let settings = ["--isolated-after-ms", "1500", "--redis-timeout-ms", "300"];
    let replica = Replica::start(Some(&redis), &settings).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    redis.pause(true);
    teal.until(is_status(LogStatus::Away)).await;
    teal.until(is_goaway("isolated")).await;
    assert_eq!(replica.drain_status().await["isolated"], true);
    redis.pause(false);
    teal.until(is_status(LogStatus::Up)).await;
    replica.wait_ready().await;
    teal.send_acked("vault", 1, "here all the time").await;
}

/// Clients that obey no goaway, and event streams, stayed there, deaf, for as long as that lasted. They still do while nobody
/// knows whether any other replica delivers: nothing could let them in.
#[tokio::test]
async fn s1_clients_that_obey_no_goaway_go_once_another_was_served_elsewhere() {
    let redis = Redis::start().await;
    let settings = ["--isolated-after-ms", "1500", "--redis-timeout-ms", "300"];
    let replica = Replica::start(Some(&redis), &settings).await;
    let mut mover = Socket::open(replica.public).await;
    let rooms = json!([{ "room": "vault" }]);
    let hello = json!({ "type": "hello", "v": 1, "client": key(), "name": "Teal", "why": "fresh", "moves": true, "rooms": rooms });
    mover.say(&hello).await;
    mover.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
    let (mut plain, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let mut stream = Events::open(replica.public, "vault", None).await;
    stream.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
    redis.pause(true);
    plain.until(is_goaway("isolated")).await;
    mover.until(is_goaway("isolated")).await;
    plain.fence(1).await;
    assert_eq!(replica.drain_status().await["connections"], 3);
    let (code, reason) = (Normal, "moved".into());
    mover.say_raw(Message::Close(Some(CloseFrame { code, reason }))).await;
    assert_eq!(plain.closed().await, Some(1012));
    assert_eq!(stream.next().await, None, "the stream ends, and its reader comes back");
    redis.pause(false);
}

/// Fault S6: a log that was ahead of what the feed told was never noticed in a quiet room.
#[tokio::test]
async fn s6_what_no_feed_has_told_is_found_in_a_quiet_room() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &QUICK).await;
    let (mut plum, _) = Socket::join(replica.public, &key(), "quiet", None).await;
    plum.send_acked("quiet", 1, "the feed told this").await;
    let told = plum.messages(1).await[0].id;
    let log = redis.log_key("quiet").await;
    let prev = told.to_string();
    let fields =
        ["prev", &prev, "member", "f00d", "name", "Teal", "n", "1", "text", "and not this"];
    redis.command(&[&["XADD", &log, "*"], &fields[..]].concat()).await;
    assert_eq!(plum.messages(1).await[0].text, "and not this");
}

/// Fault S7: one room whose key has another type blocked delivery to all rooms of the replica, once the feeds had missed
/// something.
#[tokio::test]
async fn s7_a_room_that_cannot_be_read_holds_up_no_other() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &QUICK).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "broken", None).await;
    let (mut plum, _) = Socket::join(replica.public, &key(), "sound", None).await;
    teal.send_acked("broken", 1, "before").await;
    let log = redis.log_key("broken").await;
    redis.command(&["SET", &log, "no stream"]).await;
    // Every connection to Redis breaks, and the feeds are gone: what was missed has to be looked up.
    redis
        .command(&[
            "EVAL",
            "for _, key in ipairs(redis.call('KEYS', '*:feed')) do redis.call('DEL', key) end",
            "0",
        ])
        .await;
    redis.command(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    for n in 1..=5 {
        plum.send_acked("sound", n, "next door").await;
    }
    assert_eq!(plum.messages(5).await.len(), 5);
}

/// Fault S22: no `retry`, and what was cut at the deadline counted as moved, a reader that left as stalled.
#[tokio::test]
async fn s22_an_event_stream_is_counted_as_what_became_of_it() {
    let replica = Replica::start(None, &[]).await;
    let reader = Events::open(replica.public, "vault", None).await;
    let mut stays = Events::open(replica.public, "vault", Some(EntryId::ZERO.to_string())).await;
    stays.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
    assert_eq!(stays.retry.as_deref(), Some("200"));
    replica.wait_connections(2).await;
    drop(reader);
    replica.wait_connections(1).await;
    assert_eq!(replica.metric("rollcall_stalled_closes_total").await, 0.0);
    replica.drain(0, 20_000).await;
    while stays.next().await.is_some() {}
    let status = replica.wait_connections(0).await;
    let count = |what: &str| status[what].as_u64();
    assert_eq!([count("moved"), count("forced")], [Some(1), Some(0)]);
}

/// Fault S27: clients that ignore a goaway stretched a roll to its deadline.
#[tokio::test]
async fn s27_a_client_that_ignores_a_goaway_is_closed_after_its_moment() {
    let replica = Replica::start(None, &["--goaway-grace-ms", "100"]).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    replica.drain(0, 60_000).await;
    teal.until(is_goaway("drain")).await;
    assert_eq!(teal.closed().await, Some(1012));
    let status = replica.wait_connections(0).await;
    let count = |what: &str| status[what].as_u64();
    assert_eq!([count("ignored"), count("forced"), count("moved")], [Some(1), Some(0), Some(0)]);
}
