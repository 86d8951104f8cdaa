//! Each mutant is wrong in a way that a client can see: what the chaos harness has to catch is there to be caught.

mod support;

use std::time::{Duration, Instant};

use clap::ValueEnum;
use rollcall_protocol::{EntryId, JoinStatus, Message, RejectCode, ServerFrame};
use rollcall_server::mutants::Mutant;
use serde_json::json;
use support::{
    PATIENCE, Redis, Replica, Socket, assert_chain, http, key, messages, metric, process::Process,
};

const PATH: &str = "/api/v1/rooms/vault/messages";

/// A server that is wrong in this way, on a Redis that healthy ones share.
async fn mutant(name: &str, redis: &Redis, settings: &[(&str, &str)]) -> Process {
    let url = redis.url();
    let common = [("ROLLCALL_MUTANT", name), ("REDIS_URL", &url)];
    // What is too fast is rejected as well, and that is not what they are about.
    let fast = [("RATE_CLIENT", "10000"), ("RATE_ROOM", "10000")];
    Process::start(&[&common, &fast, settings].concat()).await
}

fn is_ack(frame: &ServerFrame) -> bool {
    matches!(frame, ServerFrame::Ack { .. })
}

fn is_gap(frame: &ServerFrame) -> bool {
    matches!(frame, ServerFrame::Gap { .. })
}

fn is_message(text: &str) -> impl Fn(&ServerFrame) -> bool {
    move |frame| matches!(frame, ServerFrame::Message(message) if message.text == text)
}

fn status(frames: &[ServerFrame]) -> JoinStatus {
    let status = frames.iter().find_map(|frame| match frame {
        ServerFrame::Joined { status, .. } => Some(*status),
        _ => None,
    });
    status.expect("a joined frame")
}

/// The only message among frames without a gap.
fn sole_message(frames: &[ServerFrame]) -> Message {
    assert!(!frames.iter().any(is_gap), "{frames:?}");
    let [message] = &messages(frames)[..] else { panic!("{frames:?}") };
    message.clone()
}

/// How often the chain from `cursor` breaks.
fn holes(cursor: EntryId, messages: &[Message]) -> usize {
    let cursors = [cursor].into_iter().chain(messages.iter().map(|message| message.id));
    messages.iter().zip(cursors).filter(|(message, cursor)| message.prev != *cursor).count()
}

/// `teal` goes on after her number `n` until `plum` hears of it again: what he heard.
async fn hear_again(teal: &mut Socket, plum: &mut Socket, mut n: u64) -> Vec<ServerFrame> {
    let (last, mut heard) = (n, Vec::new());
    while !messages(&heard).iter().any(|message| message.n > last) {
        n += 1;
        assert!(n < last + 200, "he hears nothing");
        teal.send_acked("vault", n, "later").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        heard.extend(plum.fence(n).await);
    }
    heard
}

async fn post(address: std::net::SocketAddr, key: &str, n: u64) {
    let body = json!({ "client": key, "name": "Teal", "n": n, "text": format!("m{n}") });
    assert_eq!(http(address, "POST", PATH, Some(&body)).await.0, 200);
}

#[tokio::test]
async fn no_dedup() {
    let redis = Redis::start().await;
    let mutant = mutant("no-dedup", &redis, &[]).await;
    let (mut teal, _) = Socket::join(mutant.public, &key(), "vault", None).await;
    for n in [1, 2, 2, 1, 3] {
        teal.send("vault", n, "x").await;
    }
    let got = teal.messages(5).await;
    assert_chain(EntryId::ZERO, &got);
    assert_eq!(got.iter().map(|message| message.n).collect::<Vec<_>>(), [1, 2, 2, 1, 3]);
}

#[tokio::test]
async fn resume_from_tail() {
    let redis = Redis::start().await;
    let mutant = mutant("resume-from-tail", &redis, &[]).await;
    let (mut teal, _) = Socket::join(mutant.public, &key(), "vault", None).await;
    let mut ids = Vec::new();
    for n in 1..=3 {
        teal.send("vault", n, "x").await;
        ids.push(teal.messages(1).await[0].id);
    }
    let (_plum, frames) = Socket::join(mutant.public, &key(), "vault", Some(ids[0])).await;
    assert_eq!((status(&frames), messages(&frames).len()), (JoinStatus::Resumed, 0));
    assert!(frames.contains(&ServerFrame::Live { room: "vault".into(), id: ids[2] }), "{frames:?}");
}

