//! Deploys that must not touch anything.

use std::fs;

use anyhow::ensure;

use super::Scene;
use crate::cluster::{REPLICAS, docker::docker};

pub async fn bad_image(scene: &Scene) -> anyhow::Result<String> {
    let before = scene.containers().await?;
    let ended = scene.roll("0.0.0-never-built").run().await?;
    ended.expect_failure()?;
    ended.line("Refused before the first drain")?;
    scene.expect_as_before(&before).await?;
    ended.line("there is no image")
}

pub async fn same_release(scene: &Scene) -> anyhow::Result<String> {
    let before = scene.containers().await?;
    let release = scene.release().await?;
    let ended = scene.roll(release).run().await?;
    ended.expect_success()?;
    ended.expect_within(10.0)?;
    scene.expect_as_before(&before).await?;
    ended.line("changed=0")
}

pub async fn check_mode(scene: &Scene) -> anyhow::Result<String> {
    let before = scene.containers().await?;
    let journal = scene.journal();
    let other = scene.other_release().await?;
    let ended = scene.roll(other).arg("--check").arg("--diff").run().await?;
    ended.expect_success()?;
    for replica in REPLICAS {
        let line = ended.line(&format!("{replica}: "))?;
        ensure!(line.contains('→') && line.ends_with(other), "not a plan: {line}");
    }
    ensure!(journal.steps()?.is_empty(), "a check is no deploy, but the journal has one");
    scene.expect_as_before(&before).await?;
    check_of_nothing(scene).await?;
    ended.line("r1: ")
}

/// The same where nothing is there yet: it says what would be made, to its end, and makes nothing.
async fn check_of_nothing(scene: &Scene) -> anyhow::Result<()> {
    let project = format!("{}-next", scene.stack.place.project);
    let site = scene.stack.playbook("site").set("rollcall_project", &project);
    // An address that no other has: nothing is bound for a check.
    let site =
        site.set("rollcall_network_prefix", "10.213.77").set("rollcall_address", "127.0.0.9");
    let run_dir = scene.file("drill-nothing");
    let site = site.set("rollcall_run_dir", &run_dir.to_string_lossy());
    let ended = site.arg("--check").arg("--diff").run().await?;
    ended.expect_success()?;
    for replica in REPLICAS {
        ensure!(ended.line(&format!("{replica} ")).is_ok(), "nothing is said of {replica}");
    }
    let label = format!("name=^/?{project}-");
    let made = docker(&["ps", "--all", "--quiet", "--filter", &label]).await?;
    let volumes = docker(&["volume", "ls", "--quiet", "--filter", &label]).await?;
    let networks = docker(&["network", "ls", "--quiet", "--filter", &label]).await?;
    let left = [made, volumes, networks].concat();
    ensure!(left.is_empty() && !run_dir.exists(), "a check made something: {left}");
    Ok(())
}

/// A `pre-deploy` that refuses, and says so only to what calls itself this.
pub(super) fn not_on_a_friday(purpose: &str) -> String {
    format!("[ \"$ROLLCALL_PURPOSE\" = '{purpose}' ] && echo not on a Friday >&2; exit 1")
}

pub async fn pre_deploy_hook(scene: &Scene) -> anyhow::Result<String> {
    let before = scene.containers().await?;
    let told = scene.file("drill-hook-told");
    let _none = fs::remove_file(&told);
    let post = format!("echo $ROLLCALL_OUTCOME $ROLLCALL_RELEASE >'{}'", told.display());
    let release = scene.other_release().await?;
    let pre = not_on_a_friday(&format!("rolling to {release}"));
    let hooks = scene.hooks(&[("pre-deploy", &pre), ("post-deploy", &post)])?;
    let ended = scene.roll(release).set("hooks", &hooks.to_string_lossy()).run().await?;
    let heard = fs::read_to_string(&told).unwrap_or_default();
    ended.expect_failure()?;
    ensure!(heard.trim() == format!("refused {release}"), "post-deploy was told {heard:?}");
    scene.expect_as_before(&before).await?;
    ended.line("not on a Friday")
}
