//! From one release to the next, and the way back.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;

use super::{Scene, refusals::not_on_a_friday};

/// Long enough for everybody to say something to everybody, across the releases.
const BESIDE: Duration = Duration::from_secs(8);

pub async fn rollback(scene: &Scene) -> anyhow::Result<String> {
    let release = scene.other_release().await?;
    let old = scene.releases().await?;
    let before = scene.containers().await?;
    let forward = scene.roll(release).succeed().await?;
    scene.expect_serving(release).await?;
    expect_hook_to_refuse_the_way_back(scene).await?;
    let back = scene.stack.playbook("rollback").run().await?;
    back.expect_success()?;
    back.expect_within(forward.took.as_secs_f64() / 2.0)?;
    ensure!(!back.output.contains("canary"), "it had a canary:\n{}", back.tail(10));
    ensure!(scene.releases().await? == old, "{old:?} should serve again");
    let after = scene.containers().await?;
    let running = |all: &[String]| -> Vec<String> {
        all.iter().filter(|container| container.contains(" running ")).cloned().collect()
    };
    ensure!(running(&before) == running(&after), "other containers than the kept ones: {after:?}");
    // Going back twice is not going forward.
    let again = scene.stack.playbook("rollback").run().await?;
    again.expect_failure()?;
    again.line("which came later")?;
    ensure!(scene.containers().await? == after, "the second way back changed something");
    back.line("done: ")
}

/// A release whose frames and feeds have more in them than this one knows.
const LATER: &str = "says-more";

/// The roll stops after each replica, so that for a while both releases have clients in every room. Then it goes back.
pub async fn beside_each_other(scene: &Scene) -> anyhow::Result<String> {
    let old = scene.release().await?;
    for replica in ["r1", "r2"] {
        scene.roll(LATER).arg("--limit").arg(replica).succeed().await?;
        sleep(BESIDE).await;
    }
    let both: std::collections::BTreeSet<_> = scene.releases().await?.into_values().collect();
    ensure!(both.len() == 2, "not two releases beside each other: {both:?}");
    scene.roll(LATER).succeed().await?;
    scene.expect_serving(LATER).await?;
    let back = scene.stack.playbook("rollback").run().await?;
    back.expect_success()?;
    scene.expect_serving(old).await?;
    back.line("done: ")
}

/// The release before this one, as an image of its own commit: `scripts/build --before`.
const BEFORE: &str = "before";

/// From the release before to this one, and back to the kept containers. The roll there stops after the first
/// replica, so that for a while clients of one room are on both, and some move from either to the other.
pub async fn from_the_one_before(scene: &Scene) -> anyhow::Result<String> {
    let new = scene.release().await?;
    scene.roll(BEFORE).arg("-e").arg(&one_address(scene)).succeed().await?;
    scene.expect_serving(BEFORE).await?;
    scene.roll(new).arg("--limit").arg("r1").succeed().await?;
    sleep(BESIDE).await;
    scene.roll(new).succeed().await?;
    scene.expect_serving(new).await?;
    let back = scene.stack.playbook("rollback").run().await?;
    back.expect_success()?;
    scene.expect_serving(BEFORE).await?;
    sleep(BESIDE).await;
    scene.roll(new).succeed().await?;
    scene.expect_serving(new).await?;
    back.line("done: ")
}

/// The release before reads one address of Redis, and does not start with two.
fn one_address(scene: &Scene) -> String {
    let mut extra = scene.stack.env.clone();
    extra.insert("REDIS_URL".to_owned(), "redis://{{ rollcall_redis_ip }}:6379".to_owned());
    serde_json::json!({ "rollcall_server_env_extra": extra }).to_string()
}

async fn expect_hook_to_refuse_the_way_back(scene: &Scene) -> anyhow::Result<()> {
    let before = scene.containers().await?;
    let hooks = scene.hooks(&[("pre-deploy", &not_on_a_friday("rolling back"))])?;
    let back = scene.stack.playbook("rollback").set("hooks", &hooks.to_string_lossy());
    let ended = back.run().await?;
    ended.expect_failure()?;
    ended.line("not on a Friday")?;
    scene.expect_as_before(&before).await
}
