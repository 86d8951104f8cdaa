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

/// Runs a program into the memory limit of the container whose first process is `victim`, and has
/// the kernel prefer that process for the kill.
///
/// # Errors
///
/// If the container's memory group cannot be found or entered.
pub async fn memory_hog(victim: u32) -> anyhow::Result<()> {
    std::fs::write(format!("/proc/{victim}/oom_score_adj"), "1000")?;
    let groups = std::fs::read_to_string(format!("/proc/{victim}/cgroup"))?;
    let version_1 = groups.lines().find_map(|line| line.split_once(":memory:"));
    let group = match version_1 {
        Some((_, path)) => format!("/sys/fs/cgroup/memory{path}"),
        None => {
            let unified = groups.lines().find_map(|line| line.strip_prefix("0::"));
            format!("/sys/fs/cgroup{}", unified.context("no memory group")?)
        }
    };
    // `tail` keeps what has no line end; bounded in time, should nobody kill it.
    let script = "echo $$ >$0/cgroup.procs && exec timeout 5 tail /dev/zero";
    // It is killed, or the server is and Docker removes what is left of the group: both will do.
    let _killed =
        Command::new("sh").args(["-c", script, &group]).kill_on_drop(true).status().await?;
    Ok(())
}
