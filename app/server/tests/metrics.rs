//! What a canary is judged by: errors and latencies, of requests and of sends.

mod support;

use std::{collections::BTreeSet, path::Path};

use rollcall_protocol::ServerFrame;
use serde_json::json;
use support::{Redis, Replica, Socket, http, key};

#[tokio::test]
async fn requests_are_counted_by_class_and_timed_but_probes_and_upgrades_are_not() {
    let replica = Replica::start(None, &[]).await;
    let (_socket, _) = Socket::join(replica.public, &key(), "vault", None).await;
    assert_eq!(replica.metric("rollcall_http_request_seconds_count").await, 0.0);
    for (path, status) in [
        ("/", 200),
        ("/web/icon.svg", 200),
        ("/api/v1/rooms/vault/messages", 200),
        ("/web/nothing.js", 404),
        ("/api/v1/rooms/%20/messages", 400),
        ("/livez", 200),
    ] {
        assert_eq!(http(replica.public, "GET", path, None).await.0, status, "{path}");
    }
    for (class, count) in [("1xx", 0.0), ("2xx", 3.0), ("3xx", 0.0), ("4xx", 2.0), ("5xx", 0.0)] {
        let name = format!("rollcall_http_requests_total{{status=\"{class}\"}}");
        assert_eq!(replica.metric(&name).await, count, "{class}");
    }
    assert_eq!(replica.metric("rollcall_http_request_seconds_count").await, 5.0);
}

#[tokio::test]
async fn a_scrape_tells_how_the_replica_stands() {
    let replica = Replica::start(None, &[]).await;
    let (_socket, _) = Socket::join(replica.public, &key(), "vault", None).await;
    assert_eq!(replica.metric("rollcall_rooms").await, 1.0);
    assert_eq!(replica.metric("rollcall_delivering").await, 1.0);
    assert!(replica.metric("rollcall_feeds_read_seconds").await < 5.0);
    for name in ["rollcall_isolated", "rollcall_draining"] {
        assert_eq!(replica.metric(name).await, 0.0, "{name}");
    }
    let (_, text) = http(replica.admin, "GET", "/metrics", None).await;
    let line = text.lines().find(|line| line.starts_with("rollcall_build_info{"));
    let line = line.expect("a line of the build");
    assert!(line.contains("release=\"") && line.ends_with(" 1"), "{line}");
    replica.drain(0, 20_000).await;
    assert_eq!(replica.metric("rollcall_draining").await, 1.0);
}

/// An alert on a metric that nobody has, fires never.
#[tokio::test]
async fn every_metric_that_monitoring_asks_for_is_there() {
    let replica = Replica::start(None, &[]).await;
    let (_, text) = http(replica.admin, "GET", "/metrics", None).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/monitoring");
    let mut asked = BTreeSet::new();
    for file in ["alerts.yml", "dashboard.json"] {
        let words = std::fs::read_to_string(folder.join(file)).expect("a file of the monitoring");
        let words = words.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        asked.extend(words.filter(|word| word.starts_with("rollcall_")).map(str::to_owned));
    }
    assert!(asked.len() > 10, "{asked:?}");
    let is_there = |name: &String| {
        text.contains(&format!("\n{name} ")) || text.contains(&format!("\n{name}{{"))
    };
    let missing: Vec<_> = asked.iter().filter(|name| !is_there(name)).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

async fn outcomes(replica: &Replica) -> [f64; 4] {
    let mut counts = [0.0; 4];
    for (count, outcome) in counts.iter_mut().zip(["taken", "duplicate", "rejected", "failed"]) {
        let name = format!("rollcall_messages_in_total{{outcome=\"{outcome}\"}}");
        *count = replica.metric(&name).await;
    }
    counts
}

#[tokio::test]
async fn sends_are_counted_by_outcome_and_timed_to_their_ack() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &[]).await;
    assert_eq!(outcomes(&replica).await, [0.0; 4], "shown before the first send");
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let is_reject = |frame: &ServerFrame| matches!(frame, ServerFrame::Reject { .. });
    for n in 1..=3 {
        teal.send_acked("vault", n, "x").await;
    }
    teal.send_acked("vault", 3, "x").await;
    teal.send("vault", 9, "ahead").await;
    teal.until(is_reject).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    // The second is refused without asking the log, since the first must come again before it.
    for n in 4..=5 {
        teal.say(&json!({ "type": "send", "room": "vault", "n": n, "text": "no room" })).await;
    }
    teal.until(is_reject).await;
    teal.until(is_reject).await;
    assert_eq!(outcomes(&replica).await, [3.0, 1.0, 2.0, 1.0]);
    assert_eq!(replica.metric("rollcall_send_seconds_count").await, 4.0);
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    teal.send_acked("vault", 4, "room again").await;
    assert_eq!(replica.metric("rollcall_send_seconds_count").await, 5.0);
    let seconds = replica.metric("rollcall_send_seconds_sum").await;
    assert!(seconds > 0.0 && seconds < 5.0, "{seconds}");
}
