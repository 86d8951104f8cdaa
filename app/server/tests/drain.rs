//! A replica's end: drain, goaway, deadline, signals.

mod support;

use rollcall_protocol::{EntryId, ServerFrame};
use serde_json::json;
use support::{PATIENCE, Redis, Replica, Socket, http, key, process::Process};
use tokio::process::Command;

fn is_goaway(frame: &ServerFrame) -> bool {
    matches!(frame, ServerFrame::Goaway { .. })
}

#[tokio::test]
async fn a_drain_spreads_the_moves_and_keeps_delivering() {
    let redis = Redis::start().await;
    // They stay past their moments, to see what comes until then.
    let patient = ["--goaway-grace-ms", "20000"];
    let (old, new) =
        tokio::join!(Replica::start(Some(&redis), &patient), Replica::start(Some(&redis), &[]));
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(Socket::join(old.public, &key(), "vault", None).await.0);
    }
    let status = old.drain(2000, 10_000).await;
    assert_eq!((&status["phase"], &status["connections"]), (&json!("draining"), &json!(4)));
    let mut moments = Vec::new();
    for socket in &mut sockets {
        match socket.until(is_goaway).await.pop() {
            Some(ServerFrame::Goaway { in_ms, .. }) => moments.push(in_ms),
            other => panic!("{other:?}"),
        }
    }
    moments.sort_unstable();
    assert_eq!(moments, [0, 500, 1000, 1500]);

    assert_eq!(http(old.public, "GET", "/readyz", None).await.0, 503);
    assert_eq!(http(old.public, "GET", "/livez", None).await.0, 200);
    assert!(Socket::try_open(old.public, None).await.is_err(), "a new connection got in");
    // What is said on the new replica still reaches clients that have yet to move.
    let (mut teal, _) = Socket::join(new.public, &key(), "vault", None).await;
    let id = teal.send_acked("vault", 1, "are you still there?").await;
    for socket in &mut sockets {
        assert_eq!(socket.messages(1).await[0].id, id);
    }
    for socket in sockets {
        socket.close().await;
    }
    let status = old.wait_connections(0).await;
    assert_eq!((&status["moved"], &status["forced"]), (&json!(4), &json!(0)));
}

#[tokio::test]
async fn the_deadline_forces_who_is_left() {
    let replica = Replica::start(None, &[]).await;
    let (mut socket, _) = Socket::join(replica.public, &key(), "vault", None).await;
    replica.drain(0, 200).await;
    assert_eq!(socket.closed().await, Some(1012));
    let status = replica.wait_connections(0).await;
    assert_eq!((&status["moved"], &status["forced"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn a_cancelled_drain_is_ready_again() {
    let replica = Replica::start(None, &[]).await;
    let (mut socket, _) = Socket::join(replica.public, &key(), "vault", None).await;
    replica.drain(0, 60_000).await;
    socket.until(is_goaway).await;
    assert_eq!(http(replica.admin, "DELETE", "/drain", None).await.0, 200);
    replica.wait_ready().await;
    socket.send_acked("vault", 1, "never mind").await;
    replica.drain(0, 60_000).await;
    socket.until(is_goaway).await;
}

#[tokio::test]
async fn the_admin_paths_are_not_public() {
    let replica = Replica::start(None, &[]).await;
    for path in ["/drain", "/metrics"] {
        assert_eq!(http(replica.public, "GET", path, None).await.0, 404, "{path}");
    }
    let (status, metrics) = http(replica.admin, "GET", "/metrics", None).await;
    assert!(status == 200 && metrics.contains("# TYPE rollcall_delivery_seconds histogram"));
}

#[tokio::test]
async fn a_terminated_replica_drains_and_then_ends() {
    let replica = Replica::start(None, &["--drain-spread-ms", "0"]).await;
    let (mut socket, _) = Socket::join(replica.public, &key(), "vault", None).await;
    replica.terminate();
    socket.until(is_goaway).await;
    assert!(!replica.task.is_finished());
    socket.close().await;
    let ended = tokio::time::timeout(PATIENCE, replica.task).await.expect("in time");
    ended.expect("no panic").expect("no error");
}

/// A server process with that deadline for its drain, which tells everybody at once.
async fn process(deadline_ms: &str) -> Process {
    Process::start(&[("DRAIN_DEADLINE_MS", deadline_ms), ("DRAIN_SPREAD_MS", "0")]).await
}

#[tokio::test]
async fn sigterm_drains_and_exits_zero() {
    let mut process = process("20000").await;
    let (mut socket, _) = Socket::join(process.public, &key(), "vault", Some(EntryId::ZERO)).await;
    process.signal("-TERM").await;
    socket.until(is_goaway).await;
    socket.close().await;
    assert_eq!(process.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_second_sigterm_exits_at_once() {
    let mut process = process("600000").await;
    let (mut socket, _) = Socket::join(process.public, &key(), "vault", None).await;
    process.signal("-TERM").await;
    socket.until(is_goaway).await;
    process.signal("-TERM").await;
    assert_eq!(process.exit_code().await, Some(1));
}

#[tokio::test]
async fn a_busy_port_is_one_plain_line() {
    let process = process("1000").await;
    let second = Command::new(env!("CARGO_BIN_EXE_rollcall-server"))
        .env("PORT", process.public.port().to_string())
        .env("ADMIN_PORT", "0")
        .output()
        .await
        .expect("it runs");
    let output = String::from_utf8_lossy(&second.stdout);
    assert_eq!(second.status.code(), Some(1));
    assert_eq!(output.lines().count(), 1, "{output}");
    assert!(output.contains("choose another by PORT"), "{output}");
}
