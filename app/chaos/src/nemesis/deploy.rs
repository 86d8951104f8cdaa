//! Faults that are none: deploys under load. And one that is.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::time::sleep;

use super::{Scene, heal, until_well};
use crate::cluster::{Playbook, docker::docker};

async fn to_the_other_release(scene: &Scene<'_>) -> anyhow::Result<Playbook> {
    until_well(scene.stack, Duration::from_secs(30)).await?;
    let next = scene.stack.other_release().await?;
    Ok(scene.stack.playbook("rolling-update").set("release", next))
}

/// A roll that must succeed.
pub async fn roll(scene: &Scene<'_>) -> anyhow::Result<()> {
    to_the_other_release(scene).await?.succeed().await.map(drop)
}

/// A roll in the middle of which a replica dies. It may complete or put everything back; when what
/// died is there again, one release serves everywhere.
pub async fn roll_and_kill(scene: &Scene<'_>) -> anyhow::Result<()> {
    let rolling = to_the_other_release(scene).await?.run();
    let killing = async {
        // Somewhere in the turn of the first replica or of the second.
        sleep(Duration::from_secs(8) + Duration::from_secs(u64::from(scene.step % 12))).await;
        docker(&["kill", "--signal", "KILL", &scene.container().await?]).await
    };
    let (rolled, killed) = tokio::join!(rolling, killing);
    killed.context("nothing was killed")?;
    let rolled = rolled?;
    ensure!(rolled.status.code().is_some(), "the roll itself died:\n{}", rolled.tail(10));
    heal(scene.stack).await?;
    if scene.stack.release_everywhere().await?.is_none() {
        bail!("left in between, {:?}:\n{}", scene.stack.releases().await?, rolled.tail(15));
    }
    Ok(())
}
