//! Faults of HAProxy.

use super::scene::Scene;
use crate::cluster::docker::docker;

pub async fn reload(scene: &Scene<'_>) -> anyhow::Result<()> {
    docker(&["kill", "--signal", "USR2", &scene.stack.container("haproxy")]).await?;
    scene.hold().await;
    Ok(())
}

pub async fn kill(scene: &Scene<'_>) -> anyhow::Result<()> {
    let container = scene.stack.container("haproxy");
    docker(&["kill", "--signal", "KILL", &container]).await?;
    scene.hold().await;
    docker(&["start", &container]).await.map(drop)
}
