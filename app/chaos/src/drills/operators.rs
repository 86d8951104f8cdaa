//! What operators do to each other, and to themselves.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::Scene;

/// A little less than a roll takes: an interrupt after its end is none.
const ROLL_SECONDS: f64 = 25.0;
const MOMENTS: usize = 20;
const KILLED_MOMENTS: usize = 5;
const QUICK_MOMENTS: usize = 1;
/// Ansible's own start, and the first look at the stack.
const LOCKED_WITHIN: Duration = Duration::from_secs(30);

/// An interrupted playbook, Ansible's own way out included.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// How a roll is cut short.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// Its whole process group is interrupted, as a terminal does.
    CtrlC,
    /// It alone is killed; what it has started is told nothing.
    Kill,
}

/// Ctrl-C at random moments; each time the same command again must repair what is left, and complete.
pub async fn interrupted(scene: &Scene) -> anyhow::Result<String> {
    let moments = if scene.quick { QUICK_MOMENTS } else { MOMENTS };
    cut_short(scene, Cut::CtrlC, moments).await
}

/// The same with SIGKILL.
pub async fn killed(scene: &Scene) -> anyhow::Result<String> {
    cut_short(scene, Cut::Kill, KILLED_MOMENTS).await
}

async fn cut_short(scene: &Scene, cut: Cut, moments: usize) -> anyhow::Result<String> {
    let mut random = StdRng::seed_from_u64(scene.seed);
    let mut told = String::new();
    let (mut done, mut late) = (0, 0);
    while done < moments {
        let release = scene.other_release().await?;
        let after = random.random_range(1.0..ROLL_SECONDS);
        let context = || format!("{after:.1} s into it, seed {}", scene.seed);
        let Some(seen) = roll_cut_short(scene, release, cut, after).await.with_context(context)?
        else {
            late += 1;
            ensure!(late <= moments, "rolls end before they can be cut short");
            continue;
        };
        done += 1;
        let again = scene.roll(release).succeed().await.with_context(context)?;
        // An operator that was killed says nothing. The next one does, unless there was no lock yet.
        told = if seen.is_empty() { again.line("took over").unwrap_or_default() } else { seen };
        if !scene.quick {
            println!("    {after:4.1} s  {told}");
        }
        scene.expect_serving(release).await.with_context(context)?;
        scene.expect_no_leftovers().await.with_context(context)?;
    }
    Ok(told)
}

/// Starts a roll and cuts it short. What the operator saw last, or nothing if the roll had ended well
/// by then: one that fails by itself was not cut short.
async fn roll_cut_short(
    scene: &Scene,
    release: &str,
    cut: Cut,
    after: f64,
) -> anyhow::Result<Option<String>> {
    let mut roll = scene.roll(release).start()?;
    let group = roll.id().context("it ended at once")?;
    sleep(Duration::from_secs_f64(after)).await;
    let ended = roll.try_wait()?;
    if ended.is_none() {
        match cut {
            Cut::CtrlC => killpg(Pid::from_raw(i32::try_from(group)?), Signal::SIGINT)?,
            // Its output is not read: a process that still works for it would have that open, and be waited for.
            Cut::Kill => {
                roll.start_kill()?;
                return Ok((!roll.wait().await?.success()).then(String::new));
            }
        }
    }
    let output = timeout(ENDS_WITHIN, roll.wait_with_output()).await;
    let output = output.context("Ctrl-C did not end it")??;
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    // With the signal it may just have come to its end by itself.
    if output.status.success() {
        return Ok(None);
    }
    ensure!(ended.is_none(), "it failed before it was cut short:\n{text}");
    let line = text.lines().find(|line| line.contains("Interrupted "));
    // Before it has the lock there is nothing to be told about.
    let line = line.or_else(|| text.lines().rfind(|line| !line.trim().is_empty()));
    Ok(Some(line.unwrap_or_default().trim().to_owned()))
}

pub async fn two_at_once(scene: &Scene) -> anyhow::Result<String> {
    let release = scene.other_release().await?;
    let first = scene.roll(release).run();
    let others = async {
        let lock = until_locked(scene).await?;
        let second = scene.roll("1.0.0").run().await?;
        anyhow::Ok((lock, second, scene.stack.playbook("site").run().await?))
    };
    let (first, others) = tokio::join!(first, others);
    let (first, (lock, second, site)) = (first?, others?);
    first.expect_success()?;
    second.expect_failure()?;
    site.expect_failure()?;
    site.line("has held the lock since")?;
    scene.expect_serving(release).await?;
    let line = second.line("has held the lock since")?;
    let host = fs::read_to_string("/proc/sys/kernel/hostname")?;
    let holder = format!("{}@{}", lock.owner, host.trim());
    let whose = [&holder, &lock.time, &format!("rolling to {release}"), "unlock.yml"];
    for fact in whose {
        ensure!(line.contains(fact), "it does not name {fact}: {line}");
    }
    Ok(line)
}

/// Of the lock file, what the second operator must be told besides the host and the release.
#[derive(Debug, Deserialize)]
struct Lock {
    owner: String,
    time: String,
}

async fn until_locked(scene: &Scene) -> anyhow::Result<Lock> {
    let until = Instant::now() + LOCKED_WITHIN;
    loop {
        let text = fs::read_to_string(scene.control("lock")).unwrap_or_default();
        match serde_json::from_str::<Lock>(&text) {
            Ok(lock) => {
                ensure!(!lock.owner.is_empty() && !lock.time.is_empty(), "whose lock? {text}");
                return Ok(lock);
            }
            Err(_) if Instant::now() < until => sleep(Duration::from_millis(50)).await,
            Err(_) => bail!("the first did not take the lock in {LOCKED_WITHIN:?}"),
        }
    }
}

/// Whether the process of another host lives cannot be known, so its lock stays until somebody says so.
pub async fn stale_lock(scene: &Scene) -> anyhow::Result<String> {
    let before = scene.containers().await?;
    let lock = serde_json::json!({
        "owner": "ada", "host": "elsewhere", "time": "2026-01-01T00:00:00+00:00",
        "purpose": "rolling to 1.1.0", "deploy": "1", "pid": 1, "process": "another boot 1",
    });
    fs::write(scene.control("lock"), lock.to_string())?;
    let release = scene.release().await?;
    let stopped = scene.roll(release).run().await?;
    stopped.expect_failure()?;
    let line = stopped.line("ada@elsewhere has held the lock")?;
    scene.stack.playbook("unlock").succeed().await?;
    scene.roll(release).run().await?.expect_success()?;
    scene.expect_as_before(&before).await?;
    Ok(line)
}
