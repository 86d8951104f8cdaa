//! Faults of one replica's process.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::time::sleep;

use super::scene::Scene;
use crate::cluster::docker::{docker, memory_hog, pid};

pub async fn kill(scene: &Scene<'_>) -> anyhow::Result<()> {
    let container = scene.container().await?;
    docker(&["kill", "--signal", "KILL", &container]).await?;
    scene.hold().await;
    docker(&["start", &container]).await.map(drop)
}

pub async fn terminate(scene: &Scene<'_>) -> anyhow::Result<()> {
    let container = scene.container().await?;
    docker(&["stop", &container]).await?;
    scene.hold().await;
    docker(&["start", &container]).await.map(drop)
}

pub async fn pause(scene: &Scene<'_>) -> anyhow::Result<()> {
    let container = scene.container().await?;
    docker(&["pause", &container]).await?;
    scene.hold().await;
    docker(&["unpause", &container]).await.map(drop)
}

/// Fills the container's memory from outside, so that the kernel kills the server.
pub async fn out_of_memory(scene: &Scene<'_>) -> anyhow::Result<()> {
    let container = scene.container().await?;
    let victim = pid(&container).await?;
    let limit = docker(&["inspect", "--format", "{{.HostConfig.Memory}}", &container]).await?;
    docker(&["update", "--memory", "32m", "--memory-swap", "32m", &container]).await?;
    memory_hog(victim).await?;
    let again = until_another(&container, victim).await;
    let limit = limit.trim();
    docker(&["update", "--memory", limit, "--memory-swap", limit, &container]).await?;
    ensure!(again, "the kernel did not kill {container}");
    scene.hold().await;
    Ok(())
}

/// Whether Docker restarted a container whose first process was `before`.
async fn until_another(container: &str, before: u32) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if pid(container).await.is_ok_and(|now| now != before) {
            return true;
        }
        sleep(Duration::from_millis(200)).await;
    }
    false
}

pub async fn starve(scene: &Scene<'_>) -> anyhow::Result<()> {
    let container = scene.container().await?;
    docker(&["update", "--cpus", "0.05", &container]).await?;
    scene.hold().await;
    let all = std::thread::available_parallelism()?.to_string();
    docker(&["update", "--cpus", &all, &container]).await.map(drop)
}
