//! What a client must not do: each has its answer, and no effect on others.

mod support;

use std::time::{Duration, Instant};

use rollcall_protocol::{ErrorCode, RejectCode, ServerFrame};
use serde_json::{Value, json};
use support::{Replica, Socket, ask::history, http, key};
use tokio_tungstenite::tungstenite::{self, Message};

async fn error_for(socket: &mut Socket, raw: &str) -> ErrorCode {
    socket.say_raw(Message::text(raw)).await;
    let is_error = |frame: &ServerFrame| matches!(frame, ServerFrame::Error { .. });
    match socket.until(is_error).await.pop() {
        Some(ServerFrame::Error { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

async fn reject_for(socket: &mut Socket, frame: Value) -> RejectCode {
    socket.say(&frame).await;
    let is_reject = |frame: &ServerFrame| matches!(frame, ServerFrame::Reject { .. });
    match socket.until(is_reject).await.pop() {
        Some(ServerFrame::Reject { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn frames_that_are_none_get_an_error_and_the_socket_lives_on() {
    let replica = Replica::start(None, &[]).await;
    let (mut witness, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let (mut socket, _) = Socket::join(replica.public, &key(), "vault", None).await;
    for (raw, code) in [
        ("", ErrorCode::BadFrame),
        ("{", ErrorCode::BadFrame),
        ("[1,2]", ErrorCode::BadFrame),
        (r#"{"type":"teleport"}"#, ErrorCode::UnknownType),
        (r#"{"type":"send","room":"vault","n":"one","text":"x"}"#, ErrorCode::BadFrame),
        (r#"{"type":"send","room":"vault","n":-1,"text":"x"}"#, ErrorCode::BadFrame),
        (r#"{"type":"join","room":"attic","after":"latest"}"#, ErrorCode::BadFrame),
        (r#"{"type":"join","room":"a\u202eb"}"#, ErrorCode::BadRoom),
        (r#"{"type":"join","room":""}"#, ErrorCode::BadRoom),
    ] {
        assert_eq!(error_for(&mut socket, raw).await, code, "{raw}");
    }
    socket.send_acked("vault", 1, "still here").await;
    assert_eq!(witness.messages(1).await[0].text, "still here");
}

#[tokio::test]
async fn ten_bad_frames_end_the_connection() {
    let replica = Replica::start(None, &[]).await;
    let (mut socket, _) = Socket::join(replica.public, &key(), "vault", None).await;
    for _ in 0..10 {
        socket.say_raw(Message::text("{")).await;
    }
    assert_eq!(socket.closed().await, Some(4400));
}

#[tokio::test]
async fn sends_that_cannot_be_taken_are_rejected_and_use_up_no_number() {
    let replica = Replica::start(None, &[]).await;
    let (mut socket, _) = Socket::join(replica.public, &key(), "vault", None).await;
    socket.send_acked("vault", 1, "one").await;
    let send = |room: &str, n: u64, text: &str| json!({ "type": "send", "room": room, "n": n, "text": text });
    let long = "x".repeat(4097);
    for (frame, code) in [
        (send("vault", 3, "ahead"), RejectCode::OutOfOrder),
        (send("attic", 1, "elsewhere"), RejectCode::NotJoined),
        (send("vault", 2, ""), RejectCode::BadText),
        (send("vault", 2, "\u{7}"), RejectCode::BadText),
        (send("vault", 2, &long), RejectCode::BadText),
    ] {
        assert_eq!(reject_for(&mut socket, frame.clone()).await, code, "{frame}");
    }
    socket.send_acked("vault", 2, "two").await;
}

#[tokio::test]
async fn too_fast_is_rejected_with_a_time() {
    let replica = Replica::start(None, &["--rate-client", "1"]).await;
    let (mut socket, _) = Socket::join(replica.public, &key(), "vault", None).await;
    for n in 1..=5 {
        socket.send("vault", n, "x").await;
    }
    let is_reject = |frame: &ServerFrame| matches!(frame, ServerFrame::Reject { .. });
    let frames = socket.until(is_reject).await;
    assert!(
        matches!(
            frames.last(),
            Some(ServerFrame::Reject { code: RejectCode::RateLimited, retry_ms: Some(1..), .. })
        ),
        "{frames:?}"
    );
}

#[tokio::test]
async fn a_bad_hello_is_refused_for_good() {
    let replica = Replica::start(None, &[]).await;
    let hello = |client: &str, name: &str, v: u32| json!({ "type": "hello", "v": v, "client": client, "name": name, "why": "fresh", "rooms": [] });
    let good = key();
    for (frame, code) in [
        (hello("short", "Teal", 1), ErrorCode::BadClient),
        (hello(&good, "a\u{202e}b", 1), ErrorCode::BadName),
        (hello(&good, "", 1), ErrorCode::BadName),
        (hello(&good, &"x".repeat(33), 1), ErrorCode::BadName),
        (hello(&good, "Teal", 2), ErrorCode::BadVersion),
    ] {
        let mut socket = Socket::open(replica.public).await;
        assert_eq!(error_for(&mut socket, &frame.to_string()).await, code, "{frame}");
        assert_eq!(socket.closed().await, Some(4401));
    }
}

#[tokio::test]
async fn binary_oversized_and_not_utf8_close_with_their_codes() {
    let replica = Replica::start(None, &[]).await;
    let (mut witness, _) = Socket::join(replica.public, &key(), "vault", None).await;
    for (message, code) in
        [(Message::binary(vec![1, 2, 3]), 1003), (Message::text("x".repeat(17 * 1024)), 1009)]
    {
        let (mut socket, _) = Socket::join(replica.public, &key(), "vault", None).await;
        socket.say_raw(message).await;
        assert_eq!(socket.closed().await, Some(code));
    }
    witness.send_acked("vault", 1, "unharmed").await;
}

#[tokio::test]
async fn what_is_against_rfc_6455_closes_with_1002() {
    let replica = Replica::start(None, &[]).await;
    let (mut witness, _) = Socket::join(replica.public, &key(), "vault", None).await;
    for (what, bytes) in [
        ("not masked", &[0x81, 0x01, b'x'][..]),
        ("a reserved bit", &[0xc1, 0x80, 0, 0, 0, 0]),
        ("a reserved opcode", &[0x83, 0x80, 0, 0, 0, 0]),
        ("a fragmented ping", &[0x09, 0x80, 0, 0, 0, 0]),
        ("a continuation of nothing", &[0x80, 0x80, 0, 0, 0, 0]),
    ] {
        let (mut socket, _) = Socket::join(replica.public, &key(), "vault", None).await;
        socket.say_bytes(bytes).await;
        assert_eq!(socket.closed().await, Some(1002), "{what}");
    }
    witness.send_acked("vault", 1, "unharmed").await;
}

/// Too many frames are not refused: they wait in the client's own socket.
#[tokio::test]
async fn who_talks_too_fast_is_read_more_slowly_and_loses_nothing() {
    // 10 frames per second of any kind, 50 at once.
    let replica = Replica::start(None, &["--rate-client", "2"]).await;
    let (mut hasty, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let (mut witness, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let began = Instant::now();
    for t in 1..=70 {
        hasty.say(&json!({ "type": "ping", "t": t })).await;
    }
    witness.fence(1).await;
    let mut frames = hasty.until(|frame| *frame == ServerFrame::Pong { t: 70 }).await;
    assert!(began.elapsed() >= Duration::from_millis(1500), "{:?}", began.elapsed());
    frames.retain(|frame| matches!(frame, ServerFrame::Pong { .. }));
    let pongs: Vec<_> = (1..=70).map(|t| ServerFrame::Pong { t }).collect();
    assert_eq!(frames, pongs, "each one, in order");
    hasty.send_acked("vault", 1, "still here").await;
}

#[tokio::test]
async fn a_silent_peer_is_given_up() {
    let replica = Replica::start(None, &["--heartbeat-ms", "400"]).await;
    let (mut silent, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let (mut alive, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let beats = async {
        for t in 0.. {
            alive.fence(t).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        code = silent.closed() => assert_eq!(code, Some(1013)),
        () = beats => {}
    }
    alive.fence(1_000_000).await;
}

#[tokio::test]
async fn a_foreign_origin_is_forbidden_and_a_listed_one_is_not() {
    let settings = ["--allowed-origins", "https://chat.example,https://other.example"];
    let replica = Replica::start(None, &settings).await;
    let own = format!("http://{}", replica.public);
    for (origin, allowed) in [
        ("https://evil.example", false),
        ("null", false),
        ("https://chat.example", true),
        (own.as_str(), true),
    ] {
        match Socket::try_open(replica.public, Some(origin)).await {
            Ok(_) => assert!(allowed, "{origin} got in"),
            Err(tungstenite::Error::Http(response)) => {
                assert!(!allowed && response.status() == 403, "{origin}: {response:?}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn requests_over_http_are_checked_too() {
    let replica = Replica::start(None, &[]).await;
    let path = "/api/v1/rooms/vault/messages";
    let post = |n: u64, text: &str| json!({ "client": "0".repeat(32), "name": "Teal", "n": n, "text": text });
    for (path, body, status) in [
        (path, json!({ "n": 1 }), 422),
        (path, post(1, ""), 400),
        ("/api/v1/rooms/%20x/messages", post(1, "x"), 400),
        (path, post(1, "one"), 200),
        (path, post(1, "one"), 200),
        (path, post(5, "five"), 409),
        (path, post(1, &"x".repeat(20_000)), 413),
    ] {
        assert_eq!(http(replica.public, "POST", path, Some(&body)).await.0, status, "{body}");
    }
    assert_eq!(history(replica.public, "vault").await.len(), 1);
    for path in [
        "/api/v1/rooms/vault/messages?limit=abc",
        "/api/v1/rooms/vault/messages?before=latest",
        "/api/v1/rooms/vault/events?after=latest",
        "/api/v1/rooms/%ff/messages",
        "/api/v1/rooms/%ff/events",
    ] {
        let (status, body) = http(replica.public, "GET", path, None).await;
        let error: Value = serde_json::from_str(&body).expect(path);
        assert_eq!((status, &error["type"]), (400, &json!("error")), "{path}: {body}");
    }
    assert_eq!(http(replica.public, "GET", "/api/v1/ws", None).await.0, 426);
}
