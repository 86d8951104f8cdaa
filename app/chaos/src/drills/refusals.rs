//! Deploys that must not touch anything.

use std::{fs, os::unix::fs::PermissionsExt};

use anyhow::ensure;

use super::Scene;

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
    let serving = scene.serving().await?;
    let release = serving.values().next().map_or("", String::as_str);
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
    for replica in ["r1", "r2", "r3"] {
        let line = ended.line(&format!("{replica}: "))?;
        ensure!(line.contains('→') && line.ends_with(other), "not a plan: {line}");
    }
    ensure!(journal.steps()?.is_empty(), "a check is no deploy, but the journal has one");
    scene.expect_as_before(&before).await?;
    ended.line("r1: ")
}

pub async fn pre_deploy_hook(scene: &Scene) -> anyhow::Result<String> {
    let before = scene.containers().await?;
    let hooks = scene.file("drill-hooks");
    fs::create_dir_all(&hooks)?;
    let told = hooks.join("told");
    let script = |text: &str| format!("#!/bin/sh\n{text}\n");
    let post = format!("echo $ROLLCALL_OUTCOME $ROLLCALL_RELEASE >'{}'", told.display());
    for (name, text) in [("pre-deploy", "echo not on a Friday >&2; exit 1"), ("post-deploy", &post)]
    {
        fs::write(hooks.join(name), script(text))?;
        fs::set_permissions(hooks.join(name), fs::Permissions::from_mode(0o755))?;
    }
    let release = scene.other_release().await?;
    let ended = scene.roll(release).set("hooks", &hooks.to_string_lossy()).run().await?;
    let heard = fs::read_to_string(&told).unwrap_or_default();
    fs::remove_dir_all(&hooks)?;
    ended.expect_failure()?;
    ensure!(heard.trim() == format!("refused {release}"), "post-deploy was told {heard:?}");
    scene.expect_as_before(&before).await?;
    ended.line("not on a Friday")
}
