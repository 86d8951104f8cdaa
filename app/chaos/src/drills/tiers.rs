//! What is not a release changes: HAProxy, the number of replicas, where the clients are.

use anyhow::ensure;

use super::Scene;
use crate::cluster::{REPLICAS, docker::docker};

/// A setting that takes a reload, then one that takes a new container, then both back.
pub async fn proxy(scene: &Scene) -> anyhow::Result<String> {
    let proxy = || scene.stack.playbook("proxy");
    let reloaded = proxy().set("rollcall_haproxy_timeout_queue", "4s").succeed().await?;
    reloaded.line("HAProxy has changed")?;
    let replaced = proxy().set("rollcall_haproxy_nofile", "19000").succeed().await?;
    replaced.line("HAProxy has changed")?;
    let back = proxy().succeed().await?;
    proxy().succeed().await?.line("nobody had to move")?;
    back.line("HAProxy has changed")
}

/// One replica more, and back.
pub async fn scale(scene: &Scene) -> anyhow::Result<String> {
    let scale = |count: usize| scene.stack.playbook("scale").set("replicas", &count.to_string());
    let more = REPLICAS.len() + 1;
    scale(more).succeed().await?;
    let serving = scene.releases().await?;
    ensure!(serving.len() == more, "{more} replicas should serve, not {serving:?}");
    let back = scale(REPLICAS.len()).succeed().await?;
    let serving = scene.releases().await?;
    ensure!(serving.len() == REPLICAS.len(), "as many as before should serve, not {serving:?}");
    back.line("replicas before")
}

/// A replica dies and comes back empty; then it gets its share.
pub async fn rebalance(scene: &Scene) -> anyhow::Result<String> {
    let release = scene.release().await?;
    let lost = scene.stack.newest(REPLICAS[1]).await?.container;
    docker(&["kill", "--signal", "KILL", &lost]).await?;
    scene.stack.up(release).await?;
    let rebalance = || scene.stack.playbook("rebalance");
    let evened = rebalance().succeed().await?;
    evened.line("Asked to move")?;
    rebalance().succeed().await?.line("The load is even")?;
    evened.line("Asked to move")
}
