//! Undoes whatever any fault may have left.

use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::time::sleep;

use crate::cluster::{
    RELEASES, REPLICAS, Stack,
    docker::{docker, is_running},
    haproxy,
    network::mend,
    redis::{command, set_clock},
};

/// Mends everything, whether it is broken or not, and waits until all replicas serve.
///
/// # Errors
///
/// If the stack cannot be brought back: then nothing after it proves anything.
pub async fn heal(stack: &Stack) -> anyhow::Result<()> {
    for container in [stack.container("redis"), stack.container("haproxy")] {
        wake(&container).await?;
    }
    let _unpaused: String = command(stack, &["CLIENT", "UNPAUSE"]).await?;
    set_clock(stack, Duration::ZERO).await?;
    for slot in stack.running_or_paused().await? {
        wake(&slot.container).await?;
        mend(&slot.container).await?;
    }
    // What is stopped and should serve, an operator would start with the same words.
    stack.up(RELEASES[0]).await?;
    until_well(stack, Duration::from_secs(30)).await
}

async fn wake(container: &str) -> anyhow::Result<()> {
    if !is_running(container).await? {
        // Only one of the two applies, and Docker says so of the other.
        let _ = docker(&["unpause", container]).await;
        let _ = docker(&["start", container]).await;
    }
    Ok(())
}

/// Waits until every replica is ready by its own word, and gets clients by HAProxy's, which learns of
/// it later: so neither alone will do.
///
/// # Errors
///
/// If that is not so in time; names who is missing.
pub async fn until_well(stack: &Stack, limit: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + limit;
    loop {
        let mut missing = Vec::new();
        let serving = haproxy::serving(&stack.haproxy_socket()).await.unwrap_or_default();
        for replica in REPLICAS {
            if !serving.contains(replica) || !is_ready(stack, replica).await {
                missing.push(replica);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        if Instant::now() > until {
            bail!("{} not ready after {limit:?}", missing.join(", "));
        }
        sleep(Duration::from_millis(250)).await;
    }
}

async fn is_ready(stack: &Stack, replica: &str) -> bool {
    let Ok(slot) = stack.newest(replica).await else { return false };
    let url = format!("http://{}:8080/readyz", slot.address);
    let asked = reqwest::Client::new().get(url).timeout(Duration::from_secs(1)).send().await;
    asked.is_ok_and(|answer| answer.status().is_success())
}
