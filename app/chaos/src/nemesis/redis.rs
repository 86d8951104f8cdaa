//! Faults of Redis: of its process, its connections, its functions and its data.

use std::{
    fs::{self, OpenOptions},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context;
use tokio::time::{sleep, timeout};

use super::scene::Scene;
use crate::{
    cluster::{
        docker::{docker, run},
        redis::{command, connect, logs},
    },
    history::Loss,
    workload::ARCHIVE,
};

/// What is cut off the append-only file: a few messages, and half of one more.
const TAIL: u64 = 2_000;
/// Messages that a trim is to take from a room where nobody is, and how long they may take to be written.
const ARCHIVED: usize = 8;
const WRITTEN: Duration = Duration::from_secs(60);
/// In Redis' directory: tells it, as `docker/redis-faults.Dockerfile` says, that its power has failed.
const POWER_LOST: &str = "power-lost";
/// Until a Redis that starts has cut its files.
const CUT: Duration = Duration::from_secs(10);

pub async fn kill(scene: &Scene<'_>) -> anyhow::Result<()> {
    let container = scene.stack.container("redis");
    docker(&["kill", "--signal", "KILL", &container]).await?;
    scene.hold().await;
    docker(&["start", &container]).await.map(drop)
}

pub async fn pause(scene: &Scene<'_>, lasts: Duration) -> anyhow::Result<()> {
    let container = scene.stack.container("redis");
    docker(&["pause", &container]).await?;
    sleep(lasts).await;
    docker(&["unpause", &container]).await.map(drop)
}

pub async fn kill_clients(scene: &Scene<'_>) -> anyhow::Result<()> {
    for _ in 0..3 {
        let _killed: i64 = command(scene.stack, &["CLIENT", "KILL", "TYPE", "normal"]).await?;
        sleep(Duration::from_millis(400)).await;
    }
    scene.hold().await;
    Ok(())
}

pub async fn pause_writes(scene: &Scene<'_>) -> anyhow::Result<()> {
    let ms = scene.hold.as_millis().to_string();
    let () = command(scene.stack, &["CLIENT", "PAUSE", &ms, "WRITE"]).await?;
    scene.hold().await;
    command(scene.stack, &["CLIENT", "UNPAUSE"]).await
}

pub async fn flush_functions(scene: &Scene<'_>) -> anyhow::Result<()> {
    let () = command(scene.stack, &["FUNCTION", "FLUSH", "SYNC"]).await?;
    scene.hold().await;
    Ok(())
}

pub async fn rewrite_aof(scene: &Scene<'_>) -> anyhow::Result<()> {
    let _started: String = command(scene.stack, &["BGREWRITEAOF"]).await?;
    scene.hold().await;
    Ok(())
}

/// A crash after which the end of the file is missing, in the middle of a command.
pub async fn truncate_aof(scene: &Scene<'_>) -> anyhow::Result<()> {
    let container = scene.stack.container("redis");
    let work = async {
        docker(&["kill", "--signal", "KILL", &container]).await?;
        let path = newest_aof(&scene.stack.container("redis")).await?;
        let file = OpenOptions::new().write(true).open(&path)?;
        let kept = file.metadata()?.len().saturating_sub(TAIL);
        file.set_len(kept).with_context(|| format!("cannot cut {}", path.display()))?;
        scene.hold().await;
        docker(&["start", &container]).await.map(drop)
    };
    scene.destroy(Loss::Rewound, work).await
}

/// A power failure: of its files Redis has again what it fsynced, and nothing else. Since an acknowledgement waits for
/// that, nothing acknowledged is lost, and the history does not say that anything was.
pub async fn lose_power(scene: &Scene<'_>) -> anyhow::Result<()> {
    let container = scene.stack.container("redis");
    docker(&["kill", "--signal", "KILL", &container]).await?;
    let lost = directory(&container).await?.join(POWER_LOST);
    fs::write(&lost, "").with_context(|| format!("cannot write {}", lost.display()))?;
    scene.hold().await;
    docker(&["start", &container]).await?;
    let cut = async {
        while lost.exists() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(CUT, cut).await.context("Redis did not cut its files: which image is it?")
}

/// What Redis keeps, in its volume, which has its container's name.
async fn directory(volume: &str) -> anyhow::Result<PathBuf> {
    let mount = docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", volume]).await?;
    Ok(PathBuf::from(mount.trim()))
}

/// The file that Redis appends to.
async fn newest_aof(volume: &str) -> anyhow::Result<PathBuf> {
    let files = directory(volume).await?.join("appendonlydir");
    let listed = run("ls", &["-t", &files.to_string_lossy()]).await?;
    let newest = listed.lines().find(|name| name.ends_with(".incr.aof"));
    Ok(files.join(newest.context("Redis has no append-only file")?))
}

pub async fn flush_all(scene: &Scene<'_>) -> anyhow::Result<()> {
    let work = async { command(scene.stack, &["FLUSHALL", "SYNC"]).await };
    let () = scene.destroy(Loss::Flushed, work).await?;
    scene.hold().await;
    Ok(())
}

/// Clients in a room have everything, and a replica still knows what was said last in the rooms of its clients. The log of
/// a room where nobody was it has to read: clients that come there must be told what that lacks.
pub async fn trim(scene: &Scene<'_>) -> anyhow::Result<()> {
    let archive = format!("{ARCHIVE}{}", scene.step);
    let written = timeout(WRITTEN, scene.workload.leave_behind(&archive, ARCHIVED)).await;
    written.context("nobody took what was to be trimmed")?;
    let work = async {
        let mut connection = connect(scene.stack).await?;
        for key in logs(&mut connection).await?.values() {
            let _gone: u64 = command(scene.stack, &["XTRIM", key, "MAXLEN", "2"]).await?;
        }
        anyhow::Ok(())
    };
    scene.destroy(Loss::Trimmed, work).await?;
    scene.workload.look_up(&archive);
    scene.hold().await;
    Ok(())
}
