//! Who does not go when told to.

use anyhow::{Context, ensure};
use futures_util::{SinkExt, StreamExt};
use rollcall_client::new_key;
use serde_json::{Value, json};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use super::Scene;

const DEADLINE_MS: u64 = 4000;

/// A client that hears its goaway and stays.
pub async fn client(scene: &Scene) -> anyhow::Result<String> {
    let url = format!("ws://127.0.0.1:{}/api/v1/ws", scene.stack.place.port);
    let (mut socket, _) = connect_async(url).await?;
    let hello = json!({
        "type": "hello", "v": 1, "client": new_key(), "name": "Stuck", "why": "fresh",
        "rooms": [{ "room": "stuck" }],
    });
    socket.send(Message::text(hello.to_string())).await?;
    let welcome = socket.next().await.context("no welcome")??;
    let welcome: Value = serde_json::from_str(welcome.to_text()?)?;
    let replica = welcome["replica"].as_str().context("a welcome without a replica")?;
    let journal = scene.journal();
    let other = scene.other_release().await?;
    let deadline = DEADLINE_MS.to_string();
    let roll = scene.roll(other).set("rollcall_drain_deadline_ms", &deadline);
    let ended = roll.arg("--limit").arg(replica).run().await?;
    drop(socket);
    ended.expect_success()?;
    let drain = journal.find(replica, "drain")?;
    ensure!(drain.forced == 1, "{} were counted as forced, not 1", drain.forced);
    ensure!(drain.seconds >= DEADLINE_MS as f64 / 1000.0, "it was not given its {DEADLINE_MS} ms");
    let rolled = scene.serving().await?;
    ensure!(rolled.get(replica).is_some_and(|it| it == other), "{replica} was not rolled");
    table_row(&ended.output, replica)
}

/// A release that ignores SIGTERM, on one replica, and the way off it.
pub async fn release(scene: &Scene) -> anyhow::Result<String> {
    let back = scene.other_release().await?;
    let limited = |release: &str| scene.roll(release).arg("--limit").arg("r1");
    limited("ignores-sigterm").run().await?.expect_success()?;
    let journal = scene.journal();
    let ended = limited(back).run().await?;
    ended.expect_success()?;
    let stop = journal.find("r1", "stop")?;
    ensure!(stop.outcome == "ok" && stop.reason.contains("was killed"), "not told: {stop:?}");
    ended.line("was killed")
}

fn table_row(output: &str, replica: &str) -> anyhow::Result<String> {
    let rows = output.lines().skip_while(|line| !line.starts_with("replica "));
    let mut found = rows.filter(|line| line.starts_with(replica));
    Ok(found.next().context("no table")?.to_owned())
}
