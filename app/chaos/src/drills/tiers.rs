//! What is not a release changes: HAProxy, the number of replicas, where the clients are, Redis. Each change is one
//! playbook, as an operator runs it; drills and the table's rows are made of them.

use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::{sleep, timeout};

use super::Scene;
use crate::cluster::{
    Ended, REPLICAS,
    docker::{docker, run},
    haproxy, image,
};

/// A variable of the playbooks, and its value.
pub(super) type Setting = (&'static str, &'static str);

/// Settings of a replica that need a roll, of HAProxy that need a reload, and that need a new container.
pub(super) const OF_REPLICAS: Setting = ("rollcall_server_outlets_bytes", "33554432");
pub(super) const OF_HAPROXY: Setting = ("rollcall_haproxy_timeout_queue", "4s");
const OF_CONTAINER: Setting = ("rollcall_haproxy_nofile", "19000");
/// More memory for Redis: for what it keeps, and for its container.
const MORE_MEMORY: [Setting; 2] =
    [("rollcall_redis_maxmemory", "320mb"), ("rollcall_redis_memory", "896m")];
/// HAProxy's checks take a second to see that a replica is dead.
const SEEN_DEAD: Duration = Duration::from_secs(20);

/// A drill: a setting that takes a reload, then one that takes a new container, then both back.
pub async fn proxy(scene: &Scene) -> anyhow::Result<String> {
    for setting in [OF_HAPROXY, OF_CONTAINER] {
        haproxy_with(scene, &[setting]).await?;
    }
    let back = haproxy_with(scene, &[]).await?;
    scene.stack.playbook("proxy").succeed().await?.line("nobody had to move")?;
    Ok(back)
}

/// A drill: one replica more, and back.
pub async fn scale(scene: &Scene) -> anyhow::Result<String> {
    scaled(scene, REPLICAS.len() + 1).await?;
    scaled(scene, REPLICAS.len()).await
}

/// A drill: a replica dies and comes back empty; then it gets its share.
pub async fn rebalance(scene: &Scene) -> anyhow::Result<String> {
    let release = scene.release().await?;
    kill_one(scene).await?;
    scene.stack.up(release).await?;
    rebalanced(scene).await
}

/// `rolling-update.yml` to this release with these settings; the same release where a setting alone changes.
pub(super) async fn rolled(
    scene: &Scene,
    release: &str,
    settings: &[Setting],
) -> anyhow::Result<String> {
    let roll =
        settings.iter().fold(scene.roll(release), |roll, (name, value)| roll.set(name, value));
    let rolled = roll.succeed().await?;
    scene.expect_serving(release).await?;
    rolled.line("done: ")
}

/// `rollback.yml`, after which this release serves.
pub(super) async fn rolled_back(scene: &Scene, to: &str) -> anyhow::Result<String> {
    let back = scene.stack.playbook("rollback").succeed().await?;
    scene.expect_serving(to).await?;
    back.line("done: ")
}

/// `proxy.yml`, where HAProxy has to change for these settings.
pub(super) async fn haproxy_with(scene: &Scene, settings: &[Setting]) -> anyhow::Result<String> {
    changed(scene, "proxy", settings).await?.line("HAProxy has changed")
}

/// The same where it is another image that nothing else differs in.
pub(super) async fn haproxy_from(scene: &Scene, next: &str) -> anyhow::Result<String> {
    let proxy = scene.stack.playbook("proxy").set("rollcall_haproxy_image", next);
    proxy.succeed().await?.line("HAProxy has changed")
}

/// `proxy.yml` with another certificate in the same files. New connections are shown it.
pub(super) async fn certified_anew(scene: &Scene) -> anyhow::Result<String> {
    let certificates = scene.crowd.certificates.as_ref().context("the stack has no TLS")?;
    let port = scene.stack.place.port;
    let before = certificates.shown_at(port).await?;
    let changed = certificates.change().await?;
    ensure!(before != changed, "it was {changed} before");
    let ended = scene.stack.playbook("proxy").succeed().await?;
    let shown = certificates.shown_at(port).await?;
    ensure!(shown == changed, "new connections are shown {shown}, not {changed}");
    let line = ended.line("nobody had to move")?;
    Ok(format!("{line} ({before}, then {shown})"))
}

/// `scale.yml` to so many.
pub(super) async fn scaled(scene: &Scene, replicas: usize) -> anyhow::Result<String> {
    scene.scaled(replicas).await?.line("replicas before")
}

/// SIGKILL of a replica, until HAProxy has seen that it is dead.
pub(super) async fn kill_one(scene: &Scene) -> anyhow::Result<()> {
    let lost = scene.stack.newest(REPLICAS[1]).await?.container;
    docker(&["kill", "--signal", "KILL", &lost]).await?;
    let socket = scene.haproxy_socket();
    let seen = async {
        while haproxy::serving(&socket).await.is_none_or(|left| left.contains(REPLICAS[1])) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SEEN_DEAD, seen).await.context("HAProxy did not notice")
}

/// `rebalance.yml`, which has something to do once.
pub(super) async fn rebalanced(scene: &Scene) -> anyhow::Result<String> {
    let evened = scene.stack.playbook("rebalance").succeed().await?;
    let line = evened.line("Asked to move")?;
    scene.stack.playbook("rebalance").succeed().await?.line("The load is even")?;
    Ok(line)
}

/// `store.yml` with more memory, or what the settings say.
pub(super) async fn remembering(scene: &Scene, more: bool) -> anyhow::Result<String> {
    let settings = if more { &MORE_MEMORY[..] } else { &[] };
    told_by_store(&changed(scene, "store", settings).await?)
}

/// `store.yml` with another image.
pub(super) async fn stored_in(scene: &Scene, next: &str) -> anyhow::Result<String> {
    let store = scene.stack.playbook("store").set("rollcall_redis_image", next);
    told_by_store(&store.succeed().await?)
}

fn told_by_store(ended: &Ended) -> anyhow::Result<String> {
    ended.line("Sends were held back").or_else(|_| ended.line("Users felt nothing"))
}

async fn changed(scene: &Scene, playbook: &str, settings: &[Setting]) -> anyhow::Result<Ended> {
    ensure!(scene.stack.has_playbook(playbook), "there is no {playbook}.yml");
    let playbook = scene.stack.playbook(playbook);
    settings.iter().fold(playbook, |all, (name, value)| all.set(name, value)).succeed().await
}

/// An image that differs from the usual one of this name in nothing but its ID, as the next release of its tier would.
pub(super) async fn next_image(scene: &Scene, usual: &str) -> anyhow::Result<String> {
    let next = next_name(scene, usual);
    let from = format!("{}-made", scene.stack.place.project);
    docker(&["create", "--name", &from, &image(usual)]).await?;
    let label = format!("LABEL rollcall.drill={}", scene.stack.place.project);
    let made = docker(&["commit", "--change", &label, &from, &next]).await;
    docker(&["rm", &from]).await?;
    made.map(|_| next)
}

/// Nothing runs from it any more.
pub(super) async fn forget_image(scene: &Scene, usual: &str) {
    // Where it stays, the next run makes it anew under the same name.
    let _gone = run("docker", &["rmi", "--force", &next_name(scene, usual)]).await;
}

fn next_name(scene: &Scene, usual: &str) -> String {
    let name = usual.split(':').next().unwrap_or(usual);
    format!("{}-{name}:next", scene.stack.place.project)
}
