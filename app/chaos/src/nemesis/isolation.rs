//! A replica that is cut off without a word: from Redis, or, frozen, from everything.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;

use super::{
    links::drop_redis,
    plain::Plain,
    scene::Scene,
    witness::{UNDISTURBED, Witnesses, nothing_untrue, served},
};
use crate::cluster::{
    docker::docker,
    network::{Way, mend},
};

/// A client of the replica that has lost Redis is served again after this long at most: by another one.
const GIVEN_AWAY: Duration = Duration::from_secs(6);
/// A client of a frozen replica notices by itself, two and a half heartbeats after the last sign of life, and has to come back.
const NOTICED: Duration = Duration::from_millis(12_500 + 5_000);
/// Witnesses come in groups, lest a room get more than its rate: three at least, and more until one is on the replica. It may
/// have all clients of the workload, and newcomers go where there are fewest.
const GROUPS: std::ops::RangeInclusive<usize> = 3..=10;
const IN_EACH: usize = 12;
/// What those who held out may take to come back when Redis is there again.
const AFTER: Duration = Duration::from_secs(3);

/// Only the way between this replica and Redis is cut; HAProxy, clients and admin listener reach it as before.
///
/// What must hold: the replica gives its clients away. None of them goes without messages or answers for longer than
/// [`GIVEN_AWAY`], whether it obeys a goaway or not; those of other replicas feel nothing, and nobody is told that anybody left.
pub async fn deafen(scene: &Scene<'_>) -> anyhow::Result<()> {
    let witnesses = gather(scene, "deaf").await?;
    let plain = Plain::gather(scene, "deaf-1").await?;
    let container = scene.container().await?;
    witnesses.iter().for_each(Witnesses::begin);
    plain.begin();
    drop_redis(scene, &container, Way::Both).await?;
    scene.hold().await;
    mend(&container).await?;
    sleep(AFTER).await;
    plain.judge(scene, GIVEN_AWAY);
    judge(scene, witnesses, GIVEN_AWAY).await
}

/// The replica stands still, and everybody's connections to it.
///
/// What must hold: clients of other replicas feel nothing, and its own are elsewhere soon after they have noticed.
pub async fn freeze(scene: &Scene<'_>) -> anyhow::Result<()> {
    let witnesses = gather(scene, "frozen").await?;
    let container = scene.container().await?;
    witnesses.iter().for_each(Witnesses::begin);
    docker(&["pause", &container]).await?;
    scene.hold().await;
    docker(&["unpause", &container]).await?;
    sleep(AFTER).await;
    judge(scene, witnesses, NOTICED).await
}

async fn gather(scene: &Scene<'_>, name: &str) -> anyhow::Result<Vec<Witnesses>> {
    let mut groups: Vec<Witnesses> = Vec::new();
    let are_there = |groups: &[Witnesses]| {
        groups.iter().any(|group| group.replicas.iter().any(|replica| replica == scene.replica))
    };
    while groups.len() < *GROUPS.start() || (groups.len() < *GROUPS.end() && !are_there(&groups)) {
        let room = format!("{name}-{}", groups.len() + 1);
        groups.push(Witnesses::gather(scene, &room, &[&room], IN_EACH).await?);
    }
    Ok(groups)
}

/// Those of the replica were served again within `limit`, and the others all the time.
async fn judge(scene: &Scene<'_>, groups: Vec<Witnesses>, limit: Duration) -> anyhow::Result<()> {
    let mut accounts = Vec::new();
    for group in groups {
        accounts.extend(group.dismiss().await?);
    }
    let (own, others): (Vec<_>, Vec<_>) =
        accounts.iter().partition(|it| it.replica == scene.replica);
    ensure!(!own.is_empty(), "no witness was on {}", scene.replica);
    served(scene, own, limit);
    served(scene, others, UNDISTURBED);
    nothing_untrue(scene, &accounts);
    Ok(())
}