#[tokio::test]
async fn ack_before_append() {
    let mut redis = Redis::start().await;
    let mutant = mutant("ack-before-append", &redis, &[]).await;
    let (mut teal, _) = Socket::join(mutant.public, &key(), "vault", None).await;
    teal.send("vault", 1, "kept").await;
    // The log has answered: what comes next waits for nothing.
    while metric(mutant.admin, "rollcall_send_seconds_count").await < 1.0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    redis.kill();
    teal.send("vault", 2, "lost").await;
    teal.until(|frame| matches!(frame, ServerFrame::Ack { n: 2, duplicate: false, .. })).await;
    drop(mutant);
    redis.launch().await;
    let replica = Replica::start(Some(&redis), &[]).await;
    let (_, history) = http(replica.public, "GET", PATH, None).await;
    assert!(history.contains("kept") && !history.contains("lost"), "{history}");
}

#[tokio::test]
async fn timeout_is_failure() {
    let redis = Redis::start().await;
    let mutant = mutant("timeout-is-failure", &redis, &[("REDIS_TIMEOUT_MS", "300")]).await;
    let (mut teal, _) = Socket::join(mutant.public, &key(), "vault", None).await;
    redis.pause(true);
    teal.send("vault", 1, "rejected").await;
    let is_final =
        |frame: &ServerFrame| matches!(frame, ServerFrame::Reject { n: 1, retry_ms: None, .. });
    teal.until(is_final).await;
    redis.pause(false);
    teal.until(is_message("rejected")).await;
    // Its number is free, as a client understands it, and not as the log does.
    teal.send("vault", 1, "the next one").await;
    let is_taken = |frame: &ServerFrame| {
        matches!(frame, ServerFrame::Reject { n: 1, code: RejectCode::NumberTaken, .. })
    };
    teal.until(is_taken).await;
}

#[tokio::test]
async fn ignore_falling_behind() {
    let redis = Redis::start().await;
    let settings = [("FEED_ENTRIES", "16"), ("REDIS_TIMEOUT_MS", "5000")];
    let mutant = mutant("ignore-falling-behind", &redis, &settings).await;
    let fast = ["--feed-entries", "16", "--rate-client", "10000", "--rate-room", "10000"];
    let healthy = Replica::start(Some(&redis), &fast).await;
    let (mut teal, _) = Socket::join(healthy.public, &key(), "vault", None).await;
    let (mut plum, _) = Socket::join(mutant.public, &key(), "vault", None).await;
    teal.send_acked("vault", 1, "heard").await;
    let cursor = sole_message(&plum.until(is_message("heard")).await).id;
    // Frozen while the feed runs past it: what its last read did not bring is gone when it wakes.
    mutant.signal("-STOP").await;
    for n in 2..=300 {
        teal.send_acked("vault", n, "x").await;
    }
    mutant.signal("-CONT").await;
    let later = hear_again(&mut teal, &mut plum, 300).await;
    assert!(!later.iter().any(is_gap), "{later:?}");
    assert!(holes(cursor, &messages(&later)) > 0, "{later:?}");
}

#[tokio::test]
async fn swap_deliveries() {
    let redis = Redis::start().await;
    let mutant = mutant("swap-deliveries", &redis, &[("ROLLCALL_MUTANT_DOSE", "1")]).await;
    let (mut teal, _) = Socket::join(mutant.public, &key(), "vault", None).await;
    let began = Instant::now();
    for round in 0.. {
        let numbers: Vec<u64> = (round * 10 + 1..=round * 10 + 10).collect();
        for n in &numbers {
            teal.send("vault", *n, "x").await;
        }
        let mut got: Vec<_> = teal.messages(10).await.iter().map(|message| message.n).collect();
        let swapped = got != numbers;
        got.sort_unstable();
        assert_eq!(got, numbers, "nothing is lost");
        if swapped {
            return;
        }
        assert!(began.elapsed() < PATIENCE);
    }
}

#[tokio::test]
async fn drop_one() {
    let redis = Redis::start().await;
    let mutant = mutant("drop-one", &redis, &[("ROLLCALL_MUTANT_DOSE", "5")]).await;
    let (mut plum, _) = Socket::join(mutant.public, &key(), "vault", None).await;
    // Not over a WebSocket, whose deliveries would count as well.
    let (teal, mut got) = (key(), Vec::new());
    for n in 1..=20 {
        post(mutant.public, &teal, n).await;
        got.extend(messages(&plum.fence(n).await));
    }
    // The first may have come by way of the log, and the last may yet come.
    assert!((2..=4).contains(&holes(EntryId::ZERO, &got)), "{got:?}");
}

