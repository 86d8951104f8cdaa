//! Faults of the network between a replica and its neighbours.

use std::{net::SocketAddr, time::Duration};

use anyhow::ensure;
use tokio::time::{Instant, sleep};

use super::scene::Scene;
use crate::cluster::{
    forward::Forwarder,
    network::{Fate, Peer, Way, cut, detour, mend},
    redis::command,
};

/// The port of a replica that HAProxy sends clients to.
const PUBLIC: u16 = 8080;
/// From one attempt to reach a Redis that is down to the next.
const AGAIN: Duration = Duration::from_millis(200);

pub async fn cut_redis(scene: &Scene<'_>, way: Way, fate: Fate) -> anyhow::Result<()> {
    let address = scene.stack.redis_address();
    cut_from(scene, Peer { address: &address, port: None }, way, fate).await
}

pub async fn cut_haproxy(scene: &Scene<'_>, way: Way, fate: Fate) -> anyhow::Result<()> {
    let address = scene.stack.gateway_address();
    cut_from(scene, Peer { address: &address, port: Some(PUBLIC) }, way, fate).await
}

/// What a container and Redis send each other that way vanishes, until it is mended.
pub async fn drop_redis(scene: &Scene<'_>, container: &str, way: Way) -> anyhow::Result<()> {
    let address = scene.stack.redis_address();
    cut(container, Peer { address: &address, port: None }, way, Fate::Dropped).await
}

async fn cut_from(scene: &Scene<'_>, peer: Peer<'_>, way: Way, fate: Fate) -> anyhow::Result<()> {
    let container = scene.container().await?;
    cut(&container, peer, way, fate).await?;
    scene.hold().await;
    mend(&container).await
}

/// Each way.
pub async fn delay(scene: &Scene<'_>, delay: Duration) -> anyhow::Result<()> {
    detour_by(scene, |forwarder| forwarder.delay(delay)).await
}

/// Each way.
pub async fn thin(scene: &Scene<'_>, bytes_a_second: u32) -> anyhow::Result<()> {
    detour_by(scene, |forwarder| forwarder.thin(bytes_a_second)).await
}

/// Leads the replica's connections to Redis through this process.
async fn detour_by(
    scene: &Scene<'_>,
    with: impl FnOnce(Forwarder) -> Forwarder,
) -> anyhow::Result<()> {
    let slot = scene.stack.newest(scene.replica).await?;
    let redis: SocketAddr = format!("{}:6379", scene.stack.redis_address()).parse()?;
    let gateway = format!("{}:0", scene.stack.gateway_address());
    let running = with(Forwarder::bind(&gateway, redis).await?).run();
    detour(&slot.container, redis, running.address()).await?;
    // What is open goes on as it was; only a new connection takes the detour.
    until_killed(scene, &slot.address).await;
    scene.hold().await;
    mend(&slot.container).await?;
    ensure!(running.accepted() > 0, "{} never took the detour", slot.container);
    Ok(())
    // The forwarder ends here, and with it the detoured connections.
}

/// The other fault of a pair may have killed Redis, or our own connection to it: then again, for as
/// long as the fault lasts. A Redis that is dead for all that time has no connections left to kill.
async fn until_killed(scene: &Scene<'_>, address: &str) {
    let until = Instant::now() + scene.hold;
    while kill_connections_of(scene, address).await.is_err() && Instant::now() < until {
        sleep(AGAIN).await;
    }
}

async fn kill_connections_of(scene: &Scene<'_>, address: &str) -> anyhow::Result<()> {
    let listed: String = command(scene.stack, &["CLIENT", "LIST"]).await?;
    let of_replica = format!("addr={address}:");
    for client in listed.lines().filter(|line| line.contains(&of_replica)) {
        let id = client.split(' ').find_map(|field| field.strip_prefix("id="));
        if let Some(id) = id {
            let _killed: i64 = command(scene.stack, &["CLIENT", "KILL", "ID", id]).await?;
        }
    }
    Ok(())
}
