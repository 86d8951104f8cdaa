//! What dies in the middle of a roll, or hangs.

use std::{future::Future, time::Duration};

use anyhow::{Context, ensure};
use tokio::time::{sleep, timeout};

use super::Scene;
use crate::cluster::{
    Ended, Playbook, REPLICAS,
    docker::{docker, is_running},
};

/// Longer than a deploy waits for HAProxy, and shorter than it does so twice.
const AWAY: Duration = Duration::from_secs(15);
/// The first replica is stopped and its hook told, once it is drained.
const TURN_ENDS: Duration = Duration::from_secs(30);

/// Rolls, and does `harm` when the first replica, the emptiest, is through: it is told which that was.
async fn rolled_under(
    scene: &Scene,
    roll: Playbook,
    harm: impl AsyncFnOnce(String) -> anyhow::Result<()>,
) -> anyhow::Result<Ended> {
    let journal = scene.journal();
    let (rolled, harmed) = tokio::join!(roll.run(), async {
        // The drain's line is written when the stop has begun.
        harm(journal.first("drain").await?).await
    });
    harmed?;
    rolled
}

/// Rolls to the other release under some harm. It may complete or put everything back, and must say which.
async fn complete_or_back(
    scene: &Scene,
    harm: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<String> {
    let (old, new) = (scene.release().await?, scene.other_release().await?);
    let ended = rolled_under(scene, scene.roll(new), async |_| harm.await).await?;
    let (release, words) = if ended.status.success() { (new, "done: ") } else { (old, "Failed. ") };
    scene.expect_serving(release).await?;
    ended.line(words)
}

/// Twice: a roll that needs all replicas goes back, one that can do with two completes.
pub async fn replica_killed(scene: &Scene) -> anyhow::Result<String> {
    let kill = async |release: &str, min_ready: &str| {
        let roll = scene.roll(release).set("rollcall_min_ready", min_ready);
        // One whose turn has not come.
        let harm = async |first: String| {
            let victim = REPLICAS.into_iter().rfind(|it| *it != first).context("nobody is left")?;
            let victim = scene.stack.newest(victim).await?.container;
            docker(&["kill", "--signal", "KILL", &victim]).await.map(drop)
        };
        rolled_under(scene, roll, harm).await
    };
    let release = scene.other_release().await?;
    let before = scene.containers().await?;
    let back = kill(release, "3").await?;
    back.expect_failure()?;
    let line = back.line("a roll needs 3")?;
    // The operator's part: what was killed is started again.
    scene.stack.up(release).await?;
    scene.expect_as_before(&before).await?;
    kill(release, "2").await?.expect_success()?;
    scene.expect_serving(release).await?;
    Ok(line)
}

/// One that runs and answers nothing: what brings the stack up starts it anew, and nothing else.
pub async fn replica_frozen(scene: &Scene) -> anyhow::Result<String> {
    let (before, release) = (scene.containers().await?, scene.release().await?);
    docker(&["pause", &scene.stack.newest("r2").await?.container]).await?;
    let ended = scene.stack.playbook("site").succeed().await?;
    scene.expect_as_before(&before).await?;
    scene.expect_serving(release).await?;
    for other in ["r1", "r3"] {
        ensure!(ended.line(&format!("changed: [{other}]")).is_err(), "{other} was changed too");
    }
    ended.line("changed: [r2]")
}

pub async fn redis_restarted(scene: &Scene) -> anyhow::Result<String> {
    let redis = scene.stack.container("redis");
    complete_or_back(scene, async { docker(&["restart", &redis]).await.map(drop) }).await
}

pub async fn haproxy_reloaded(scene: &Scene) -> anyhow::Result<String> {
    let haproxy = scene.stack.container("haproxy");
    let reload = ["kill", "--signal", "USR2", &haproxy];
    complete_or_back(scene, async { docker(&reload).await.map(drop) }).await
}

/// After the first turn, and too long for the second: that fails, and the first replica goes back when HAProxy is there
/// again.
pub async fn haproxy_away(scene: &Scene) -> anyhow::Result<String> {
    let (before, journal) = (scene.containers().await?, scene.journal());
    let (haproxy, release) = (scene.stack.container("haproxy"), scene.other_release().await?);
    let kill = format!("[ \"$ROLLCALL_RELEASE\" != {release} ] || docker kill {haproxy}");
    let hooks = scene.hooks(&[("post-replica", &kill)])?;
    let roll = scene.roll(release).set("hooks", &hooks.to_string_lossy());
    let killed = async {
        while is_running(&haproxy).await? {
            sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    let harm = async {
        timeout(TURN_ENDS, killed).await.context("nobody killed HAProxy")??;
        sleep(AWAY).await;
        docker(&["start", &haproxy]).await.map(drop)
    };
    let ended = rolled_under(scene, roll, async |_| harm.await).await?;
    ended.expect_failure()?;
    let first = journal.first_turn()?;
    ensure!(journal.find(&first, "put back")?.outcome == "ok", "{first} was not put back");
    scene.expect_as_before(&before).await?;
    ended.line("Failed. ")
}
