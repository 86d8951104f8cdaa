//! Releases that are no good, each in its own way.

use anyhow::ensure;

use super::Scene;
use crate::cluster::Ended;

/// The default of `rollcall_start_timeout_seconds`, and what an end in failure may take besides.
const READY_TIMEOUT: f64 = 20.0;
const UNDOING: f64 = 15.0;
/// From the verdict until the old release is alone again.
const AFTER_VERDICT: f64 = 5.0;

/// A roll that must fail and leave everything as it was, kept containers included.
async fn undone(scene: &Scene, release: &str) -> anyhow::Result<Ended> {
    let before = scene.containers().await?;
    let ended = scene.roll(release).run().await?;
    ended.expect_failure()?;
    scene.expect_as_before(&before).await?;
    Ok(ended)
}

pub async fn never_ready(scene: &Scene) -> anyhow::Result<String> {
    let ended = undone(scene, "never-ready").await?;
    ended.expect_within(READY_TIMEOUT + UNDOING)?;
    ended.line("was not DRAIN within")
}

pub async fn dies_in_hold(scene: &Scene) -> anyhow::Result<String> {
    let ended = undone(scene, "dies-in-hold").await?;
    ended.expect_within(READY_TIMEOUT + UNDOING)?;
    ended.line("r1  Failed").or_else(|_| ended.line("Failed. Serving now"))?;
    let journal = ["does not answer any more", "was not UP", "smoke of", "was not DRAIN", "failed"];
    let told = journal.iter().find_map(|words| ended.line(words).ok());
    told.ok_or_else(|| anyhow::anyhow!("no reason given:\n{}", ended.tail(12)))
}

/// The second replica cannot become ready, since its Redis is nowhere; the first was rolled by then.
pub async fn fails_on_second(scene: &Scene) -> anyhow::Result<String> {
    let before = scene.containers().await?;
    let journal = scene.journal();
    let nowhere = format!("redis://{}.250:6379", scene.stack.place.network);
    let env =
        format!("{{{{ {{'REDIS_URL': '{nowhere}'}} if inventory_hostname == 'r2' else {{}} }}}}");
    let extra = serde_json::json!({
        "rollcall_server_env_extra": env, "rollcall_start_timeout_seconds": 6,
    });
    let release = scene.other_release().await?;
    let ended = scene.roll(release).arg("-e").arg(&extra.to_string()).run().await?;
    ended.expect_failure()?;
    ensure!(journal.find("r1", "stop")?.outcome == "ok", "r1 was not rolled at all");
    ensure!(journal.find("r1", "put back")?.outcome == "ok", "r1 was not put back");
    scene.expect_as_before(&before).await?;
    ended.line("was not DRAIN within")
}

/// Worse than the releases beside it: caught on the first replica, and remembered.
pub async fn canary(scene: &Scene, release: &str) -> anyhow::Result<String> {
    let journal = scene.journal();
    let ended = undone(scene, release).await?;
    let verdict = journal.find("r1", "canary")?;
    ensure!(verdict.outcome == "failed", "the canary passed it");
    let undo = journal.find("r1", "undo")?.seconds;
    ensure!(undo <= AFTER_VERDICT, "the old release was alone {undo} s after the verdict");
    ensure!(journal.find("r2", "start").is_err(), "it came to the second replica");
    let again = undone(scene, release).await?;
    again.line("Refused before the first drain")?;
    again.line("is marked bad")?;
    ended.line("canary r1-")
}
