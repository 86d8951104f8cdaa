//! A nudge: connections move, and the replica stays as it is. For HAProxy's changes (O3), and for balance.

mod support;

use rollcall_protocol::ServerFrame;
use serde_json::{Value, json};
use support::{PATIENCE, Replica, Socket, events::Events, http, key};

fn is_goaway(frame: &ServerFrame) -> bool {
    matches!(frame, ServerFrame::Goaway { .. })
}

fn is_live(frame: &ServerFrame) -> bool {
    matches!(frame, ServerFrame::Live { .. })
}

/// A client that obeys a goaway.
async fn join(replica: &Replica, why: &str, key: &str) -> Socket {
    let mut socket = Socket::open(replica.public).await;
    let rooms = json!([{ "room": "vault", "after": null }]);
    let hello = json!({ "type": "hello", "v": 1, "client": key, "name": "Teal", "why": why, "moves": true, "rooms": rooms });
    socket.say(&hello).await;
    socket.until(is_live).await;
    socket
}

async fn nudge(replica: &Replica, request: Value) -> Value {
    let (status, body) = http(replica.admin, "POST", "/nudge", Some(&request)).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

/// Waits until a count of the nudges has that value.
async fn nudges(replica: &Replica, what: &str, value: u64) -> Value {
    let answers = async {
        loop {
            let (_, body) = http(replica.admin, "GET", "/nudge", None).await;
            let status: Value = serde_json::from_str(&body).expect("JSON");
            if status[what] == value {
                return status;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answers).await.expect("the count changes")
}

async fn goaway_of(socket: &mut Socket) -> (u64, String) {
    match socket.until(is_goaway).await.pop() {
        Some(ServerFrame::Goaway { in_ms, reason, .. }) => (in_ms, reason),
        other => panic!("{other:?}"),
    }
}

/// Pings, and what came before the answers.
async fn pings(socket: &mut Socket) -> Vec<ServerFrame> {
    let mut frames = Vec::new();
    for t in 0..20 {
        socket.say(&json!({ "type": "ping", "t": t })).await;
        frames.extend(socket.until(|frame| matches!(frame, ServerFrame::Pong { .. })).await);
    }
    frames
}

#[tokio::test]
async fn o3_a_nudge_asks_each_connection_once_and_the_replica_stays_ready() {
    let replica = Replica::start(None, &[]).await;
    let keys: Vec<_> = (0..4).map(|_| key()).collect();
    let mut sockets = Vec::new();
    for key in &keys {
        sockets.push(join(&replica, "fresh", key).await);
    }
    nudge(&replica, json!({ "spread_ms": 2000, "reason": "HAProxy was reloaded" })).await;
    let mut moments = Vec::new();
    for socket in &mut sockets {
        let (moment, reason) = goaway_of(socket).await;
        assert_eq!(reason, "rebalance");
        moments.push(moment);
    }
    moments.sort_unstable();
    assert_eq!(moments, [0, 500, 1000, 1500]);
    assert_eq!(http(replica.public, "GET", "/readyz", None).await.0, 200);
    assert_eq!(replica.drain_status().await["phase"], "ready");

    // They move to this same replica, as to any: what is new is not told again.
    for (key, old) in keys.iter().zip(std::mem::take(&mut sockets)) {
        sockets.push(join(&replica, "move", key).await);
        old.close().await;
    }
    let status = nudges(&replica, "left", 0).await;
    let expected = json!({ "nudges": 1, "told": 4, "moved": 4, "ignored": 0, "left": 0 });
    assert_eq!(status, expected);
    for socket in &mut sockets {
        assert!(!pings(socket).await.iter().any(is_goaway), "asked to move twice");
    }
    assert_eq!(replica.metric("rollcall_moved_total{reason=\"rebalance\"}").await, 4.0);
    assert_eq!(replica.metric("rollcall_moved_total{reason=\"drain\"}").await, 0.0);
    assert_eq!(replica.drain_status().await["moved"], 0, "no drain's");
}

#[tokio::test]
async fn a_second_nudge_asks_only_those_that_the_first_did_not() {
    let replica = Replica::start(None, &[]).await;
    let mut first = join(&replica, "fresh", &key()).await;
    nudge(&replica, json!({ "spread_ms": 60_000 })).await;
    goaway_of(&mut first).await;
    // It has its moment, and keeps it. Who came since has none yet.
    let mut second = join(&replica, "fresh", &key()).await;
    nudge(&replica, json!({ "spread_ms": 0 })).await;
    assert_eq!(goaway_of(&mut second).await, (0, "rebalance".to_owned()));
    assert!(!pings(&mut first).await.iter().any(is_goaway));
    assert_eq!(nudges(&replica, "told", 2).await["left"], 2);
    // A drain is another thing: it has a deadline.
    replica.drain(0, 60_000).await;
    assert_eq!(goaway_of(&mut first).await.1, "drain");
}

#[tokio::test]
async fn those_who_came_when_all_was_new_stay() {
    let replica = Replica::start(None, &[]).await;
    let mut socket = join(&replica, "fresh", &key()).await;
    nudge(&replica, json!({ "older_than_ms": 3_600_000 })).await;
    assert!(!pings(&mut socket).await.iter().any(is_goaway));
    assert_eq!(nudges(&replica, "nudges", 1).await["told"], 0);
}

#[tokio::test]
async fn a_rebalance_asks_no_more_than_it_says() {
    let replica = Replica::start(None, &[]).await;
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(join(&replica, "fresh", &key()).await);
    }
    for (connections, told) in [(0, 0), (3, 3), (9, 4)] {
        nudge(&replica, json!({ "connections": connections, "spread_ms": 100 })).await;
        for socket in &mut sockets {
            pings(socket).await;
        }
        assert_eq!(nudges(&replica, "told", told).await["told"], told);
    }
}

#[tokio::test]
async fn what_knows_no_goaway_is_closed_after_its_moment_and_comes_back() {
    let replica = Replica::start(None, &["--goaway-grace-ms", "50"]).await;
    let (mut socket, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let mut events = Events::open(replica.public, "vault", None).await;
    events.until(is_live).await;
    nudge(&replica, json!({ "spread_ms": 0 })).await;
    assert_eq!(socket.closed().await, Some(1012));
    assert_eq!(events.next().await, None, "the stream ends");
    assert_eq!(events.retry.as_deref(), Some("200"));
    let status = nudges(&replica, "left", 0).await;
    assert_eq!((&status["moved"], &status["ignored"]), (&json!(1), &json!(1)));
    assert_eq!(replica.metric("rollcall_ignored_goaways_total").await, 1.0);
    assert_eq!(replica.metric("rollcall_moved_total{reason=\"rebalance\"}").await, 1.0);
    let mut events = Events::open(replica.public, "vault", events.last_id).await;
    events.until(is_live).await;
    Socket::join(replica.public, &key(), "vault", None).await;
    assert_eq!(replica.drain_status().await["ignored"], 0, "no drain's");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_an_error_frame() {
    let replica = Replica::start(None, &[]).await;
    let long = "x".repeat(201);
    for (path, request) in [
        ("/nudge", json!({ "spread_ms": -1 })),
        ("/nudge", json!({ "spread_ms": u64::MAX })),
        ("/nudge", json!({ "older_than_ms": u64::MAX })),
        ("/nudge", json!({ "spraed_ms": 1 })),
        ("/nudge", json!({ "connections": "all" })),
        ("/nudge", json!({ "reason": long })),
        ("/nudge", json!([])),
        ("/drain", json!({ "spread_ms": -1 })),
        ("/drain", json!({ "spread_ms": u64::MAX, "deadline_ms": u64::MAX })),
    ] {
        let (status, body) = http(replica.admin, "POST", path, Some(&request)).await;
        assert!((400..500).contains(&status), "{path} {request}: {status}");
        let frame: Value = serde_json::from_str(&body).expect("an error frame");
        assert_eq!(frame["type"], "error", "{path} {request}: {body}");
    }
    assert_eq!(nudges(&replica, "nudges", 0).await["told"], 0);
    assert_eq!(replica.drain_status().await["phase"], "ready");

    // And one that drains sends its clients away already.
    replica.drain(0, 60_000).await;
    let (status, body) = http(replica.admin, "POST", "/nudge", Some(&json!({}))).await;
    assert!(status == 409 && body.contains("draining"), "{status} {body}");
    assert_eq!(http(replica.public, "POST", "/nudge", Some(&json!({}))).await.0, 404);
}