#[tokio::test]
async fn never_gap() {
    let redis = Redis::start().await;
    let mutant = mutant("never-gap", &redis, &[]).await;
    let healthy = Replica::start(Some(&redis), &[]).await;
    let (mut teal, _) = Socket::join(healthy.public, &key(), "vault", None).await;
    let mut ids = Vec::new();
    for n in 1..=5 {
        ids.push(teal.send_acked("vault", n, "x").await);
    }
    redis.command(&["XTRIM", &redis.log_key("vault").await, "MAXLEN", "1"]).await;
    let (mut plum, frames) = Socket::join(mutant.public, &key(), "vault", Some(ids[0])).await;
    let message = sole_message(&frames);
    assert_eq!((status(&frames), message.prev), (JoinStatus::Resumed, ids[3]));
    // A client that is live is not told either.
    redis.command(&["FLUSHALL"]).await;
    let (mut late, _) = Socket::join(healthy.public, &key(), "vault", None).await;
    late.send_acked("vault", 1, "after").await;
    assert_eq!(sole_message(&plum.until(is_message("after")).await).prev, EntryId::ZERO);
}

#[tokio::test]
async fn forget_feed_cursor() {
    let redis = Redis::start().await;
    let mutant = mutant("forget-feed-cursor", &redis, &[]).await;
    let healthy = Replica::start(Some(&redis), &["--rate-client", "1000"]).await;
    let (mut teal, _) = Socket::join(healthy.public, &key(), "vault", None).await;
    let (mut plum, _) = Socket::join(mutant.public, &key(), "vault", None).await;
    teal.send_acked("vault", 1, "heard").await;
    let cursor = sole_message(&plum.until(is_message("heard")).await).id;
    // Frozen, so that what is said reaches the log before it connects again.
    mutant.signal("-STOP").await;
    redis.command(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    let missed = teal.send_acked("vault", 2, "missed").await;
    mutant.signal("-CONT").await;
    let frames = hear_again(&mut teal, &mut plum, 2).await;
    let first = &messages(&frames)[0];
    assert!(!frames.iter().any(is_gap) && cursor < missed && first.prev >= missed, "{frames:?}");
}

#[tokio::test]
async fn presence_stays() {
    let redis = Redis::start().await;
    let mutant = mutant("presence-stays", &redis, &[("LEASE_MS", "400")]).await;
    let (_witness, _) = Socket::join(mutant.public, &key(), "vault", None).await;
    let (vanished, _) = Socket::join(mutant.public, &key(), "vault", None).await;
    let (mut left, _) = Socket::join(mutant.public, &key(), "vault", None).await;
    drop(vanished);
    left.say(&json!({ "type": "bye" })).await;
    left.closed().await;
    // Several leases.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (_late, frames) = Socket::join(mutant.public, &key(), "vault", None).await;
    let is_crowded = |frame: &ServerFrame| matches!(frame, ServerFrame::Joined { present: 4, .. });
    assert!(frames.iter().any(is_crowded), "{frames:?}");
}

/// The names that the chaos harness gives to servers are known to them, all of them.
#[test]
fn chaos_knows_no_other_names() {
    let table = include_str!("../../chaos/src/mutants.rs");
    let named = table.split("Mutant::new(").skip(1).filter_map(|rest| rest.split('"').nth(1));
    let names: Vec<&str> = named.collect();
    assert_eq!(names.len(), 20, "{names:?}");
    for name in names {
        assert!(Mutant::from_str(name, false).is_ok(), "{name}");
    }
}

#[tokio::test]
async fn no_fsync() {
    let mut redis = Redis::start_with_faults().await;
    let mutant = mutant("no-fsync", &redis, &[]).await;
    // A Redis that has started goes by its own setting, until it is told again.
    for text in ["lost", "lost too"] {
        let (mut teal, _) = Socket::join(mutant.public, &key(), "vault", None).await;
        teal.send_acked("vault", 1, text).await;
        redis.lose_power().await;
        let replica = Replica::start(Some(&redis), &[]).await;
        let (status, history) = http(replica.public, "GET", PATH, None).await;
        assert!(status == 200 && !history.contains(text), "{status} {history}");
    }
}

#[tokio::test]
async fn never_ready() {
    let server = Process::launch(&[("ROLLCALL_MUTANT", "never-ready")]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(http(server.public, "GET", "/livez", None).await.0, 200);
    assert_eq!(http(server.public, "GET", "/readyz", None).await.0, 503);
    assert!(Socket::try_open(server.public, None).await.is_err());
}

#[tokio::test]
async fn dies_in_hold() {
    let variables = [("ROLLCALL_MUTANT", "dies-in-hold"), ("ROLLCALL_MUTANT_DOSE", "3")];
    let mut server = Process::start(&variables).await;
    for _ in 0..3 {
        assert_eq!(http(server.public, "GET", PATH, None).await.0, 200);
    }
    assert_eq!(server.exit_code().await, Some(70));
}

#[tokio::test]
async fn five_percent_errors() {
    let redis = Redis::start().await;
    let server = mutant("five-percent-errors", &redis, &[]).await;
    let mut failed = 0;
    for _ in 0..40 {
        failed += u32::from(http(server.public, "GET", PATH, None).await.0 == 500);
    }
    assert_eq!(failed, 2);
    let (mut teal, _) = Socket::join(server.public, &key(), "vault", None).await;
    let (mut n, mut rejected) = (1, 0);
    while n <= 39 {
        teal.send("vault", n, "x").await;
        let answers =
            |frame: &ServerFrame| is_ack(frame) || matches!(frame, ServerFrame::Reject { .. });
        match teal.until(answers).await.pop() {
            Some(ServerFrame::Ack { .. }) => n += 1,
            _ => rejected += 1,
        }
    }
    assert_eq!(rejected, 2);
    let http_errors = "rollcall_http_requests_total{status=\"5xx\"}";
    let send_errors = "rollcall_messages_in_total{outcome=\"failed\"}";
    assert_eq!(metric(server.admin, http_errors).await, 2.0);
    assert_eq!(metric(server.admin, send_errors).await, 2.0);
}

#[tokio::test]
async fn ten_times_slower() {
    let redis = Redis::start().await;
    let server = mutant("ten-times-slower", &redis, &[]).await;
    let (mut teal, _) = Socket::join(server.public, &key(), "vault", None).await;
    for n in 1..=4 {
        teal.send_acked("vault", n, "x").await;
        assert_eq!(http(server.public, "GET", PATH, None).await.0, 200);
    }
    assert!(metric(server.admin, "rollcall_send_seconds_sum").await >= 0.2);
    assert!(metric(server.admin, "rollcall_http_request_seconds_sum").await >= 0.2);
}

#[tokio::test]
async fn ignores_sigterm() {
    let server = Process::start(&[("ROLLCALL_MUTANT", "ignores-sigterm")]).await;
    let (mut socket, _) = Socket::join(server.public, &key(), "vault", None).await;
    server.signal("-TERM").await;
    server.signal("-TERM").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(http(server.public, "GET", "/readyz", None).await.0, 200);
    let drain = json!({ "spread_ms": 0, "deadline_ms": 60_000 });
    assert_eq!(http(server.admin, "POST", "/drain", Some(&drain)).await.0, 200);
    socket.until(|frame| matches!(frame, ServerFrame::Goaway { .. })).await;
}

#[tokio::test]
async fn says_more() {
    let redis = Redis::start().await;
    let later = mutant("says-more", &redis, &[("RATE_CLIENT", "2")]).await;
    let now = Replica::start(Some(&redis), &[]).await;
    let (mut teal, frames) = Socket::join(later.public, &key(), "vault", None).await;
    assert!(frames.contains(&ServerFrame::Unknown), "{frames:?}");
    let (mut plum, _) = Socket::join(now.public, &key(), "vault", None).await;
    teal.send_acked("vault", 1, "x").await;
    plum.send_acked("vault", 1, "y").await;
    teal.send_acked("vault", 2, "z").await;
    for heard in [teal.fence(1).await, plum.fence(1).await] {
        assert!(!heard.iter().any(is_gap), "{heard:?}");
    }
    let (_, history) = http(now.public, "GET", PATH, None).await;
    assert!(["x", "y", "z"].iter().all(|text| history.contains(&format!("\"text\":\"{text}\""))));
    let key = redis.log_key("vault").await;
    let feed = format!("{}:feed", key.split(":room:").next().expect("a partition"));
    let entries = redis.command(&["XRANGE", &feed, "-", "+"]).await;
    assert_eq!(entries.matches("later").count(), 2, "{entries}");
    for n in 3..=10 {
        teal.send("vault", n, "too fast").await;
    }
    let is_odd = |frame: &ServerFrame| {
        matches!(frame, ServerFrame::Reject { code: RejectCode::Other, retry_ms: Some(_), .. })
    };
    teal.until(is_odd).await;
}
