//! Clients and releases that do not go when they are told to.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use rollcall_client::new_key;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::interval};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::Scene;

/// The default, since a roll must stand it: a shorter one would hide a patience that ends before it does.
const DEADLINE_MS: u64 = 20_000;

/// Well within the server's patience.
const PING: Duration = Duration::from_secs(2);
/// The first to be rolled: that the roll goes on is seen from the others.
const FIRST: &str = "r1";
const OTHERS: [&str; 2] = ["r2", "r3"];
/// Connections until one is on that replica. HAProxy evens them out, so the third should be.
const ATTEMPTS: usize = 12;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A client that says that it moves, hears its goaway and stays.
pub async fn client(scene: &Scene) -> anyhow::Result<String> {
    let stuck = tokio::spawn(stay(enter_on(scene, FIRST).await?));
    let journal = scene.journal();
    let other = scene.other_release().await?;
    let ended = scene.roll(other).run().await?;
    stuck.abort();
    ended.expect_success()?;
    let drain = journal.find(FIRST, "drain")?;
    ensure!(drain.forced == 1, "{} were counted as forced, not 1", drain.forced);
    ensure!(drain.seconds >= DEADLINE_MS as f64 / 1000.0, "it was not given its {DEADLINE_MS} ms");
    for replica in OTHERS {
        let forced = journal.find(replica, "drain")?.forced;
        ensure!(forced == 0, "{forced} were forced on {replica}, where nobody is stuck");
    }
    scene.expect_serving(other).await?;
    table_row(&ended.output, FIRST)
}

/// Hears everything and only says that it lives: a silent client is given up, which is another matter.
async fn stay(mut socket: Socket) {
    let mut ticks = interval(PING);
    loop {
        let goes_on = tokio::select! {
            heard = socket.next() => matches!(heard, Some(Ok(_))),
            _ = ticks.tick() => socket.send(Message::text(r#"{"type":"ping","t":0}"#)).await.is_ok(),
        };
        if !goes_on {
            return;
        }
    }
}

/// A connection to this replica.
async fn enter_on(scene: &Scene, replica: &str) -> anyhow::Result<Socket> {
    // Those on other replicas stay until then, so that HAProxy has a reason to choose another.
    let mut elsewhere = Vec::new();
    for _ in 0..ATTEMPTS {
        let (socket, on) = enter(scene).await?;
        if on == replica {
            return Ok(socket);
        }
        elsewhere.push(socket);
    }
    bail!("HAProxy sent nobody of {ATTEMPTS} to {replica}")
}

/// A connection, and the replica that welcomed it.
async fn enter(scene: &Scene) -> anyhow::Result<(Socket, String)> {
    let url = format!("ws://127.0.0.1:{}/api/v1/ws", scene.stack.place.port);
    let (mut socket, _) = connect_async(url).await?;
    let hello = json!({
        "type": "hello", "v": 1, "client": new_key(), "name": "Stuck", "why": "fresh",
        "moves": true, "rooms": [{ "room": "stuck" }],
    });
    socket.send(Message::text(hello.to_string())).await?;
    let welcome = socket.next().await.context("no welcome")??;
    let welcome: Value = serde_json::from_str(welcome.to_text()?)?;
    let replica = welcome["replica"].as_str().context("a welcome without a replica")?;
    Ok((socket, replica.to_owned()))
}

/// A release that ignores SIGTERM, on one replica, and the way off it, on which the others follow.
pub async fn release(scene: &Scene) -> anyhow::Result<String> {
    let next = scene.other_release().await?;
    let faulty = scene.roll("ignores-sigterm").arg("--limit").arg(FIRST);
    faulty.run().await?.expect_success()?;
    let journal = scene.journal();
    let ended = scene.roll(next).run().await?;
    ended.expect_success()?;
    let stop = journal.find(FIRST, "stop")?;
    ensure!(stop.outcome == "ok" && stop.reason.contains("was killed"), "not told: {stop:?}");
    for replica in OTHERS {
        let stop = journal.find(replica, "stop")?;
        ensure!(stop.outcome == "ok" && stop.reason.is_empty(), "{replica}: {stop:?}");
    }
    scene.expect_serving(next).await?;
    ended.line("was killed")
}

fn table_row(output: &str, replica: &str) -> anyhow::Result<String> {
    let rows = output.lines().skip_while(|line| !line.starts_with("replica "));
    let mut found = rows.filter(|line| line.starts_with(replica));
    Ok(found.next().context("no table")?.to_owned())
}
