//! Docker's own command line: what an engineer would type.

use anyhow::{Context, bail};
use tokio::process::Command;

/// Runs `docker` and returns what it printed.
///
/// # Errors
///
/// If it fails; with what it said.
pub async fn docker(arguments: &[&str]) -> anyhow::Result<String> {
    run("docker", arguments).await
}

/// The process ID, on this machine, of a container's first process.
///
/// # Errors
///
/// If the container does not run.
pub async fn pid(container: &str) -> anyhow::Result<u32> {
    let pid: u32 =
        docker(&["inspect", "--format", "{{.State.Pid}}", container]).await?.trim().parse()?;
    if pid == 0 {
        bail!("{container} does not run");
    }
    Ok(pid)
}

/// Whether a container runs and is not paused.
///
/// # Errors
///
/// If there is no such container.
pub async fn is_running(container: &str) -> anyhow::Result<bool> {
    Ok(docker(&["inspect", "--format", "{{.State.Status}}", container]).await?.trim() == "running")
}

/// Runs a program and returns what it printed.
///
/// # Errors
///
/// If it fails; with what it said.
pub async fn run(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let told = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(program).args(arguments).kill_on_drop(true).output();
    let output = output.await.with_context(told)?;
    if !output.status.success() {
        bail!("{}: {}", told(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
