//! Deploys that must not touch anything.

use std::fs;

use anyhow::ensure;

use super::Scene;
use crate::cluster::REPLICAS;

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
    ended.line("r1: ")
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
