//! Faults that are none: deploys under load. And one that is.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::time::sleep;

use super::{
    heal::{heal, until_well},
    scene::Scene,
    witness::{UNDISTURBED, Witnesses, nothing_untrue, served},
};
use crate::cluster::{MUTANT_RELEASE, Playbook, docker::docker};

/// Clients that roll without knowing that one replica was empty: groups of ten, so that no room gets more than its rate.
const GROUPS: [&str; 6] = ["tilt-1", "tilt-2", "tilt-3", "tilt-4", "tilt-5", "tilt-6"];
const IN_EACH: usize = 10;
/// Enough for all, and not what playbooks say.
const OUTLETS_BYTES: u32 = 32 << 20;
/// The busiest replica against the idlest when all is over, per cent.
const BALANCE: u64 = 120;

async fn to_the_other_release(scene: &Scene<'_>) -> anyhow::Result<Playbook> {
    until_well(scene.stack, Duration::from_secs(30)).await?;
    let roll = scene.stack.playbook("rolling-update");
    if scene.stack.releases().await?.values().all(|release| release == MUTANT_RELEASE) {
        // What is wrong with it may show only where clients come to one of its kind, so it is rolled to itself, with a
        // setting that it had not before.
        let (setting, bytes) = ("rollcall_server_outlets_bytes", OUTLETS_BYTES + scene.step);
        return Ok(roll.set("release", MUTANT_RELEASE).set(setting, &bytes.to_string()));
    }
    Ok(roll.set("release", scene.stack.other_release().await?))
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

/// A replica dies and comes back, with no client of its own, and then everything is rolled.
///
/// What must hold: no client moves more than once, nobody waits or is told that anybody left, and in the end the replicas
/// have about as many clients each.
pub async fn roll_unbalanced(scene: &Scene<'_>) -> anyhow::Result<()> {
    let mut groups = Vec::new();
    for group in GROUPS {
        groups.push(Witnesses::gather(scene, group, &[group], IN_EACH).await?);
    }
    let container = scene.container().await?;
    docker(&["kill", "--signal", "KILL", &container]).await?;
    scene.hold().await;
    docker(&["start", &container]).await?;
    let rolling = to_the_other_release(scene).await?;
    groups.iter().for_each(Witnesses::begin);
    rolling.succeed().await?;
    let balance = balance(scene).await?;
    let mut accounts = Vec::new();
    for group in groups {
        accounts.extend(group.dismiss().await?);
    }
    for it in &accounts {
        scene.measured("moves of one client in one roll", &it.name, it.moves, 1);
        scene.measured("connections lost in a roll", &it.name, it.lost, 0);
    }
    scene.measured("% of connections, busiest to idlest", "all replicas", balance, BALANCE);
    served(scene, &accounts, UNDISTURBED);
    nothing_untrue(scene, &accounts);
    Ok(())
}

/// By what the replicas tell themselves.
async fn balance(scene: &Scene<'_>) -> anyhow::Result<u64> {
    let mut connections = Vec::new();
    for slot in scene.stack.running().await? {
        let url = format!("http://{}:8090/drain", slot.address);
        let state: serde_json::Value = reqwest::get(url).await?.json().await?;
        connections.push(state["connections"].as_u64().context("no connections are told")?);
    }
    let (idlest, busiest) = (connections.iter().min(), connections.iter().max());
    let (idlest, busiest) = idlest.zip(busiest).context("no replica runs")?;
    Ok(busiest * 100 / (*idlest).max(1))
}
