//! Releases that are no good, each in its own way.

use anyhow::{Context, ensure};

use super::Scene;
use crate::cluster::{Ended, Playbook};

/// The default of `rollcall_start_timeout_seconds`, and what an end in failure may take besides.
const READY_TIMEOUT: f64 = 20.0;
/// A shorter one, for a replica whose turn comes after another's, which takes so long at most.
const SHORT_TIMEOUT: f64 = 6.0;
const TURN: f64 = 15.0;
const UNDOING: f64 = 15.0;
/// From the verdict until the old release is alone again.
const AFTER_VERDICT: f64 = 5.0;

/// A roll that must fail and leave everything as it was, kept containers included.
async fn undone(scene: &Scene, release: &str) -> anyhow::Result<Ended> {
    ends_as_before(scene, scene.roll(release)).await
}

async fn ends_as_before(scene: &Scene, roll: Playbook) -> anyhow::Result<Ended> {
    let before = scene.containers().await?;
    let ended = roll.run().await?;
    ended.expect_failure()?;
    scene.expect_as_before(&before).await?;
    Ok(ended)
}

pub async fn never_ready(scene: &Scene) -> anyhow::Result<String> {
    let ended = undone(scene, "never-ready").await?;
    ended.expect_within(READY_TIMEOUT + UNDOING)?;
    ended.line("was not DRAIN within")
}

/// It was good enough to be taken into service, and is watched while it dies: by the canary that stands for the
/// hold, and without one by the hold itself. Its clients are where they were, since nothing was drained.
pub async fn dies_in_hold(scene: &Scene) -> anyhow::Result<String> {
    let release = "dies-in-hold";
    dies_watched(scene, scene.roll(release), &["ready", "canary"]).await?;
    let without_canary = scene.roll(release).set("force", "true");
    dies_watched(scene, without_canary, &["ready"]).await
}

async fn dies_watched(scene: &Scene, roll: Playbook, phases: &[&str]) -> anyhow::Result<String> {
    let journal = scene.journal();
    let ended = ends_as_before(scene, roll).await?;
    ended.expect_within(READY_TIMEOUT + UNDOING)?;
    let steps = journal.steps()?;
    let failed = steps.iter().find(|it| it.outcome == "failed" && !it.replica.is_empty());
    let failed = failed.context("no step of a replica has failed")?;
    let first = journal.first_turn()?;
    let watched = failed.replica == first && phases.contains(&failed.phase.as_str());
    ensure!(watched, "it did not die in the hold of {first}: {failed:?}");
    ensure!(journal.find(&first, "undo")?.outcome == "ok", "its turn was not undone");
    ensure!(journal.find(&first, "drain").is_err(), "the old slot was drained for it");
    ensure!(!failed.reason.is_empty(), "no reason given:\n{}", ended.tail(12));
    ended.line(failed.reason.lines().next().unwrap_or_default())
}

/// A roll on which the second replica cannot become ready, since its Redis is nowhere; the first is
/// rolled by then, and named.
async fn failing_on_second(
    scene: &Scene,
    release: &str,
    more: &[(&str, &str)],
) -> anyhow::Result<(Ended, String)> {
    let nowhere = format!("redis://{}.250:6379", scene.stack.place.network);
    // Preflight finds the order of turns, so until then it is true of nobody.
    let is_first = "inventory_hostname == (groups.turns | default([inventory_hostname]))[0]";
    let env = format!("{{{{ {{}} if {is_first} else {{'REDIS_URL': '{nowhere}'}} }}}}");
    let extra = serde_json::json!({
        "rollcall_server_env_extra": env, "rollcall_start_timeout_seconds": SHORT_TIMEOUT,
    });
    let roll = scene.roll(release).arg("-e").arg(&extra.to_string());
    let journal = scene.journal();
    let ended = more.iter().fold(roll, |roll, (name, value)| roll.set(name, value)).run().await?;
    ended.expect_failure()?;
    let first = journal.first_turn()?;
    ensure!(journal.find(&first, "stop")?.outcome == "ok", "{first} was not rolled at all");
    Ok((ended, first))
}

pub async fn fails_on_second(scene: &Scene) -> anyhow::Result<String> {
    let (before, journal) = (scene.containers().await?, scene.journal());
    let (ended, first) = failing_on_second(scene, scene.other_release().await?, &[]).await?;
    ended.expect_within(TURN + SHORT_TIMEOUT + UNDOING)?;
    ensure!(journal.find(&first, "put back")?.outcome == "ok", "{first} was not put back");
    scene.expect_as_before(&before).await?;
    ended.line("was not DRAIN within")
}

/// What was rolled stays when it is told to, and the way back is the one that is documented.
pub async fn left_to_be_looked_at(scene: &Scene) -> anyhow::Result<String> {
    let (old, new) = (scene.release().await?, scene.other_release().await?);
    let (_, first) = failing_on_second(scene, new, &[("auto_rollback", "false")]).await?;
    scene.expect_only_on(&first, new, old).await?;
    scene.expect_no_leftovers().await?;
    let back = scene.stack.playbook("rollback").set("release", old).run().await?;
    back.expect_success()?;
    scene.expect_serving(old).await?;
    back.line("done: ")
}

/// What the first replica would be put back to is gone: then what serves there is all there is, and stays.
pub async fn put_back_fails(scene: &Scene) -> anyhow::Result<String> {
    let (old, new) = (scene.release().await?, scene.other_release().await?);
    let remove = "[ \"$ROLLCALL_RELEASE $ROLLCALL_FROM\" = \"NEW OLD\" ] || exit 1\n\
                  [ \"$ROLLCALL_SLOT\" = blue ] && old=green || old=blue\n\
                  docker rm --force \"$ROLLCALL_PROJECT-$ROLLCALL_REPLICA-$old\"";
    let remove = remove.replace("NEW", new).replace("OLD", old);
    let hooks = scene.hooks(&[("post-replica", &remove)])?;
    let journal = scene.journal();
    let hooks = hooks.to_string_lossy();
    let (ended, first) = failing_on_second(scene, new, &[("hooks", &hooks)]).await?;
    ensure!(journal.find(&first, "put back")?.outcome == "failed", "it was put back to nothing");
    scene.expect_only_on(&first, new, old).await?;
    ended.line("there is no container")
}

/// Marked bad, it is rolled out where the operator insists, and no canary is asked again.
pub async fn forced(scene: &Scene) -> anyhow::Result<String> {
    let (old, release) = (scene.release().await?, "ten-times-slower");
    undone(scene, release).await?.line("canary r")?;
    let journal = scene.journal();
    let only_first = scene.roll(release).set("force", "true").arg("--limit").arg("r1");
    let ended = only_first.run().await?;
    ended.expect_success()?;
    ensure!(journal.find("r1", "canary").is_err(), "there was a canary");
    scene.expect_only_on("r1", release, old).await?;
    scene.roll(old).run().await?.expect_success()?;
    scene.expect_serving(old).await?;
    ended.line("done: ")
}

/// Worse than the releases beside it: caught on the first replica, and remembered.
pub async fn canary(scene: &Scene, release: &str) -> anyhow::Result<String> {
    let journal = scene.journal();
    let ended = undone(scene, release).await?;
    let first = journal.first_turn()?;
    let verdict = journal.find(&first, "canary")?;
    ensure!(verdict.outcome == "failed", "the canary passed it");
    let undo = journal.find(&first, "undo")?.seconds;
    ensure!(undo <= AFTER_VERDICT, "the old release was alone {undo} s after the verdict");
    let other = journal.steps()?.into_iter().find(|it| !["", &first].contains(&&*it.replica));
    ensure!(other.is_none(), "it came to the second replica: {other:?}");
    let again = undone(scene, release).await?;
    again.line("Refused before the first drain")?;
    again.line("is marked bad")?;
    ended.line(&format!("canary {first}-"))
}
